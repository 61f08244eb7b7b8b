# SPDX-License-Identifier: Apache-2.0
"""Exact restatements of a channel's step function, as hardware computes them, and their proof.

A channel is `Target`: `result = base + #{k : x >= thresholds[k]}` for `low <= x <= high`. Every implementation has
`apply`, which is what its Verilog computes, and is proven equal to its target by `prove`: x at each threshold, just
below it, at both ends, and wherever the implementation itself changes its rule. Between such points an implementation
is monotone, because it is checked to be, so nothing is left to try.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qap2fpga.exact import integers as exact
from qap2fpga.system.errors import CheckFailed

# What is named where integers are too wide.
IMPLEMENTATION = "the implementation of a requantizer"


@dataclass(frozen=True, eq=False)
class Target:
    """A step function over the integers `low..high`; `thresholds` (n,) are sorted and lie in `low + 1..high`.

    `line` is (multiplier, offset, shift) where the result is known to be `(multiplier * x + offset) >> shift`. With
    `highest`, the largest result, it is that line alone, of more results than are listed as thresholds. Two of the same
    content are equal.
    """

    thresholds: np.ndarray
    low: int
    high: int
    base: int = 0
    line: tuple[int, int, int] | None = None
    highest: int | None = None

    def __eq__(self, other: object) -> bool:
        """Whether both are the same function, with the same line."""
        return isinstance(other, Target) and self._content == other._content

    def __hash__(self) -> int:
        """Hash the content."""
        return hash(self._content)

    @property
    def _content(self) -> tuple[object, ...]:
        thresholds = self.thresholds.astype(np.int64, copy=False).tobytes()
        return thresholds, self.low, self.high, self.base, self.line, self.highest

    @property
    def top(self) -> int:
        """The largest result."""
        return self.base + len(self.thresholds) if self.highest is None else self.highest

    def apply(self, values: np.ndarray) -> np.ndarray:
        """Results of integers `values` (n,)."""
        if self.highest is not None:
            assert self.line is not None
            multiplier, offset, shift = self.line
            return exact.multiply_add(values, multiplier, offset, IMPLEMENTATION, shift)
        return self.base + np.searchsorted(self.thresholds, values, side="right")


@dataclass(frozen=True)
class Constant:
    """The result never changes."""

    value: int

    def apply(self, values: np.ndarray) -> np.ndarray:
        """Results of integers `values` (n,)."""
        return np.full(values.shape, self.value, np.int64)

    def corners(self) -> list[int]:
        """No rule changes anywhere."""
        return []


@dataclass(frozen=True)
class Table:
    """Every result is stored: one function of all bits of x for each bit of the result."""

    low: int
    results: tuple[int, ...]

    def apply(self, values: np.ndarray) -> np.ndarray:
        """Results of integers `values` (n,)."""
        return np.asarray(self.results, np.int64)[values - self.low]

    def corners(self) -> list[int]:
        """Every x is a rule of its own."""
        return list(range(self.low, self.low + len(self.results)))


@dataclass(frozen=True)
class Search:
    """Binary search: bit after bit of the result, each one comparison whose constant the bits before choose.

    `thresholds` are filled up to 2**bits - 1 with values that are never reached.
    """

    thresholds: tuple[int, ...]
    bits: int
    base: int = 0

    def apply(self, values: np.ndarray) -> np.ndarray:
        """Results of integers `values` (n,)."""
        results = np.zeros(values.shape, np.int64)
        table = np.asarray(self.thresholds, np.int64)
        for bit in reversed(range(self.bits)):
            raised = results + (1 << bit)
            results = np.where(values >= table[raised - 1], raised, results)
        return results + self.base

    def corners(self) -> list[int]:
        """Comparisons change at thresholds only."""
        return [value for threshold in self.thresholds for value in (threshold - 1, threshold)]


@dataclass(frozen=True)
class Piecewise:
    """`(sum of +-(x shifted) + offsets[segment of x]) >> shift` between `below` and `above`; constant outside.

    `terms` are (sign, left shift; negative: right, dropping bits). The segment is `bits` bits of x from bit
    `bit` on. `below`: x under it gives `base`, `above`: x from it on gives `top`; None: no x is there. No
    offsets but one and one term is a plain shift; one offset and more terms is `(a * x + b) >> f`.
    The sum is computed in two's complement modulo `2**(shift + out_bits)`, which is all that is needed.
    `dropped` low bits of sum and offsets are not needed: all offsets are multiples of `2**dropped`.
    """

    terms: tuple[tuple[int, int], ...]
    shift: int
    bit: int
    bits: int
    offsets: tuple[int, ...]
    below: int | None
    above: int | None
    base: int
    top: int
    dropped: int = 0

    @property
    def out_bits(self) -> int:
        """Bits that tell the results `base..top` apart."""
        return max(1, (self.top - self.base).bit_length())

    def segment(self, values: np.ndarray) -> np.ndarray:
        """The number of the offset that `values` (n,) take."""
        return (values >> self.bit) & ((1 << self.bits) - 1)

    def apply(self, values: np.ndarray) -> np.ndarray:
        """Results of integers `values` (n,)."""
        result = (self._shifted_sum(values) & ((1 << self.out_bits) - 1)) + self.base
        if self.below is not None:
            result = np.where(values < self.below, self.base, result)
        if self.above is not None:
            result = np.where(values >= self.above, self.top, result)
        return result

    def raw(self, values: np.ndarray) -> np.ndarray:
        """Results without modulo and limits: what must be monotone inside a segment."""
        return self._shifted_sum(values) + self.base

    def _shifted_sum(self, values: np.ndarray) -> np.ndarray:
        """The sum with its offsets, shifted, for integers `values` (n,)."""
        offset: np.ndarray | int = self.offsets[0]
        if self.bits:
            offset = exact.array(self.offsets, IMPLEMENTATION)[self.segment(values)]
        return exact.terms(self.terms, values, IMPLEMENTATION, offset, self.shift)

    def corners(self) -> list[int]:
        """Both sides of the limits. Segments are `prove`'s business: it knows the range."""
        return [value for end in (self.below, self.above) if end is not None for value in (end - 1, end)]


Implementation = Constant | Table | Search | Piecewise


def prove(implementation: Implementation, target: Target, name: str, tolerance: int = 0) -> None:
    """Raise `CheckFailed` that names the channel `name` and the value if `implementation` is not `target` everywhere.

    With a `tolerance` results may differ by so many steps.
    """
    if target.highest is not None:
        _prove_line(implementation, target, name)
        return
    points = [target.low, target.high, *implementation.corners()]
    if isinstance(implementation, Piecewise):
        points += _segment_ends(implementation, target, name)
    around = np.concatenate([target.thresholds, target.thresholds - 1, np.asarray(points, np.int64)])
    values = np.unique(around[(around >= target.low) & (around <= target.high)])
    results, expected = implementation.apply(values), target.apply(values)
    wrong = np.flatnonzero(np.abs(results - expected) > tolerance)
    if len(wrong):
        at = int(wrong[0])
        raise CheckFailed(
            f"{name}: the {type(implementation).__name__.lower()} gives {results[at]} for accumulator {values[at]}, "
            f"must be {expected[at]}"
        )
    if isinstance(implementation, Piecewise):
        _prove_modulo(implementation, values, name)


def _prove_line(implementation: Implementation, target: Target, name: str) -> None:
    """The implementation computes the target's own formula, in enough bits for both ends of its range, so for all."""
    assert target.line is not None
    multiplier, offset, shift = target.line
    moved = offset - (target.base << shift)
    ends = [(multiplier * end + moved) >> shift for end in (target.low, target.high)]
    same = (
        isinstance(implementation, Piecewise)
        and all(left >= 0 for _, left in implementation.terms)
        and sum(sign << left for sign, left in implementation.terms) == multiplier
        and (implementation.offsets, implementation.shift, implementation.bits, implementation.base)
        == ((moved,), shift, 0, target.base)
        and (implementation.below, implementation.above) == (None, None)
        and moved % (1 << implementation.dropped) == 0
        and 0 <= min(ends) <= max(ends) < 1 << implementation.out_bits
    )
    if not same:
        raise CheckFailed(f"{name}: the implementation is not ({multiplier} * x + {offset}) >> {shift}")


def _segment_ends(implementation: Piecewise, target: Target, name: str) -> list[int]:
    """First and last x of every segment; raises when the terms could fall while x rises."""
    rising = sum(1 << shift for sign, shift in implementation.terms if sign > 0 and shift >= 0)
    falling = sum(1 << max(shift, 0) for sign, shift in implementation.terms if sign < 0)
    if rising < falling:
        raise CheckFailed(f"{name}: the implementation's sum {implementation.terms} is not monotone")
    low = target.low if implementation.below is None else implementation.below
    high = target.high if implementation.above is None else implementation.above - 1
    first = -(-low >> implementation.bit) if implementation.bits else 0
    last = high >> implementation.bit if implementation.bits else -1
    ends = [number << implementation.bit for number in range(first, last + 1)]
    return [low, high, *ends, *(end - 1 for end in ends)]


def _prove_modulo(implementation: Piecewise, values: np.ndarray, name: str) -> None:
    """The result between the limits must not have wrapped around, or a segment's middle could."""
    inside = np.ones(values.shape, bool)
    if implementation.below is not None:
        inside &= values >= implementation.below
    if implementation.above is not None:
        inside &= values < implementation.above
    raw = implementation.raw(values[inside])
    if len(raw) and (raw != implementation.apply(values[inside])).any():
        at = int(values[inside][np.flatnonzero(raw != implementation.apply(values[inside]))[0]])
        raise CheckFailed(f"{name}: the implementation's sum leaves its width at accumulator {at}")
