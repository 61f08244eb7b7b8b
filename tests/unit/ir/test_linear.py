# SPDX-License-Identifier: Apache-2.0
"""Linear nodes with a kernel, against torch's convolutions and over all frames of small ones."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch

from qap2fpga.ir import bops
from qap2fpga.ir.channelwise import Depthwise
from qap2fpga.ir.geometry import Geometry
from qap2fpga.ir.linear import Linear
from qap2fpga.ir.tensors import Code, Range, Shape

GEOMETRIES = [
    Geometry(),
    Geometry((3, 3), pads=(1, 1, 1, 1)),
    Geometry((2, 3), (2, 1), pads=(0, 2, 1, 0), pad=-2),
    Geometry((2, 2), (1, 2), (2, 1)),
    Geometry((5, 6)),
]
SOURCE = Shape(3, 5, 6)


def convolution(geometry: Geometry, outputs: int = 4, channels: int = 3, seed: int = 1) -> Linear:
    weights = np.random.default_rng(seed).integers(-3, 4, (geometry.taps * channels, outputs))
    return Linear(name="conv", sources=("x",), weights=weights, weight_bits=3, input_bits=4, geometry=geometry)


def depthwise(geometry: Geometry, channels: int = 3, seed: int = 1) -> Depthwise:
    weights = np.random.default_rng(seed).integers(-3, 4, (geometry.taps, channels))
    return Depthwise(name="dw", sources=("x",), weights=weights, weight_bits=3, input_bits=4, geometry=geometry)


def frames(shape: Shape, count: int = 3, low: int = -4, high: int = 3) -> np.ndarray:
    size = (count, shape.height, shape.width, shape.channels)
    return np.random.default_rng(7).integers(low, high, size, endpoint=True)


def by_torch(geometry: Geometry, kernels: np.ndarray, values: np.ndarray, groups: int) -> np.ndarray:
    """The convolution with `kernels` (outputs, channels, rows, columns) in float64, exact for integers this small."""
    top, left, bottom, right = geometry.pads
    image = torch.from_numpy(np.moveaxis(values, -1, 1).astype(np.float64))
    image = torch.nn.functional.pad(image, (left, right, top, bottom), value=geometry.pad)
    result = torch.nn.functional.conv2d(
        image, torch.from_numpy(kernels.astype(np.float64)), stride=geometry.stride, dilation=geometry.dilation,
        groups=groups,
    )  # fmt: skip
    return np.moveaxis(result.numpy(), 1, -1).astype(np.int64)


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_a_linear_node_is_a_convolution(geometry: Geometry) -> None:
    node, values = convolution(geometry), frames(SOURCE)
    kernels = np.moveaxis(node.weights.reshape(*geometry.kernel, 3, 4), (3, 2), (0, 1))
    result = node.evaluate([values])
    assert np.array_equal(result, by_torch(geometry, kernels, values, 1))
    assert result.shape[1:] == tuple((s := node.shape([SOURCE]), (s.height, s.width, s.channels))[1])


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_a_depthwise_node_is_a_convolution_a_channel(geometry: Geometry) -> None:
    node, values = depthwise(geometry), frames(SOURCE)
    kernels = np.moveaxis(node.weights.reshape(*geometry.kernel, 3), 2, 0)[:, None]
    result = node.evaluate([values])
    assert np.array_equal(result, by_torch(geometry, kernels, values, 3))
    assert node.shape([SOURCE]) == Shape(3, *result.shape[1:3])


@pytest.mark.parametrize("pad", [-1, 2])
@pytest.mark.parametrize("kind", [convolution, depthwise])
def test_the_range_of_sums_is_reached_and_never_left(kind: type, pad: int) -> None:
    """A kernel of two over two positions and a pad: the middle window sees every pair of values."""
    geometry = Geometry((1, 2), pads=(0, 1, 0, 0), pad=pad)
    node = kind(geometry, channels=1)
    every = np.array(list(itertools.product(range(-1, 2), repeat=2))).reshape(-1, 1, 2, 1)
    sums = node.evaluate([every])
    ends = node.range([Range(np.array([-1]), np.array([1]))])
    assert (ends.low <= sums).all()
    assert (sums <= ends.high).all()
    if pad == -1:  # the pad is a value like others, so the interval is tight
        assert np.array_equal(ends.low, sums.min(axis=(0, 1, 2)))
        assert np.array_equal(ends.high, sums.max(axis=(0, 1, 2)))


def test_a_channel_that_no_tap_reads_and_one_that_is_constant_go() -> None:
    node = convolution(Geometry((2, 2), pads=(1, 0, 0, 1), pad=2))
    weights = node.weights.reshape(4, 3, 4).copy()
    weights[:, 1] = 0
    node = replace(node, weights=weights.reshape(12, 4))
    values = frames(SOURCE)
    values[..., 2] = 2
    kept, fixed = np.array([True, True, False, True]), np.array([False, False, True])
    (taken,) = node.wants(kept, [fixed])
    assert taken.tolist() == [True, False, False]
    assert [one.tolist() for one in node.wants(kept, [~fixed])] == [[False, False, True]]
    assert node.tied([taken], [fixed]) is None
    fewer, missing = node.narrowed(kept, [taken], [np.array([-4, -4, 2])])
    assert missing is not None
    assert fewer.channels == (0, 1, 3)
    assert np.array_equal(fewer.evaluate([values[..., :1]]) + missing, node.evaluate([values])[..., kept])


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("make", [convolution, depthwise])
def test_sums_of_codes(make: type, geometry: Geometry) -> None:
    """Codes of one step that have the pad, and where nothing is padded any."""
    if geometry.is_padded:
        code = Code(np.full(3, 2), np.full(3, geometry.pad - 4))
    else:
        code = Code(np.array([2, 6, 4]), np.array([1, -3, 0]))
    codes, node = frames(SOURCE), make(geometry)
    over, after = node.recoded([code])
    assert np.array_equal(
        after.step * over.evaluate([codes]) + after.base, node.evaluate([code.step * codes + code.base])
    )


def test_a_pad_without_a_code() -> None:
    node = convolution(Geometry((2, 2), pads=(1, 0, 0, 0)))
    for code in (Code(np.full(3, 2), np.full(3, 1)), Code(np.full(3, 1), np.array([0, 1, 0]))):
        with pytest.raises(ValueError, match="the value 0, its pad, has no code"):
            node.recoded([code])


def test_outputs_are_selected() -> None:
    kept = np.array([True, False, True, False])
    node, values = convolution(GEOMETRIES[2]), frames(SOURCE)
    assert np.array_equal(node.select(kept).evaluate([values]), node.evaluate([values])[..., kept])
    few, channels = depthwise(GEOMETRIES[2]), np.array([False, True, True])
    assert few.select(channels).channels == (1, 2)
    assert np.array_equal(few.select(channels).evaluate([values[..., channels]]), few.evaluate([values])[..., channels])


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"weights": np.ones((5, 2), np.int64)}, "no whole number of channels"),
        ({"weights": np.ones((8, 2))}, "float64"),
        ({"geometry": Geometry((0, 2))}, "its kernel is 0x2"),
    ],
)
def test_what_is_no_linear_node(change: dict[str, np.ndarray | Geometry], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        replace(convolution(Geometry((2, 2))), **change).check()  # type: ignore[arg-type]


def test_what_is_no_depthwise_node() -> None:
    with pytest.raises(ValueError, match="3 weights per channel for a kernel of 4"):
        replace(depthwise(Geometry((2, 2))), weights=np.ones((3, 3), np.int64)).check()
    with pytest.raises(ValueError, match="it takes 3 channels"):
        depthwise(Geometry()).shape([Shape(2, 4, 4)])
    with pytest.raises(ValueError, match="it takes 3 channels"):
        convolution(Geometry((2, 2))).shape([Shape(2, 4, 4)])
    for weights in (np.ones(3, np.int64), np.ones((1, 3)), np.ones((1, 0), np.int64)):
        with pytest.raises(ValueError, match="its weights have shape"):
            replace(depthwise(Geometry()), weights=weights).check()


def test_bit_operations_are_those_of_a_dense_layer_at_every_position() -> None:
    node = convolution(Geometry((2, 2)))
    dense = bops.of_counts(12, 4, node.nonzeros, None, weight_bits=3, input_bits=4, first=False)
    assert node.bops(20).paper == pytest.approx(20 * dense.paper)
    assert node.bops(20).nonzero_products == 20 * node.nonzeros * 12
    own = depthwise(Geometry((2, 2)))
    assert own.bops(20).nonzero_products == 20 * int(np.count_nonzero(own.weights)) * 12


def test_sums_that_are_no_weights_of_the_model_cost_no_bit_operations() -> None:
    node = depthwise(Geometry((2, 2)))
    assert node.bops(5).paper > 0
    assert replace(node, weight_bits=0).bops(5) == bops.Bops()


def test_sums_beyond_64_bits_are_refused_by_name() -> None:
    node = replace(depthwise(Geometry((1, 2))), weights=np.full((2, 3), 1 << 62))
    with pytest.raises(Exception, match="layer dw"):
        node.evaluate([np.full((1, 1, 2, 3), 4)])


def test_codes_spread_where_the_sums_of_weights_differ() -> None:
    """A shift of all that is seen by one shifts each sum by the sum of its weights."""
    for columns, spreads in (([[1, 1, 2]], True), ([[2, 1, 1]], True), ([[1, 2], [1, 0]], False), ([[5]], False)):
        node = Linear(name="l", sources=("x",), weights=np.array(columns), weight_bits=4, input_bits=4)
        assert node.spreads_codes == spreads, columns
