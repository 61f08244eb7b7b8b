# SPDX-License-Identifier: Apache-2.0
"""The cheapest exact form of every channel's step function.

With arbitrary scales the thresholds of a channel are those of `floor(slope * x + intercept)`. Written as one exact
`(a * x + b) >> f` the multiplier needs five and more signed digits. Cheaper is a coarse multiplier of one to three
digits and an offset that depends on the top bits of x: within a segment the coarse slope only has to hold for a few
thresholds. On an FPGA the offset's bit and the adder's bit are one LUT of six inputs, so the segments cost nothing.

For terms and segments given, each segment has an interval of exact offsets (from the thresholds in it and its two
ends); the form exists when no interval is empty. `forms.prove` then checks the form that was chosen.

With a tolerance of N result steps the intervals are wider by N steps on either side, and the constant results outside
may begin N thresholds further in, at rounder numbers. The form must still rise over all segments, and the results at
both ends of the range stay exact, so that it is a step function of the same range.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from qap2fpga.lower.forms import Constant, Form, Piecewise, Search, Table, Target, prove, scaled

Cost = Callable[[Form, Target], float]
Terms = tuple[tuple[int, int], ...]
# A table of more x than this is never the cheapest.
TABLE_BITS = 8
# Bits of x that choose the offset: with 5 the table, x's own bit and nothing else fit a 6-input LUT.
SEGMENT_BITS = 6
# x that a segment's thresholds may drift from the coarse slope before it is not worth trying.
DRIFT = 2.0
NEVER = 1 << 62
MOST_TERMS = 3
# Coarse multipliers have up to three digits; the last one at most so far below the first.
REACH = 7
# Above this many thresholds (logits, wide activations) only the affine form is tried.
MANY = 512
AFFINE_SHIFTS = 24
NEIGHBOURS = 24
# Hidden channels have cheaper forms than multipliers of more digits.
HIDDEN_DIGITS = 4


def cheapest(target: Target, cost: Cost, name: str, tolerance: int = 0) -> Form:
    """The form of `target` that `cost` (LUTs) likes best, proven equal (within `tolerance` result steps).

    The results at both ends of the range are exact at any tolerance.
    Raises `CheckFailed` naming `name` if a form were wrong: a bug of ours.
    """
    best: Form | None = None
    price = float("inf")
    ends = np.array([target.low, target.high])
    for form in candidates(target, tolerance):
        if tolerance and (form.apply(ends) != target.apply(ends)).any():
            continue
        found = cost(form, target)
        if found < price:
            best, price = form, found
    assert best is not None  # few thresholds have a binary search, many come from a line
    prove(best, target, name, tolerance)
    return best


def candidates(target: Target, tolerance: int = 0) -> Iterator[Form]:
    """Every form that is tried, in a fixed order."""
    if not len(target.thresholds):
        yield Constant(target.base)
        return
    if target.high - target.low < 1 << TABLE_BITS:
        yield Table(target.low, tuple(target.apply(np.arange(target.low, target.high + 1)).tolist()))
    if len(target.thresholds) <= MANY:
        yield search(target)
        if len(target.thresholds) > 1:
            yield from _piecewise(target, tolerance)
        yield from affine(target, HIDDEN_DIGITS)
    else:
        yield from affine(target, AFFINE_SHIFTS)
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
    found: list[tuple[Terms, float]] = [(((1, 0),), 1.0)]
    for first in range(1, REACH + 1):
        for sign in (1, -1):
            for lift in range(first + 1):
                found.append((((1, lift), (sign, lift - first)), (1 + sign * 2.0**-first) * 2.0**lift))
    for first in range(1, REACH):
        for second in range(first + 2, REACH + 1):
            for one in (1, -1):
                for two in (1, -1):
                    slope = 1 + one * 2.0**-first + two * 2.0**-second
                    # One step up of x must not lose two steps at once, so at least one bit is kept.
                    for lift in range(1, second + 1):
                        terms = ((1, lift), (one, lift - first), (two, lift - second))
                        found.append((terms, slope * 2.0**lift))
    return tuple(found)


def _piecewise(target: Target, tolerance: int) -> Iterator[Piecewise]:
    thresholds = target.thresholds
    pitch = (int(thresholds[-1]) - int(thresholds[0])) / (len(thresholds) - 1)
    if pitch < 1:
        return
    for below, above in _limits(target, pitch, tolerance):
        low = target.low if below is None else below
        high = target.high if above is None else above - 1
        span_bits = (high - low).bit_length()
        finest = min(SEGMENT_BITS, span_bits)
        points = _points(target, low, high, tolerance)
        segments = [split(points, max(0, span_bits - bits), bits) for bits in range(finest + 1)]
        run = min(1 << (span_bits - finest), high - low)
        enough = MOST_TERMS
        for terms, slope in coarse():
            if len(terms) > enough:
                break
            for shift in _shifts(slope * pitch):
                # Over one segment the thresholds may drift by their own rounding, and no more. One term is quickly
                # tried, and thresholds that a coarse form left need not lie on one line.
                drift = abs((1 << shift) / (slope * pitch) - 1) * run
                if len(terms) > 1 and drift > DRIFT + 2 * tolerance * pitch:
                    continue
                found = None
                # A segment is the union of two finer ones: what fails with those can not work with fewer.
                for bits in reversed(range(finest + 1)):
                    form = fit(target, terms, shift, segments[bits], below, above, loose=tolerance > 0)
                    if form is None:
                        break
                    found = form
                    if bits == SEGMENT_BITS - 1:
                        yield form
                if found is not None:
                    yield found
                    # Wherever a tolerance lets few terms do, more of them only cost more.
                    enough = len(terms) if tolerance else enough


def _shifts(scaled: float) -> tuple[int, ...]:
    near = round(float(np.log2(max(scaled, 1.0))))
    return tuple(sorted({max(0, near - 1), near, near + 1}))


def _limits(target: Target, pitch: float, tolerance: int = 0) -> Iterator[tuple[int | None, int | None]]:
    """Where the constant results begin: round numbers near the outer thresholds compare cheaply."""
    first, last, room = int(target.thresholds[0]), int(target.thresholds[-1]), int(pitch * 0.75)
    # With few thresholds both limits could meet in the middle.
    inner = min(tolerance, (len(target.thresholds) - 1) // 2)
    below = roundest(max(target.low, first - room), int(target.thresholds[inner]))
    above = roundest(int(target.thresholds[-1 - inner]), min(target.high + 1, last + room))
    yield (below if below > target.low else None), (above if above <= target.high else None)
    if (below, above) != (first, last):
        yield (first if first > target.low else None), (last if last <= target.high else None)


def roundest(low: int, high: int) -> int:
    """The integer in `low..high` with most trailing zero bits."""
    if low <= 0 <= high:
        return 0
    for bit in reversed(range(max(abs(low), abs(high)).bit_length())):
        value = -((-low) >> bit) << bit
        if low <= value <= high:
            return value
    return low


Points = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def _points(target: Target, low: int, high: int, tolerance: int) -> Points:
    """(x where a result begins, result there at least, x where it ends, result there at most), inside low..high."""
    counts = np.arange(1, len(target.thresholds) + 1)
    inside = (target.thresholds > low) & (target.thresholds <= high)
    begin, rise = target.thresholds[inside], counts[inside]
    starts = np.concatenate([[low], begin])
    least = np.concatenate([target.apply(np.array([low])) - target.base, rise])
    ends = np.concatenate([begin - 1, [high]])
    most = np.concatenate([rise - 1, target.apply(np.array([high])) - target.base])
    top = len(target.thresholds)
    return starts, np.maximum(least - tolerance, 0), ends, np.minimum(most + tolerance, top)


@dataclass(frozen=True)
class Segments:
    """`Points` with the segments' ends added, and the segment of each; `bits` bits of x from `bit` choose it."""

    bit: int
    bits: int
    starts: np.ndarray
    least: np.ndarray
    start_segments: np.ndarray
    ends: np.ndarray
    most: np.ndarray
    end_segments: np.ndarray


def split(points: Points, bit: int, bits: int) -> Segments:
    """The points of a range cut into segments by `bits` bits of x from bit `bit`."""
    starts, least, ends, most = points
    low, high = int(starts[0]), int(ends[-1])
    if bits:
        edges = np.arange((low >> bit) + 1, (high >> bit) + 1, dtype=np.int64) << bit
        at = np.searchsorted(starts, edges, side="right") - 1
        before = np.searchsorted(ends, edges - 1, side="left")
        starts, least = np.concatenate([starts, edges]), np.concatenate([least, least[at]])
        ends, most = np.concatenate([ends, edges - 1]), np.concatenate([most, most[before]])
    mask = (1 << bits) - 1
    return Segments(bit, bits, starts, least, (starts >> bit) & mask, ends, most, (ends >> bit) & mask)


def fit(
    target: Target, terms: Terms, shift: int, segments: Segments, below: int | None, above: int | None, *,
    loose: bool = False,
) -> Piecewise | None:  # fmt: skip
    """The form with these terms, shift and segments; None when some segment has no offset that will do.

    Where points are `loose`, two neighbouring segments might each be right and fall between them. Offsets are then in
    the middle of what will do, with as few bits as let the form rise everywhere.
    """
    lower = np.full(1 << segments.bits, -NEVER, np.int64)
    upper = np.full(1 << segments.bits, NEVER, np.int64)
    begin = (segments.least << shift) - scaled(terms, segments.starts)
    end = ((segments.most + 1) << shift) - 1 - scaled(terms, segments.ends)
    np.maximum.at(lower, segments.start_segments, begin)
    np.minimum.at(upper, segments.end_segments, end)
    if (lower > upper).any():
        return None
    used = lower > -NEVER
    lower, upper = lower[used], upper[used]
    aim = (lower + upper) // 2 if loose else lower
    chosen = np.zeros(1 << segments.bits, np.int64)
    for dropped in reversed(range(shift + 1)):
        # The nearest multiple to the middle, or the first from the lower end on.
        offsets = ((aim + (1 << dropped >> 1)) >> dropped if loose else -((-aim) >> dropped)) << dropped
        chosen[used] = offsets
        if ((lower <= offsets) & (offsets <= upper)).all() and (not loose or _rises(terms, shift, chosen, segments)):
            break
    else:
        return None
    return Piecewise(
        terms, shift, segments.bit, segments.bits, tuple(chosen.tolist()), below, above, target.base, target.top,
        dropped,
    )  # fmt: skip


def _rises(terms: Terms, shift: int, offsets: np.ndarray, segments: Segments) -> bool:
    """Whether the results rise from segment to segment; inside a segment they do."""
    points = np.unique(np.concatenate([segments.starts, segments.ends]))
    which = (points >> segments.bit) & ((1 << segments.bits) - 1)
    results = (scaled(terms, points) + offsets[which]) >> shift
    return bool((np.diff(results) >= 0).all())


def affine(target: Target, most_digits: int) -> Iterator[Piecewise]:
    """Exact `(a * x + b) >> f` without segments: for each f the a of fewest signed digits, `most_digits` at most."""
    if len(target.thresholds) < 2:
        return
    pitch = (int(target.thresholds[-1]) - int(target.thresholds[0])) / (len(target.thresholds) - 1)
    below, above = next(_limits(target, max(pitch, 1.0)))
    low = target.low if below is None else below
    high = target.high if above is None else above - 1
    points = split(_points(target, low, high, 0), 0, 0)
    least, most = _slopes(target)
    fewest = most_digits + 1
    for shift in range(AFFINE_SHIFTS):
        first, last = int(np.floor(least * 2.0**shift)), int(np.ceil(most * 2.0**shift))
        if last - first > NEIGHBOURS or last >= 1 << 30:
            first, last = (first + last - NEIGHBOURS) // 2, (first + last + NEIGHBOURS) // 2
        if target.line is not None:
            middle = (target.line[0] << shift) >> target.line[2]
            first, last = middle - NEIGHBOURS // 2, middle + NEIGHBOURS // 2
        # More digits than with a smaller shift are never better.
        tried = [(len(digits(a)), a) for a in range(max(1, first), last + 1)]
        for count, a in sorted(one for one in tried if one[0] < fewest):
            form = fit(target, digits(a), shift, points, below, above)
            if form is not None:
                fewest = count
                yield form
                break


def _slopes(target: Target) -> tuple[float, float]:
    """A little more than the interval of slopes (results per x) that can be exact, in floats."""
    first, last = int(target.thresholds[0]), int(target.thresholds[-1])
    steps = len(target.thresholds) - 1
    if last - first < 2 or not steps:
        return 1.0, 0.0
    return steps / (last - first + 1), steps / (last - first - 1)


def digits(number: int) -> Terms:
    """The signed digits of `number` (non-adjacent form) as (sign, shift), the highest first."""
    found = []
    shift = 0
    while number:
        if number & 1:
            sign = 2 - (number & 3)
            found.append((sign, shift))
            number -= sign
        number >>= 1
        shift += 1
    return tuple(reversed(found))
