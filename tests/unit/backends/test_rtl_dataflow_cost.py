# SPDX-License-Identifier: Apache-2.0
"""What windows, delays and skips are made of: as Yosys mapped them, and as registers in a row are counted by hand."""

from __future__ import annotations

import pytest

from qap2fpga.backends.rtl import backend, estimate
from qap2fpga.backends.rtl.dataflow import total
from qap2fpga.backends.rtl.dataflow.cost import Cost, held, of_frames, of_part, of_total, of_valid, of_window
from qap2fpga.backends.rtl.dataflow.parts import Compute, Delay, Flow, Join
from qap2fpga.backends.rtl.dataflow.timing import Timing
from qap2fpga.backends.rtl.dataflow.total import Total
from qap2fpga.backends.rtl.dataflow.window import Sweep
from qap2fpga.backends.rtl.options import RtlOptions
from qap2fpga.hw import boards
from qap2fpga.ir.geometry import Geometry
from qap2fpga.ir.tensors import Shape
from tests.support.graphs import residual

# Geometry, shape and bits of a position; flip-flops, LUTs, and those of them that are shift registers, of Yosys 0.70.
MEASURED = [
    (Geometry((1, 1)), (6, 9), 24, 41, 28, 0),
    (Geometry((5, 2)), (25, 27), 8, 72, 72, 32),
    (Geometry((7, 6), (2, 2)), (7, 6), 16, 690, 28, 0),
    (Geometry((3, 4), (1, 2), pads=(1, 0, 1, 1)), (15, 12), 2, 41, 58, 4),
    (Geometry((4, 1), pads=(1, 0, 0, 0)), (4, 4), 16, 31, 89, 48),
    (Geometry((3, 5), (1, 2), pads=(1, 2, 0, 0)), (3, 8), 16, 224, 206, 32),
    (Geometry((1, 5), (2, 2), pads=(0, 2, 0, 2)), (31, 31), 4, 46, 59, 0),
    (Geometry((2, 1)), (7, 28), 24, 44, 58, 24),
]


@pytest.mark.parametrize("geometry, extents, bits, flip_flops, luts, shifts", MEASURED)
def test_windows_as_they_were_mapped(
    geometry: Geometry, extents: tuple[int, int], bits: int, flip_flops: int, luts: int, shifts: int
) -> None:
    cost = of_window(Sweep(geometry, Shape(1, *extents)), bits)
    assert (cost.flip_flops, cost.luts["shift_registers"]) == (flip_flops, shifts)
    expected = estimate.part("w0", "conv", cost).estimate["lut"]
    assert expected is not None and abs(expected - luts) <= 0.11 * luts


def test_registers_that_are_read_on_the_way() -> None:
    assert held(4, [0, 1, 2, 3]) == (12, 0)
    assert held(4, [0, 2, 5]) == (8, 4)
    assert held(3, [0, 40]) == (0, 6)


def test_a_mask_is_needed_where_a_tap_leaves_the_frame() -> None:
    inner = of_window(Sweep(Geometry((3, 3)), Shape(1, 6, 6)), 2).luts["masked_bits"]
    padded = of_window(Sweep(Geometry((3, 3), pads=(1, 1, 1, 1)), Shape(1, 6, 6)), 2).luts["masked_bits"]
    left = of_window(Sweep(Geometry((3, 3), pads=(0, 1, 0, 0)), Shape(1, 6, 6)), 2).luts["masked_bits"]
    assert (inner, padded, left) == (0, 2 * 8, 2 * 3)


def test_the_bits_beside_the_data() -> None:
    assert of_valid(5).flip_flops == 10
    assert of_frames(30, 6).flip_flops == 9
    assert of_frames(784, 60).flip_flops == 17


def test_bits_beside_a_branch_that_another_one_leads_are_not_there() -> None:
    """Both branches of the sum come together, so that only the first one's bits are read."""
    flow = backend.circuit(residual(), boards.load("pynq-z2"), RtlOptions()).flow
    joins = [part for part in flow.parts if isinstance(part, Join) and len(part.joined) > 1]
    assert joins and all(join.joined[0] in flow.read for join in joins)
    unread = [part for part in flow.parts if part.out not in flow.read and isinstance(part, Compute | Delay)]
    assert {part.out for part in unread} & {one for join in joins for one in join.joined[1:]}
    for part in unread:
        assert of_part(part, read=False)[part.beside] == Cost(0)
        assert of_part(part)[part.beside].flip_flops > 0


@pytest.mark.parametrize("positions, masks", [(15, 0), (16, 12)])
def test_a_wide_counter_takes_luts_of_its_own_in_sums_of_frames(positions: int, masks: int) -> None:
    source = Flow("0", Shape(2, 1, positions), ((0, 3), (0, 3)), Timing.of_input(positions))
    part = Total(Flow("1", Shape(2), ((0, 63), (0, 63)), total.timing(source.timing)), source)
    assert of_total(part).luts["total_masks"] == masks
