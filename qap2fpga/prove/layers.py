# SPDX-License-Identifier: Apache-2.0
"""A layer of the Verilog computes the network's integers, for every value that comes in.

Of each channel a vector of bits is looked for that is a linear form of the layer's inputs, with the channel's weights
as factors, and that is all that the channel's result depends on. The result is then compared with the network's
function for every value that the accumulator can have.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial

import numpy as np

from qap2fpga.exact.integers import matmul_range, multiply_add
from qap2fpga.ir.functions import Function, Step
from qap2fpga.prove.algebra import Sliced, packed, unpacked
from qap2fpga.prove.cells import Bits, NotProven, Part, evaluate
from qap2fpga.prove.linear import ONE, Form, Forms, Value, combined, form_of, possible
from qap2fpga.prove.pipeline import Cone, Pipeline

SLICED = Sliced()
# Accumulators of more values than these are not run through.
MOST_VALUES = 1 << 26
CHUNK = 1 << 18
# Sums of which is looked which of them there are; results of which is kept which ones there are.
MOST_SUMS, MOST_AMONG = 1 << 20, 1 << 8


@dataclass(frozen=True)
class Lane:
    """Where a channel's result lies: its bits, in two's complement if `signed`."""

    bits: Bits
    signed: bool


@dataclass(frozen=True, eq=False)
class Layer:
    """What a layer is to compute: the integers `weights` (inputs, outputs), then `function`; None: the sums."""

    name: str
    weights: np.ndarray
    function: Function | None
    channels: tuple[str, ...]
    lanes: tuple[Lane, ...]


@dataclass(frozen=True)
class Proof:
    """The values on a layer's lanes, and the cases that were run through."""

    values: tuple[Value, ...]
    cases: int


def prove(pipeline: Pipeline, layer: Layer, values: Sequence[Value]) -> Proof:
    """Return the proof of a layer whose inputs are `values`. Raises `NotProven` naming the channel."""
    channels = Channels(pipeline, layer, values, tuple(bit for lane in layer.lanes for bit in lane.bits))
    channels.cone.stage(channels.cone.outputs)
    results = [channels.prove(channel, lane, layer.function) for channel, lane in enumerate(layer.lanes)]
    return Proof(tuple(value for value, _ in results), sum(cases for _, cases in results))


class Channels:
    """The channels of a layer whose inputs are `values`; all that is looked at lies between these and `outputs`."""

    def __init__(self, pipeline: Pipeline, layer: Layer, values: Sequence[Value], outputs: Bits) -> None:
        self.pipeline, self.layer, self.values = pipeline, layer, values
        leaves = {bit: one.stage for one in values if one.stage is not None for bit in one.bits if bit > ONE}
        self.cone = pipeline.cone(outputs, leaves)
        self._searches = _searches(pipeline, self.cone, leaves, values)
        self._search = next(self._searches)
        lows, highs = (np.array([getattr(one, end) for one in values], np.int64) for end in ("low", "high"))
        self._ends = matmul_range(lows, highs, layer.weights, layer.name)

    def where(self, channel: int) -> str:
        """Return what messages call a channel."""
        return f"layer {self.layer.name}, channel {self.layer.channels[channel]}"

    def between(self, channel: int, bits: Bits) -> Between:
        """Return the logic from the channel's sum to `bits`. Raises `NotProven` where these are none of it."""
        try:
            return self._search.between(bits, self.wanted(channel), self.where(channel))
        except NotProven:
            self._search = next(self._searches, self._search)
            return self._search.between(bits, self.wanted(channel), self.where(channel))

    def wanted(self, channel: int) -> Form:
        """Return the form of the channel's sum."""
        column = self.layer.weights[:, channel]
        return combined((form_of(self.values, at), int(column[at])) for at in np.flatnonzero(column).tolist())

    def beyond(self, parts: Sequence[Part]) -> Search:
        """Return a search for what else depends on the same sums, among `parts`."""
        return Search(parts, self._search.places)

    def ends(self, channel: int) -> tuple[int, int]:
        """Return the smallest and the largest sum of a channel."""
        low, high = self._ends
        return int(low[channel]), int(high[channel])

    def sums(self, channel: int, between: Between) -> Iterator[np.ndarray]:
        """Yield all sums that the channel can have, in pieces. Raises `NotProven` where they are too many."""
        low, high = self.ends(channel)
        if high - low >= MOST_VALUES:
            raise NotProven(f"{self.where(channel)}: accumulators from {low} to {high} are too many to run through")
        # A sum of multiples of whole numbers is a multiple of what divides all weights.
        unit = int(np.gcd.reduce(self.layer.weights[:, channel])) or 1
        for begin in range(low, high + 1, CHUNK * unit):
            sums = between.possible(np.arange(begin, min(begin + CHUNK * unit, high + 1), unit), self.where(channel))
            if len(sums):
                yield sums

    def prove(
        self, channel: int, lane: Lane, function: Function | None, code: tuple[int, int] = (0, 1)
    ) -> tuple[Value, int]:
        """Return the value on `lane`, and how many sums were run through. Raises `NotProven`.

        The first number of the `code`, and its second one times the value, are the `function` of the sum.
        """
        settled = replace(lane, bits=self.pipeline.moving.settle(lane.bits))
        between, where = self.between(channel, settled.bits), self.where(channel)
        low, high = self.ends(channel)
        column = self.layer.weights[:, channel].tolist()
        there = partial(possible, self.values, column) if high - low < MOST_SUMS else None
        reach, cases = set[int](), 0
        for sums in self.sums(channel, between):
            reach |= _compared(function, channel, settled, code, between, sums, there, where)
            cases += len(sums)
        if not reach:
            raise NotProven(f"{where}: no accumulator from {low} to {high} is possible")
        # Of results that lie far apart only the ends are kept.
        complete = max(reach) - min(reach) < MOST_AMONG
        reach = {(one - code[0]) // code[1] for one in reach}
        low, high = min(reach), max(reach)
        among = frozenset(reach) if complete and len(reach) <= high - low else None
        at = self.cone.stage(settled.bits) if self.cone.stages.keys() & settled.bits else None
        late = self.cone.settled(settled.bits) if at is None else 0
        return Value(lane.bits, lane.signed, low, high, at, late, among), cases


def _searches(pipeline: Pipeline, cone: Cone, leaves: Mapping[int, int], values: Sequence[Value]) -> Iterator[Search]:
    """Yield a search in the cone of the layer's results, and one in which bits that no result needs are, too."""
    yield _search(pipeline, cone, values)
    yield _search(pipeline, _wider(pipeline, cone, leaves), values)


def _search(pipeline: Pipeline, cone: Cone, values: Sequence[Value]) -> Search:
    forms = Forms(cone, values)
    return Search(cone.parts, _places(forms, [*_named(pipeline, cone), *forms.vectors]))


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


def _compared(
    function: Function | None, channel: int, lane: Lane, code: tuple[int, int], between: Between, sums: np.ndarray,
    there: Callable[[np.ndarray], np.ndarray] | None, where: str,
) -> set[int]:  # fmt: skip
    """Return the results for accumulators `sums`, or only the ends of many. Raises `NotProven` for one that is wrong.

    It may be wrong of a sum that is not `there`: between the ends there may be some that no inputs have.
    """
    expected = results(function, channel, sums)
    actual = multiply_add(between.evaluate(lane, sums, where), code[1], code[0], where)
    wrong = np.flatnonzero(expected != actual)
    if len(wrong) and there is not None:
        has = there(sums)
        wrong = wrong[has[wrong]]
        expected = expected if len(wrong) else expected[has]
        if not len(expected):
            return set()
    if len(wrong):
        first = wrong[0]
        raise NotProven(f"{where}: accumulator {sums[first]} gives {actual[first]}, not {expected[first]}")
    low, high = int(expected.min()), int(expected.max())
    return set(np.unique(expected).tolist()) if high - low < MOST_AMONG else {low, high}


def results(function: Function | None, channel: int, sums: np.ndarray) -> np.ndarray:
    """Return what the network says of accumulators of a channel."""
    if function is None:
        return sums
    if isinstance(function, Step):
        counts = np.searchsorted(function.thresholds[channel], sums, side="right")
        return multiply_add(counts, function.step, function.base, "a level")
    return multiply_add(sums, function.multiplier[channel], function.offset[channel], "a logit", function.shift)


@dataclass(frozen=True)
class Between:
    """The logic from a vector of bits to a result; the vector is `factor * accumulator + constant`."""

    vector: Bits
    factor: Fraction
    constant: Fraction
    parts: tuple[Part, ...]

    def possible(self, sums: np.ndarray, where: str) -> np.ndarray:
        """Return the accumulators for which the vector is an integer; there are no others."""
        numerators, denominator = self._numerators(sums, where)
        return np.asarray(sums[numerators % denominator == 0])

    def evaluate(self, lane: Lane, sums: np.ndarray, where: str) -> np.ndarray:
        """Return the integers on the lane for accumulators `sums`."""
        numerators, denominator = self._numerators(sums, where)
        bits = {0: SLICED.zero, 1: SLICED.one}
        bits.update(zip(self.vector, packed(numerators // denominator, len(self.vector)), strict=True))
        bits.update({0: SLICED.zero, 1: SLICED.one})
        evaluate(SLICED, self.parts, bits)
        return unpacked([bits[bit] for bit in lane.bits], len(sums), signed=lane.signed)

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

    def __init__(self, parts: Sequence[Part], places: Mapping[Direction, Sequence[Place]]) -> None:
        self.places = places
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
                return Between(place.vector, factor, place.constant - factor * wanted.factor(ONE), parts)
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
