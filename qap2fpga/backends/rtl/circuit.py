# SPDX-License-Identifier: Apache-2.0
"""A pipelined circuit as it grows: cells in the stage that the clock allows, registers where it asks for them.

Every operation is placed in the earliest pipeline stage in which its operands are there and the clock's budget
allows it; operands from earlier stages go through registers, which all users share. So the latency is known as
soon as the circuit is described. All registers move together, with one enable.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from qap2fpga.backends.rtl.netlist.cells import (
    AtLeast,
    Cell,
    Complement,
    Input,
    Netlist,
    Register,
    Sum,
    Table,
    Wiring,
)
from qap2fpga.backends.rtl.netlist.verify import verify
from qap2fpga.backends.rtl.netlist.wiring import Concat, Net, Vector, Wire, extended, shifted, sliced
from qap2fpga.exact.integers import width


@dataclass(frozen=True)
class Delays:
    """Nanoseconds, routing included: of a LUT level, of an adder (and each of its bits), and of a register."""

    lut: float
    adder: float
    adder_bit: float
    register: float


@dataclass
class Circuit:
    """The cells of one module."""

    clock_ns: float
    delays: Delays
    cells: list[Cell] = field(default_factory=list)
    headings: dict[int, list[str]] = field(default_factory=lambda: defaultdict(list))
    remarks: dict[Net, str] = field(default_factory=dict)
    delayed: dict[tuple[Net, int], Net] = field(default_factory=dict)
    count: int = 0

    @property
    def budget(self) -> float:
        """Nanoseconds of logic that fit between two registers."""
        return self.clock_ns - self.delays.register

    def comment(self, text: str) -> None:
        """Add a line for people before the next cell."""
        self.headings[len(self.cells)].append(text)

    def inputs(self, lanes: Sequence[tuple[int, int]]) -> list[Wire]:
        """Return the lanes of the module's input, each (low, high)."""
        wires, first = [], 0
        for number, (low, high) in enumerate(lanes):
            wire = Wire(Net(f"i{number}", width(low, high)), low, high)
            wires.append(self.put(Input(wire, first), f"{low}..{high}"))
            first += wire.bits
        return wires

    def netlist(self, results: Sequence[Wire]) -> Netlist:
        """Return the module with `results`, brought to one stage, through registers, as its outputs."""
        stages = max(wire.stage for wire in results) + 1
        outputs = tuple(self.at(wire, stages) for wire in results)
        netlist = Netlist(tuple(self.cells), outputs, dict(self.headings), self.remarks)
        verify(netlist)
        return netlist

    def at(self, wire: Wire, stage: int) -> Wire:
        """Return `wire` as it is in `stage`, through registers if that is later."""
        net = wire.net
        for now in range(wire.stage + 1, stage + 1):
            key = (wire.net, now)
            if key not in self.delayed:
                self.delayed[key] = Net(f"{wire.net.name}_r{now}", wire.bits)
                self.put(Register(Wire(self.delayed[key], wire.low, wire.high, now), net))
            net = self.delayed[key]
        return wire if stage == wire.stage else Wire(net, wire.low, wire.high, stage, 0.0)

    def place(self, operands: Sequence[Wire], delay: float) -> tuple[list[Wire], int, float]:
        """Return the operands in the stage of an operation that takes `delay`, the stage, when the result is ready."""
        stage = max((wire.stage for wire in operands), default=0)
        begin = max((wire.ready for wire in operands if wire.stage == stage), default=0.0)
        if begin > 0 and begin + delay > self.budget:
            stage, begin = stage + 1, 0.0
        return [self.at(wire, stage) for wire in operands], stage, begin + delay

    def new(self, low: int, high: int, stage: int, ready: float) -> Wire:
        """Return a wire that the next cell drives."""
        self.count += 1
        return Wire(Net(f"n{self.count - 1}", width(low, high)), low, high, stage, ready)

    def put(self, cell: Cell, remark: str = "") -> Wire:
        """Add `cell`, and return what it drives."""
        if remark:
            self.remarks[cell.out.net] = remark
        self.cells.append(cell)
        return cell.out

    def wiring(self, vector: Vector, low: int, high: int, stage: int, ready: float, remark: str = "") -> Wire:
        """Return the integer `low..high` that `vector` is."""
        return self.put(Wiring(self.new(low, high, stage, ready), vector), remark)

    def bits(self, vector: Vector, stage: int, ready: float) -> Wire:
        """Return `vector` without a sign, for use in the same stage."""
        return self.wiring(vector, 0, (1 << vector.bits) - 1, stage, ready)

    def adder_delay(self, bits: int) -> float:
        """Return the nanoseconds of an adder or a comparator of so many bits."""
        return self.delays.adder + bits * self.delays.adder_bit

    def add(
        self, left: Wire, right: Wire, shift: int, left_sign: int, right_sign: int,
        limits: tuple[int, int] | None = None,
    ) -> Wire:  # fmt: skip
        """Return `left_sign * left + right_sign * (right << shift)`; one sign is +1 or both, `shift` not negative.

        `limits` are the result's range where more is known than the operands' ranges say.
        """
        if limits is None:
            ends = (
                (left_sign * left.low, left_sign * left.high),
                (right_sign * (right.low << shift), right_sign * (right.high << shift)),
            )
            limits = min(ends[0]) + min(ends[1]), max(ends[0]) + max(ends[1])
        low, high = limits
        bits = width(low, high)
        # Bits of `left` below `right` pass by the adder, unless they are subtracted.
        spare = min(shift, bits - 1) if left_sign > 0 else 0
        (a, b), stage, ready = self.place([left, right], self.adder_delay(bits - spare))
        remark = f"{low}..{high}"
        if not spare:
            first, second = extended(a, bits), shifted(b, shift, bits)
            if left_sign < 0:
                first, second = second, first
            return self.sum_of_two(first, second, min(left_sign, right_sign) < 0, low, high, stage, ready, remark)
        first, second = sliced(a, spare, bits - spare), shifted(b, shift - spare, bits - spare)
        top = (1 << bits - spare) - 1
        upper = self.sum_of_two(first, second, right_sign < 0, 0, top, stage, ready)
        return self.wiring(Concat((upper.net, sliced(a, 0, spare))), low, high, stage, ready, remark)

    def sum_of_two(
        self, left: Vector, right: Vector, subtract: bool, low: int, high: int, stage: int, ready: float,
        remark: str = "",
    ) -> Wire:  # fmt: skip
        """Return `left + right`, or `left - right`, in cells that synthesis keeps a sum of two.

        Yosys joins sums that feed one sum to a sum of many, which it makes of full adders: two LUTs per bit where a
        carry chain takes one. A double complement stops that and is gone when LUTs are mapped.
        """
        bits = width(low, high)
        inverted = self.put(Sum(self.new(0, (1 << bits) - 1, stage, ready), left, right, subtract, complemented=True))
        return self.put(Complement(self.new(low, high, stage, ready), inverted.net), remark)

    def at_least(self, x: Wire, constant: int, levels: int) -> Wire:
        """Return whether `x >= constant`, `levels` LUTs deep."""
        (placed,), stage, ready = self.place([x], levels * self.delays.lut)
        return self.put(AtLeast(self.new(0, 1, stage, ready), placed.net, placed.signed, constant))

    def table(
        self, entries: Sequence[int], index: Net, low: int, high: int, stage: int, ready: float, remark: str = ""
    ) -> Wire:
        """Return `entries[index]`; `index` addresses all."""
        columns = tuple(
            sum((entry >> bit & 1) << place for place, entry in enumerate(entries)) for bit in range(width(low, high))
        )
        return self.put(Table(self.new(low, high, stage, ready), index, columns), remark)
