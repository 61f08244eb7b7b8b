# SPDX-License-Identifier: Apache-2.0
"""Rows and columns several times: a schedule without a row that is written before it has left."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from qap2fpga.backends.rtl.dataflow import repeat
from qap2fpga.backends.rtl.dataflow.parts import Flow
from qap2fpga.backends.rtl.dataflow.repeat import Repeated
from qap2fpga.backends.rtl.dataflow.timing import Timing
from qap2fpga.ir.channelwise import Repeat
from qap2fpga.ir.tensors import Shape
from tests.support.graphs import enlarged, residual
from tests.unit.backends.test_rtl_dataflow import evaluated, simulated

TWICE = Repeat(name="large", sources=("in",), rows=2, columns=2)
SHAPE = Shape(1, 3, 4)


def part(pace: int) -> Repeated:
    source = Flow("0", SHAPE, ((0, 3),), Timing.of_input(SHAPE.positions, pace))
    out = Flow("1", Shape(1, 6, 8), ((0, 3),), repeat.timing(source.timing, SHAPE, TWICE))
    return Repeated(out, source, TWICE)


def test_rows_leave_once_they_have_come() -> None:
    cycles = part(4).out.timing.cycles
    # The first row has come in cycle 12 and leaves from cycle 14 on, a position per cycle, without a pause.
    assert cycles.tolist() == list(range(14, 14 + 48))
    assert part(4).out.timing.needs.tolist() == [3] * 16 + [7] * 16 + [11] * 16


@pytest.mark.parametrize("pace, enough", [(4, True), (3, False)])
def test_what_keeps_up(pace: int, enough: bool) -> None:
    assert part(pace).slots.keeps_up == enough


@pytest.mark.parametrize("pace", [4, 5, 9])
def test_no_row_is_written_before_the_one_in_its_place_has_left(pace: int) -> None:
    one = part(pace)
    frames = np.arange(3)[:, None] * one.slots.enter.period
    written = (one.operand.timing.cycles + frames).reshape(-1, SHAPE.width)
    read = (one.out.timing.cycles + frames).reshape(len(written), -1)
    for held, right in ((one.rows, True), (one.rows - 1, False)):
        safe = [(written[row] >= read[row - held].max()).all() for row in range(held, len(written))]
        assert all(safe) == right or held == 1


def test_what_follows_a_frame_must_leave_before_the_next_one() -> None:
    one = part(4)
    assert one.drain(0) == one.drain(3) == 0
    # Four positions without a frame are a row, which leaves as the frame's own first row.
    assert one.drain(4) == 14 + 16 - 4 * 4


@pytest.mark.parametrize("kind", ["logits", "accumulators"])
def test_a_frame_that_is_enlarged(kind: str) -> None:
    flow = evaluated(enlarged(), kind).flow
    assert (flow.interval, flow.input.timing.pace) == (48, 4)


def test_what_was_pooled_before_takes_no_longer() -> None:
    assert evaluated(enlarged((2, 4, 6), pooled=True)).flow.interval == 24


def test_a_residual_with_pools_of_both_branches() -> None:
    assert evaluated(residual()).flow.interval == 20


@pytest.mark.slow
@pytest.mark.parametrize("pooled", [False, True])
def test_enlarged_frames_in_verilator(tmp_path: Path, pooled: bool) -> None:
    simulated(enlarged((2, 4, 6) if pooled else (2, 3, 4), pooled=pooled), tmp_path)
