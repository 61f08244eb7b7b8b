# SPDX-License-Identifier: Apache-2.0
"""Kernels over tensors, against loops in plain Python."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qap2fpga.ir.geometry import Geometry
from qap2fpga.ir.tensors import Range, Shape

small = st.integers(1, 3)
pairs = st.tuples(small, small)


@st.composite
def cases(draw: st.DrawFn) -> tuple[Geometry, Shape]:
    """A kernel and a tensor that it fits into."""
    kernel, stride, dilation = draw(pairs), draw(pairs), draw(pairs)
    span = [(size - 1) * step + 1 for size, step in zip(kernel, dilation, strict=True)]
    pads = tuple(draw(st.integers(0, span[axis % 2] - 1)) for axis in range(4))
    height, width = (draw(st.integers(max(1, size - pads[axis]), size + 4)) for axis, size in enumerate(span))
    geometry = Geometry(kernel, stride, dilation, pads, draw(st.integers(-2, 2)))
    return geometry, Shape(draw(small), height, width)


def looked_up(geometry: Geometry, image: np.ndarray, row: int, column: int) -> list[list[list[int]]]:
    """What the kernel sees at one position, value by value."""
    height, width, channels = image.shape
    window = []
    for kernel_row in range(geometry.kernel[0]):
        line = []
        for kernel_column in range(geometry.kernel[1]):
            y = row * geometry.stride[0] + kernel_row * geometry.dilation[0] - geometry.pads[0]
            x = column * geometry.stride[1] + kernel_column * geometry.dilation[1] - geometry.pads[1]
            inside = 0 <= y < height and 0 <= x < width
            line.append(image[y, x].tolist() if inside else [geometry.pad] * channels)
        window.append(line)
    return window


@given(cases(), st.integers(0, 2**32 - 1))
def test_every_position_sees_what_lies_under_the_kernel(case: tuple[Geometry, Shape], seed: int) -> None:
    geometry, shape = case
    geometry.check()
    images = np.random.default_rng(seed).integers(-9, 10, (2, shape.height, shape.width, shape.channels))
    windows = geometry.windows(images)
    result = geometry.output(shape, shape.channels)
    assert windows.shape == (2, result.height, result.width, *geometry.kernel, shape.channels)
    for frame, row, column in np.ndindex(2, result.height, result.width):
        assert windows[frame, row, column].tolist() == looked_up(geometry, images[frame], row, column)


def test_a_position_more_would_stand_beyond_the_border() -> None:
    shape = Shape(1, 5, 7)
    result = Geometry((3, 3), (2, 3), pads=(0, 1, 0, 0)).output(shape, 4)
    assert (result.height, result.width, result.channels) == (2, 2, 4)


@pytest.mark.parametrize(
    ("geometry", "reason"),
    [
        (Geometry(kernel=(0, 1)), "its kernel is 0x1"),
        (Geometry(stride=(1, 0)), "its stride is 1x0"),
        (Geometry(dilation=(-1, 1)), "its dilation is -1x1"),
        (Geometry((2, 2), pads=(0, 0, -1, 0)), "its pads are 0, 0, -1, 0"),
        (Geometry((2, 2), pads=(0, 0, 2, 0)), "top or bottom is as large as its kernel"),
        (Geometry((3, 2), pads=(2, 0, 0, 2)), "left or right is as large as its kernel"),
    ],
)
def test_what_is_no_kernel(geometry: Geometry, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        geometry.check()


@pytest.mark.parametrize("shape", [Shape(1, 2, 9), Shape(1, 9, 2)])
def test_a_kernel_that_does_not_fit(shape: Shape) -> None:
    with pytest.raises(ValueError, match="its kernel of 3x3 does not fit into"):
        Geometry((3, 3)).output(shape, 1)


def test_the_range_of_what_is_seen_has_the_pad() -> None:
    source = Range(np.array([1, -3]), np.array([4, -2]))
    assert Geometry().seen(source) is source
    padded = Geometry((2, 2), pads=(1, 0, 0, 0), pad=2).seen(source)
    assert (padded.low.tolist(), padded.high.tolist()) == ([1, -3], [4, 2])


def test_what_sees_itself_alone() -> None:
    assert Geometry().is_point
    assert Geometry().taps == 1
    for other in (Geometry((1, 2)), Geometry(stride=(2, 1)), Geometry((2, 1), pads=(1, 0, 0, 0))):
        assert not other.is_point
