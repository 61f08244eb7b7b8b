# SPDX-License-Identifier: Apache-2.0
"""Logic of few bits as a linear form of them: a table of sums, or a multiplexer, is run for all that they can be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from qap2fpga.prove.algebra import Sliced, packed, unpacked
from qap2fpga.prove.cells import Bits, Part, evaluate

SLICED = Sliced()
# Bits that such logic may depend on.
MOST_BITS = 8
# Bits of a vector: its integers, and sums of three of them, fit in 64 bits.
MOST_WIDTH = 62
LINEAR = ("sum", "difference", "product", "same", "not")


@dataclass(frozen=True)
class Fit:
    """The integer on some bits, with a sign or without one: a constant, and `factors` of single bits."""

    signed: bool
    constant: int
    factors: Mapping[int, int]
    low: int
    high: int


class Fits:
    """The vectors among `named` that are made by other logic than sums, of few bits, among `parts` in their order."""

    def __init__(self, parts: Sequence[Part], named: Iterable[Bits], leaves: Iterable[int]) -> None:
        self.drivers = {bit: part for part in parts for bit in part.driven}
        self._order = {id(part): number for number, part in enumerate(parts)}
        self._supports: dict[int, frozenset[int] | None] = {bit: frozenset({bit}) for bit in leaves}
        self._supports |= {0: frozenset(), 1: frozenset()}
        for part in parts:
            its = self._support(bit for operand in part.operands for bit in operand)
            self._supports.update(dict.fromkeys(part.driven, its))
        # Each vector by the part that completes it.
        self.after: dict[int, list[Bits]] = {}
        for bits in named:
            makers = [self.drivers[bit] for bit in bits if bit in self.drivers]
            wide = len(bits) > MOST_WIDTH
            if not wide and any(one.kind not in LINEAR for one in makers) and self._support(bits):
                last = max(makers, key=lambda one: self._order[id(one)])
                self.after.setdefault(id(last), []).append(bits)

    def _support(self, bits: Iterable[int]) -> frozenset[int] | None:
        """Return the leaves that `bits` depend on; None: many, or others."""
        support = frozenset[int]()
        for bit in bits:
            its = self._supports.get(bit)
            support = support | its if its is not None else frozenset(range(MOST_BITS + 1))
            if len(support) > MOST_BITS:
                return None
        return support

    def fit(self, bits: Bits) -> Fit | None:
        """Return the integer on `bits` as a linear form of the leaves; None: it is none."""
        leaves = sorted(self._support(bits) or ())
        numbers = np.arange(1 << len(leaves))
        known = {0: SLICED.zero, 1: SLICED.one, **dict(zip(leaves, packed(numbers, len(leaves)), strict=True))}
        evaluate(SLICED, self._below(bits, set(known)), known)
        for signed in (False, True):
            values = unpacked([known[bit] for bit in bits], len(numbers), signed=signed)
            factors = [int(values[1 << place] - values[0]) for place in range(len(leaves))]
            columns = (factor * (numbers >> place & 1) for place, factor in enumerate(factors))
            if (values == sum(columns, start=values[0])).all():
                return Fit(
                    signed,
                    int(values[0]),
                    dict(zip(leaves, factors, strict=True)),
                    int(values.min()),
                    int(values.max()),
                )
        return None

    def _below(self, bits: Bits, known: set[int]) -> list[Part]:
        waiting, parts, seen = list(bits), dict[int, Part](), set(known)
        while waiting:
            bit = waiting.pop()
            if bit not in seen:
                seen.add(bit)
                part = self.drivers[bit]
                parts[self._order[id(part)]] = part
                waiting += [one for operand in part.operands for one in operand]
        return [parts[number] for number in sorted(parts)]
