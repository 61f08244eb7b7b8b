# SPDX-License-Identifier: Apache-2.0
"""The linear forms of all bits of logic, over the values that come in and single bits.

Every sum of two is a new word; if its range shows how often it wraps, one of its bits is what is left of the sum
without the others. So slices, shifts, extensions and concatenations are arithmetic like any other, and the single bits
of parts that belong together cancel.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from qap2fpga.exact.integers import width
from qap2fpga.prove.algebra import Known
from qap2fpga.prove.cells import Bits, Part
from qap2fpga.prove.fitted import Fit, Fits
from qap2fpga.prove.linear import ONE, Form, Value, added, combined, complement, form_of, unknown_of
from qap2fpga.prove.pipeline import Cone

KNOWN = Known()
# The smallest and the largest integer of something.
Ends = tuple[int, int]


@dataclass(frozen=True)
class Word:
    """Bits that are one integer, in two's complement if `signed`."""

    bits: Bits
    signed: bool


class Forms:
    """The forms of all bits of a cone, over the `values` that come in and single bits; `named` are vectors of bits.

    A sum is read as it is where it does not wrap, else modulo its bits; `least`: always so that it has the least bits.
    """

    def __init__(
        self, cone: Cone, values: Sequence[Value], named: Sequence[Bits] = (), *, least: bool = False
    ) -> None:  # fmt: skip
        self.least = least
        self.ranges: dict[int, tuple[int, int]] = {}
        # Of which word a bit is, at which place, and whether it is inverted.
        self.origins: dict[int, tuple[Word, int, bool]] = {}
        self.forms: dict[int, Form] = {}
        self.vectors: list[Bits] = []
        # Of bits that are taken from zero, and of which it is asked whether any is 1: what is left of zero.
        negated = (one for one in cone.parts if one.kind == "difference" and not any(one.operands[0]))
        self.negated = {_ones(one): one for one in negated}
        # Unknown bits that more has become known of since.
        self._solved: dict[int, Form] = {}
        # Bits of sums, by the bit below them and the two that are added there.
        self._places: dict[tuple[int | str, int, int], int] = {}
        for number, value in enumerate(values):
            self.ranges[unknown_of(number)] = value.low, value.high
            self._define(Word(value.bits, value.signed), form_of(values, number), (value.low, value.high))
            if value.low == value.high:
                for place, bit in enumerate(value.bits):
                    self.forms[bit] = Form({ONE: 1} if value.low >> place & 1 else {})
        fits = Fits(cone.parts, named, [bit for value in values for bit in value.bits])
        for part in cone.parts:
            self._follow(part)
            for bits in fits.after.get(id(part), ()):
                self._fit(bits, fits.fit(bits))

    def bit(self, bit: int) -> Form:
        """Return the form of a single bit."""
        form = self.forms.get(bit, Form({bit: 1} if bit else {}))
        while solved := self._solved.keys() & form.terms.keys():
            unknown = min(solved)
            its, rest = self._solved[unknown], {one: factor for one, factor in form.terms.items() if one != unknown}
            form = added(Form(rest, form.shift), Form(its.terms, its.shift + form.shift), form.terms[unknown])
            self.forms[bit] = form
        return form

    def vector(self, bits: Bits) -> Form:
        """Return the form of the integer on `bits`, in two's complement where the top bit is a sign."""
        return combined((self.bit(bit), weight) for bit, weight in zip(bits, self.weights(bits), strict=True))

    def weights(self, bits: Bits) -> list[int]:
        """Return what each bit is worth."""
        top = len(bits) - 1
        return [-(1 << place) if place == top and self._is_sign(bit) else 1 << place for place, bit in enumerate(bits)]

    def range(self, form: Form) -> Ends:
        """Return the smallest and the largest integer that the form can be."""
        low = high = 0
        for unknown, factor in form.terms.items():
            least, most = self.ranges.get(unknown, (1, 1) if unknown == ONE else (0, 1))
            low += min(factor * least, factor * most)
            high += max(factor * least, factor * most)
        return -(-low >> form.shift), high >> form.shift

    def _is_sign(self, bit: int) -> bool:
        if bit not in self.origins:
            return False
        word, place, _ = self.origins[bit]
        return word.signed and place == len(word.bits) - 1

    def _follow(self, part: Part) -> None:
        if part.kind in ("same", "not"):
            inverted = part.kind == "not"
            for bit, out in zip(part.operands[0], part.driven, strict=True):
                self.forms[out] = complement(self.bit(bit)) if inverted else self.bit(bit)
                if bit in self.origins:
                    word, place, before = self.origins[bit]
                    self.origins[out] = word, place, before != inverted
        elif part.kind in ("sum", "difference"):
            self._copied(part)
            # Bits below which both have zeros are zeros.
            zeros = next((at for at, pair in enumerate(zip(*part.operands, strict=True)) if pair != (0, 0)), 0)
            sign = 1 if part.kind == "sum" else -1
            for left, right in itertools.product(*(self._readings(operand[zeros:]) for operand in part.operands)):
                ends = sorted(sign * end for end in right[1])
                total = added(left[0], right[0], sign)
                if self._result(part.driven, zeros, total, (left[1][0] + ends[0], left[1][1] + ends[1])):
                    return
        elif part.kind == "product":
            self._scaled(part)
        elif part.kind == "any" and (other := self.negated.get(_ones(part))):
            self._follow(other)
            self.forms[part.driven[0]] = self._borrow(other)

    def _fit(self, bits: Bits, fit: Fit | None) -> None:
        """Take the integer on `bits` for what it is of others."""
        if fit is not None and (fit.low < 0) == fit.signed:
            parts = [(self.bit(bit), factor) for bit, factor in fit.factors.items()]
            form = combined([(Form({ONE: 1}), fit.constant), *parts])
            self._define(Word(bits, fit.signed), form, (fit.low, fit.high))

    def _borrow(self, part: Part) -> Form:
        """Return whether the difference of zero and a number lends from above: (number + difference) / 2**bits."""
        number = combined((self.bit(bit), 1 << place) for place, bit in enumerate(part.operands[1]))
        left = combined((self.bit(bit), 1 << place) for place, bit in enumerate(part.driven))
        total = added(number, left, 1)
        return Form(total.terms, total.shift + len(part.driven))

    def _copied(self, part: Part) -> None:
        """Take bits of a sum for what they are: constants, what is added to nothing, the low bits of another sum."""
        operands: list[list[int | None]] = [list(operand) for operand in part.operands]
        results = part.evaluate(KNOWN, operands)
        before: int | str = part.kind
        for out, known, pair in zip(part.driven, results, zip(*part.operands, strict=True), strict=True):
            # Sums whose lower places are the same have one carry; zeros below these do not matter.
            bits = pair if part.kind == "difference" else (min(pair), max(pair))
            if pair != (0, 0) or isinstance(before, int):
                before = self._places.setdefault((before, *bits), out)
            bit = before if known is None and isinstance(before, int) else known
            if bit is not None and bit != out:
                self.forms[out] = self.bit(bit)

    def _scaled(self, part: Part) -> None:
        """Take a product with a constant for a multiple; it may be read with a sign or without one."""
        for factor, operand in (part.operands, part.operands[::-1]):
            number = sum(bit << place for place, bit in enumerate(factor))
            if not set(factor) <= {0, 1} or not number:
                continue
            zeros, size = (number & -number).bit_length() - 1, len(part.driven)
            for signed in (number - (factor[-1] << size), number):
                total = added(Form({}), self._operand(operand), signed >> zeros)
                if self._result(part.driven, zeros, total, self.range(total)):
                    return

    def _result(self, driven: Bits, zeros: int, total: Form, ends: Ends) -> bool:
        """Take `total` for what `driven` is above some `zeros`, if its range shows how often it wraps.

        It lies between its `ends`.
        """
        self.forms.update((bit, Form({})) for bit in driven[:zeros])
        bits, ends = driven[zeros:], _common(ends, self.range(total))
        size = len(bits)
        # How often it may wrap: not at all, to numbers without a sign, and to those with one.
        wraps = (0, ends[0] >> size, ends[0] + (1 << size >> 1) >> size)
        fitting = [
            pair for pair in ([end - (times << size) for end in ends] for times in wraps) if width(*pair) <= size
        ]
        if not fitting:
            return False
        low, high = min(fitting, key=lambda pair: width(*pair)) if self.least else fitting[0]
        total, size = added(total, Form({ONE: 1}), low - ends[0]), width(low, high)
        word = Word(bits[:size], signed=low < 0)
        self._define(word, total, (low, high))
        # Bits above those that hold the range repeat its sign.
        for bit in bits[size:]:
            self.forms[bit] = self.bit(word.bits[-1]) if word.signed else Form({})
            if word.signed:
                self.origins[bit] = word, size - 1, False
        self.vectors += [bits] if size < len(bits) else []
        return True

    def _readings(self, bits: Bits) -> Iterator[tuple[Form, Ends]]:
        """Yield forms that are the integer on `bits` modulo 2**len(bits), and their ranges.

        After the usual one those of the bits alone, as an integer without a sign and with one.
        """
        usual = self._operand(bits)
        yield usual, self.range(usual)
        for sign in (1, -1) if bits else ():
            weights = [*(1 << place for place in range(len(bits) - 1)), sign << len(bits) - 1]
            parts = list(zip(bits, weights, strict=True))
            always = sum(weight for bit, weight in parts if bit == ONE)
            maybe = [weight for bit, weight in parts if bit not in (0, ONE)]
            ends = always + sum(min(one, 0) for one in maybe), always + sum(max(one, 0) for one in maybe)
            form = combined((self.bit(bit), weight) for bit, weight in parts)
            yield form, _common(ends, self.range(form))

    def _operand(self, bits: Bits) -> Form:
        """Return a form that is the integer on `bits` modulo 2**len(bits).

        Where they end within a word, the bits of it above them, multiples of 2**len(bits), make it whole.
        """
        result = self.vector(bits)
        if not bits or bits[-1] not in self.origins:
            return result
        word, place, inverted = self.origins[bits[-1]]
        rest = word.bits[place + 1 :]
        above = []
        for at, bit in enumerate(rest, start=len(bits)):
            sign = -1 if word.signed and bit == rest[-1] else 1
            above.append((complement(self.bit(bit)) if inverted else self.bit(bit), sign << at))
        return added(result, combined(above), 1)

    def _define(self, word: Word, form: Form, ends: Ends) -> None:
        """Take `form` for the integer on the bits of `word`: it says what the highest of them is that is not known yet.

        It lies between its `ends`. Bits above those that hold the range repeat the sign, or are 0.
        """
        size = _needed(*ends, signed=word.signed)
        needed, above = word.bits[:size], word.bits[size:]
        for place, bit in enumerate(word.bits):
            if bit not in (0, ONE):
                self.origins.setdefault(bit, (word, place, False))
        weights = [1 << place for place in range(size)]
        weights[-1] *= -1 if word.signed else 1
        # What is zero, since the form is the integer on the bits.
        zero = added(form, combined((self.bit(bit), weight) for bit, weight in zip(needed, weights, strict=True)), -1)
        tied = [one for one in zero.terms if one not in self.ranges and one != ONE]
        if tied:
            # All its bits may be known as those of other sums: then these are tied.
            own = [bit for bit in needed if bit not in self.forms and bit in tied]
            self._solve(own[-1] if own else max(tied, key=lambda one: abs(zero.terms[one])), zero)
        for bit in above:
            self.forms.setdefault(bit, self.bit(needed[-1]) if word.signed else Form({}))
        self.vectors.append(word.bits)

    def _solve(self, unknown: int, zero: Form) -> None:
        """Take from a form that is zero what a bit is, if it is a whole multiple of others over a power of two."""
        factor = zero.terms[unknown]
        if abs(factor) & abs(factor) - 1:
            return
        sign, places = -1 if factor > 0 else 1, abs(factor).bit_length() - 1
        terms = {one: sign * value for one, value in zero.terms.items() if one != unknown}
        self._solved[unknown] = added(Form({}), Form(terms, places), 1)


def _common(first: Ends, second: Ends) -> Ends:
    """Return the range of what lies in both ranges."""
    return max(first[0], second[0]), min(first[1], second[1])


def _ones(part: Part) -> frozenset[int]:
    """Return the bits that a part reads, but zeros."""
    return frozenset(bit for operand in part.operands for bit in operand if bit)


def _needed(low: int, high: int, *, signed: bool) -> int:
    """Return the bits that a word of `low..high` needs; those above are zero, or repeat the sign."""
    if signed:
        return 1 + max((-low - 1 if low < 0 else 0).bit_length(), max(high, 0).bit_length())
    return max(1, high.bit_length())
