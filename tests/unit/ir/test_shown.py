# SPDX-License-Identifier: Apache-2.0
"""Frames in the order of the model and in that of hardware."""

from __future__ import annotations

import numpy as np
import pytest

from qap2fpga.frontend.axes import Axes
from qap2fpga.ir import shown
from qap2fpga.ir.tensors import Shape
from qap2fpga.system.codec import decode, encode
from qap2fpga.system.errors import QapError

CASES = [
    (Shape(3, 4, 5), Axes.of(Shape(3, 4, 5), 2, last=False)),
    (Shape(3, 4, 5), Axes.of(Shape(3, 4, 5), 2, last=True)),
    (Shape(1, 4, 5), Axes.of(Shape(1, 4, 5), 2, last=False)),
    (Shape(3, 1, 7), Axes.of(Shape(3, 1, 7), 1, last=False)),
    (Shape(3, 4, 5), Axes.of(Shape(3, 4, 5), 2, last=False).reshaped((60,))),
    (Shape(60), Axes((((60, 1),),)).reshaped((3, 4, 5))),
]


@pytest.mark.parametrize(("shape", "axes"), CASES)
def test_a_row_of_the_model_becomes_the_frame_that_the_network_was_compared_on(shape: Shape, axes: Axes) -> None:
    rows = np.arange(2 * shape.size).reshape(2, *axes.shape)
    frame = shown.frame((shape.height, shape.width, shape.channels), axes.shape, axes.factors)
    assert (frame.frames(rows) == axes.frames(rows)).all()
    assert decode(shown.Frame, encode(frame), "frame", "a test") == frame
    assert frame.row == f"(n, {', '.join(map(str, axes.shape))})"


def test_channels_of_a_position_stand_together() -> None:
    frame = shown.frame((2, 2, 3), (3, 2, 2), ((3, 1), (2, 6), (2, 3)))
    assert frame.frames(np.arange(12).reshape(1, 3, 2, 2)).tolist() == [[0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11]]


@pytest.mark.parametrize(
    ("changed", "why"),
    [({"model": (3, 2, 3)}, "is no frame of 12"), ({"parts": (3, 2, 1)}, "is no frame of 12"),
     ({"moves": (0, 1, 1)}, "is no order of 3")],
)  # fmt: skip
def test_numbers_that_do_not_fit_are_refused(changed: dict[str, tuple[int, ...]], why: str) -> None:
    good = {"height": 2, "width": 2, "channels": 3, "model": (3, 2, 2), "parts": (3, 2, 2), "moves": (1, 2, 0)}
    shown.Frame(**good)  # type: ignore[arg-type]
    with pytest.raises(QapError, match=why):
        shown.Frame(**(good | changed))  # type: ignore[arg-type]


def test_a_frame_has_a_name() -> None:
    assert shown.titled(8, 8, 1) == "8x8 image of 1 channel"
    assert shown.titled(1, 16, 3) == "signal of 16 positions, 3 channels"
    assert shown.titled(1, 1, 5) == "vector of 5 values"
