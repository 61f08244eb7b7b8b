# SPDX-License-Identifier: Apache-2.0
"""The non-dominated of some points."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from qap2fpga.report import pareto

POINTS = st.integers(1, 4).flatmap(lambda size: st.lists(st.tuples(*[st.integers(0, 4)] * size), max_size=25))


@given(POINTS)
def test_a_point_is_kept_if_and_only_if_no_other_dominates_it(points: list[tuple[int, ...]]) -> None:
    def dominated(point: tuple[int, ...]) -> bool:
        return any(one != point and all(a <= b for a, b in zip(one, point, strict=True)) for one in points)

    assert pareto.front(points) == [index for index, point in enumerate(points) if not dominated(point)]
