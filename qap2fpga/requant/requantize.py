# SPDX-License-Identifier: Apache-2.0
"""The cheapest exact implementation of every channel's step function.

With arbitrary scales the thresholds of a channel are those of `floor(slope * x + intercept)`. Written as one exact
`(a * x + b) >> f` the multiplier needs five and more signed digits. Cheaper is a coarse multiplier of one to three
digits and an offset that depends on the top bits of x: within a segment the coarse slope only has to hold for a few
thresholds. On an FPGA the offset's bit and the adder's bit are one LUT of six inputs, so the segments cost nothing.

For terms and segments given, each segment has an interval of exact offsets (from the thresholds in it and its two
ends); the implementation exists when no interval is empty. `implementations.prove` then checks the implementation that
was chosen.

With a tolerance the results at both ends of the range stay exact: the implementation is a step function of the same
range.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import lru_cache

import numpy as np

from qap2fpga.requant.implementations import Constant, Implementation, Piecewise, Search, Table, Target, prove
from qap2fpga.requant.segments import NEVER, Terms, Tried, constraints, digits, fitted, limits, outermost, rooms, split
from qap2fpga.requant.straight import straight

# It rises with the number of terms, with the offsets' bits and with their number.
Cost = Callable[[Implementation, Target], float]
# Whether anything that costs as much as an implementation, or more, may still be chosen.
Worth = Callable[[Piecewise], bool]
# Channels whose implementations are remembered.
KEPT = 2048
# A table of more x than this is never the cheapest.
TABLE_BITS = 8
# Bits of x that choose the offset: with 5 the table, x's own bit and nothing else fit a 6-input LUT.
SEGMENT_BITS = 6
# x that a segment's thresholds may drift from the coarse slope before it is not worth trying.
DRIFT = 2.0
MOST_TERMS = 3
# Coarse multipliers have up to three digits; the last one at most so far below the first.
MOST_SHIFT = 7
# Above this many thresholds (logits, wide activations) lines are tried alone, those of few fractional bits first, and
# where there is none, as for a curve, a binary search.
MANY = 512
AFFINE_SHIFTS = 24
NEIGHBOURS = 24
# Hidden channels have cheaper implementations than multipliers of more digits.
HIDDEN_DIGITS = 4


def cheapest(target: Target, cost: Cost, name: str, tolerance: int = 0) -> Implementation:
    """The implementation of `target` that `cost` (LUTs) likes best, proven equal (within `tolerance` result steps).

    The results at both ends of the range are exact at any tolerance.
    Raises `CheckFailed` naming `name` if an implementation were wrong: a bug of ours.
    """
    best = _cheapest(target, cost, tolerance)
    prove(best, target, name, tolerance)
    return best


@lru_cache(maxsize=KEPT)
def _cheapest(target: Target, cost: Cost, tolerance: int) -> Implementation:
    """The same, not yet proven. Designs for several boards, intervals and outputs have the same channels."""
    best: Implementation | None = None
    price = float("inf")
    ends = np.array([target.low, target.high])

    def worth(implementation: Piecewise) -> bool:
        # With a tolerance what is tried last depends on all that was before it.
        return tolerance > 0 or cost(implementation, target) < price

    for implementation in candidates(target, tolerance, worth):
        if tolerance and (implementation.apply(ends) != target.apply(ends)).any():
            continue
        implementation_price = cost(implementation, target)
        if implementation_price < price:
            best, price = implementation, implementation_price
    assert best is not None  # each target has a search, a line or is constant
    return best


def candidates(
    target: Target, tolerance: int = 0, worth: Worth = lambda implementation: True
) -> Iterator[Implementation]:
    """Every implementation that is tried, in a fixed order, but for those of many that are not `worth` it."""
    if target.highest is not None:
        yield from _line(target)
        return
    if not len(target.thresholds):
        yield Constant(target.base)
        return
    if target.high - target.low < 1 << TABLE_BITS:
        yield Table(target.low, tuple(target.apply(np.arange(target.low, target.high + 1)).tolist()))
    if len(target.thresholds) <= MANY:
        yield search(target)
        if len(target.thresholds) > 1:
            yield from _piecewise(target, tolerance, worth)
        yield from affine(target, HIDDEN_DIGITS)
    else:
        few: list[Implementation] = [*affine(target, AFFINE_SHIFTS), *_line(target)]
        yield from few or [*straight(target, *next(limits(target, 1.0)))] or [search(target)]
        return
    yield from _line(target)


def _line(target: Target) -> Iterator[Piecewise]:
    """The target's own line, if it has one."""
    if target.line is not None:
        multiplier, offset, shift = target.line
        moved = (offset - (target.base << shift),)
        yield Piecewise(digits(multiplier), shift, 0, 0, moved, None, None, target.base, target.top)


def search(target: Target) -> Search:
    """The binary search over the thresholds of `target`."""
    bits = len(target.thresholds).bit_length()
    never = [target.high + 1] * ((1 << bits) - 1 - len(target.thresholds))
    return Search((*target.thresholds.tolist(), *never), bits, target.base)


@lru_cache(maxsize=1)
def coarse() -> tuple[tuple[Terms, float], ...]:
    """(terms, slope) of multipliers 1 +- 2**-i +- 2**-j, with all their bits and with low bits dropped.

    Fewest digits first. The first term's left shift is the number of fractional bits that are kept.
    """
    multipliers: list[tuple[Terms, float]] = [(((1, 0),), 1.0)]
    for first in range(1, MOST_SHIFT + 1):
        for sign in (1, -1):
            for lift in range(first + 1):
                multipliers.append((((1, lift), (sign, lift - first)), (1 + sign * 2.0**-first) * 2.0**lift))
    for first in range(1, MOST_SHIFT):
        for second in range(first + 2, MOST_SHIFT + 1):
            for one in (1, -1):
                for two in (1, -1):
                    slope = 1 + one * 2.0**-first + two * 2.0**-second
                    # One step up of x must not lose two steps at once, so at least one bit is kept.
                    for lift in range(1, second + 1):
                        terms = ((1, lift), (one, lift - first), (two, lift - second))
                        multipliers.append((terms, slope * 2.0**lift))
    return tuple(multipliers)


def _piecewise(target: Target, tolerance: int, worth: Worth) -> Iterator[Piecewise]:
    thresholds = target.thresholds
    pitch = (int(thresholds[-1]) - int(thresholds[0])) / (len(thresholds) - 1)
    if pitch < 1:
        return
    for below, above in limits(target, pitch, tolerance):
        low = target.low if below is None else below
        high = target.high if above is None else above - 1
        span_bits = (high - low).bit_length()
        finest = min(SEGMENT_BITS, span_bits)
        points = constraints(target, low, high, tolerance)
        segments = [split(points, max(0, span_bits - bits), bits) for bits in range(finest + 1)]
        # Over one segment the thresholds may drift by their own rounding, and no more.
        tried = _tried(pitch, min(1 << (span_bits - finest), high - low), DRIFT + 2 * tolerance * pitch)
        enough = MOST_TERMS
        for one, offsets in rooms(tried, segments[-1]):
            terms, shift = one
            if len(terms) > enough:
                break
            least = Piecewise(terms, shift, 0, 0, (0,), below, above, target.base, target.top, shift)
            if not worth(least):
                continue
            best = None
            for implementation in fitted(target, one, offsets, segments, below, above, loose=tolerance > 0):
                best = implementation
                if implementation.bits == SEGMENT_BITS - 1:
                    yield implementation
                # With fewer segments no more bits of the offsets can be 0.
                dropped = implementation.dropped
                if dropped < shift and not worth(replace(least, offsets=(1 << dropped,), dropped=dropped)):
                    break
            if best is not None:
                yield best
                # Wherever a tolerance lets few terms do, more of them only cost more.
                enough = len(terms) if tolerance else enough


def _tried(pitch: float, run: int, most: float) -> list[Tried]:
    """The coarse multipliers with each shift that comes near, fewest terms first.

    Those of several terms drift by `most` x at most within `run` x. One term is quickly tried, and thresholds that a
    coarse implementation left need not lie on one line.
    """
    slopes, is_single = _slopes_of_coarse()
    scaled = slopes[:, None] * pitch
    near = np.rint(np.log2(np.maximum(scaled, 1.0))).astype(np.int64)
    shifts = near + np.array([-1, 0, 1])
    drift = np.abs(np.ldexp(1.0, shifts) / scaled - 1) * run
    chosen = (shifts >= 0) & (is_single[:, None] | (drift <= most))
    return [(coarse()[row][0], int(shifts[row, column])) for row, column in zip(*np.nonzero(chosen), strict=True)]


@lru_cache(maxsize=1)
def _slopes_of_coarse() -> tuple[np.ndarray, np.ndarray]:
    """The slopes of the coarse multipliers, and whether each has one term."""
    return np.array([slope for _, slope in coarse()]), np.array([len(terms) == 1 for terms, _ in coarse()])


def affine(target: Target, most_digits: int) -> Iterator[Piecewise]:
    """Exact `(a * x + b) >> f` without segments: for each f the a of fewest signed digits, `most_digits` at most."""
    if len(target.thresholds) < 2:
        return
    pitch = (int(target.thresholds[-1]) - int(target.thresholds[0])) / (len(target.thresholds) - 1)
    below, above = next(limits(target, max(pitch, 1.0)))
    low = target.low if below is None else below
    high = target.high if above is None else above - 1
    whole = [outermost(split(constraints(target, low, high, 0), 0, 0))]
    least, most = _slopes(target)
    tried: list[Tried] = []
    for shift in range(AFFINE_SHIFTS):
        first, last = int(np.floor(least * 2.0**shift)), int(np.ceil(most * 2.0**shift))
        if last - first > NEIGHBOURS or last >= 1 << 30:
            first, last = (first + last - NEIGHBOURS) // 2, (first + last + NEIGHBOURS) // 2
        if target.line is not None:
            middle = (target.line[0] << shift) >> target.line[2]
            first, last = middle - NEIGHBOURS // 2, middle + NEIGHBOURS // 2
        # Offsets that do not fit in 62 bits are `straight`'s.
        if (len(target.thresholds) + 1 << shift) + last * max(abs(low), abs(high)) >= NEVER:
            break
        several = sorted(map(digits, range(max(1, first), last + 1)), key=len)
        tried += [(terms, shift) for terms in several if len(terms) <= most_digits]
    fewest = most_digits + 1
    for one, offsets in rooms(tried, whole[0]):
        # More digits than with a smaller shift are never better.
        if len(one[0]) < fewest:
            fewest = len(one[0])
            yield next(fitted(target, one, offsets, whole, below, above))


def _slopes(target: Target) -> tuple[float, float]:
    """A little more than the interval of slopes (results per x) that can be exact, in floats."""
    first, last = int(target.thresholds[0]), int(target.thresholds[-1])
    steps = len(target.thresholds) - 1
    if last - first < 2 or not steps:
        return 1.0, 0.0
    return steps / (last - first + 1), steps / (last - first - 1)
