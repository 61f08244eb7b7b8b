# SPDX-License-Identifier: Apache-2.0
"""A pipelined circuit as it grows: integers with known ranges on wires, registers where the clock asks for them.

Every operation is placed in the earliest pipeline stage in which its operands are there and the clock's budget
allows it; operands from earlier stages go through registers, which all users share. So the latency is known as
soon as the circuit is described. All registers move together, with one enable.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from qap2fpga.network import width


@dataclass(frozen=True)
class Delays:
    """Nanoseconds, routing included: of a LUT level, of an adder (and each of its bits), and of a register."""

    lut: float
    adder: float
    adder_bit: float
    register: float


@dataclass(frozen=True)
class Wire:
    """An integer `low..high` in stage `stage`, valid `ready` nanoseconds into it. Two's complement if `low < 0`."""

    name: str
    low: int
    high: int
    stage: int = 0
    ready: float = 0.0

    @property
    def signed(self) -> bool:
        return self.low < 0

    @property
    def bits(self) -> int:
        return width(self.low, self.high)


@dataclass
class Circuit:
    """Lines of Verilog for one module."""

    clock_ns: float
    delays: Delays
    lines: list[str] = field(default_factory=list)
    registers: list[str] = field(default_factory=list)
    held: dict[tuple[str, int], str] = field(default_factory=dict)
    tables: dict[tuple[int, int], str] = field(default_factory=dict)
    count: int = 0
    adder_bits: int = 0

    @property
    def budget(self) -> float:
        """Nanoseconds of logic that fit between two registers."""
        return self.clock_ns - self.delays.register

    def comment(self, text: str) -> None:
        """A line for people."""
        self.lines.append(f"  // {text}")

    def at(self, wire: Wire, stage: int) -> Wire:
        """`wire` as it is in `stage`, through registers if that is later."""
        name = wire.name
        for now in range(wire.stage + 1, stage + 1):
            key = (wire.name, now)
            if key not in self.held:
                self.held[key] = f"{wire.name}_r{now}"
                self.lines.append(f"  reg [{wire.bits - 1}:0] {self.held[key]};")
                # An assignment cuts bits that the wire's range does not need.
                self.registers.append(f"{self.held[key]} <= {name};")
            name = self.held[key]
        return wire if stage == wire.stage else Wire(name, wire.low, wire.high, stage, 0.0)

    def place(self, operands: Sequence[Wire], delay: float) -> tuple[list[Wire], int, float]:
        """The operands in the stage of an operation that takes `delay`, that stage, and when its result is ready."""
        stage = max((wire.stage for wire in operands), default=0)
        begin = max((wire.ready for wire in operands if wire.stage == stage), default=0.0)
        if begin > 0 and begin + delay > self.budget:
            stage, begin = stage + 1, 0.0
        return [self.at(wire, stage) for wire in operands], stage, begin + delay

    def define(self, text: str, low: int, high: int, stage: int, ready: float, note: str = "") -> Wire:
        """A new wire with the value of the Verilog expression `text`."""
        name = f"n{self.count}"
        self.count += 1
        wire = Wire(name, low, high, stage, ready)
        tail = f"  // {note}" if note else ""
        self.lines.append(f"  wire [{wire.bits - 1}:0] {name} = {text};{tail}")
        return wire

    def logic(self, operands: Sequence[Wire], text: str, low: int, high: int, levels: int = 1, note: str = "") -> Wire:
        """`levels` LUTs deep: `text` has {0}, {1}, ... where the operands' names go."""
        placed, stage, ready = self.place(operands, levels * self.delays.lut)
        return self.define(text.format(*(wire.name for wire in placed)), low, high, stage, ready, note)

    def adder_delay(self, bits: int) -> float:
        """Nanoseconds of an adder or a comparator of so many bits."""
        return self.delays.adder + bits * self.delays.adder_bit

    def add(
        self, left: Wire, right: Wire, shift: int, left_sign: int, right_sign: int,
        reach: tuple[int, int] | None = None,
    ) -> Wire:  # fmt: skip
        """`left_sign * left + right_sign * (right << shift)`; at least one sign is +1, `shift` is not negative.

        `reach` is the result's range where more is known than the operands' ranges say.
        """
        if reach is None:
            ends = (
                (left_sign * left.low, left_sign * left.high),
                (right_sign * (right.low << shift), right_sign * (right.high << shift)),
            )
            reach = min(ends[0]) + min(ends[1]), max(ends[0]) + max(ends[1])
        low, high = reach
        bits = width(low, high)
        # Bits of `left` below `right` pass by the adder, unless they are subtracted.
        spare = min(shift, bits - 1) if left_sign > 0 else 0
        (a, b), stage, ready = self.place([left, right], self.adder_delay(bits - spare))
        self.adder_bits += bits - spare
        first, second = extended(a, bits)[0], shifted(b, shift, bits)
        note = f"{low}..{high}"
        if not spare:
            text = f"{first} - {second}" if right_sign < 0 else (
                f"{second} - {first}" if left_sign < 0 else f"{first} + {second}")  # fmt: skip
            return self.define(self.apart(text, bits), low, high, stage, ready, note)
        text = (
            f"{sliced(a, spare, bits - spare)} {'+' if right_sign > 0 else '-'} "
            f"{shifted(b, shift - spare, bits - spare)}"
        )
        upper = self.define_bits(self.apart(text, bits - spare), bits - spare, stage, ready)
        return self.define(f"{{{upper}, {sliced(a, 0, spare)}}}", low, high, stage, ready, note)

    def apart(self, text: str, bits: int) -> str:
        """The sum `text` of `bits` bits, written so that synthesis keeps it a sum of two.

        Yosys joins sums that feed one sum to a sum of many, which it makes of full adders: two LUTs a bit where a
        carry chain takes one. A double complement stops that and is gone when LUTs are mapped.
        """
        name = f"n{self.count}"
        self.count += 1
        self.lines.append(f"  wire [{bits - 1}:0] {name} = ~({text});")
        return f"~{name}"

    def define_bits(self, text: str, bits: int, stage: int, ready: float) -> str:
        """A plain vector of `bits` bits, for use in the same stage."""
        return self.define(text, 0, (1 << bits) - 1, stage, ready).name

    def lookup(self, entries: Sequence[int], bits: int, index: str) -> str:
        """A Verilog expression of the lowest `bits` of `entries[index]`; `index` names a vector that addresses all.

        Bit by bit a constant indexed by a vector: Yosys makes a tree of multiplexers of that at once, where it
        elaborates a shifter anew for every shifted constant.
        """
        size = len(entries)
        parts = []
        for bit in reversed(range(bits)):
            column = sum((entry >> bit & 1) << place for place, entry in enumerate(entries))
            if column in (0, (1 << size) - 1):
                parts.append(f"1'b{column & 1}")
                continue
            if (size, column) not in self.tables:
                self.tables[size, column] = f"t{len(self.tables)}"
                self.lines.append(f"  localparam [{size - 1}:0] {self.tables[size, column]} = {size}'h{column:x};")
            parts.append(f"{self.tables[size, column]}[{index}]")
        return f"{{{', '.join(parts)}}}"

    def verilog(self, module: str, inputs: Sequence[str], outputs: Sequence[str], body: Sequence[str]) -> str:
        """The whole module. `inputs` and `outputs` are port declarations, `body` what ties them to the wires."""
        ports = ",\n  ".join(["input  wire  ap_clk", "input  wire  move", *inputs, *outputs])
        clocked = [f"    if(move)  {line}" for line in self.registers]
        block = ["  always @(posedge ap_clk) begin", *clocked, "  end"] if clocked else []
        return "\n".join([f"module {module} (\n  {ports}\n);", *self.lines, *body, *block, "endmodule", ""])


def extended(wire: Wire, bits: int) -> tuple[str, int]:
    """`wire` with its sign or with zeros up to `bits`, or its lowest `bits`."""
    if bits <= wire.bits:
        return (wire.name if bits == wire.bits else f"{wire.name}[{bits - 1}:0]"), bits
    spare = bits - wire.bits
    fill = f"{{{spare}{{{wire.name}[{wire.bits - 1}]}}}}" if wire.signed else f"{spare}'d0"
    return f"{{{fill}, {wire.name}}}", bits


def shifted(wire: Wire, shift: int, bits: int) -> str:
    """`wire << shift` in exactly `bits` bits."""
    if shift >= bits:
        return f"{bits}'d0"
    if not shift:
        return extended(wire, bits)[0]
    return f"{{{extended(wire, bits - shift)[0]}, {shift}'d0}}"


def sliced(wire: Wire, first: int, bits: int) -> str:
    """Bits `first` to `first + bits - 1` of `wire`, extended beyond its end."""
    have = max(0, min(bits, wire.bits - first))
    top = f"{wire.name}[{wire.bits - 1}]"
    fill = f"{{{bits - have}{{{top}}}}}" if wire.signed else f"{bits - have}'d0"
    if not have:
        return fill
    whole = wire.name if have == wire.bits else f"{wire.name}[{first + have - 1}:{first}]"
    return whole if have == bits else f"{{{fill}, {whole}}}"


def literal(value: int, bits: int) -> str:
    """`value` in two's complement of `bits`."""
    return f"{bits}'h{value & ((1 << bits) - 1):x}"
