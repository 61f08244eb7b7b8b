# SPDX-License-Identifier: Apache-2.0
"""A netlist bit by bit: behind which logic a bit is, and what that reads."""

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


# Bit number of a net, or the only bit of a column; a constant has no source, and its value for a place.
Bit = tuple[Net | Column | None, int]
ZERO: Bit = (None, 0)

Carry = Sum | Level | Compare


class Bits:
    """The bits of one module."""

    def __init__(self, netlist: Netlist) -> None:
        self.netlist = netlist
        self.driver: dict[Net, Cell] = {cell.out.net: cell for cell in netlist.cells}
        self.columns: dict[tuple[int, int, Net], Column] = {}
        # Each is asked for many times.
        self.source = lru_cache(maxsize=None)(self._source)
        self.of = lru_cache(maxsize=None)(self._of)
        self.addends = lru_cache(maxsize=None)(self._addends)
        self.passed_by = lru_cache(maxsize=None)(self._passed_by)
        self.table = lru_cache(maxsize=None)(self._table)

    def read(self) -> set[tuple[Bit, int]]:
        """Return every bit that logic or the output reads, as (the logic's or the input's bit, registers behind it)."""
        read: set[tuple[Bit, int]] = set()
        done: dict[Net | Column, int] = defaultdict(int)
        waiting = self.output()
        while waiting:
            one = waiting.pop()
            driver, place = one[0]
            if driver is None or one in read:
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

    def carry(self, driver: Net | Column | None) -> Carry | None:
        """Return the sum or comparison by a carry chain that `driver` is the output of."""
        cell = self.driver.get(driver) if isinstance(driver, Net) else None
        return cell if isinstance(cell, Carry) else None

    def chooses(self, driver: Net | Column) -> bool:
        """Return whether it is a choice's output, or a table's that is constant over a half of its index."""
        if isinstance(driver, Net):
            return isinstance(self.driver.get(driver), Choose | Limit)
        entries, column = self._reached(driver)
        half = entries // 2
        full = (1 << half) - 1
        return column >> half in (0, full) or column & full in (0, full)

    def inputs(self, driver: Net | Column, place: int) -> list[tuple[Bit, int]]:
        """Return the bits that a bit is a function of, besides a carry, each with the registers before it."""
        if isinstance(driver, Column):
            index = self.of(driver.index)
            bits = [index[one] for one in _depends(*self._reached(driver))]
        else:
            bits = self._function(self.driver[driver], place)
        return [one for one in map(self.source, bits) if one[0][0]]

    def _operands(self, driver: Net | Column, place: int) -> tuple[tuple[Vector, ...], int]:
        """Return the vectors that a bit is computed of, and a mask of their bits."""
        if isinstance(driver, Column):
            return (driver.index,), EVERY
        cell = self.driver[driver]
        if isinstance(cell, Sum | Level):
            # The carry comes from all bits below that are not passed on.
            return cell.operands, max(1 << place, (2 << place) - (1 << self.passed_by(cell)))
        if isinstance(cell, Complement):
            return cell.operands, 1 << place
        return cell.operands, EVERY

    def _function(self, cell: Cell, place: int) -> list[Bit]:
        if isinstance(cell, Carry):
            return [operand[place] for operand in self.addends(cell)]
        if isinstance(cell, AtLeast):
            return [bit for operand in cell.operands for bit in self.of(operand)]
        if isinstance(cell, Choose | Limit):
            condition, *values = map(self.of, cell.operands)
            return [*condition, *(bit for one in values for bit in (one if len(one) == 1 else one[place : place + 1]))]
        return [bit for operand in cell.operands for bit in self.of(operand)[place : place + 1]]

    def _addends(self, cell: Carry) -> tuple[list[Bit], list[Bit]]:
        """Return the bits of both operands, as wide as the wider one, or the sum."""
        if isinstance(cell, Level):
            # The step is 2 between the levels of a sign; so it shifts.
            step = cell.step.value
            a, b = self.of(cell.base), ((step & -step).bit_length() - 1) * [ZERO] + self.of(cell.count)
        else:
            a, b = self.of(cell.left), self.of(cell.right)
        wide = max(len(a), len(b), cell.out.bits)
        return a + (wide - len(a)) * [ZERO], b + (wide - len(b)) * [ZERO]

    def _passed_by(self, cell: Carry) -> int:
        """Return how many lowest bits the sum takes from one operand: the other has only zeros there."""
        if isinstance(cell, Compare):
            return 0
        a, b = map(self._zeros, self.addends(cell))
        return max(b, a if adds(cell) else 0)

    def _reached(self, driver: Column) -> tuple[int, int]:
        """Return (entries, column) without what the index can not reach."""
        entries, column = driver.entries, driver.column
        # Constant upper bits of an index leave a part of the table.
        cell = self.driver.get(driver.index)
        inverted = isinstance(cell, Complement)
        bits = self.of(cell.vector) if isinstance(cell, Complement | Wiring) else []
        while entries > 2 and bits and bits[-1][0] is None:
            entries //= 2
            upper = bool(bits[-1][1]) != inverted
            bits, column = bits[:-1], column >> entries if upper else column & ((1 << entries) - 1)
        return entries, column

    def _source(self, bit: Bit) -> tuple[Bit, int]:
        """Return behind which logic, and how many registers, `bit` is; or the constant that it is."""
        net, place = bit
        if not isinstance(net, Net):
            return bit, 0
        cell = self.driver[net]
        if isinstance(cell, Register):
            source, delay = self.source((cell.source, place))
            return source, delay + 1
        passed: Bit | None = None
        if isinstance(cell, Wiring):
            passed = self.of(cell.vector)[place]
        elif isinstance(cell, Table):
            passed = self.table(cell)[place]
        elif isinstance(cell, Sum | Level | Complement):
            passed = self._passed(cell, place)
        elif isinstance(cell, AtLeast):
            passed = self._only(cell)
        return self.source(passed) if passed else (bit, 0)

    def _passed(self, cell: Sum | Level | Complement, place: int) -> Bit | None:
        """Return the operand's bit that bit `place` of a sum is, where the sum passes it on."""
        # Most sums are complemented, and their value is the complement of that.
        if isinstance(cell, Complement):
            inner = self.driver[cell.vector] if isinstance(cell.vector, Net) else None
            if not isinstance(inner, Sum) or not inner.complemented:
                return None
            cell = inner
        elif isinstance(cell, Sum) and cell.complemented:
            return None
        if place >= self.passed_by(cell):
            return None
        a, b = self.addends(cell)
        return (a if place < self._zeros(b) else b)[place]

    def _only(self, cell: AtLeast) -> Bit | None:
        """Return the bit that a comparison with a constant is, or the constant."""
        terms = cell.terms()
        if not terms:
            return (None, 1)
        (place, inverted, _), *others = terms
        return None if others or inverted else (cell.value, place)

    def _zeros(self, bits: list[Bit]) -> int:
        """Return how many of the lowest of `bits` are constant zeros."""
        return next((place for place, bit in enumerate(bits) if self.source(bit)[0] != ZERO), len(bits))

    def _table(self, cell: Table) -> list[Bit]:
        full = (1 << cell.entries) - 1
        return [
            (None, column & 1) if column in (0, full) else (self._column(cell.entries, column, cell.index), 0)
            for column in cell.columns
        ]

    def _column(self, *key: *tuple[int, int, Net]) -> Column:
        return self.columns.setdefault(key, Column(*key))

    def _of(self, vector: Vector) -> list[Bit]:
        """Return the bits of `vector`, the lowest first."""
        if isinstance(vector, Net):
            return [(vector, place) for place in range(vector.bits)]
        if isinstance(vector, Slice):
            return [(vector.net, place) for place in range(vector.first, vector.first + vector.bits)]
        if isinstance(vector, Copies):
            return [(vector.net, vector.place)] * vector.bits
        if isinstance(vector, Constant):
            return [(None, vector.value >> place & 1) for place in range(vector.bits)]
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
