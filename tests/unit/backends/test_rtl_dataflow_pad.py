# SPDX-License-Identifier: Apache-2.0
"""Pads in the stream: none comes too late, none is written over; odd kernels as hardware."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from qap2fpga.backends.rtl.dataflow import pad
from qap2fpga.backends.rtl.dataflow.cost import of_part
from qap2fpga.backends.rtl.dataflow.pad import Frame, Padded
from qap2fpga.backends.rtl.dataflow.parts import Flow
from qap2fpga.backends.rtl.dataflow.timing import Timing
from qap2fpga.backends.rtl.dataflow.window import Sweep
from qap2fpga.ir.geometry import Geometry
from qap2fpga.ir.tensors import Shape
from tests.support import odd
from tests.unit.backends.test_rtl_dataflow import evaluated, simulated

FULL = Geometry((3, 3), pads=(2, 2, 2, 2), pad=1)


def part(geometry: Geometry, shape: Shape, pace: int) -> Padded:
    frame, source = Frame(geometry, shape), Flow("0", shape, ((0, 3),), Timing.of_input(shape.positions, pace))
    return Padded(Flow("1", frame.shape, ((0, 3),), frame.timing(source.timing)), source, frame)


def test_a_frame_leaves_without_a_pause_once_the_rest_comes_in_time() -> None:
    one = part(FULL, Shape(1, 2, 2), 9)
    # The first position is the 15th of 36, the last one the 22nd. It comes in cycle 27 and can leave in the next.
    assert one.frame.places.tolist() == [14, 15, 20, 21]
    assert one.out.timing.cycles.tolist() == list(range(10, 46))
    assert one.frame.begin(one.operand.timing) == 2
    assert one.out.timing.needs.tolist() == [1] * 20 + [2] + [3] * 15
    assert one.frame.keeps_up(one.operand.timing)
    assert not one.frame.keeps_up(Timing.of_input(4, 8))
    assert (one.depth, one.drain(0), one.drain(2), one.drain(4)) == (3, 0, 12, 10)


def test_no_position_leaves_before_it_has_come_or_waits_beyond_the_depth() -> None:
    random = np.random.default_rng(3)
    for _ in range(30):
        shape = Shape(1, *map(int, random.integers(1, 6, 2)))
        frame = Frame(odd.geometry(random, shape), shape)
        cycles = np.sort(random.permutation(4 * shape.positions)[: shape.positions])
        period = max(frame.shape.positions, 4 * shape.positions)
        source = Timing(cycles, np.arange(shape.positions), period * shape.positions, period)
        leave = frame.timing(source)
        left = leave.cycles[frame.places]
        assert (left > cycles).all()
        begin = frame.begin(source)
        assert leave.first == cycles[begin - 1] + 1
        # One position fewer would be too early for some other.
        assert begin == 1 or (left - leave.first + cycles[begin - 2] + 1 <= cycles).any()
        assert leave.needs.tolist() == [
            max(begin - 1, *np.flatnonzero(frame.places <= place), 0) for place in range(frame.shape.positions)
        ]
        whole = Padded(Flow("1", frame.shape, ((0, 3),), leave), Flow("0", shape, ((0, 3),), source), frame)
        waiting = [int((cycles < now).sum() - (left < now).sum()) for now in range(leave.last + 2)]
        assert whole.depth == max(waiting)


def test_what_the_window_generator_pads_itself() -> None:
    shape = Shape(1, 4, 4)
    assert pad.before(Geometry((3, 3), pads=(1, 1, 1, 1)), shape) is None
    assert pad.sweep(FULL, shape) == Sweep(Geometry((3, 3), pad=1), Shape(1, 8, 8))
    # Its first window sees pads alone.
    assert pad.before(Geometry((2, 1), dilation=(3, 1), pads=(1, 0, 1, 0)), Shape(1, 2, 1)) is not None


def test_what_it_is_made_of() -> None:
    one = part(FULL, Shape(1, 2, 2), 9)
    (cost,) = of_part(one).values()
    # Three counters of 2 bits, two of 3, and two flags.
    assert (cost.flip_flops, cost.luts["memory_bits"], cost.luts["masked_bits"]) == (14, 2, 2)


@pytest.mark.parametrize("first", range(0, 12, 3))
def test_odd_kernels(first: int) -> None:
    """Pads as large as kernels, kernels larger than the frame, thin ones, dilated ones."""
    padded = 0
    for seed in range(first, first + 3):
        flow = evaluated(odd.network(seed)).flow
        padded += sum(isinstance(one, Padded) for one in flow.parts)
        assert flow.interval == flow.input.shape.positions * flow.input.timing.pace
    assert padded


@pytest.mark.slow
def test_odd_kernels_in_verilator(tmp_path: Path) -> None:
    """Two paddings, of which one takes positions that follow the frame, and drains."""
    graph = odd.network(19, 3)
    flow = evaluated(graph).flow
    assert sum(isinstance(one, Padded) for one in flow.parts) == 2 and flow.flush and flow.drain
    assert "qap_pad.sv" in simulated(graph, tmp_path).sources
