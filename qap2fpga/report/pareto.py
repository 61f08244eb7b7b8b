# SPDX-License-Identifier: Apache-2.0
"""Which of several points no other beats."""

from __future__ import annotations

from collections.abc import Sequence


def front(points: Sequence[tuple[float, ...]]) -> list[int]:
    """Indices, in order, of the non-dominated `points`, in each of whose numbers less is better.

    A point is dominated by one that is as good in every number and better in one, so of equal points all are kept.
    """
    kept: list[int] = []
    # What dominates a point comes before it in this order, and is kept or dominated by what is.
    for index in sorted(range(len(points)), key=lambda one: points[one]):
        point = points[index]
        if not any(_as_good(points[other], point) and points[other] != point for other in kept):
            kept.append(index)
    return sorted(kept)


def _as_good(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return all(mine <= theirs for mine, theirs in zip(one, other, strict=True))
