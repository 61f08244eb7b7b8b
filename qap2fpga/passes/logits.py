# SPDX-License-Identifier: Apache-2.0
"""The end of the network: integers of one common scale, as fine as what the outputs are for.

The exact value of channel c is `slope[c] * accumulator + intercept[c]`, with another slope a channel where the
weights have a scale a channel or a batch norm follows. Here it becomes `(multiplier * accumulator + offset) >> shift`,
in units of one scale.

- Classes: the argmax of raw accumulators is another class on many inputs. The scale is the coarsest power of two whose
  largest integer is the exact class on all vectors, and two bits more.
- Values, and any network with one output: the scale is the smallest step of an accumulator, with two bits more where
  an intercept lies between two steps. Where all channels have one step no multiplication is left.

How far an integer can be from the exact value follows from the two formulas, for all accumulators (`error`).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from qap2fpga.exact import integers
from qap2fpga.exact.thresholds import Affine
from qap2fpga.ir.functions import Logits
from qap2fpga.system.errors import CheckFailed, QapError

# Classes: bits kept below the coarsest scale that has every argmax right, for inputs that were not among the vectors.
# Values: bits below an accumulator's step, for the part of an intercept that lies between two steps.
GUARD_BITS = 2
# Classes: logits of fewer bits than this are not tried.
FEWEST_BITS = 4
# Values: the most bits where channels have different steps, unless an accumulator has more. A channel that is nearly
# dead must not make all of them wide.
VALUE_BITS = 32
# Exact values are compared over a common denominator of up to so many bits. Roots of variances have longer ones; they
# are right to as many bits, and two values are equal where half of these are.
COMPARE_BITS = 1024


@dataclass(frozen=True)
class End:
    """The end of a network: `logits`, the value of one unit of them, and remarks for people."""

    logits: Logits
    scale: Fraction
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reach:
    """The accumulators `low..high` (channels,) that can occur in front of the end."""

    low: np.ndarray
    high: np.ndarray

    @property
    def ends(self) -> list[tuple[int, int]]:
        """(low, high) of every channel."""
        return list(zip(self.low.tolist(), self.high.tolist(), strict=True))


def choose(affine: Affine, accumulators: np.ndarray, reach: Reach, *, values: bool = False) -> End:
    """The end of a network whose outputs are `values` (one output always is), or else classes.

    The class is exact on all of `accumulators` (n, channels). Raises `QapError` that names the outputs whose scales
    are too far apart for one.
    """
    if not any(affine.slope):
        raise QapError("every output of the network is a constant", "check the last layer's batch norm")
    if values or affine.channels == 1:
        return _values(affine, reach)
    return _classes(affine, accumulators, reach)


# ---- values


def _values(affine: Affine, reach: Reach) -> End:
    """The finest scale that tells more of the accumulators, as far as it fits."""
    steps = {abs(slope) for slope in affine.slope if slope}
    smallest = min(steps)
    whole = all((value / smallest).denominator == 1 for value in (*affine.slope, *affine.intercept))
    most = 63
    if len(steps) > 1:
        most = max(VALUE_BITS, GUARD_BITS + max(integers.width(*ends) for ends in reach.ends))
    for bits in itertools.count(0 if whole else GUARD_BITS, -1):
        logits = _scaled(affine, Fraction(2) ** bits / smallest, reach, between=True)
        if logits is None or _width(logits, reach) > most:
            continue
        if affine.channels == 1 and not signs_are_exact(affine, logits, reach):
            raise QapError(
                f"the network's output, of up to {float(_largest(affine, reach)):.3g} in steps of "
                f"{float(smallest):.3g}, does not fit 63 bits",
                "check the last layer's scale and bias",
            )
        # One step is a number for software, so it is one that a float64 holds; `error` knows of it.
        return _end(logits, Fraction(float(smallest)) / Fraction(2) ** bits)
    raise AssertionError("coarse enough integers always fit")


def signs_are_exact(affine: Affine, logits: Logits, reach: Reach) -> bool:
    """Whether every integer has the sign of its exact value, 0 included, for all accumulators of `reach`.

    Both are monotone in the accumulator, so the neighbours of the exact value's zero tell it.
    """
    for channel, (low, high) in enumerate(reach.ends):
        slope, intercept = affine.slope[channel], affine.intercept[channel]
        zero = math.floor(-intercept / slope) if slope else low
        for n in (low, high, *(min(max(n, low), high) for n in (zero - 1, zero, zero + 1))):
            if _sign(slope * n + intercept) != _sign(_apply(logits, channel, n)):
                return False
    return True


def _sign(value: Fraction | int) -> int:
    return (value > 0) - (value < 0)


# ---- classes


def _classes(affine: Affine, accumulators: np.ndarray, reach: Reach) -> End:
    """A finer scale than needed costs multipliers in the hardware; a coarser one would be right by luck."""
    largest = is_largest(affine, accumulators)
    first, rows = largest.argmax(axis=1), np.arange(len(largest))
    tied = bool((largest.sum(axis=1) > 1).any())

    def first_of_equals(logits: Logits) -> bool:
        return bool((logits.apply(accumulators).argmax(axis=1) == first).all())

    def one_of_equals(logits: Logits) -> bool:
        return bool(largest[rows, logits.apply(accumulators).argmax(axis=1)].all())

    logits = _coarsest(affine, reach, first_of_equals, tied=tied)
    if logits is not None:
        return _end(logits)
    logits = _coarsest(affine, reach, one_of_equals, tied=tied) if tied else None
    if logits is None:
        raise _too_far_apart(affine, accumulators, reach)
    count = int((logits.apply(accumulators).argmax(axis=1) != first).sum())
    return _end(logits, note=f"on {count} vectors the class is another one of several outputs that are exactly equal")


def _coarsest(affine: Affine, reach: Reach, right: Callable[[Logits], bool], *, tied: bool) -> Logits | None:
    """The coarsest `right` logits whose `GUARD_BITS` finer ones are too; these, if they fit. None: none fit."""
    for fraction in itertools.count(FEWEST_BITS - ceil_log2(_largest(affine, reach))):
        for together in (False, True) if tied else (False,):
            logits = _of_fraction(affine, fraction, reach, together=together)
            if logits is None:
                return None
            if right(logits):
                guarded = _of_fraction(affine, fraction + GUARD_BITS, reach, together=together)
                if guarded is None or right(guarded):
                    return guarded or logits
    return None


def _of_fraction(affine: Affine, fraction: int, reach: Reach, *, together: bool) -> Logits | None:
    logits = _scaled(affine, Fraction(2) ** fraction, reach, together=together)
    return logits and replace(logits, fraction=fraction)


def is_largest(affine: Affine, accumulators: np.ndarray) -> np.ndarray:
    """Whether each exact value of `accumulators` (n, channels) is the largest of its row, or equal to that."""
    if len(accumulators) == 0:
        return np.zeros(accumulators.shape, bool)
    slope, intercept, slack = _comparable(affine)
    values = accumulators.astype(object) * slope + intercept
    return np.asarray(values.max(axis=1)[:, None] - values <= slack, bool)


def exact_argmax(affine: Affine, accumulators: np.ndarray) -> np.ndarray:
    """Argmax (n,) of the exact values of `accumulators` (n, channels); the first of equals, as numpy does."""
    return is_largest(affine, accumulators).argmax(axis=1)


def _comparable(affine: Affine) -> tuple[np.ndarray, np.ndarray, int]:
    """Slopes and intercepts as Python integers of one unit, and the difference up to which values are equal."""
    unit, slack = 1, 0
    for value in (*affine.slope, *affine.intercept):
        unit = math.lcm(unit, value.denominator)
        if unit.bit_length() > COMPARE_BITS:
            unit, slack = 1 << COMPARE_BITS, 1 << COMPARE_BITS // 2
            break
    return (
        np.array([round(value * unit) for value in affine.slope], object),
        np.array([round(value * unit) for value in affine.intercept], object),
        slack,
    )


def _too_far_apart(affine: Affine, accumulators: np.ndarray, reach: Reach) -> QapError:
    """The error for outputs of which no common scale has the class, by the finest scale that there is."""
    finest, first = None, exact_argmax(affine, accumulators)
    for fraction in itertools.count(FEWEST_BITS - ceil_log2(_largest(affine, reach))):
        logits = _of_fraction(affine, fraction, reach, together=False)
        if logits is None:
            break
        finest = logits
    if finest is None:
        return QapError("the network's outputs do not fit 63 bits", "check the last layer's scales and biases")
    found = finest.apply(accumulators).argmax(axis=1)
    vector = int(np.flatnonzero(found != first)[0])
    one, other = int(first[vector]), int(found[vector])
    return QapError(
        f"the outputs' scales are too far apart: on vector {vector} the class is output {one} (a step of "
        f"{float(abs(affine.slope[one])):.3g}), and in {_width(finest, reach)} bits of one scale it is output {other} "
        f"(a step of {float(abs(affine.slope[other])):.3g})",
        "check the last layer's scales and batch norm, or take --output-kind values, which states its error",
    )


# ---- integers of a scale


def _scaled(
    affine: Affine, unit: Fraction, reach: Reach, *, together: bool = False, between: bool = False
) -> Logits | None:
    """`unit` integers a value, rounded to nearest; None where they, or their parts, do not fit int64.

    `shift` keeps the multiplier's error below a quarter step over what can be reached. `together`: whole steps in an
    intercept get the multiplier of the accumulator, so that channels of equal slope are equal where they exactly are.
    `between`: where no multiplication is left, an intercept between two steps stays between them.
    """
    steps = [_whole_steps(*pair) if together else 0 for pair in zip(affine.slope, affine.intercept, strict=True)]
    size = max(abs(end + more) for more, ends in zip(steps, reach.ends, strict=True) for end in ends)
    shift = size.bit_length() + 1
    multipliers = [round(slope * unit * 2**shift) for slope in affine.slope]
    rests = [value - slope * more for slope, value, more in zip(affine.slope, affine.intercept, steps, strict=True)]
    offsets = [
        multiplier * more + round((rest * unit + Fraction(1, 2)) * 2**shift)
        for multiplier, more, rest in zip(multipliers, steps, rests, strict=True)
    ]
    # Common factors of two cost hardware and say nothing.
    spare = math.gcd(*multipliers, 1 << shift).bit_length() - 1
    multipliers, offsets, shift = [m >> spare for m in multipliers], [b >> spare for b in offsets], shift - spare
    if between and not shift:
        offsets = [_between(value * unit, m) for value, m in zip(affine.intercept, multipliers, strict=True)]
    results = [(m * n + b) >> shift for m, b, ends in zip(multipliers, offsets, reach.ends, strict=True) for n in ends]
    if max(map(abs, (*multipliers, *offsets, *results))) >= integers.INT64_LIMIT:
        return None
    name = "the network's outputs"
    return Logits(integers.array(multipliers, name), integers.array(offsets, name), shift, None)


def _whole_steps(slope: Fraction, intercept: Fraction) -> int:
    return math.floor(intercept / slope) if slope else 0


def _between(value: Fraction, step: int) -> int:
    """The integer nearest to `value` that lies between the same two multiples of `step`, or on the same one."""
    if step == 0 or (value / step).denominator == 1:
        return round(value)
    below = math.floor(value / abs(step)) * abs(step)
    return min(max(round(value), below + 1), below + abs(step) - 1)


def _end(logits: Logits, scale: Fraction | None = None, note: str = "") -> End:
    """The end with `logits` of `scale`; None: of their own fraction."""
    notes = (note,) if note else ()
    if scale is None:
        assert logits.fraction is not None
        return End(logits, Fraction(2) ** -logits.fraction, notes)
    exponent = ceil_log2(scale)
    return End(replace(logits, fraction=-exponent if Fraction(2) ** exponent == scale else None), scale, notes)


def _apply(logits: Logits, channel: int, accumulator: int) -> int:
    """One integer of one channel."""
    return (int(logits.multiplier[channel]) * accumulator + int(logits.offset[channel])) >> logits.shift


def _width(logits: Logits, reach: Reach) -> int:
    """Bits of a signed type that holds all that can be reached."""
    values = [_apply(logits, channel, n) for channel, ends in enumerate(reach.ends) for n in ends]
    return integers.width(min(*values, -1), max(values))


def _largest(affine: Affine, reach: Reach) -> Fraction:
    """The largest absolute value that can be reached."""
    parts = zip(affine.slope, affine.intercept, reach.ends, strict=True)
    return max(abs(slope * n + intercept) for slope, intercept, ends in parts for n in ends)


def ceil_log2(value: Fraction) -> int:
    """The smallest e with 2**e >= `value` (above 0)."""
    exponent = value.numerator.bit_length() - value.denominator.bit_length()
    return exponent if Fraction(2) ** exponent >= value else exponent + 1


# ---- what an integer is off by


def error(affine: Affine, end: End, reach: Reach) -> Fraction:
    """The most by which an integer times the scale is off its exact value, for all accumulators of `reach`.

    Before its shift, the difference is a straight line, largest at an end; the shift takes less than one unit off.
    """
    logits, worst = end.logits, Fraction(0)
    dropped = end.scale * (1 - Fraction(1, 1 << logits.shift))
    for channel, ends in enumerate(reach.ends):
        multiplier, offset = int(logits.multiplier[channel]), int(logits.offset[channel])
        for n in ends:
            line = end.scale * Fraction(multiplier * n + offset, 1 << logits.shift) - affine.value(channel, n)
            worst = max(worst, abs(line), abs(line - dropped))
    return worst


def check(affine: Affine, end: End, reach: Reach, accumulators: np.ndarray) -> None:
    """Hold the integers of `accumulators` (n, channels) against their exact values.

    Raises `CheckFailed` that names the first one that is off by more than `error` says: a bug of ours.
    """
    bound = error(affine, end, reach)
    for channel, (slope, intercept) in enumerate(zip(affine.slope, affine.intercept, strict=True)):
        seen = np.unique(accumulators[:, channel])
        column = np.zeros((len(seen), affine.channels), np.int64)
        column[:, channel] = seen
        found = end.logits.apply(column)[:, channel]
        # In one unit all four are Python integers, which are faster than fractions.
        unit = math.lcm(*(value.denominator for value in (end.scale, slope, intercept, bound)))
        one, rise, start, most = (int(value * unit) for value in (end.scale, slope, intercept, bound))
        for n, integer in zip(seen.tolist(), found.tolist(), strict=True):
            if abs(integer * one - rise * n - start) > most:
                raise CheckFailed(
                    f"output {channel} is {integer} for accumulator {n}, which is off its exact value by more than "
                    f"{float(bound):.3g}",
                    "please report this bug with the model",
                )
