# SPDX-License-Identifier: Apache-2.0
"""Vectors of bits as linear forms of integers that come in.

A form is a sum of whole multiples of unknowns over a power of two. Unknowns are the values that come in and single
bits: `forms.py` makes them of logic.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from qap2fpga.prove.cells import Bits

# The unknown that is always 1: as a bit it is the constant 1.
ONE = 1


@dataclass(frozen=True)
class Value:
    """An integer `low..high` that comes in on `bits`, in two's complement if `signed`, `stage` moves after an input.

    A constant has no stage: it belongs to every one from `late` on, the registers that it comes through. `among` are
    integers of which it is one; None: any of its range.
    """

    bits: Bits
    signed: bool
    low: int
    high: int
    stage: int | None = 0
    late: int = 0
    among: frozenset[int] | None = None


def ranges(values: Sequence[Value]) -> tuple[np.ndarray, np.ndarray]:
    """Return the least and the largest integers (values,)."""
    return np.array([one.low for one in values], np.int64), np.array([one.high for one in values], np.int64)


@dataclass(frozen=True)
class Lane:
    """Where a channel's result lies: its bits, in two's complement if `signed`."""

    bits: Bits
    signed: bool


@dataclass(frozen=True)
class Form:
    """The sum of `terms` (unknown to factor), divided by 2**shift."""

    terms: Mapping[int, int]
    shift: int = 0

    def factor(self, unknown: int) -> Fraction:
        """Return the multiple of an unknown."""
        return Fraction(self.terms.get(unknown, 0), 1 << self.shift)


def complement(form: Form) -> Form:
    """Return 1 - form."""
    return added(Form({ONE: 1}), form, -1)


def form_of(values: Sequence[Value], number: int) -> Form:
    """Return the form of a value: an unknown of its own, that of the first on the same bits, or a constant."""
    value = values[number]
    if value.low == value.high:
        return Form({ONE: value.low} if value.low else {})
    first = next(at for at, one in enumerate(values) if (one.bits, one.signed) == (value.bits, value.signed))
    return Form({unknown_of(first): 1})


def possible(values: Sequence[Value], weights: Sequence[int], sums: np.ndarray) -> np.ndarray:
    """Return which of `sums` (n,) are sums of values times weights, (n,) of bool.

    Every value is taken for any one that it may be, whatever the others are.
    """
    totals: dict[tuple[int, ...], tuple[Value, int]] = {}
    for value, weight in zip(values, weights, strict=True):
        # Several on the same bits are one.
        key = (*value.bits, int(value.signed), value.low, value.high)
        totals[key] = value, totals.get(key, (value, 0))[1] + weight
    least, there = 0, 1
    for value, weight in totals.values():
        first = value.low if weight > 0 else value.high
        least += weight * first
        if value.among is not None:
            there = sum_of_sets(there, (weight * (one - first) for one in value.among))
            continue
        done, count = 1, value.high - value.low + 1
        while done < count:
            more = min(done, count - done)
            there |= there << more * abs(weight)
            done += more
    packed = np.frombuffer(there.to_bytes(there.bit_length() // 8 + 1, "little"), np.uint8)
    every, index = np.unpackbits(packed, bitorder="little").astype(bool), sums - least
    inside = (index >= 0) & (index < len(every))
    return np.asarray(inside & every[np.where(inside, index, 0)])


def sum_of_sets(first: int, second: Iterable[int]) -> int:
    """Return the sums of two sets of numbers from 0 on; of the first one, and of the result, bit n says that n is."""
    result = 0
    for number in second:
        result |= first << number
    return result


def combined(forms: Iterable[tuple[Form, int]]) -> Form:
    """Return the sum of forms, each with a factor."""
    result = Form({})
    for form, weight in forms:
        result = added(result, form, weight) if weight else result
    return result


def unknown_of(number: int) -> int:
    """Return the unknown that the value `number` is; all bits of modules have other numbers."""
    return -(1 << 60) - number


def added(left: Form, right: Form, factor: int) -> Form:
    """Return `left + factor * right`."""
    shift = max(left.shift, right.shift)
    terms = {unknown: value << shift - left.shift for unknown, value in left.terms.items()}
    factor <<= shift - right.shift
    for unknown, value in right.terms.items():
        total = terms.get(unknown, 0) + factor * value
        if total:
            terms[unknown] = total
        else:
            terms.pop(unknown, None)
    # Forms of whole words have no denominator left.
    while shift and not any(value & 1 for value in terms.values()):
        terms = {unknown: value >> 1 for unknown, value in terms.items()}
        shift -= 1
    return Form(terms, shift)
