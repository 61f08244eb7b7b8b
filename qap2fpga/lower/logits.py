# SPDX-License-Identifier: Apache-2.0
"""The end of the network: integers of one common scale whose largest is the network's class.

The exact logit of channel c is `slope[c] * accumulator + intercept[c]`, with another slope a channel where the
weights have a scale a channel or a batch norm follows. The argmax of raw accumulators is therefore another
class on many inputs. Here every logit becomes `(multiplier * accumulator + offset) >> shift` worth 2**-fraction.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from qap2fpga.errors import QapError
from qap2fpga.lower.exact import Affine
from qap2fpga.network import Logits

# Bits kept below the coarsest scale that has every argmax right, for inputs that were not among the vectors.
GUARD_BITS = 2
# Logits of fewer bits than this are not tried, and how many finer scales are before exact ties are accepted.
FEWEST_BITS, MOST_TRIES = 4, 48
# The scale taken then: logits of 24 bits, finer than a float32 could tell apart.
TIED_BITS = 20
# Bits that hold the exact values while they are compared; far below any gap that float32 parameters allow.
COMPARE_BITS = 256


def choose_logits(affine: Affine, accumulators: np.ndarray, low: np.ndarray, high: np.ndarray) -> Logits:
    """The coarsest `Logits` with the exact argmax on all of `accumulators` (n, channels), and two bits more.

    `low`, `high` (channels,) are the reachable accumulators. A finer scale than needed costs multipliers in the
    hardware; a coarser one would be right on these vectors by luck.
    """
    if not any(affine.slope):
        raise QapError("every output of the network is a constant", "check the last layer's batch norm")
    largest = max(
        abs(slope * int(end) + intercept)
        for slope, intercept, *ends in zip(affine.slope, affine.intercept, low, high, strict=True)
        for end in ends
    )
    exact = exact_argmax(affine, accumulators)
    first = FEWEST_BITS - ceil_log2(largest)
    for fraction in range(first, first + MOST_TRIES):
        if (_logits(affine, fraction, low, high).apply(accumulators).argmax(axis=1) == exact).all():
            guarded = _logits(affine, fraction + GUARD_BITS, low, high)
            if (guarded.apply(accumulators).argmax(axis=1) == exact).all():
                return guarded
    # Only exact ties are left, which no scale can tell apart as the rationals do.
    return _logits(affine, first + TIED_BITS, low, high)


def exact_argmax(affine: Affine, accumulators: np.ndarray) -> np.ndarray:
    """Argmax (n,) of the exact logits; the first of equals, as numpy does."""
    if len(accumulators) == 0:
        return np.zeros(0, np.int64)
    slope = np.array([round(value * 2**COMPARE_BITS) for value in affine.slope], object)
    intercept = np.array([round(value * 2**COMPARE_BITS) for value in affine.intercept], object)
    return np.asarray((accumulators.astype(object) * slope + intercept).argmax(axis=1), np.int64)


def _logits(affine: Affine, fraction: int, low: np.ndarray, high: np.ndarray) -> Logits:
    """Rounded to nearest; `shift` keeps the multiplier's error below a quarter step over the reachable range."""
    reach = int(np.maximum(np.abs(low), np.abs(high)).max())
    shift = reach.bit_length() + 1
    unit = Fraction(2) ** fraction
    multiplier = np.array([round(slope * unit * 2**shift) for slope in affine.slope], np.int64)
    offset = np.array([round((value * unit + Fraction(1, 2)) * 2**shift) for value in affine.intercept], np.int64)
    # Common factors of two cost hardware and say nothing.
    common = int(np.gcd.reduce(np.concatenate([multiplier, [1 << shift]])))
    spare = common.bit_length() - 1
    return Logits(multiplier >> spare, offset >> spare, shift - spare, fraction)


def ceil_log2(value: Fraction) -> int:
    """The smallest e with 2**e >= `value` (above 0)."""
    exponent = value.numerator.bit_length() - value.denominator.bit_length()
    return exponent if Fraction(2) ** exponent >= value else exponent + 1
