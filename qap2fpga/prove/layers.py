# SPDX-License-Identifier: Apache-2.0
"""A layer of the Verilog computes the network's integers, for every value that comes in.

Of each channel a vector of bits is looked for that is a linear form of the layer's inputs, with the channel's weights
as factors, and that is all that the channel's result depends on. The result is then compared with the network's
function for every value that the accumulator can have.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from qap2fpga.exact.integers import matmul_range, multiply_add
from qap2fpga.ir.functions import Function, Step
from qap2fpga.prove.cells import Bits, NotProven, Part
from qap2fpga.prove.linear import ONE, Form, Lane, Value, combined, form_of, possible, ranges
from qap2fpga.prove.pipeline import Pipeline
from qap2fpga.prove.searches import Between, Search, searches

# Accumulators of more values than these are not run through.
MOST_VALUES = 1 << 26
CHUNK = 1 << 18
# Sums of which is looked which of them there are; results of which is kept which ones there are.
MOST_SUMS, MOST_AMONG = 1 << 20, 1 << 8
# Sums that are handed on where results are wrong.
MOST_WRONG = 1 << 10


class WrongSums(NotProven):
    """Results of a `channel` of the layer `node` are wrong of `sums` that its inputs may have, as far as is known."""

    def __init__(self, what: str, node: str, channel: int, sums: np.ndarray) -> None:
        super().__init__(what)
        self.node, self.channel, self.sums = node, channel, sums


@dataclass(frozen=True, eq=False)
class Layer:
    """What a layer is to compute: the integers `weights` (inputs, outputs), then `function`; None: the sums.

    The node of that name has the `constants` beside these sums; they are in the function.
    """

    name: str
    weights: np.ndarray
    function: Function | None
    channels: tuple[str, ...]
    lanes: tuple[Lane, ...]
    constants: np.ndarray | None = None


@dataclass(frozen=True)
class Proof:
    """The values on a layer's lanes, and the cases that were run through."""

    values: tuple[Value, ...]
    cases: int


def prove(pipeline: Pipeline, layer: Layer, values: Sequence[Value]) -> Proof:
    """Return the proof of a layer whose inputs are `values`. Raises `NotProven` naming the channel."""
    channels = Channels(pipeline, layer, values, tuple(bit for lane in layer.lanes for bit in lane.bits))
    channels.cone.stage(channels.cone.outputs)
    results = [channels.prove(channel, lane) for channel, lane in enumerate(layer.lanes)]
    return Proof(tuple(value for value, _ in results), sum(cases for _, cases in results))


class Channels:
    """The channels of a layer whose inputs are `values`; all that is looked at lies between these and `outputs`."""

    def __init__(self, pipeline: Pipeline, layer: Layer, values: Sequence[Value], outputs: Bits) -> None:
        self.pipeline, self.layer, self.values = pipeline, layer, values
        leaves = {bit: one.stage for one in values if one.stage is not None for bit in one.bits if bit not in (0, ONE)}
        self.cone = pipeline.cone(outputs, leaves)
        self._searches = searches(pipeline, self.cone, leaves, values)
        self._search = next(self._searches)
        self._tried = [self._search]
        self._ends = matmul_range(*ranges(values), layer.weights, layer.name)

    def where(self, channel: int) -> str:
        """Return what messages call a channel."""
        return f"layer {self.layer.name}, channel {self.layer.channels[channel]}"

    def between(self, channel: int, bits: Bits) -> Between:
        """Return the logic from the channel's sum to `bits`. Raises `NotProven` where these are none of it."""
        errors = list[NotProven]()
        for search in self._known():
            try:
                found = search.between(bits, self.wanted(channel), self.where(channel))
            except NotProven as error:
                errors.append(error)
            else:
                self._search = search
                return found
        raise errors[-1]

    def _known(self) -> Iterator[Search]:
        """Yield searches: the one that helped before, the others that there are, and new ones."""
        yield self._search
        yield from [one for one in self._tried if one is not self._search]
        for one in self._searches:
            self._tried.append(one)
            yield one

    def wanted(self, channel: int) -> Form:
        """Return the form of the channel's sum."""
        column = self.layer.weights[:, channel]
        return combined((form_of(self.values, at), int(column[at])) for at in np.flatnonzero(column).tolist())

    def beyond(self, parts: Sequence[Part]) -> Search:
        """Return a search for what else depends on the same sums, among `parts`."""
        return Search(parts, self._search.places, self.pipeline.open)

    def ends(self, channel: int) -> tuple[int, int]:
        """Return the smallest and the largest sum of a channel."""
        low, high = self._ends
        return int(low[channel]), int(high[channel])

    def there(self, channel: int, sums: np.ndarray) -> np.ndarray:
        """Return which of `sums` (n,) the channel's inputs may have, (n,) of bool: all, where there are too many."""
        low, high = self.ends(channel)
        if high - low >= MOST_SUMS:
            return np.ones(len(sums), bool)
        return possible(self.values, self.layer.weights[:, channel].tolist(), sums)

    def require_zero(self, channel: int, bits: Bits) -> None:
        """Raise `NotProven` unless `bits` are zeros, for all sums of the channel."""
        between = self.between(channel, bits)
        for sums in self.sums(channel, between):
            actual, sure = between.evaluate(Lane(bits, signed=False), sums, self.where(channel))
            if actual.any() or not sure.all():
                raise NotProven(f"{self.where(channel)}: bits below the network's unit are no zeros")

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

    def prove(self, channel: int, lane: Lane, code: tuple[int, int] = (0, 1)) -> tuple[Value, int]:
        """Return the value on `lane`, and how many sums were run through. Raises `NotProven`.

        The first number of the `code`, and its second one times the value, are the layer's result.
        """
        settled = replace(lane, bits=self.pipeline.moving.settle(lane.bits))
        between, where = self.between(channel, settled.bits), self.where(channel)
        low, high = self.ends(channel)
        there = partial(self.there, channel) if high - low < MOST_SUMS else None
        reach, cases = set[int](), 0
        for sums in self.sums(channel, between):
            reach |= _compared(self.layer, channel, settled, code, between, sums, there, where)
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


def _compared(
    layer: Layer, channel: int, lane: Lane, code: tuple[int, int], between: Between, sums: np.ndarray,
    there: Callable[[np.ndarray], np.ndarray] | None, where: str,
) -> set[int]:  # fmt: skip
    """Return the results for accumulators `sums`, or only the ends of many. Raises `NotProven` for one that is wrong.

    It may be wrong of a sum that is not `there`: between the ends there may be some that no inputs have.
    """
    expected = results(layer.function, channel, sums)
    integers, sure = between.evaluate(lane, sums, where)
    actual = multiply_add(integers, code[1], code[0], where)
    wrong = np.flatnonzero((expected != actual) | ~sure)
    if len(wrong) and there is not None:
        has = there(sums)
        wrong = wrong[has[wrong]]
        expected = expected if len(wrong) else expected[has]
        if not len(expected):
            return set()
    if len(wrong):
        first = wrong[0]
        gives = actual[first] if sure[first] else "a value that is left open"
        what = f"{where}: accumulator {sums[first]} gives {gives}, not {expected[first]}"
        constant = 0 if layer.constants is None else layer.constants[channel]
        raise WrongSums(what, layer.name, channel, sums[wrong[:MOST_WRONG]] + constant)
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
