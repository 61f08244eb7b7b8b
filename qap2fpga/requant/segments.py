# SPDX-License-Identifier: Apache-2.0
"""The offsets of a piecewise implementation: where its constant ends begin, its segments, what their offsets may be.

With a tolerance of N result steps every interval of offsets is wider by N steps on either side, and the constant
results outside may begin N thresholds further in, at rounder numbers. The implementation must still rise from segment
to segment.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from qap2fpga.exact import integers as exact
from qap2fpga.requant.implementations import IMPLEMENTATION, Piecewise, Target

Terms = tuple[tuple[int, int], ...]
# Terms, and the shift of the result.
Tried = tuple[Terms, int]
NEVER = 1 << 62


def digits(number: int) -> Terms:
    """The signed digits of `number` (non-adjacent form) as (sign, shift), the highest first."""
    terms = []
    shift = 0
    while number:
        if number & 1:
            sign = 2 - (number & 3)
            terms.append((sign, shift))
            number -= sign
        number >>= 1
        shift += 1
    return tuple(reversed(terms))


def limits(target: Target, pitch: float, tolerance: int = 0) -> Iterator[tuple[int | None, int | None]]:
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


def constraints(target: Target, low: int, high: int, tolerance: int) -> Points:
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
    """`Points` with the segments' ends added, and the segment of each; `bits` bits of x from `bit` choose it.

    `points` are the starts and the ends, `results` the least there and one more than the most.
    """

    bit: int
    bits: int
    starts: np.ndarray
    start_segments: np.ndarray
    ends: np.ndarray
    end_segments: np.ndarray
    points: np.ndarray
    results: np.ndarray


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
    return Segments(
        bit, bits, starts, (starts >> bit) & mask, ends, (ends >> bit) & mask,
        np.concatenate([starts, ends]), np.concatenate([least, most + 1]),
    )  # fmt: skip


def outermost(points: Segments) -> Segments:
    """Return one segment without what never bounds its offset if the terms are a product: the points inside a hull.

    Of starts the largest `result - factor * x` counts, of ends the smallest; both are corners, whatever the factor is.
    """
    starts, least, most = points.starts, *np.split(points.results, [len(points.starts)])
    first, last = _hull(starts, least), _hull(points.ends, -most)
    starts, ends = starts[first], points.ends[last]
    return Segments(
        points.bit, points.bits, starts, points.start_segments[first], ends, points.end_segments[last],
        np.concatenate([starts, ends]), np.concatenate([least[first], most[last]]),
    )  # fmt: skip


def _hull(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The numbers of the corners of the upper hull of points whose `x` rise, and of the first and the last point."""
    kept = np.arange(len(x))
    while len(kept) > 2:
        right, up = np.diff(x[kept]), np.diff(y[kept])
        falling = exact.multiply_add(up[1:], right[:-1], 0, IMPLEMENTATION)
        # Where the slope does not fall, the point is below the line between those beside it, or on it.
        corner = exact.multiply_add(up[:-1], right[1:], 0, IMPLEMENTATION) > falling
        if corner.all():
            break
        kept = np.concatenate([kept[:1], kept[1:-1][corner], kept[-1:]])
    return kept


@dataclass(frozen=True)
class Room:
    """The offsets `lower..upper` that will do in each segment: none where `lower` is more, any where no x is."""

    lower: np.ndarray
    upper: np.ndarray

    @property
    def exists(self) -> bool:
        """Whether some offset will do in every segment."""
        return not (self.lower > self.upper).any()

    def joined(self) -> Room:
        """Return the room of segments twice as long: two of them have one offset."""
        return Room(self.lower.reshape(-1, 2).max(axis=1), self.upper.reshape(-1, 2).min(axis=1))


def rooms(tried: Sequence[Tried], segments: Segments) -> Iterator[tuple[Tried, Room]]:
    """Yield those of the terms and shifts `tried` that some offset will do for in every segment, and its room."""
    if not tried:
        return
    falling = [tuple((-sign, left) for sign, left in terms) for terms, _ in tried]
    raised = {shift: exact.shifted(segments.results, shift, IMPLEMENTATION) for shift in {shift for _, shift in tried}}
    # Of the starts the smallest offset that will do, of the ends the smallest that will not.
    bounds = exact.terms_of_each(
        falling, segments.points, IMPLEMENTATION, np.stack([raised[shift] for _, shift in tried])
    )
    least, most = np.split(bounds, [len(segments.starts)], axis=1)
    lower = _of_segments(np.maximum, least, segments.start_segments, 1 << segments.bits, -NEVER)
    upper = _of_segments(np.minimum, most - 1, segments.end_segments, 1 << segments.bits, NEVER)
    for row in np.flatnonzero((lower <= upper).all(axis=1)).tolist():
        yield tried[row], Room(lower[row], upper[row])


def _of_segments(chosen: np.ufunc, bounds: np.ndarray, which: np.ndarray, size: int, never: int) -> np.ndarray:
    """Return the largest or smallest of `bounds` (tried, points) in each of `size` segments (tried, segments)."""
    result = np.full((len(bounds), size), never, np.int64)
    order = np.argsort(which, kind="stable")
    segments, begins = np.unique(which[order], return_index=True)
    result[:, segments] = chosen.reduceat(bounds[:, order], begins, axis=1)
    return result


def fitted(
    target: Target, tried: Tried, offsets: Room, segments: Sequence[Segments], below: int | None, above: int | None, *,
    loose: bool = False,
) -> Iterator[Piecewise]:  # fmt: skip
    """Yield the implementations with the terms and the shift `tried`, that with the last of `segments` first.

    `offsets` are the room there. Each of `segments` are those after it, two by two. What fails with those cannot work
    with fewer.
    """
    for one in reversed(segments):
        implementation = _fit(target, *tried, one, offsets, below, above, loose) if offsets.exists else None
        if implementation is None:
            return
        yield implementation
        offsets = offsets.joined() if one.bits else offsets


def _fit(
    target: Target, terms: Terms, shift: int, segments: Segments, room: Room, below: int | None, above: int | None,
    loose: bool,
) -> Piecewise | None:  # fmt: skip
    """The implementation with these terms, shift and segments, whose offsets are in `room`; None if there is none.

    Where points are `loose`, two neighbouring segments might each be right and fall between them. Offsets are then in
    the middle of what will do, with as few bits as let the implementation rise everywhere.
    """
    used = room.lower > -NEVER
    lower, upper = room.lower[used], room.upper[used]
    aim = (lower + upper) // 2 if loose else lower
    chosen = np.zeros(1 << segments.bits, np.int64)
    for dropped in reversed(range(_zero_bits(lower, upper, shift) + 1)):
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


def _zero_bits(lower: np.ndarray, upper: np.ndarray, most: int) -> int:
    """How many low bits, at most `most`, may be 0 in one integer of each interval `lower..upper`."""
    # A multiple of 2**d lies in between where lower - 1 and upper differ in bit d or above; 0 lies between the signs.
    differing = (lower - 1) ^ upper
    return min(most, int(differing[differing >= 0].min(initial=NEVER)).bit_length() - 1)


def _rises(terms: Terms, shift: int, offsets: np.ndarray, segments: Segments) -> bool:
    """Whether the results rise from segment to segment; inside a segment they do."""
    points = np.unique(segments.points)
    which = (points >> segments.bit) & ((1 << segments.bits) - 1)
    results = exact.terms(terms, points, IMPLEMENTATION, offsets[which], shift)
    return bool((np.diff(results) >= 0).all())
