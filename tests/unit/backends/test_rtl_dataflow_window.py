# SPDX-License-Identifier: Apache-2.0
"""Which position completes which window, compared with the positions that each window sees."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from qap2fpga.backends.rtl.dataflow.window import Sweep
from qap2fpga.ir.geometry import Geometry
from qap2fpga.ir.tensors import Shape

GEOMETRIES = [
    Geometry((3, 3), pads=(1, 1, 1, 1)), Geometry((3, 3), (2, 2), pads=(1, 1, 1, 1)), Geometry((2, 2), (2, 2)),
    Geometry((3, 2), (1, 2), (2, 1), pads=(1, 0, 2, 1)), Geometry((1, 1), (2, 3)), Geometry((5, 4)),
    Geometry((3, 3), pads=(2, 2, 0, 0)), Geometry((3, 3), pads=(0, 0, 2, 2)),
    Geometry((1, 3), (1, 2), pads=(0, 1, 0, 1)),
]  # fmt: skip
SHAPES = [Shape(1, 5, 4), Shape(1, 7, 6), Shape(1, 1, 9), Shape(1, 2, 2)]


def sweeps() -> list[Sweep]:
    found = []
    for geometry, shape in itertools.product(GEOMETRIES, SHAPES):
        try:
            geometry.output(shape, 1)
        except ValueError:
            continue
        found.append(Sweep(geometry, shape))
    return found


@pytest.mark.parametrize("sweep", sweeps(), ids=lambda sweep: f"{sweep.geometry} {sweep.source}")
def test_a_window_is_complete_when_its_last_position_has_come(sweep: Sweep) -> None:
    assert not sweep.overflows
    numbers = np.arange(1, sweep.source.positions + 1).reshape(1, sweep.source.height, sweep.source.width, 1)
    seen = sweep.geometry.windows(numbers).reshape(len(sweep.places), -1)
    assert 0 <= sweep.start < sweep.source.positions
    for place, window in zip(sweep.places, seen, strict=True):
        taps = window[window > 0] - 1
        assert (taps <= place).all()
        assert (taps > place - sweep.length).all()
    # The first window waits for no position that it does not see, unless its last taps are pads.
    assert sweep.start == max(seen[0].max() - 1, sweep.start)
    assert (np.diff(sweep.places) > 0).all()
    assert sweep.places[-1] < sweep.start + sweep.source.positions


def test_what_gives_more_than_it_takes_overflows() -> None:
    assert Sweep(Geometry((3, 3), pads=(1, 2, 1, 1)), Shape(1, 5, 5)).overflows
    assert Sweep(Geometry((2, 3), pads=(1, 1, 1, 1)), Shape(1, 5, 5)).overflows


def test_a_first_window_of_pads_alone_overflows() -> None:
    geometry = Geometry((2, 1), dilation=(3, 1), pads=(3, 0, 0, 0))
    assert not Sweep(geometry, Shape(1, 4, 1)).overflows
    assert Sweep(Geometry((2, 1), dilation=(3, 1), pads=(1, 0, 1, 0)), Shape(1, 2, 1)).overflows
