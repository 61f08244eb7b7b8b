# SPDX-License-Identifier: Apache-2.0
"""Logic between two ports, seen from results of layers that are known to lie in it.

From one layer to the next the logic is cut: what has been proven of some wires stands for all that is before them.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from qap2fpga.exact.integers import width
from qap2fpga.prove.algebra import WORD, Sliced
from qap2fpga.prove.cells import UNDRIVEN, Bits, NotProven, Part
from qap2fpga.prove.linear import Value
from qap2fpga.prove.pipeline import Pipeline
from qap2fpga.prove.reading import Module
from qap2fpga.prove.signatures import Signatures, columns

SLICED = Sliced()
# Nets that no module has: inverses of its own, and what no one reads.
FIRST_HIDDEN, FIRST_INVERSE, FIRST_UNREAD = 1 << 60, 1 << 61, 1 << 62


@dataclass(frozen=True)
class Result:
    """A result of a node: `offset + factor * value`. If it lies nowhere, on bits that nothing reads: `missing` why."""

    value: Value
    offset: int = 0
    factor: int = 1
    missing: NotProven | None = None

    def split(self) -> tuple[int, list[tuple[int, Value]]]:
        """Return a constant, and values with their factors, that add up to the result.

        A value some of whose bits lie on one wire is a sum of its bits.
        """
        bits, signed = self.value.bits, self.value.signed
        wires = [bit for bit in bits if bit not in (0, 1)]
        if len(set(wires)) == len(wires):
            return self.offset, [(self.factor, self.value)]
        weights = [self.factor << place for place in range(len(bits))]
        weights[-1] *= -1 if signed else 1
        totals = {bit: sum(weight for one, weight in zip(bits, weights, strict=True) if one == bit) for bit in bits}
        constant = self.offset + totals.pop(1, 0)
        totals.pop(0, None)
        return constant, [(weight, Value((bit,), False, 0, 1)) for bit, weight in totals.items()]


def hidden(number: int, low: int, high: int) -> Value:
    """Return any integer from `low` to `high` that lies on no wires; `number` tells it from others."""
    size = width(low, high)
    return Value(tuple(range(FIRST_HIDDEN + (number << 8), FIRST_HIDDEN + (number << 8) + size)), low < 0, low, high)


@dataclass
class Ground:
    """Logic: its `parts`, each after those that it reads, and vectors that are `named`.

    `derived` are bits that have been shown to be functions of results; these stand for what drives them. `until` is the
    time, as of `time.monotonic`, after which proofs end. Bits that are `open` may be anything.
    """

    parts: Sequence[Part]
    named: Sequence[Bits]
    derived: dict[int, Part] = field(default_factory=dict)
    until: float = math.inf
    open: frozenset[int] = frozenset()
    _inverses: dict[int, Part] = field(default_factory=dict)
    _hidden: int = 0

    def require_time(self, where: str) -> None:
        """Raise `NotProven` when the time is over."""
        if time.monotonic() > self.until:
            raise NotProven(f"{where}: no answer in the time that a proof may take")

    def cut(self, values: Sequence[Value], rows: np.ndarray) -> Signatures:
        """Return what logic makes of `values` alone, where they are `rows` (n, values)."""
        ones = np.full(-(-len(rows) // WORD), np.iinfo(np.uint64).max)
        given = {**columns(values, rows), **dict.fromkeys(self.open, ~ones), 0: ~ones, 1: ones}
        for part in self._derived(given):
            (given[part.driven[0]],) = part.evaluate(SLICED, [[given[bit] for bit in part.operands[0]]])
        return Signatures(self.parts, given)

    def simulated(self, values: Sequence[Value], rows: np.ndarray, outputs: Bits) -> Mapping[int, np.ndarray]:
        """Return bits of all logic where the inputs `values` are `rows` (n, values), `outputs` among them."""
        bits = self.cut(values, rows).bits
        if not bits.keys() >= set(outputs):
            raise NotProven("an output depends on what is no input")
        return bits

    def pipeline(self, parts: Iterable[Part], values: Sequence[Value]) -> Pipeline:
        """Return `parts` as a module without registers whose inputs are `values`."""
        leaves = {bit for value in values for bit in value.bits if bit not in (0, 1)}
        derived = self._derived(leaves)
        given = leaves | {part.driven[0] for part in derived}
        kept = []
        for number, part in enumerate(parts):
            driven = (FIRST_UNREAD + (number << 20) + at if bit in given else bit for at, bit in enumerate(part.driven))
            kept.append(replace(part, driven=tuple(driven)))
        inverses = [one for one in self._inverses.values() if one.driven[0] not in given]
        named = {str(number): bits for number, bits in enumerate(self.named)}
        module = Module("logic", {"x": tuple(leaves)}, {}, (*derived, *kept, *inverses), (), (), named)
        return Pipeline(module, UNDRIVEN, UNDRIVEN, open=self.open)

    def hide(self, low: int, high: int) -> Value:
        """Return any integer from `low` to `high` that lies on no wires."""
        self._hidden += 1
        return hidden(self._hidden - 1, low, high)

    def bit(self, net: int, inverted: bool) -> int:
        """Return the net, or that of its inverse."""
        if net in (0, 1):
            return net ^ int(inverted)
        if not inverted:
            return net
        if net not in self._inverses:
            inverse = FIRST_INVERSE + len(self._inverses)
            self._inverses[net] = Part(f"inverse {inverse}", "not", ((net,),), (inverse,))
        return self._inverses[net].driven[0]

    def alike(self, cut: Signatures, bit: int) -> list[int]:
        """Return other wires that are equal to `bit`, or to its inverse, on the vectors of `cut`."""
        net = next((net for net, part in self._inverses.items() if part.driven[0] == bit), bit)
        return [one for one, _ in cut.equal(cut.bits[net]) if one not in (0, 1, net)]

    def take(self, values: Iterable[Value]) -> None:
        """Let wires whose inverses are bits of `values` be read of these."""
        bits = {bit for value in values for bit in value.bits}
        for net, part in self._inverses.items():
            if part.driven[0] in bits and net not in bits:
                self.derived[net] = Part(part.name, "not", (part.driven,), (net,))

    def reached(self, values: Sequence[Value], more: Iterable[Part]) -> set[int]:
        """Return the bits that depend on `values` alone, if `more` drive what they drive."""
        bits = {0, 1, *self.open, *(bit for value in values for bit in value.bits)}
        bits |= {part.driven[0] for part in (*self._derived(bits), *more)}
        for part in self.parts:
            if all(bit in bits for operand in part.operands for bit in operand):
                bits.update(part.driven)
        return bits

    def _derived(self, given: Iterable[int]) -> list[Part]:
        known = {0, 1, *given}
        return [part for part in self.derived.values()
                if known.issuperset(part.operands[0]) and part.driven[0] not in known]  # fmt: skip
