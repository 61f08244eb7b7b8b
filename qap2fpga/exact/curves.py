# SPDX-License-Identifier: Apache-2.0
"""Functions that rise with a real value and are no straight line, and where a composition with them reaches a level.

Whatever rises can be a step function of an accumulator: only where it reaches each level has to be known. That is the
level's boundary, taken back through one function after the other. Logarithms are irrational (but for that of 1): they
are carried to 1024 bits, and a threshold that these could not tell from an integer is an error.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np

from qap2fpga.exact.thresholds import Affine, Levels, common, first_at

# Decimal digits of a logarithm: more than 1024 bits.
DIGITS = 320


@dataclass(frozen=True)
class Condition:
    """`x >= bound`, `x > bound` if `strict`, or the `opposite` of that. Without a bound it holds `always` or never."""

    bound: Fraction | None
    strict: bool = False
    opposite: bool = False
    always: bool = False

    def fixed(self, value: bool) -> Condition:
        """Return that it holds for every x, or for none, where without the opposite it would be `value`."""
        return Condition(None, always=value != self.opposite)

    def at(self, bound: Fraction) -> Condition:
        """Return the same of another bound."""
        return Condition(bound, self.strict, self.opposite)


class Curve(ABC):
    """A function that never falls, the same for each channel or with parameters per channel."""

    @abstractmethod
    def back(self, condition: Condition, channel: int) -> Condition:
        """Return the condition on x that holds where that on f(x) does; `condition` has a bound."""

    def spacing(self, step: Fraction, channel: int) -> Fraction | None:
        """Return a number of which f of all multiples of `step` are whole multiples; None if there is none."""
        return None

    def value(self, value: Fraction, channel: int) -> Fraction:
        """Return the function of a value, of a curve with a spacing."""
        raise NotImplementedError

    @abstractmethod
    def apply(self, values: np.ndarray) -> np.ndarray:
        """Return f of float64 `values` (..., channels)."""


@dataclass(frozen=True)
class Leaky(Curve):
    """x where it is above 0, else `slopes[channel]` times x; slopes are above 0."""

    slopes: tuple[Fraction, ...]

    def back(self, condition: Condition, channel: int) -> Condition:
        """Return the condition on x."""
        assert condition.bound is not None
        return condition.at(condition.bound if condition.bound >= 0 else condition.bound / self.slopes[channel])

    def spacing(self, step: Fraction, channel: int) -> Fraction:
        """Return what multiples of `step` and of the slope times it have in common."""
        return common([step, step * self.slopes[channel]])

    def value(self, value: Fraction, channel: int) -> Fraction:
        """Return the function of a value, exactly."""
        return value if value >= 0 else value * self.slopes[channel]

    def apply(self, values: np.ndarray) -> np.ndarray:
        """Return the function of `values`."""
        return np.where(values >= 0, values, values * np.array([float(slope) for slope in self.slopes]))


@dataclass(frozen=True)
class Sigmoid(Curve):
    """1 / (1 + exp(-x))."""

    def back(self, condition: Condition, channel: int) -> Condition:
        """Return the condition on x: it must reach log(b / (1 - b))."""
        bound = condition.bound
        assert bound is not None
        if not 0 < bound < 1:
            return condition.fixed(bound <= 0)
        return condition.at(logarithm(bound / (1 - bound)))

    def apply(self, values: np.ndarray) -> np.ndarray:
        """Return the function of `values`."""
        return np.asarray(0.5 + 0.5 * np.tanh(values / 2))


@dataclass(frozen=True)
class Tanh(Curve):
    """The hyperbolic tangent."""

    def back(self, condition: Condition, channel: int) -> Condition:
        """Return the condition on x: it must reach log((1 + b) / (1 - b)) / 2."""
        bound = condition.bound
        assert bound is not None
        if not -1 < bound < 1:
            return condition.fixed(bound <= -1)
        return condition.at(logarithm((1 + bound) / (1 - bound)) / 2)

    def apply(self, values: np.ndarray) -> np.ndarray:
        """Return the function of `values`."""
        return np.tanh(values)


Stages = Sequence[tuple[Curve, Affine]]


def spacing(first: Affine, stages: Stages, channel: int) -> Fraction | None:
    """Return the largest number of which the composition's values at all integers are known to be whole multiples.

    None where a curve has values of no such kind; 1 where all are 0.
    """
    step = _spacing(first, Fraction(1), channel)
    for curve, affine in stages:
        between = curve.spacing(step, channel)
        if between is None:
            return None
        step = _spacing(affine, between, channel)
    return step or Fraction(1)


def steepness(first: Affine, stages: Stages, channel: int) -> Fraction:
    """Return how far the value moves, without clips and curves, from one integer to the next."""
    slope = abs(first.slope[channel])
    for _, affine in stages:
        slope *= abs(affine.slope[channel])
    return slope


def _spacing(affine: Affine, step: Fraction, channel: int) -> Fraction:
    """The same of an affine map of multiples of `step`."""
    ends = [end for end in (affine.low[channel], affine.high[channel]) if end is not None]
    return common([affine.slope[channel] * step, affine.intercept[channel], *ends])


def logarithm(value: Fraction) -> Fraction:
    """Return the natural logarithm of `value`, which is above 0: exact of 1, else to more than 1024 bits."""
    if value == 1:
        return Fraction(0)
    with localcontext() as context:
        context.prec = DIGITS + abs(value.numerator.bit_length() - value.denominator.bit_length())
        return Fraction((Decimal(value.numerator) / Decimal(value.denominator)).ln())


def direction(first: Affine, stages: Stages, channel: int) -> int:
    """Return 1 or -1 as the composition rises or falls with the integer; 0 where it is a constant."""
    slopes = [first.slope[channel], *(affine.slope[channel] for _, affine in stages)]
    return 0 if 0 in slopes else math.prod(1 if slope > 0 else -1 for slope in slopes)


def thresholds_of(first: Affine, stages: Stages, channel: int, levels: Levels, low: int, high: int) -> list[int]:
    """For every level above the lowest the smallest integer in `low..high + 1` at which the composition reaches it.

    `low` stands for 'always' and `high + 1` for 'never'. The composition must not fall.
    """
    starts, unit = [], levels.unit(channel)
    for bound, strict in levels.boundaries(channel):
        condition = Condition(bound * unit, strict)
        for curve, affine in reversed(stages):
            condition = _through(affine, condition, channel)
            if condition.bound is not None:
                condition = curve.back(condition, channel)
        condition = _through(first, condition, channel)
        if condition.bound is None:
            starts.append(low if condition.always else high + 1)
            continue
        assert not condition.opposite, "the composition falls"
        reached = first_at(condition.bound.numerator, condition.bound.denominator, condition.strict)
        starts.append(min(max(reached, low), high + 1))
    return starts


def _through(affine: Affine, condition: Condition, channel: int) -> Condition:
    """The condition on y that holds where that on the affine map of y does."""
    bound = condition.bound
    if bound is None:
        return condition

    def holds(value: Fraction) -> bool:
        assert bound is not None
        return value > bound if condition.strict else value >= bound

    low, high = affine.low[channel], affine.high[channel]
    if low is not None and holds(low):
        return condition.fixed(True)
    if high is not None and not holds(high):
        return condition.fixed(False)
    slope, intercept = affine.slope[channel], affine.intercept[channel]
    if slope == 0:
        return condition.fixed(holds(intercept))
    back = (bound - intercept) / slope
    if slope > 0:
        return condition.at(back)
    return Condition(back, not condition.strict, not condition.opposite)
