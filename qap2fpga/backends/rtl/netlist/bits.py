# SPDX-License-Identifier: Apache-2.0
"""A netlist bit by bit: which logic drives a bit, and what that reads."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from qap2fpga.backends.rtl.netlist.cells import (
    AtLeast,
    Cell,
    Choose,
    Compare,
    Complement,
    Level,
    Limit,
    Netlist,
    Register,
    Sum,
    Table,
    Wiring,
    conditions_of,
)
from qap2fpga.backends.rtl.netlist.wiring import Constant, Copies, Net, Slice, Vector

# The mask of all bits of any vector.
EVERY = -1


@dataclass(frozen=True, eq=False)
class Column:
    """One bit of a table: bit i of `column` for index i. A module's tables share equal columns of one index."""

    entries: int
    column: int
    index: Net


# (number of the cell, or of the column after all cells, place): plain integers are fast, and so many. A constant's
# number is -1, its place its value.
Bit = tuple[int, int]
CONSTANT = -1
ZERO: Bit = (CONSTANT, 0)

Carry = Sum | Level | Compare
CARRY = (Sum, Level, Compare)


class Bits:
    """The bits of one module.

    `sources[number]` says of each bit of a cell's output which logic drives it, through how many registers, or which
    constant it is. `addends` are the bits of both operands of a carry chain, as wide as the wider one, or the output;
    `passed_by` is how many lowest bits it takes from one operand: the other has only zeros there.
    """

    def __init__(self, netlist: Netlist) -> None:
        self.netlist = netlist
        self.cells = netlist.cells
        self.number = {cell.out.net: number for number, cell in enumerate(netlist.cells)}
        self.own = [[(number, place) for place in range(cell.out.bits)] for number, cell in enumerate(netlist.cells)]
        self.columns: list[Column] = []
        self.column_numbers: dict[tuple[int, int, Net], int] = {}
        self.vectors: dict[Vector, list[Bit]] = {}
        self.addends: dict[Carry, tuple[list[Bit], list[Bit]]] = {}
        self.passed_by: dict[Carry, int] = {}
        self.sources: list[list[tuple[Bit, int]]] = []
        for number, cell in enumerate(self.cells):
            if isinstance(cell, CARRY):
                self.addends[cell] = self._addends(cell)
                self.passed_by[cell] = self._passed_by(cell)
            self.sources.append(self._sources(number, cell))

    def of(self, vector: Vector) -> list[Bit]:
        """Return the bits of `vector`, the lowest first."""
        if vector not in self.vectors:
            self.vectors[vector] = self._of(vector)
        return self.vectors[vector]

    def source(self, bit: Bit) -> tuple[Bit, int]:
        """Return which logic drives `bit`, through how many registers; or the constant that it is."""
        number, place = bit
        return self.sources[number][place] if 0 <= number < len(self.cells) else (bit, 0)

    def read(self) -> set[tuple[Bit, int]]:
        """Return every bit that logic or the output reads, as (the logic's or the input's bit, registers after it)."""
        read: set[tuple[Bit, int]] = set()
        done: dict[int, int] = defaultdict(int)
        waiting = self.output()
        while waiting:
            one = waiting.pop()
            driver, place = one[0]
            if driver == CONSTANT or one in read:
                continue
            read.add(one)
            operands, needs = self._operands(driver, place)
            for operand in operands if needs & ~done[driver] else ():
                waiting += [self.source(bit) for at, bit in enumerate(self.of(operand)) if needs >> at & 1]
            done[driver] |= needs
        return read

    def output(self) -> list[tuple[Bit, int]]:
        """Return the sources of the module's output."""
        return [self.source(bit) for wire in self.netlist.outputs for bit in self.of(wire.net)]

    def carry(self, number: int) -> Carry | None:
        """Return the sum or comparison by a carry chain of that number."""
        cell = self.cells[number] if 0 <= number < len(self.cells) else None
        return cell if isinstance(cell, CARRY) else None

    def column(self, number: int) -> Column | None:
        """Return the column of that number."""
        return self.columns[number - len(self.cells)] if number >= len(self.cells) else None

    def chooses(self, number: int) -> bool:
        """Return whether it is a choice, or a column that is constant over a half of its index."""
        driver = self.column(number)
        if not driver:
            return isinstance(self.cells[number], (Choose, Limit))
        entries, column = self._in_range(driver)
        half = entries // 2
        full = (1 << half) - 1
        return column >> half in (0, full) or column & full in (0, full)

    def inputs(self, bit: Bit) -> list[tuple[Bit, int]]:
        """Return the bits that `bit` is a function of, besides a carry, each with the registers before it."""
        number, place = bit
        column = self.column(number)
        if column:
            index = self.of(column.index)
            bits = [index[one] for one in _depends(*self._in_range(column))]
        else:
            bits = self._function(self.cells[number], place)
        return [one for one in map(self.source, bits) if one[0][0] != CONSTANT]

    def _operands(self, number: int, place: int) -> tuple[tuple[Vector, ...], int]:
        """Return the vectors that a bit is computed of, and a mask of their bits."""
        column = self.column(number)
        if column:
            return (column.index,), EVERY
        cell = self.cells[number]
        if isinstance(cell, (Sum, Level)):
            # The carry comes from all bits below that are not passed on.
            return cell.operands, max(1 << place, (2 << place) - (1 << self.passed_by[cell]))
        if isinstance(cell, Complement):
            return cell.operands, 1 << place
        return cell.operands, EVERY

    def _function(self, cell: Cell, place: int) -> list[Bit]:
        if isinstance(cell, CARRY):
            return [operand[place] for operand in self.addends[cell]]
        if isinstance(cell, AtLeast):
            return [bit for operand in cell.operands for bit in self.of(operand)]
        # A choice reads its conditions for every bit.
        vectors = [self.of(operand) for operand in cell.operands]
        conditions = len(conditions_of(cell))
        return [*(one[0] for one in vectors[:conditions]), *(one[place] for one in vectors[conditions:])]

    def _addends(self, cell: Carry) -> tuple[list[Bit], list[Bit]]:
        if isinstance(cell, Level):
            # The step is 2 between the levels of a sign; so it shifts.
            step = cell.step.value
            a, b = self.of(cell.base), ((step & -step).bit_length() - 1) * [ZERO] + self.of(cell.count)
        else:
            a, b = self.of(cell.left), self.of(cell.right)
        wide = max(len(a), len(b), cell.out.bits)
        return a + (wide - len(a)) * [ZERO], b + (wide - len(b)) * [ZERO]

    def _passed_by(self, cell: Carry) -> int:
        if isinstance(cell, Compare):
            return 0
        a, b = map(self._zeros, self.addends[cell])
        return max(b, a if adds(cell) else 0)

    def _zeros(self, bits: list[Bit]) -> int:
        """Return how many of the lowest of `bits` are constant zeros."""
        return next((place for place, bit in enumerate(bits) if self.source(bit)[0] != ZERO), len(bits))

    def _in_range(self, driver: Column) -> tuple[int, int]:
        """Return (entries, column) without what the index cannot take."""
        entries, column = driver.entries, driver.column
        # Constant upper bits of an index leave a part of the table.
        cell = self.cells[self.number[driver.index]]
        inverted = isinstance(cell, Complement)
        bits = self.of(cell.vector) if isinstance(cell, (Complement, Wiring)) else []
        while entries > 2 and bits and bits[-1][0] == CONSTANT:
            entries //= 2
            upper = bool(bits[-1][1]) != inverted
            bits, column = bits[:-1], column >> entries if upper else column & ((1 << entries) - 1)
        return entries, column

    def _sources(self, number: int, cell: Cell) -> list[tuple[Bit, int]]:
        own = self.own[number]
        if isinstance(cell, Register):
            drivers = self.sources[self.number[cell.source]]
            return [(source, delay + 1) for source, delay in drivers[: len(own)]]
        passed = self._passed(cell)[: len(own)]
        return [self.source(bit) for bit in passed] + [(bit, 0) for bit in own[len(passed) :]]

    def _passed(self, cell: Cell) -> list[Bit]:
        """Return the bits that the lowest bits of the output are, without any logic."""
        if isinstance(cell, Wiring):
            return self.of(cell.vector)
        if isinstance(cell, Table):
            return self._table(cell)
        if isinstance(cell, AtLeast):
            return self._only(cell)
        total = self._sum(cell)
        if total is None:
            return []
        (a, b), passed = self.addends[total], self.passed_by[total]
        zeros = min(passed, self._zeros(b))
        return a[:zeros] + b[zeros:passed]

    def _sum(self, cell: Cell) -> Sum | Level | None:
        """Return the sum that the output of `cell` is: most are complemented, and their value is the complement."""
        if isinstance(cell, Complement) and isinstance(cell.vector, Net):
            inner = self.cells[self.number[cell.vector]]
            return inner if isinstance(inner, Sum) and inner.complemented else None
        return cell if isinstance(cell, Level) or (isinstance(cell, Sum) and not cell.complemented) else None

    def _only(self, cell: AtLeast) -> list[Bit]:
        """Return the bit that a comparison with a constant is, or the constant."""
        terms = cell.terms()
        if not terms:
            return [(CONSTANT, 1)]
        (place, inverted, _), *others = terms
        return [] if others or inverted else [(self.number[cell.value], place)]

    def _table(self, cell: Table) -> list[Bit]:
        full = (1 << cell.entries) - 1
        return [
            (CONSTANT, column & 1) if column in (0, full) else (self._column(cell.entries, column, cell.index), 0)
            for column in cell.columns
        ]

    def _column(self, entries: int, column: int, index: Net) -> int:
        """Return the number of a column, which is new or known."""
        key = entries, column, index
        if key not in self.column_numbers:
            self.column_numbers[key] = len(self.cells) + len(self.columns)
            self.columns.append(Column(*key))
        return self.column_numbers[key]

    def _of(self, vector: Vector) -> list[Bit]:
        """Return the bits of `vector`, the lowest first."""
        if isinstance(vector, Net):
            return self.own[self.number[vector]]
        if isinstance(vector, Slice):
            return self.own[self.number[vector.net]][vector.first : vector.first + vector.bits]
        if isinstance(vector, Copies):
            return [self.own[self.number[vector.net]][vector.place]] * vector.bits
        if isinstance(vector, Constant):
            return [(CONSTANT, vector.value >> place & 1) for place in range(vector.bits)]
        return [bit for part in reversed(vector.parts) for bit in self.of(part)]


def adds(cell: Carry) -> bool:
    """Return whether the carry chain adds; otherwise it subtracts, or compares."""
    return isinstance(cell, Level) or (isinstance(cell, Sum) and not cell.subtract)


@lru_cache(maxsize=4096)
def _depends(size: int, column: int) -> list[int]:
    """Return the bits of the index that a table of `size` single bits depends on."""
    entries = np.array([column >> place & 1 for place in range(size)])
    halves = [entries.reshape(-1, 2, 1 << bit) for bit in range(size.bit_length() - 1)]
    return [bit for bit, one in enumerate(halves) if (one[:, 0] != one[:, 1]).any()]
