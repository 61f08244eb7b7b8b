# SPDX-License-Identifier: Apache-2.0
"""What the integers at the network's end are compared with: the exact values, their class, sign and largest error."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from qap2fpga.exact.thresholds import Affine
from qap2fpga.ir.functions import Logits
from qap2fpga.ir.tensors import Range
from qap2fpga.passes.scales import End, apply
from qap2fpga.system.errors import CheckFailed

# Exact values are compared over a common denominator of up to so many bits. Roots of variances have longer ones; they
# are right to as many bits, and two values are equal where half of these are.
COMPARE_BITS = 1024


def is_largest(affine: Affine, accumulators: np.ndarray) -> np.ndarray:
    """Return whether each exact value of `accumulators` (n, channels) is the largest of its row, or equal to that."""
    if len(accumulators) == 0:
        return np.zeros(accumulators.shape, bool)
    slope, intercept, slack = _comparable(affine)
    values = accumulators.astype(object) * slope + intercept
    return np.asarray(values.max(axis=1)[:, None] - values <= slack, bool)


def exact_argmax(affine: Affine, accumulators: np.ndarray) -> np.ndarray:
    """Return the argmax (n,) of exact values of `accumulators` (n, channels); the first of equals, as numpy does."""
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


def signs_are_exact(affine: Affine, logits: Logits, span: Range) -> bool:
    """Return whether every integer has the sign of its exact value, 0 included, for all accumulators of `span`.

    Both are monotone in the accumulator, so the neighbours of the exact value's zero tell it.
    """
    for channel, (low, high) in enumerate(span.ends):
        slope, intercept = affine.slope[channel], affine.intercept[channel]
        zero = math.floor(-intercept / slope) if slope else low
        for n in (low, high, *(min(max(n, low), high) for n in (zero - 1, zero, zero + 1))):
            if _sign(slope * n + intercept) != _sign(apply(logits, channel, n)):
                return False
    return True


def _sign(value: Fraction | int) -> int:
    return (value > 0) - (value < 0)


def error(affine: Affine, end: End, span: Range) -> Fraction:
    """Return the most by which an integer times the scale is off its exact value, for all accumulators of `span`.

    Before its shift, the difference is a straight line, largest at an end; the shift takes less than one unit off.
    """
    logits, worst = end.logits, Fraction(0)
    dropped = end.scale * (1 - Fraction(1, 1 << logits.shift))
    for channel, ends in enumerate(span.ends):
        multiplier, offset = int(logits.multiplier[channel]), int(logits.offset[channel])
        for n in ends:
            line = end.scale * Fraction(multiplier * n + offset, 1 << logits.shift) - affine.value(channel, n)
            worst = max(worst, abs(line), abs(line - dropped))
    return worst


def check(affine: Affine, end: End, span: Range, accumulators: np.ndarray) -> None:
    """Compare the integers of `accumulators` (n, channels) with their exact values.

    Raises `CheckFailed` that names the first one that is off by more than `error` says: a bug of ours.
    """
    bound = error(affine, end, span)
    for channel, (slope, intercept) in enumerate(zip(affine.slope, affine.intercept, strict=True)):
        seen = np.unique(accumulators[:, channel])
        column = np.zeros((len(seen), affine.channels), np.int64)
        column[:, channel] = seen
        results = end.logits.apply(column)[:, channel]
        # In one unit all four are Python integers, which are faster than fractions.
        unit = math.lcm(*(value.denominator for value in (end.scale, slope, intercept, bound)))
        one, rise, start, most = (int(value * unit) for value in (end.scale, slope, intercept, bound))
        for n, integer in zip(seen.tolist(), results.tolist(), strict=True):
            if abs(integer * one - rise * n - start) > most:
                raise CheckFailed(
                    f"output {channel} is {integer} for accumulator {n}, which is off its exact value by more than "
                    f"{float(bound):.3g}",
                    "please report this bug with the model",
                )
