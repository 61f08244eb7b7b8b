# SPDX-License-Identifier: Apache-2.0
"""Exact arithmetic of the thresholds.

What stands between an accumulator and its quantizer is a chain of affine maps, batch norm and clips, each
monotone. It folds into `clip(slope * accumulator + intercept, low, high)` with rational numbers, since every
stored parameter is a float32 and so rational. Only `1 / sqrt(variance + eps)` is not; it is held to 1024 bits,
and a comparison that even those cannot settle is an error, never a guess.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from qap2fpga.system.errors import QapError

SQRT_BITS = 1024
# Half to even before the zero point is added, as ONNX does it; 'ROUND' is after that, as QONNX does it.
ROUND_FIRST = "ROUND_FIRST"
# A quotient closer than this to an integer, but not one, is not settled by SQRT_BITS.
DOUBT_BITS = 512


def inverse_sqrt(value: Fraction) -> Fraction:
    """`1 / sqrt(value)`: exact if that is rational, else right to about `SQRT_BITS` bits."""
    numerator, denominator = value.numerator, value.denominator
    root = math.isqrt(numerator * denominator)
    if root * root == numerator * denominator:
        return Fraction(denominator, root)
    shift = 2 * (SQRT_BITS + denominator.bit_length())
    return Fraction(1 << (shift // 2), math.isqrt((numerator << shift) // denominator))


def common(values: Sequence[Fraction]) -> Fraction:
    """Return the largest number of which all `values` are whole multiples; 0 of nothing but zeros."""
    unit = math.lcm(*(value.denominator for value in values))
    return Fraction(math.gcd(*(int(value * unit) for value in values)), unit)


@dataclass(frozen=True)
class Affine:
    """`clip(slope * n + intercept, low, high)` a channel, as exact fractions.

    `magnitude` bounds the sum of the absolute values that were added up for the intercept and `steps` counts
    the operations; float32 executions of the same chain are held to an error bound made of the two.
    """

    slope: tuple[Fraction, ...]
    intercept: tuple[Fraction, ...]
    low: tuple[Fraction | None, ...]
    high: tuple[Fraction | None, ...]
    magnitude: tuple[Fraction, ...]
    steps: int = 0

    @staticmethod
    def scaled(
        slope: Sequence[Fraction],
        intercept: Sequence[Fraction] | None = None,
        magnitude: Sequence[Fraction] | None = None,
    ) -> Affine:
        """`slope * n + intercept` without a clip."""
        nothing = (None,) * len(slope)
        zero = tuple(intercept) if intercept is not None else (Fraction(0),) * len(slope)
        return Affine(tuple(slope), zero, nothing, nothing, tuple(magnitude or (abs(value) for value in zero)))

    @property
    def channels(self) -> int:
        """How many channels it has."""
        return len(self.slope)

    @property
    def clips(self) -> bool:
        """Whether any channel is bounded."""
        return any(bound is not None for bound in (*self.low, *self.high))

    def then(self, factor: Sequence[Fraction], addend: Sequence[Fraction]) -> Affine:
        """`factor * this + addend`, a channel. A negative factor swaps the clip's ends; 0 leaves a constant."""
        slope, intercept, low, high, magnitude = [], [], [], [], []
        for c, (f, a) in enumerate(zip(factor, addend, strict=True)):
            slope.append(self.slope[c] * f)
            intercept.append(self.intercept[c] * f + a)
            ends = [None if f == 0 or end is None else end * f + a for end in (self.low[c], self.high[c])]
            low.append(ends[1] if f < 0 else ends[0])
            high.append(ends[0] if f < 0 else ends[1])
            magnitude.append(self.magnitude[c] * abs(f) + abs(a))
        return Affine(tuple(slope), tuple(intercept), tuple(low), tuple(high), tuple(magnitude), self.steps + 2)

    def clip(self, low: Fraction | None, high: Fraction | None) -> Affine:
        """This, clipped to `low..high` (None: no bound)."""
        return self.between([low] * self.channels, [high] * self.channels)

    def between(self, least: Sequence[Fraction | None] | None, most: Sequence[Fraction | None] | None) -> Affine:
        """This, clipped to bounds of each channel (None: no bound)."""
        new_low: Fraction | None
        new_high: Fraction | None
        lows: list[Fraction | None] = []
        highs: list[Fraction | None] = []
        nothing = [None] * self.channels
        bounds = zip(self.low, self.high, least or nothing, most or nothing, strict=True)
        for old_low, old_high, low, high in bounds:
            if low is not None and old_high is not None and low > old_high:
                new_low = new_high = low  # everything lies below the new clip
            elif high is not None and old_low is not None and high < old_low:
                new_low = new_high = high
            else:
                new_low = max((end for end in (old_low, low) if end is not None), default=None)
                new_high = min((end for end in (old_high, high) if end is not None), default=None)
            lows.append(new_low)
            highs.append(new_high)
        return replace(self, low=tuple(lows), high=tuple(highs), steps=self.steps + 1)

    def value(self, channel: int, integer: int) -> Fraction:
        """Return the exact value of one channel at `integer`."""
        return self.of(channel, Fraction(integer))

    def of(self, channel: int, value: Fraction) -> Fraction:
        """Return the exact value of one channel where `value` comes instead of an integer."""
        result = self.slope[channel] * value + self.intercept[channel]
        low, high = self.low[channel], self.high[channel]
        if low is not None and result < low:
            return low
        return high if high is not None and result > high else result


@dataclass(frozen=True)
class Levels:
    """A quantizer's levels `low..high` (zero point included) and when each is reached.

    The integer it gives is `clamp(round(x / scale + zero_point), low, high)`; `scale` is one per channel. With
    `bounds`, sorted real numbers per channel, it is `low` and one `step` more for each of them that x reaches. Unless
    they are `bounded`, `low` and `high` are still to be set to what values reach.
    """

    low: int
    high: int
    scale: tuple[Fraction, ...]
    zero_point: int = 0
    rounding: str = "ROUND"
    bounds: tuple[tuple[Fraction, ...], ...] = ()
    bounded: bool = True

    @property
    def step(self) -> int:
        """How far a level is from the next."""
        if self.bounds:
            return (self.high - self.low) // len(self.bounds[0])
        return 2 if self.rounding == "SIGN" else 1

    def unit(self, channel: int) -> Fraction:
        """Return what the bounds of `boundaries` are counted in."""
        if self.bounds:
            return Fraction(1, math.lcm(*(bound.denominator for bound in self.bounds[channel])))
        return self.scale[channel] / 2

    def boundaries(self, channel: int) -> list[tuple[int, bool]]:
        """(bound, strict) of every level above the lowest: reached where `x / unit` >= bound, or > if strict."""
        if self.bounds:
            unit = self.unit(channel)
            return [(int(bound / unit), False) for bound in self.bounds[channel]]
        if self.rounding == "SIGN":
            return [(0, False)]
        return [self._boundary(level) for level in range(self.low + 1, self.high + 1)]

    def level(self, value: Fraction, channel: int) -> int:
        """Return the level of an exact real value, half to even and without bounds."""
        return round(value / self.scale[channel]) + self.zero_point

    def _boundary(self, level: int) -> tuple[int, bool]:
        above = level - self.zero_point
        if self.rounding == "ROUND":  # half to even: a half goes up exactly to an even level
            return 2 * above - 1, level % 2 == 1
        if self.rounding == ROUND_FIRST:
            return 2 * above - 1, above % 2 == 1
        if self.rounding == "FLOOR" or (self.rounding == "ROUND_TO_ZERO" and level > 0):
            return 2 * above, False
        return 2 * (above - 1), True


@dataclass(frozen=True)
class Truncation(Levels):
    """Levels of whole multiples of `scale`, which lose their last `dropped` bits by the rounding rule.

    A level is reached where the multiple that a value is rounded to, half to even, is.
    """

    dropped: int = 0

    def boundaries(self, channel: int) -> list[tuple[int, bool]]:
        """(bound, strict) of every level above the lowest."""
        multiples = [self._multiple(level) for level in range(self.low + 1, self.high + 1)]
        return [(2 * multiple - 1, multiple % 2 == 1) for multiple in multiples]

    def _multiple(self, level: int) -> int:
        """The smallest whole multiple that reaches `level`."""
        unit = 1 << self.dropped
        if self.rounding == "ROUND":
            exact = 2 * level - 1 << self.dropped  # twice the tie between this level and the one below
            return (exact + 1) // 2 if exact % 2 or level % 2 == 0 else exact // 2 + 1
        if self.rounding == "FLOOR" or (self.rounding == "ROUND_TO_ZERO" and level > 0):
            return level * unit
        return (level - 1) * unit + 1

    def level(self, value: Fraction, channel: int) -> int:
        """Return the level of an exact real value, without bounds."""
        part = Fraction(round(value / self.scale[channel]), 1 << self.dropped)
        rules: dict[str, Callable[[Fraction], int]] = {
            "ROUND": round, "FLOOR": math.floor, "CEIL": math.ceil, "ROUND_TO_ZERO": math.trunc,
        }  # fmt: skip
        return rules[self.rounding](part)


def thresholds(affine: Affine, channel: int, levels: Levels, low: int, high: int) -> list[int]:
    """For every level above the lowest the smallest accumulator in `low..high + 1` that reaches it.

    `low` stands for 'always' and `high + 1` for 'never'. The slope must not be negative. As the chain is one
    clipped affine map, the inverse that a bisection would find is one exact division.
    """
    slope, intercept, unit = affine.slope[channel], affine.intercept[channel], levels.unit(channel)
    floor, ceiling = affine.low[channel], affine.high[channel]
    constant = intercept if slope == 0 else None
    lowest = -math.inf if floor is None else floor / unit
    highest = math.inf if ceiling is None else ceiling / unit
    if constant is not None:
        lowest = highest = min(max(constant / unit, lowest), highest)
        factor = shift = Fraction(0)
    else:
        factor, shift = unit / slope, intercept / slope
    # accumulator >= bound * factor - shift, over one common denominator
    denominator = math.lcm(factor.denominator, shift.denominator)
    multiply = factor.numerator * (denominator // factor.denominator)
    subtract = shift.numerator * (denominator // shift.denominator)
    starts = []
    for bound, strict in levels.boundaries(channel):
        if lowest > bound or (lowest == bound and not strict):
            starts.append(low)
        elif highest < bound or (highest == bound and strict):
            starts.append(high + 1)
        else:
            starts.append(min(max(first_at(bound * multiply - subtract, denominator, strict), low), high + 1))
    return starts


def first_at(numerator: int, denominator: int, strict: bool) -> int:
    """Return the smallest integer n with n >= numerator / denominator (> if strict)."""
    quotient, rest = divmod(numerator, denominator)
    if rest == 0:
        return quotient + 1 if strict else quotient
    if (min(rest, denominator - rest) << DOUBT_BITS) < denominator:
        raise QapError(
            "a threshold cannot be told from an integer even with 1024 bits",
            "a batch norm's parameters are out of any usual range; check the model",
        )
    return quotient + 1
