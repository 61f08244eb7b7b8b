# SPDX-License-Identifier: Apache-2.0
"""How integers are spread over the range that they may have, as values that load nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from qap2fpga.system.codec import Count, Number, Record

INPUTS, WEIGHTS, SUMS, LEVELS = "inputs", "weights", "sums", "levels"
# Of all values: so many at one end are more than a scale that fits leaves there.
MANY = 0.1
SCALED = "; are the inputs scaled as in training, divided by 255 for example?"
# Below this width a quantizer has no level to spare.
FEWEST_LEVELS = 4


@dataclass(frozen=True, kw_only=True)
class Spread(Record):
    """The integers of a `node`: inputs, weights, the sums that it leaves, or the levels of a quantizer.

    `low` to `high` is what they may be, in `levels` different values; the others are what was seen: the least, the
    quartiles and the largest, how many different ones, and the shares of 1 at both ends and at 0. `idle` of `channels`
    never changed.
    """

    node: str
    kind: str
    low: int
    high: int
    levels: Count
    least: int
    quarter: int
    median: int
    three_quarters: int
    largest: int
    used: Count
    at_low: Number
    at_high: Number
    at_zero: Number
    channels: Count = 0
    idle: Count = 0

    def place(self, value: float) -> float:
        """Return where `value` lies between the ends of the range, of 100."""
        return round(100 * (value - self.low) / (self.high - self.low), 2) if self.high > self.low else 50.0


@dataclass(frozen=True, kw_only=True)
class Profile(Record):
    """The spreads of a network, in the order of its nodes, over so many `vectors` of which kind, and what is odd."""

    vectors: Count
    of: str
    spreads: tuple[Spread, ...]
    notes: tuple[str, ...] = ()


def doubts(spreads: tuple[Spread, ...]) -> Iterator[str]:
    """Yield what nobody can have meant, or what could be cheaper."""
    for one in spreads:
        name = one.node.removesuffix("/")
        if one.kind in (INPUTS, LEVELS) and one.levels > 2:
            yield from (f"{name}: {text}{SCALED if one.kind == INPUTS else ''}" for text in _of_levels(one))
        if one.kind == LEVELS and one.idle:
            yield f"{name}: {one.idle} of {one.channels} channels never change"


def _of_levels(one: Spread) -> Iterator[str]:
    """Yield what is odd of a quantizer's levels; what is 0 in half of all values is a ReLU's, or a border."""
    if one.used <= 2:
        yield f"its values fall on {one.used} of {one.levels} levels"
        return
    if one.at_high > MANY and one.high:
        yield f"{one.at_high:.0%} of its values are at the highest of {one.levels} levels"
    if one.at_low > MANY and one.low:
        yield f"{one.at_low:.0%} of its values are at the lowest of {one.levels} levels"
    if one.levels > FEWEST_LEVELS and 2 * one.used <= one.levels:
        yield f"its values use {one.used} of {one.levels} levels; fewer bits would do"
