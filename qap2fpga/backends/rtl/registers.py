# SPDX-License-Identifier: Apache-2.0
"""What synthesis leaves of a module's registers, read off its Verilog bit by bit.

Four things make flip-flops fewer than declared bits: bits that nobody reads go; constants need none; a bit that is held
under two names is held once; and three and more registers in a row, with nobody reading in between, become one shift
register, which is a LUT (AMD UG474, "Shift Registers").
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

# Yosys' xilinx_srl makes a shift register of so many registers in a row, and not of fewer.
SHORTEST_SHIFT = 3

# How `Circuit.verilog` writes wires, registers, what they take, and the module's output.
WIRE = re.compile(r"^  wire \[(\d+):0\] +(\w+) = (.*?);", re.MULTILINE)
REGISTER = re.compile(r"^  reg \[(\d+):0\] (\w+);", re.MULTILINE)
CLOCKED = re.compile(r"^    if\(move\)  (\w+) <= (\w+);", re.MULTILINE)
OUTPUT = re.compile(r"^  assign y = (.*);", re.MULTILINE)
NAME = re.compile(r"\d+'[hd][0-9a-f]+|[A-Za-z_]\w*(?:\[\w+(?::\d+)?\])?")
SUM = re.compile(r" [-+] ")
LOGIC = re.compile(r"[-+~?&|<>=^]")

# The mask of all bits of any vector.
EVERY = (1 << 1024) - 1

# A bit of a vector, or of a table (`t3[n5]`, 0), by name and place.
Bit = tuple[str, int]


@dataclass(frozen=True)
class Kept:
    """Flip-flops, and LUTs that are shift registers."""

    flip_flops: int
    shift_registers: int


def kept(text: str) -> Kept:
    """What is left of the registers of the module that `text` describes, as `Circuit.verilog` writes it."""
    module = _Module(text)
    read: dict[Bit, set[int]] = defaultdict(set)
    for source, delay in module.read():
        read[source].add(delay)
    flip_flops = shift_registers = 0
    for source, delays in read.items():
        # The flip-flop behind a choice between constants takes the constant by its reset, so it can not be shifted in.
        begin = 1 if any(delays) and module.chooses(source) else 0
        flip_flops += begin
        for first, last in pairwise([begin, *sorted(delay for delay in delays if delay > begin)]):
            if last - first >= SHORTEST_SHIFT:
                shift_registers += 1
            else:
                flip_flops += last - first
    return Kept(flip_flops, shift_registers)


class _Module:
    """The wires and registers of one module."""

    def __init__(self, text: str) -> None:
        self.values = {name: value for _, name, value in WIRE.findall(text)}
        self.takes = dict(CLOCKED.findall(text))
        self.widths = {
            name: int(high) + 1
            for high, name in [*((high, name) for high, name, _ in WIRE.findall(text)), *REGISTER.findall(text)]
        }
        output = OUTPUT.search(text)
        self.output = output[1] if output else ""
        self.source = lru_cache(maxsize=None)(self._source)

    def read(self) -> set[tuple[Bit, int]]:
        """Every bit that logic or the output reads, as (the logic's or the input's bit, registers behind it)."""
        found: set[tuple[Bit, int]] = set()
        done: dict[str, int] = defaultdict(int)
        waiting = [self.source(one) for one in self.bits(self.output)]
        while waiting:
            one = waiting.pop()
            if one is None or one in found:
                continue
            found.add(one)
            name, place = one[0]
            operands, needs = self.operands(name, place)
            for operand in operands if needs & ~done[name] else []:
                waiting += [self.source(bit) for at, bit in enumerate(self.bits(operand)) if needs >> at & 1]
            done[name] |= needs
        return found

    def operands(self, name: str, place: int) -> tuple[list[str], int]:
        """The vectors that bit `place` of `name` is computed of, and a mask of their bits."""
        if name.endswith("]"):
            return [name.partition("[")[2][:-1]], EVERY
        value = self.values.get(name, "")
        if SUM.search(value):
            # The carry comes from all bits below.
            return SUM.split(value.removeprefix("~(").removesuffix(")")), (2 << place) - 1
        return [one for one in NAME.findall(value) if LOGIC.search(value)], EVERY

    def chooses(self, source: Bit) -> bool:
        """Whether `source` is a bit of a choice or of a table."""
        return source[0].endswith("]") or "?" in self.values.get(source[0], "")

    def _source(self, bit: Bit) -> tuple[Bit, int] | None:
        """Behind which logic, and how many registers, `bit` is; None for a constant."""
        name, place = bit
        if not name:
            return None
        if name in self.takes:
            found = self.source((self.takes[name], place))
            return found and (found[0], found[1] + 1)
        value = self.values.get(name)
        if value is None or LOGIC.search(value):
            return bit, 0
        bits = self.bits(value)
        return self.source(bits[place]) if place < len(bits) else None

    def bits(self, value: str) -> list[Bit]:
        """The bits of a concatenation, the lowest first; of a constant, ("", 0)."""
        return [bit for part in reversed(_members(value)) for bit in self._member(part)]

    def _member(self, part: str) -> list[Bit]:
        repeated = re.fullmatch(r"\{(\d+)(\{.*\})\}", part)
        if repeated:
            return int(repeated[1]) * self.bits(repeated[2])
        if part.startswith("{"):
            return self.bits(part)
        if "'" in part:
            return int(part.partition("'")[0]) * [("", 0)]
        name, _, index = part.partition("[")
        if index and not index[0].isdigit():
            return [(part, 0)]
        if not index:
            return [(name, place) for place in range(self.widths.get(name, 0))]
        ends = [int(number) for number in index[:-1].split(":")]
        return [(name, place) for place in range(ends[-1], ends[0] + 1)]


def _members(value: str) -> list[str]:
    """What a concatenation puts together, the highest first; anything else is its own only member."""
    if not value.startswith("{") or re.match(r"\{\d+\{", value):
        return [value]
    members, depth, begin = [], 0, 1
    for place, letter in enumerate(value):
        depth += (letter == "{") - (letter == "}")
        if (letter == "," and depth == 1) or not depth:
            members.append(value[begin:place].strip())
            begin = place + 1
    return members
