# SPDX-License-Identifier: Apache-2.0
"""Step functions with thousands of levels as one exact `(multiplier * x + offset) >> shift`.

Activations of 12 bits and more have too many thresholds for a table. They came from one scale, so a straight line
passes through them: it must be at level k or above in every threshold T_k, and below k at T_k - 1. With the line
through the first and the last threshold taken off, what is left is small and float64 finds the slope; multiplier
and offset are then checked in integers.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

# More bits than this and the thresholds do not lie on a line.
MOST_SHIFT = 128
ROUNDS = 200


@dataclass(frozen=True)
class Affine:
    """`clamp((multiplier * x + offset) >> shift, 0, levels)`, equal to the number of thresholds not above x."""

    multiplier: int
    offset: int
    shift: int
    levels: int


def affine(thresholds: np.ndarray) -> Affine | None:
    """The exact one with the smallest shift of ascending `thresholds` (n,), two at least; None if there is none.

    It is exact for every integer: at each threshold and just below it by the check of `_offsets`, between them
    since the line rises, and outside by the clamp.
    """
    slope = _slope(thresholds)
    if slope is None:
        return None
    points, levels = thresholds.astype(object), np.arange(1, len(thresholds) + 1).astype(object)
    for shift in range(max(0, -_log2(slope) - 1), MOST_SHIFT):
        # Cheap first: over the span, a rounded multiplier is off by less than half a step of x.
        if Fraction(int(thresholds[-1] - thresholds[0]), 2 << shift) > slope:
            continue
        multiplier = round(slope * (1 << shift))
        low, high = _offsets(points, levels, multiplier, shift)
        if low <= high:
            # Of the offsets that do, the one with most zero bits at its end.
            bits = next(bit for bit in reversed(range(shift + 1)) if -((-low) >> bit) << bit <= high)
            return Affine(multiplier, -((-low) >> bits) << bits, shift, len(thresholds))
    return None


def _slope(thresholds: np.ndarray) -> Fraction | None:
    """A slope that separates the thresholds from what lies just below them, or None."""
    first, last, steps = int(thresholds[0]), int(thresholds[-1]), len(thresholds) - 1
    span = last - first
    if not span or steps * span >= 1 << 62:
        return None
    x = (thresholds - first).astype(np.int64)
    # Exact in int64: how far each threshold lies off the line through the first and the last one.
    at = (np.arange(len(x)) * span - steps * x) / span
    below = at + steps / span

    def gap(tilt: float) -> float:
        return float((at - tilt * x).max() - (below - tilt * (x - 1)).min())

    # `gap` is convex in the tilt; a line exists where it is below 0.
    low, high = -2 * steps / span / span, 2 * steps / span / span
    for _ in range(ROUNDS):
        third = (high - low) / 3
        if gap(low + third) <= gap(high - third):
            high -= third
        else:
            low += third
    tilt = (low + high) / 2
    return Fraction(steps, span) + Fraction(tilt) if gap(tilt) < 0 else None


def _offsets(points: np.ndarray, levels: np.ndarray, multiplier: int, shift: int) -> tuple[int, int]:
    """The smallest and the largest offset that are exact, in Python's integers; none when they are crossed."""
    reached = (levels << shift) - points * multiplier
    return int(reached.max()), int((reached + multiplier).min()) - 1


def _log2(value: Fraction) -> int:
    return value.numerator.bit_length() - value.denominator.bit_length()
