# SPDX-License-Identifier: Apache-2.0
"""Lines `(a * x + b) >> f` that are exact for many thresholds, with as many fractional bits as that takes.

A line over N values of x may need twice as many fractional bits as N has. How much room a slope leaves for the offset
is a concave function of it: the slopes that will do are one interval, of which bisection finds a point and both ends,
in integers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from qap2fpga.requant.implementations import Piecewise, Target
from qap2fpga.requant.segments import Segments, constraints, digits, outermost, roundest, split

# Slopes that are tried at a shift; and shifts beyond the first at which one will do, which may take fewer digits.
NEIGHBOURS = 64
MORE_SHIFTS = 4


def straight(target: Target, below: int | None = None, above: int | None = None) -> Iterator[Piecewise]:
    """Yield lines of `target`, each of fewer digits than those before it; none where its thresholds are on no line.

    From `below` down and from `above` on the result is constant, if these are given; else the line has to be right
    there, too.
    """
    low = target.low if below is None else below
    high = target.high if above is None else above - 1
    corners = _Corners(outermost(split(constraints(target, low, high, 0), 0, 0)))
    # Slopes between points whose x differ by N at most differ by 1 / N**2 and more.
    finest = 2 * (high - low).bit_length() + 2
    slopes = corners.slopes(finest)
    if slopes is None:
        return
    least, most = slopes
    fewest, end = finest, finest
    for shift in range(finest + 1):
        first, last = -(-least >> finest - shift), most >> finest - shift
        tried = [(len(digits(a)), a) for a in range(max(1, first), min(last, first + NEIGHBOURS) + 1)]
        for count, a in sorted(one for one in tried if one[0] < fewest):
            lower, upper = corners.offsets(a, shift)
            if lower <= upper:
                end, fewest = min(end, shift + MORE_SHIFTS), count
                offset = roundest(lower, upper)
                dropped = min(shift, (offset & -offset).bit_length() - 1) if offset else shift
                yield Piecewise(digits(a), shift, 0, 0, (offset,), below, above, target.base, target.top, dropped)
                break
        if shift == end:
            return


class _Corners:
    """The points that bound a line's offset: results that are reached at an x, and others that are not yet."""

    def __init__(self, whole: Segments) -> None:
        points = list(zip(whole.points.tolist(), whole.results.tolist(), strict=True))
        self.reached, self.beyond = points[: len(whole.starts)], points[len(whole.starts) :]

    def offsets(self, slope: int, shift: int) -> tuple[int, int]:
        """The least and the largest offset that is exact; there is none where they are crossed."""
        lower = max((y << shift) - slope * x for x, y in self.reached)
        return lower, min((y << shift) - slope * x for x, y in self.beyond) - 1

    def slopes(self, shift: int) -> tuple[int, int] | None:
        """The least and the largest slope, times `2**shift`, of a line that is exact; None where there is none."""

        def room(slope: int) -> int:
            lower, upper = self.offsets(slope, shift)
            return upper - lower

        most = max(y for _, y in self.beyond) + 1 << shift
        # The room is concave: from the best slope on it does not rise.
        best = _first(0, most, lambda slope: room(slope + 1) <= room(slope))
        if room(best) < 0:
            return None
        return _first(0, best, lambda slope: room(slope) >= 0), _first(best, most, lambda slope: room(slope) < 0) - 1


def _first(low: int, high: int, holds: Callable[[int], bool]) -> int:
    """The first number from `low` on for which `holds`, which it then does for all; `high` if there is none below."""
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    return low
