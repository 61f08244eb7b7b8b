# SPDX-License-Identifier: Apache-2.0
"""A module of `Circuit.verilog`, read again bit by bit: behind which logic a bit is, and what that reads."""

from __future__ import annotations

import re
from collections import defaultdict
from functools import lru_cache

import numpy as np

# How `Circuit.verilog` writes wires, registers, what they take, and the module's output.
WIRE = re.compile(r"^  wire \[(\d+):0\] +(\w+) = (.*?);", re.MULTILINE)
REGISTER = re.compile(r"^  reg \[(\d+):0\] (\w+);", re.MULTILINE)
CLOCKED = re.compile(r"^    if\(move\)  (\w+) <= (\w+);", re.MULTILINE)
TABLE = re.compile(r"^  localparam \[\d+:0\] (\w+) = (\d+)'h([0-9a-f]+);", re.MULTILINE)
OUTPUT = re.compile(r"^  assign y = (.*);", re.MULTILINE)
NAME = re.compile(r"\d+'[hd][0-9a-f]+|[A-Za-z_]\w*(?:\[\w+(?::\d+)?\])?")
SUM = re.compile(r" [-+] ")
COMPARED = " >= "
INVERTED = re.compile(r"~\w+")
LOGIC = re.compile(r"[-+~?&|<>=^]")

# The mask of all bits of any vector.
EVERY = (1 << 1024) - 1

# A bit of a vector, or of a table (`t3[n5]`, 0), by name and place; a constant has no name, and its value for a place.
Bit = tuple[str, int]
ZERO: Bit = ("", 0)


class Module:
    """The wires and registers of one module."""

    def __init__(self, text: str) -> None:
        wires = WIRE.findall(text)
        self.values = {name: value for _, name, value in wires}
        self.takes = dict(CLOCKED.findall(text))
        self.widths = {name: int(high) + 1 for high, name, *_ in (*wires, *REGISTER.findall(text))}
        self.tables = {name: (int(size), int(column, 16)) for name, size, column in TABLE.findall(text)}
        output = OUTPUT.search(text)
        self.output = output[1] if output else ""
        # Each is asked for many times.
        self.source = lru_cache(maxsize=None)(self._source)
        self.bits = lru_cache(maxsize=None)(self._bits)
        self.operands_of_sum = lru_cache(maxsize=None)(self._operands_of_sum)
        self.addends = lru_cache(maxsize=None)(self._addends)
        self.passed_by = lru_cache(maxsize=None)(self._passed_by)

    def read(self) -> set[tuple[Bit, int]]:
        """Every bit that logic or the output reads, as (the logic's or the input's bit, registers behind it)."""
        found: set[tuple[Bit, int]] = set()
        done: dict[str, int] = defaultdict(int)
        waiting = [self.source(one) for one in self.bits(self.output)]
        while waiting:
            one = waiting.pop()
            if not one[0][0] or one in found:
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
            return [_looked_up(name)[1]], EVERY
        value, operands = self.values.get(name, ""), list(self.operands_of_sum(name))
        if COMPARED in value:
            return operands, EVERY
        if operands:
            # The carry comes from all bits below that are not passed on.
            return operands, max(1 << place, (2 << place) - (1 << self.passed_by(name)))
        if INVERTED.fullmatch(value):
            return [value[1:]], 1 << place
        return NAME.findall(value) if LOGIC.search(value) else [], EVERY

    def _operands_of_sum(self, name: str) -> tuple[str, ...]:
        """The two operands of the sum, or of the comparison by a carry chain, that `name` is."""
        value = self.values.get(name, "").replace("$signed", "")
        if COMPARED in value:
            return tuple(one.strip("()") for one in value.split(COMPARED))
        return tuple(SUM.split(value.removeprefix("~(").removesuffix(")"))) if SUM.search(value) else ()

    def _addends(self, name: str) -> tuple[list[Bit], list[Bit]]:
        """The bits of both operands of the sum `name`, as wide as the wider one, or the sum."""
        a, b = map(self.bits, self.operands_of_sum(name))
        wide = max(len(a), len(b), self.widths[name])
        return a + (wide - len(a)) * [ZERO], b + (wide - len(b)) * [ZERO]

    def _passed_by(self, name: str) -> int:
        """How many of its lowest bits the sum `name` takes from one operand: the other has only zeros there."""
        a, b = map(self._zeros, self.addends(name))
        value = self.values[name]
        if COMPARED in value:
            return 0
        return max(b, a if " + " in value else 0)

    def chooses(self, source: Bit) -> bool:
        """Whether `source` is a bit of a choice, or of a table that is constant over a half of its index."""
        name = source[0]
        if not name.endswith("]"):
            return "?" in self.values.get(name, "")
        size, column = self.reached(name)
        half = size // 2
        full = (1 << half) - 1
        return column >> half in (0, full) or column & full in (0, full)

    def reached(self, name: str) -> tuple[int, int]:
        """(entries, column) of the table that is looked up as `name`, without what the index can not reach."""
        table, index = _looked_up(name)
        size, column = self.tables[table]
        # The upper bits of an index that are always 0, or always 1 behind a `~`, leave a part of the table.
        value = self.values.get(index, "")
        bits = self.bits(value.removeprefix("~"))
        while size > 2 and bits and not bits[-1][0]:
            bits, size = bits[:-1], size // 2
            column = column >> size if value.startswith("~") else column & ((1 << size) - 1)
        return size, column

    def inputs(self, name: str, place: int) -> list[tuple[Bit, int]]:
        """The bits that bit `place` of `name` is a function of, besides a carry, each with the registers before it."""
        value = self.values.get(name, "")
        if name.endswith("]"):
            index = self.bits(_looked_up(name)[1])
            bits = [index[one] for one in _inputs(*self.reached(name))]
        elif self.operands_of_sum(name):
            bits = [operand[place] for operand in self.addends(name)]
        elif LOGIC.search(value):
            vectors = [self.bits(value[1:])] if value.startswith("~{") else map(self.bits, NAME.findall(value))
            bits = [bit for one in vectors for bit in (one if len(one) == 1 else one[place : place + 1])]
        else:
            bits = []
        return [one for one in map(self.source, bits) if one[0][0]]

    def _source(self, bit: Bit) -> tuple[Bit, int]:
        """Behind which logic, and how many registers, `bit` is; or the constant that it is."""
        name, place = bit
        if name in self.takes:
            source, delay = self.source((self.takes[name], place))
            return source, delay + 1
        value = self.values.get(name)
        if value is None:
            return bit, 0
        if LOGIC.search(value):
            passed = self._passed(name, place)
            return self.source(passed) if passed else (bit, 0)
        bits = self.bits(value)
        return self.source(bits[place]) if place < len(bits) else (ZERO, 0)

    def _passed(self, name: str, place: int) -> Bit | None:
        """The operand's bit that bit `place` of a sum is, where the sum passes it on."""
        # `Circuit.verilog` writes most sums as `~(a + b)`, and their value as the `~` of that.
        value = self.values[name]
        if INVERTED.fullmatch(value) and self.values.get(value[1:], "").startswith("~("):
            name = value[1:]
        elif value.startswith("~"):
            return None
        if not self.operands_of_sum(name) or place >= self.passed_by(name):
            return None
        a, b = self.addends(name)
        return (a if place < self._zeros(b) else b)[place]

    def _zeros(self, bits: list[Bit]) -> int:
        """How many of the lowest of `bits` are constant zeros."""
        return next((place for place, bit in enumerate(bits) if self.source(bit)[0] != ZERO), len(bits))

    def _bits(self, value: str) -> list[Bit]:
        """The bits of a concatenation, the lowest first; of a constant, ("", 0 or 1)."""
        return [bit for part in reversed(_members(value)) for bit in self._member(part)]

    def _member(self, part: str) -> list[Bit]:
        repeated = re.fullmatch(r"\{(\d+)(\{.*\})\}", part)
        if repeated:
            return int(repeated[1]) * self.bits(repeated[2])
        if part.startswith("{"):
            return self.bits(part)
        if " * " in part:
            # The step of a last quantizer: 2, between the levels of a sign; so it shifts.
            factor, value = part.split(" * ")
            return self._zeros(self.bits(factor)) * [ZERO] + self.bits(value)
        if "'" in part:
            size, _, digits = part.partition("'")
            number = int(digits[1:], {"b": 2, "d": 10, "h": 16}[digits[0]])
            return [("", number >> place & 1) for place in range(int(size))]
        name, _, index = part.partition("[")
        if index and not index[0].isdigit():
            return [(part, 0)]
        if not index:
            return [(name, place) for place in range(self.widths.get(name, 0))]
        ends = [int(number) for number in index[:-1].split(":")]
        return [(name, place) for place in range(ends[-1], ends[0] + 1)]


def _looked_up(name: str) -> tuple[str, str]:
    """The table and the index of `t3[n5]`."""
    table, _, index = name[:-1].partition("[")
    return table, index


@lru_cache(maxsize=4096)
def _inputs(size: int, column: int) -> list[int]:
    """The bits of the index that a table of `size` single bits depends on."""
    entries = np.array([column >> place & 1 for place in range(size)])
    halves = [entries.reshape(-1, 2, 1 << bit) for bit in range(size.bit_length() - 1)]
    return [bit for bit, one in enumerate(halves) if (one[:, 0] != one[:, 1]).any()]


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
