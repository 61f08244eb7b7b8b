# SPDX-License-Identifier: Apache-2.0
"""Where values stand: moved dimensions, flattened frames and constants per channel, beside numpy."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from qap2fpga.frontend.axes import Axes
from qap2fpga.ir.tensors import Shape

SHAPE = Shape(3, 4, 5)
FRAMES = np.arange(2 * SHAPE.size).reshape(2, SHAPE.size)
FIRST = FRAMES.reshape(2, 4, 5, 3).transpose(0, 3, 1, 2)
AXES = Axes.of(SHAPE, 2, last=False)


def same(axes: Axes, tensor: np.ndarray) -> bool:
    """Whether `tensor` has the values of the frames where `axes` says."""
    return (
        axes.shape == tensor.shape[1:]
        and bool((axes.frames(tensor) == FRAMES).all())
        and bool((axes.rows(FRAMES) == tensor).all())
    )


def test_dimensions_that_are_moved_flattened_and_divided() -> None:
    assert same(AXES, FIRST)
    assert same(Axes.of(SHAPE, 2, last=True), FRAMES.reshape(2, 4, 5, 3))
    assert same(AXES.transposed([2, 0, 1]), FIRST.transpose(0, 3, 1, 2))
    flat = AXES.reshaped((60,))
    assert same(flat, FIRST.reshape(2, 60))
    assert flat.reshaped((3, 4, 5)) == AXES
    assert same(AXES.reshaped((3, 20)), FIRST.reshape(2, 3, 20))
    assert same(AXES.reshaped((1, 3, 1, 2, 2, 5)), FIRST.reshape(2, 1, 3, 1, 2, 2, 5))
    assert same(AXES.transposed([1, 0, 2]).reshaped((2, 6, 5)), FIRST.transpose(0, 2, 1, 3).reshape(2, 2, 6, 5))


def test_one_dimension_of_places() -> None:
    shape = Shape(3, 1, 5)
    tensor = np.arange(15).reshape(1, 5, 3).transpose(0, 2, 1)
    assert (Axes.of(shape, 1, last=False).frames(tensor) == np.arange(15)).all()


def test_another_size_or_a_division_in_between_is_no_shape() -> None:
    with pytest.raises(ValueError, match=r"rows of shape \(3, 4, 5\) cannot be rows of shape \(7,\)"):
        AXES.reshaped((7,))
    with pytest.raises(ValueError, match="a dimension of 3 would have to be divided into parts of 2"):
        AXES.reshaped((2, 30))


def test_other_channels_in_the_last_dimension() -> None:
    before = Axes.of(SHAPE, 2, last=True)
    assert before.with_channels(3, 7) == Axes.of(Shape(7, 4, 5), 2, last=True)
    assert before.with_channels(3, 1) == Axes.of(Shape(1, 4, 5), 2, last=True)


def values(*shape: int) -> np.ndarray:
    """As many different fractions."""
    return np.array([Fraction(one, 7) for one in range(int(np.prod(shape)))], object).reshape(shape)


def test_a_constant_per_channel_is_found_wherever_it_stands() -> None:
    wanted = list(values(3))
    flat = AXES.reshaped((60,))
    assert AXES.per_channel(values(3, 1, 1), 3) == wanted
    assert AXES.per_channel(values(1, 3, 1, 1), 3) == wanted
    assert AXES.per_channel(values(), 3) == [0, 0, 0]
    assert AXES.per_channel(values(1), 3) == [0, 0, 0]
    assert Axes.of(SHAPE, 2, last=True).per_channel(values(3), 3) == wanted
    spread = np.broadcast_to(values(3, 1, 1), (3, 4, 5))
    assert AXES.per_channel(spread, 3) == wanted
    assert flat.per_channel(spread.reshape(60), 3) == wanted
    last = Axes.of(SHAPE, 2, last=True).reshaped((60,))
    assert last.per_channel(np.tile(values(3), 20), 3) == wanted


def test_a_constant_per_position_or_of_another_shape_is_refused() -> None:
    for wrong in (values(5), values(3, 4, 5), values(4, 1)):
        with pytest.raises(ValueError, match="has other values at other positions"):
            AXES.per_channel(wrong, 3)
    for wrong in (values(4), values(2, 3, 4, 5), values(7, 1, 1)):
        with pytest.raises(ValueError, match="does not fit rows of shape"):
            AXES.per_channel(wrong, 3)
