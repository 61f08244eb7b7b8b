# SPDX-License-Identifier: Apache-2.0
"""Which of hls4ml's layers multiplies: evaluated as hls4ml does, each kernel equals its node."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from qap2fpga.backends.hls4ml.kernels import Kernel, interval, kernel, kernels, padded
from qap2fpga.ir.channelwise import Depthwise
from qap2fpga.ir.geometry import Geometry
from qap2fpga.ir.linear import Linear
from qap2fpga.ir.tensors import Shape
from qap2fpga.ir.windowed import Weighted
from tests.support.graphs import residual, small_chain

FRAME = Shape(2, 4, 5)


def node(geometry: Geometry, source: Shape = FRAME, *, depthwise: bool = False, seed: int = 0) -> Weighted:
    random = np.random.default_rng(seed)
    inputs, outputs = (geometry.taps, source.channels) if depthwise else (geometry.taps * source.channels, 3)
    kind = Depthwise if depthwise else Linear
    weights = random.integers(-3, 4, (inputs, outputs))
    return kind(name="k", sources=("in",), weights=weights, weight_bits=3, input_bits=3, geometry=geometry)


def evaluated(one: Kernel, frames: np.ndarray) -> np.ndarray:
    """What hls4ml computes of frames: no dilation, no pads but those around the frame, one multiplication a weight."""
    top, left, bottom, right = one.pads
    sides = ((0, 0), (top, bottom), (left, right), (0, 0))
    values = np.pad(frames, sides, constant_values=one.pad)
    assert values.shape[1:] == (one.frame.height, one.frame.width, one.frame.channels)
    if one.dense:
        return np.einsum("ni,io->no", values.reshape(len(values), -1), one.weights[:, 0, 0]).reshape(
            -1, 1, 1, one.outputs
        )
    rows, columns = one.weights.shape[:2]
    result = np.zeros((len(frames), one.result.height, one.result.width, one.outputs), np.int64)
    for y in range(one.result.height):
        for x in range(one.result.width):
            down, across = y * one.stride[0], x * one.stride[1]
            window = values[:, down : down + rows, across : across + columns]
            assert window.shape[1:3] == (rows, columns), "a window reaches beyond the frame"
            how = "nyxc,yxco->nc" if one.depthwise else "nyxc,yxco->no"
            result[:, y, x] = np.einsum(how, window, one.weights)
    return result


def drawn(seed: int) -> tuple[Weighted, Shape]:
    random = np.random.default_rng(seed)
    source = Shape(*(int(one) for one in random.integers((1, 1, 1), (4, 6, 7))))
    pairs = [(int(random.integers(1, 4)), int(random.integers(1, 4))) for _ in range(3)]
    geometry = Geometry(*pairs, pad=int(random.integers(-2, 3)))
    geometry = replace(geometry, pads=tuple(int(random.integers(0, extent)) for extent in geometry.extent * 2))
    return node(geometry, source, depthwise=bool(random.integers(2)), seed=seed), source


@pytest.mark.parametrize("stream", [False, True])
def test_a_kernel_computes_its_node(stream: bool) -> None:
    counts = dict.fromkeys(("Dense", "Conv1D", "Conv2D", "DepthwiseConv1D", "DepthwiseConv2D"), 0)
    for seed in range(300):
        one, source = drawn(seed)
        try:
            result = one.shape([source])
        except ValueError:
            continue
        frames = np.random.default_rng(seed).integers(-4, 5, (3, source.height, source.width, source.channels))
        made = kernel(one, source, stream=stream)
        assert np.array_equal(evaluated(made, frames), one.evaluate([frames])), seed
        assert made.result == result and made.nonzeros == one.nonzeros
        assert made.is_padded == (max(made.pads) > 0) and made.weight_range[0] == made.weights.min()
        assert made.weight_range[1] == made.weights.max()
        counts[made.kind] += 1
        if stream and made.dimensions == 2 and not made.dense and len(made.weights) == 1:
            assert not made.depthwise and (made.stride[0] == 1 or made.weights.shape[1] == 1)
    assert min(counts.values()) > 3, counts


def test_a_kernel_of_one_row_gets_a_second_one_in_a_stream_alone() -> None:
    one = node(Geometry((1, 3), (2, 1)))
    assert kernel(one, FRAME, stream=False).weights.shape == (1, 3, 2, 3)
    streamed = kernel(one, FRAME, stream=True)
    assert streamed.weights.shape == (2, 3, 2, 3) and streamed.pads == (0, 0, 1, 0)
    assert streamed.frame == Shape(2, 5, 5) and not streamed.weights[1].any()
    for geometry in (Geometry((1, 3)), Geometry((1, 1), (2, 2))):
        assert len(kernel(node(geometry), FRAME, stream=True).weights) == 1, "hls4ml does these right"
    row = Shape(2, 1, 5)
    assert kernel(node(Geometry((1, 3)), row, depthwise=True), row, stream=True).weights.shape == (1, 3, 2, 1)


def test_what_sees_its_frame_once_is_dense_and_what_it_does_not_see_has_zeros() -> None:
    whole = kernel(node(Geometry((4, 5))), FRAME, stream=True)
    assert (whole.kind, whole.inputs, whole.outputs, whole.is_padded) == ("Dense", 40, 3, False)
    assert np.array_equal(whole.weights[:, 0, 0], whole.node.weights) and whole.stride == (1, 1)
    assert whole.weights.shape == (40, 1, 1, 3)
    some = kernel(node(Geometry((2, 2), (4, 4))), FRAME, stream=False)
    assert some.kind == "Dense" and some.nonzeros == some.node.nonzeros and some.weights.size == 120
    assert kernel(node(Geometry((4, 5), pads=(1, 0, 0, 0), stride=(2, 1))), FRAME, stream=False).kind == "Conv2D"
    assert kernel(node(Geometry((4, 5)), depthwise=True), FRAME, stream=False).kind == "DepthwiseConv2D"


def test_cycles_between_two_frames() -> None:
    conv = kernel(node(Geometry((3, 3), pads=(1, 1, 1, 1))), FRAME, stream=True)
    assert (conv.frame.positions, conv.cycles(3, stream=True), conv.cycles(3, stream=False)) == (42, 126, 60)
    dense = kernel(node(Geometry((4, 5))), FRAME, stream=True)
    assert (dense.cycles(2, stream=True), dense.cycles(2, stream=False)) == (22, 2)
    graph = residual()
    every = [(one, 1) for one in kernels(graph, stream=True)]
    assert interval(graph, every, stream=True) == padded(Shape(2, 4, 5), (1, 1, 1, 1)).positions
    assert interval(graph, every, stream=False) == 42, "the padded frame is written, a position a cycle"
    vectors = small_chain([[[1, -1], [2, 0]], [[1], [3]]], [[[0, 2], [-1, 1]]])
    assert interval(vectors, [(one, 4) for one in kernels(vectors, stream=False)], stream=False) == 4
