# SPDX-License-Identifier: Apache-2.0
"""FINN's window generators and padding, cycle by cycle: what Verilator measured of them, and what they must do."""

from __future__ import annotations

import pytest

from qap2fpga.backends.finn.stream import windows
from qap2fpga.backends.finn.stream.models import Model
from qap2fpga.backends.finn.stream.run import Part, Run
from qap2fpga.ir.geometry import Geometry
from qap2fpga.ir.tensors import Shape


def beats(model: Model, taken: int, *, idle: int = 0) -> tuple[int, int]:
    """Cycles from the first frame's end to the second's, and beats of a frame; the source idles between its beats."""
    run = Run([Part(model, ["in"], ["out"])], "in", "out", beats=taken, results=1)
    came = given = 0
    ends: list[int] = []
    per_frame = 0
    for now in range(20_000):
        comes, leaves = run.cycle(offered=now % (idle + 1) == 0)
        came += comes
        given += leaves
        if comes and came % taken == 1:
            # The first beat of another frame: what has left belongs to the frames before.
            ends.append(now)
            per_frame, given = given, 0
            if len(ends) == 4:
                return ends[-1] - ends[-2], per_frame
    raise AssertionError("the model stands still")


# (rows, columns, channels), kernel, stride, dilation, lanes, depthwise, and the interval that Verilator measured.
MEASURED = [
    ((8, 8, 4), (3, 3), (1, 1), (1, 1), 4, False, 336), ((8, 8, 4), (3, 3), (1, 1), (1, 1), 2, False, 670),
    ((9, 9, 2), (3, 3), (2, 2), (1, 1), 2, False, 158), ((8, 8, 4), (2, 2), (2, 2), (1, 1), 2, False, 142),
    ((8, 8, 4), (2, 2), (2, 2), (1, 1), 4, True, 72), ((8, 8, 4), (2, 2), (2, 2), (1, 1), 1, True, 327),
    ((4, 4, 2), (4, 4), (1, 1), (1, 1), 2, False, 18), ((4, 4, 4), (4, 4), (1, 1), (1, 1), 2, True, 49),
    ((1, 20, 4), (1, 5), (1, 1), (1, 1), 2, False, 162),
]  # fmt: skip


@pytest.mark.parametrize(("size", "kernel", "stride", "dilation", "lanes", "depthwise", "interval"), MEASURED)
def test_the_serial_generator_takes_the_cycles_that_were_measured(
    size: tuple[int, int, int], kernel: tuple[int, int], stride: tuple[int, int], dilation: tuple[int, int],
    lanes: int, depthwise: bool, interval: int,
) -> None:  # fmt: skip
    rows, columns, channels = size
    shape, geometry = Shape(channels, rows, columns), Geometry(kernel, stride, dilation)
    model = windows.serial(shape, geometry, channels // lanes, depthwise=depthwise)
    cycles, given = beats(model, rows * columns * channels // lanes)
    assert cycles == interval
    assert given == geometry.output(shape, 1).positions * geometry.taps * channels // lanes


@pytest.mark.parametrize(("width", "kernel"), [(8, (3, 3)), (5, (3, 3)), (8, (2, 2))])
def test_the_parallel_generator_takes_a_cycle_per_position_and_one(width: int, kernel: tuple[int, int]) -> None:
    shape, geometry = Shape(2, 8, width), Geometry(kernel)
    cycles, given = beats(windows.parallel(shape, geometry), shape.positions)
    assert (cycles, given) == (shape.positions + 1, geometry.output(shape, 1).positions)


def test_a_kernel_of_one_tap_takes_the_parallel_generator_of_several_beats() -> None:
    cycles, given = beats(windows.parallel(Shape(4, 6, 6), Geometry(), 2), 72)
    assert (cycles, given) == (73, 72)  # as Verilator measured


def test_padding_takes_a_cycle_per_beat_that_leaves() -> None:
    model = windows.padding(Shape(4, 5, 6), (1, 2, 0, 3), 2)
    assert beats(model, 60) == (6 * 11 * 2, 6 * 11 * 2)


def test_no_generator_loses_beats_when_its_source_idles() -> None:
    shape, geometry = Shape(2, 5, 5), Geometry((3, 3))
    for model, taken, given in (
        (windows.serial(shape, geometry, 2, depthwise=True), 50, 9 * 9 * 2),
        (windows.serial(shape, geometry, 2, depthwise=False), 50, 9 * 9 * 2),
        # The last row and column are in no window.
        (windows.serial(Shape(2, 6, 6), Geometry((3, 3), (2, 2)), 2, depthwise=False), 72, 4 * 9 * 2),
        (windows.parallel(shape, geometry), 25, 9),
        (windows.padding(shape, (1, 1, 1, 1), 1), 25, 49),
    ):
        assert beats(model, taken, idle=3)[1] == given


def test_places_of_taps_and_windows() -> None:
    shape, geometry = Shape(1, 5, 6), Geometry((2, 3), (2, 1), (1, 2))
    assert windows.taps(shape, geometry).tolist() == [0, 2, 4, 6, 8, 10]
    assert windows.starts(shape, geometry).tolist() == [0, 1, 12, 13]
