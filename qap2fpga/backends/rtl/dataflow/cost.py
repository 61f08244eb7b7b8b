# SPDX-License-Identifier: Apache-2.0
"""What the parts between datapaths are made of: flip-flops, exactly, and what their LUTs are a sum of.

Positions that are held in a row, with nobody reading in between, are shift registers (`netlist/count.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from qap2fpga.backends.rtl.dataflow.mac import Mac
from qap2fpga.backends.rtl.dataflow.pad import Padded
from qap2fpga.backends.rtl.dataflow.parts import Compute, Delay, Part, Skip, Window, bits
from qap2fpga.backends.rtl.dataflow.repeat import Repeated
from qap2fpga.backends.rtl.dataflow.total import Total
from qap2fpga.backends.rtl.dataflow.window import Sweep
from qap2fpga.backends.rtl.netlist.count import SHORTEST_SHIFT
from qap2fpga.exact.integers import width

# Registers that one LUT holds as a shift register; a LUT as memory holds so many words of a bit.
SHIFT, WORDS = 32, 32
# Bits of a counter, and of a sum and what is added to it, fit into one LUT of six inputs.
NARROW = 4
# Bits of a window that say what it holds: of a frame, busy, real and fresh.
FLAGS = 4


@dataclass(frozen=True)
class Cost:
    """`luts` by what they are for; a coefficient in flows/rtl/estimate.yaml says how many each takes."""

    flip_flops: int
    luts: Mapping[str, int] = field(default_factory=dict)


def counter(last: int) -> int:
    """Return the bits of a counter that holds 0 to `last`, as Verilog's $clog2(last + 1)."""
    return last.bit_length()


def of_part(part: Part, *, read: bool = True) -> dict[str, Cost]:
    """Return what the instances of `part` are made of, by name, but for datapaths, whose netlists are counted.

    `read` says whether the bits beside its result are; without that synthesis takes them away.
    """
    beside = of_valid if read else lambda stages: Cost(0)
    match part:
        case Window():
            return {part.instance: of_window(part.sweep, bits(part.lanes))}
        case Delay():
            flip_flops, shifts = held(bits(part.out.lanes), [0, part.cycles])
            return {part.instance: Cost(flip_flops, {"shift_registers": shifts}), part.beside: beside(part.cycles)}
        case Skip():
            words, places = -(-part.depth // WORDS), counter(part.depth)
            luts = {"memory_bits": words * bits(part.out.lanes), "skip_counter_bits": 2 * places}
            return {part.instance: Cost(2 * places, luts)}
        case Repeated():
            return {part.instance: of_repeat(part)}
        case Padded():
            return {part.instance: of_pad(part)}
        case Total():
            return {part.instance: of_total(part)}
        case Mac():
            return {part.queue: of_queue(part), part.instance: of_mac(part)}
        case Compute():
            return {part.beside: beside(part.module.stages)}
    return {}


def of_valid(stages: int) -> Cost:
    """Return what the bits beside so many stages are made of."""
    return Cost(2 * stages, {"valid": 1})


def of_total(part: Total) -> Cost:
    """Return what sums up whole frames."""
    size, places = len(part.out.lanes) * width(*part.sums), counter(part.operand.shape.positions)
    # A wider counter's comparison with 0 does not fit into the LUTs of the sums.
    masks = size if places > NARROW else 0
    return Cost(size + places + 1, {"total_bits": size, "total_masks": masks, "total_counter_bits": places})


def of_repeat(part: Repeated) -> Cost:
    """Return what holds rows and gives them several times."""
    columns, node = part.operand.shape.width, part.node
    words = -(-part.rows * columns // WORDS)
    counters = 2 * counter(columns) + 4 * counter(part.rows) + counter(node.columns) + counter(node.rows)
    luts = {"memory_bits": words * bits(part.out.lanes), "skip_counter_bits": counters, "repeats": 1}
    return Cost(counters + part.rows + FLAGS - 1, luts)


def of_pad(part: Padded) -> Cost:
    """Return what holds positions until the pads before them have left."""
    shape, size = part.frame.shape, bits(part.out.lanes)
    counters = 3 * counter(part.depth) + counter(shape.height) + counter(shape.width)
    luts = {
        "memory_bits": -(-part.depth // WORDS) * size, "masked_bits": size, "skip_counter_bits": counters
    }  # fmt: skip
    return Cost(counters + 2, luts)


def of_queue(part: Mac) -> Cost:
    """Return what gives the integers of a frame one after the other."""
    size = len(part.operand.lanes) * part.element_bits
    words, waiting = -(-part.slots.depth // WORDS), counter(part.slots.depth)
    counters, held = counter(part.places - 1) + counter(len(part.operand.lanes)), 0
    if part.slots.depth > 1:
        counters += 3 * waiting
    else:
        # One position is no memory, and has no places.
        counters, words, held = counters + waiting, 0, size + 1
    luts = {"memory_bits": words * size, "serial_bits": size, "skip_counter_bits": counters}
    return Cost(size + counters + held + 1, luts)


def of_mac(part: Mac) -> Cost:
    """Return what multiplies and adds."""
    outputs, weight = len(part.out.lanes), part.rom.netlist.outputs[0].bits
    each = part.element_bits + weight + part.sum_bits
    # Of whole frames no sum is without a frame.
    kinds = 3 if part.whole else 4
    beside = kinds * (part.rom.stages + 1) + kinds - 2 + part.rom.stages * part.element_bits
    luts = {
        "product_bits": outputs * part.element_bits * weight, "mac_sum_bits": outputs * part.sum_bits, "macs": 1
    }  # fmt: skip
    return Cost(outputs * each + beside, luts)


def of_frames(positions: int, flush: int, pace: int = 1, drain: int = 0) -> Cost:
    """Return what connects the streams with the parts."""
    counters = counter(positions) + counter(flush + 1)
    # What is never counted is gone.
    counters += (counter(pace) if pace > 1 else 0) + (counter(drain + 1) if drain else 0)
    return Cost(counters + 1, {"frames": 1, "frame_counter_bits": counters})


def of_window(sweep: Sweep, size: int) -> Cost:
    """Return what holds a window of positions of `size` bits, and says when it is one."""
    geometry, source = sweep.geometry, sweep.source
    (rows, columns), (down, across) = sweep.last_tap, geometry.dilation
    places = {
        (rows - row) * down * source.width + (columns - column) * across + 1
        for row in range(rows + 1)
        for column in range(columns + 1)
    }
    flip_flops, shifts = held(size, [0, *sorted(places)])
    strides = sum(counter(stride - 1) for stride in geometry.stride)
    counters = counter(source.positions) + counter(source.height) + counter(source.width) + strides
    return Cost(
        flip_flops + FLAGS + counters,
        {
            "shift_registers": shifts, "masked_bits": size * _masked(sweep), "windows": 1,
            "window_counter_bits": counters,
        },
    )  # fmt: skip


def held(size: int, places: Iterable[int]) -> tuple[int, int]:
    """Return (flip-flops, LUTs as shift registers) of `size` bits that are read at `places`, rising from 0."""
    flip_flops = shifts = 0
    for first, last in pairwise(places):
        if last - first >= SHORTEST_SHIFT:
            shifts += -(-(last - first) // SHIFT)
        else:
            flip_flops += last - first
    return flip_flops * size, shifts * size


def _masked(sweep: Sweep) -> int:
    """Taps that lie beyond a border at some position, and within at another."""
    (rows, columns), beyond = sweep.last_tap, [_beyond(sweep, axis) for axis in (0, 1)]
    return sum(beyond[0][row] or beyond[1][column] for row in range(rows + 1) for column in range(columns + 1))


def _beyond(sweep: Sweep, axis: int) -> list[bool]:
    """Which taps of one axis leave the frame at its first or its last position."""
    geometry = sweep.geometry
    size = (sweep.source.height, sweep.source.width)[axis]
    last = ((sweep.output.height, sweep.output.width)[axis] - 1) * geometry.stride[axis]
    firsts = [tap * geometry.dilation[axis] - geometry.pads[axis] for tap in range(geometry.kernel[axis])]
    return [first < 0 or first + last >= size for first in firsts]
