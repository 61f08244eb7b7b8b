# SPDX-License-Identifier: Apache-2.0
"""Netlists run in numpy, all vectors at once, as the hardware does: bit by bit exact, and register by register.

The vectors enter one per cycle, round and round: a register is what its source was for the vector before, so it rotates
by one. The pipeline is forward only, so one pass over the cells tells every net in every cycle. A register too many or
too few mixes vectors, as it would in hardware.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, assert_never

import numpy as np

from qap2fpga.backends.rtl.netlist.cells import (
    AtLeast,
    Cell,
    Choose,
    Compare,
    Complement,
    Input,
    Level,
    Limit,
    Netlist,
    Register,
    Sum,
    Table,
    Wiring,
)
from qap2fpga.backends.rtl.netlist.wiring import Concat, Constant, Copies, Net, Slice, Vector, Wire
from qap2fpga.system.errors import CheckFailed

# Patterns, and what is added up to them, stay in int64 up to so many bits; wider ones are Python's integers.
NATIVE = 61

Patterns = np.ndarray[Any, Any]


def run(netlists: Sequence[Netlist], integers: np.ndarray) -> np.ndarray:
    """Return the output integers (n, lanes) of modules in a row, for input integers (n, lanes).

    Raises `CheckFailed` naming the net, the vector and the value where a wire leaves its range.
    """
    for netlist in netlists:
        integers = _Run(netlist, integers).outputs()
    return integers


class _Run:
    """`patterns` are the bits of every net, as integers that are not negative, one per vector."""

    def __init__(self, netlist: Netlist, integers: np.ndarray) -> None:
        self.netlist = netlist
        self.vectors = len(integers)
        widest = max(vector.bits for cell in netlist.cells for vector in (cell.out, *cell.operands))
        widest = max([widest, *(c.out.bits + c.step.value.bit_length() for c in netlist.cells if isinstance(c, Level))])
        self.type: type[Any] = np.int64 if widest <= NATIVE else object
        lanes = {wire.net: integers[:, lane].astype(self.type) for lane, wire in enumerate(netlist.inputs)}
        self.patterns: dict[Net, Patterns] = {}
        for cell in netlist.cells:
            out = cell.out
            value = lanes[out.net] if isinstance(cell, Input) else self.value(cell)
            self.patterns[out.net] = value & ((1 << out.bits) - 1)
            self._check(out, value if isinstance(cell, Input) else self.signed(out))

    def outputs(self) -> np.ndarray:
        """Return the output integers, of the vectors in order."""
        columns = [np.roll(self.signed(wire), -self.netlist.stages) for wire in self.netlist.outputs]
        return np.stack(columns, axis=1)

    def signed(self, wire: Wire) -> Patterns:
        """Return the integers on `wire`."""
        return self._integers(self.patterns[wire.net], wire.bits) if wire.signed else self.patterns[wire.net]

    def value(self, cell: Cell) -> Patterns:
        """Return what `cell` computes, with bits beyond those of its net."""
        match cell:
            case Input():
                raise AssertionError("an input is given")
            case Wiring():
                return self.vector(cell.vector)
            case Complement():
                return ~self.vector(cell.vector)
            case Sum():
                left, right = self.vector(cell.left), self.vector(cell.right)
                value = left - right if cell.subtract else left + right
                return ~value if cell.complemented else value
            case Level():
                return cell.base.value + cell.step.value * self.vector(cell.count)
            case Compare():
                left, right = self.vector(cell.left), self.vector(cell.right)
                if cell.signed:
                    left, right = self._integers(left, cell.left.bits), self._integers(right, cell.right.bits)
                return (left >= right).astype(np.int64).astype(self.type)
            case AtLeast():
                value = self.patterns[cell.value]
                value = self._integers(value, cell.value.bits) if cell.signed else value
                return (value >= cell.constant).astype(np.int64).astype(self.type)
            case Table():
                return self._looked_up(cell)
            case Choose():
                return np.where(self.patterns[cell.condition] == 1, self.vector(cell.then), self.vector(cell.otherwise))
            case Limit():
                value = self.patterns[cell.value]
                if cell.above is not None:
                    value = np.where(self.patterns[cell.above] == 1, cell.top.value, value)
                return value if cell.inside is None else np.where(self.patterns[cell.inside] == 1, value, 0)
            case Register():
                return np.roll(self.patterns[cell.source], 1)
            case other:
                assert_never(other)

    def vector(self, value: Vector) -> Patterns:
        """Return the bits of `value`."""
        match value:
            case Net():
                return self.patterns[value]
            case Slice(net, first, bits):
                return (self.patterns[net] >> first) & ((1 << bits) - 1)
            case Copies(net, place, times):
                return (self.patterns[net] >> place & 1) * ((1 << times) - 1)
            case Constant():
                return np.full(self.vectors, value.value, self.type)
            case Concat(parts):
                whole = np.zeros(self.vectors, self.type)
                for part in parts:
                    whole = whole << part.bits | self.vector(part)
                return whole
            case other:
                assert_never(other)

    def _looked_up(self, cell: Table) -> Patterns:
        entries = [
            sum((column >> place & 1) << bit for bit, column in enumerate(cell.columns))
            for place in range(cell.entries)
        ]
        return np.array(entries, self.type)[self.patterns[cell.index].astype(np.int64)]

    def _integers(self, patterns: Patterns, bits: int) -> Patterns:
        """Return what `patterns` are in two's complement of `bits`."""
        return patterns - ((patterns >> bits - 1 & 1) << bits)

    def _check(self, wire: Wire, values: Patterns) -> None:
        wrong = (values < wire.low) | (values > wire.high)
        if wrong.any():
            vector = int(np.argmax(wrong))
            where = f"vector {(vector - wire.stage) % self.vectors}: {wire.net.name} is {values[vector]}"
            raise CheckFailed(f"{where}, outside {wire.low}..{wire.high}")
