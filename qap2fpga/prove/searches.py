# SPDX-License-Identifier: Apache-2.0
"""Where the sums of a layer lie: vectors of bits that are linear forms of its inputs, and what depends on one alone."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from qap2fpga.exact.integers import multiply_add
from qap2fpga.prove.algebra import Bounded, Sliced, packed, unpacked
from qap2fpga.prove.cells import Bits, NotProven, Part, evaluate
from qap2fpga.prove.forms import Forms
from qap2fpga.prove.linear import ONE, Form, Lane, Value
from qap2fpga.prove.pipeline import Cone, Pipeline

SLICED, BOUNDED = Sliced(), Bounded()


@dataclass(frozen=True)
class Between:
    """The logic from a vector of bits to a result; the vector is `factor * accumulator + constant`."""

    vector: Bits
    factor: Fraction
    constant: Fraction
    parts: tuple[Part, ...]
    open: Collection[int] = ()

    def possible(self, sums: np.ndarray, where: str) -> np.ndarray:
        """Return the accumulators for which the vector is an integer; there are no others."""
        numerators, denominator = self._numerators(sums, where)
        return np.asarray(sums[numerators % denominator == 0])

    def evaluate(self, lane: Lane, sums: np.ndarray, where: str) -> tuple[np.ndarray, np.ndarray]:
        """Return the integers on the lane for accumulators `sums`, and whether they depend on nothing else."""
        numerators, denominator = self._numerators(sums, where)
        bits = {0: SLICED.zero, 1: SLICED.one}
        bits.update(zip(self.vector, packed(numerators // denominator, len(self.vector)), strict=True))
        bits.update({0: SLICED.zero, 1: SLICED.one})
        if not self.open:
            evaluate(SLICED, self.parts, bits)
            return unpacked([bits[bit] for bit in lane.bits], len(sums), signed=lane.signed), np.ones(len(sums), bool)
        pairs = {bit: (its, its) for bit, its in bits.items()} | dict.fromkeys(self.open, BOUNDED.any)
        evaluate(BOUNDED, self.parts, pairs)
        least, most = (unpacked([pairs[bit][end] for bit in lane.bits], len(sums), signed=False) for end in (0, 1))
        actual = unpacked([pairs[bit][0] for bit in lane.bits], len(sums), signed=lane.signed)
        return actual, least == most

    def _numerators(self, sums: np.ndarray, where: str) -> tuple[np.ndarray, int]:
        denominator = self.factor.denominator * self.constant.denominator
        factor, constant = int(self.factor * denominator), int(self.constant * denominator)
        return multiply_add(sums, factor, constant, where), denominator


@dataclass(frozen=True)
class Place:
    """A vector of bits that is `factor` times its direction, and `constant`."""

    vector: Bits
    factor: Fraction
    constant: Fraction


# What a result that is a constant depends on.
NOTHING = Place((), Fraction(0), Fraction(0))
# A linear form without its constant, of which the first factor is 1.
Direction = tuple[tuple[int, Fraction], ...]


class Search:
    """Looks for the vectors of bits on which results depend."""

    def __init__(
        self, parts: Sequence[Part], places: Mapping[Direction, Sequence[Place]], open: Collection[int] = ()
    ) -> None:
        self.places, self.open = places, open
        self.drivers = {bit: part for part in parts for bit in part.driven}
        self.order = {id(part): number for number, part in enumerate(parts)}

    def of(self, wanted: Form) -> Sequence[Place]:
        """Return the vectors that are `wanted`, but for a factor and a constant."""
        direction, _ = _normal(wanted)
        return self.places.get(direction, ()) if direction else ()

    def between(self, bits: Bits, wanted: Form, where: str) -> Between:
        """Return the logic from a vector that is `wanted`, but for a factor and a constant, to `bits`."""
        places, (_, scale) = self.of(wanted), _normal(wanted)
        for place in (*places, NOTHING):
            parts = self._closed(bits, place.vector)
            if parts is not None:
                factor = place.factor / scale
                read = {bit for part in parts for operand in part.operands for bit in operand}
                open = read.union(bits).intersection(self.open) if self.open else ()
                return Between(place.vector, factor, place.constant - factor * wanted.factor(ONE), parts, open)
        what = "not all that its result depends on" if places else "not the weights"
        raise NotProven(f"{where}: {len(places)} sums have its weights: {what}")

    def _closed(self, bits: Bits, vector: Bits) -> tuple[Part, ...] | None:
        """Return the logic from `vector` to `bits`; None where `bits` depend on others, too."""
        seen, waiting, parts = {0, ONE, *vector}, list(bits), {}
        while waiting:
            bit = waiting.pop()
            if bit in seen:
                continue
            seen.add(bit)
            if bit in self.open:
                continue
            if bit not in self.drivers:
                return None
            part = self.drivers[bit]
            parts[self.order[id(part)]] = part
            waiting += [one for operand in part.operands for one in operand]
        # A part that drives a bit of the vector may drive others, which are not asked for.
        return tuple(parts[number] for number in sorted(parts))


def _named(pipeline: Pipeline, cone: Cone) -> Iterator[Bits]:
    """Yield the vectors that have a name and lie in the cone."""
    return (bits for bits in pipeline.named_with(cone.stages) if not _lacking(cone, bits))


def _lacking(cone: Cone, bits: Bits) -> list[int]:
    """Return the bits that are not in the cone; constants are, also those that come through registers."""
    return [bit for bit in bits if bit not in cone.stages and bit not in cone.late and bit not in (0, ONE)]


def _places(forms: Forms, vectors: Iterable[Bits]) -> dict[Direction, list[Place]]:
    """Return the vectors that are linear forms of the values that come in alone, by the direction of the form."""
    places: dict[Direction, list[Place]] = {}
    for bits in dict.fromkeys(vectors):
        form = forms.vector(bits)
        if all(unknown in forms.ranges for unknown in form.terms if unknown != ONE):
            direction, factor = _normal(form)
            places.setdefault(direction, []).append(Place(bits, factor, form.factor(ONE)))
    return places


def _normal(form: Form) -> tuple[Direction, Fraction]:
    """Return the form's direction, and what it is to be multiplied with."""
    factors = sorted((unknown, form.factor(unknown)) for unknown in form.terms if unknown != ONE)
    if not factors:
        return (), Fraction(1)
    scale = factors[0][1]
    return tuple((unknown, factor / scale) for unknown, factor in factors), scale


def searches(pipeline: Pipeline, cone: Cone, leaves: Mapping[int, int], values: Sequence[Value]) -> Iterator[Search]:
    """Yield a search in the cone of the layer's results, and one in which bits that no result needs are, too.

    Then both again, with sums of which some are read as they have the least bits.
    """
    wider = None
    for least in (False, True):
        yield _search(pipeline, cone, values, least=least)
        wider = wider or _wider(pipeline, cone, leaves)
        yield _search(pipeline, wider, values, least=least)


def _search(pipeline: Pipeline, cone: Cone, values: Sequence[Value], *, least: bool) -> Search:
    named = list(_named(pipeline, cone))
    forms = Forms(cone, values, named, least=least)
    return Search(cone.parts, _places(forms, [*named, *forms.vectors]), pipeline.open)


def _wider(pipeline: Pipeline, cone: Cone, leaves: Mapping[int, int]) -> Cone:
    """Return the cone with all bits of the vectors of which some are in it: sums whose low bits are cut off, say."""
    more: set[int] = set()
    for bits in pipeline.named_with(cone.stages):
        lacking = _lacking(cone, bits)
        if lacking and not more.issuperset(lacking):
            with suppress(NotProven):  # it is not of these leaves alone
                pipeline.cone(tuple(lacking), leaves)
                more.update(lacking)
    return pipeline.cone((*cone.outputs, *sorted(more)), leaves)
