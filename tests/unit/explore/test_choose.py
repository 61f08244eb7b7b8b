# SPDX-License-Identifier: Apache-2.0
"""Candidates in the order in which they are built."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from qap2fpga.explore import choose
from qap2fpga.explore.choose import DROPPED, FAILED, RANKED
from qap2fpga.explore.estimates import Line
from qap2fpga.explore.limits import Limits
from tests.support.explorations import candidate, estimated, point


def test_only_what_certainly_breaks_a_limit_is_dropped() -> None:
    limits = Limits(max_lut=1000, min_accuracy=0.7)
    sure, perhaps, never = (point(str(lut), lut, limits=limits, spread=1.2) for lut in (900, 1100, 1300))
    assert (sure.status, sure.expected) == (RANKED, ())
    assert perhaps.status == RANKED and perhaps.expected[0].text == "1,100 LUTs (--max-lut 1,000)"
    assert never.status == DROPPED and never.certain[0].text == "at least 1,083 LUTs (--max-lut 1,000)"
    assert point("bad", 10, 0.69, limits).status == DROPPED
    slow = choose.point(candidate("slow"), estimated(10, 30), {}, "", Limits(max_latency_ns=149))
    assert slow.status == DROPPED and slow.summary.latency_ns == 150


def test_the_pareto_set_comes_first_then_the_rest_then_what_may_meet_the_limits() -> None:
    limits = Limits(max_lut=1000)
    points = [
        point("beyond", 1190, 0.9, limits, spread=1.2),
        point("accurate", 900, 0.8, limits),
        point("beaten", 900, 0.7, limits),
        point("small", 300, 0.7, limits),
        point("fast", 950, 0.75, limits, cycles=5),
        point("nearer", 1010, 0.6, limits, spread=1.2),
        point("unknown", 200, None, limits),
        point("dropped", 5000, 0.9, limits),
        choose.point(candidate("failed"), Line(key="k", name="n", refused="why"), {}, "", limits),
    ]
    ranked = choose.rank(points)
    assert [one.candidate.name for one in ranked] == [one.candidate.name for one in points]
    order = sorted((one for one in ranked if one.rank), key=lambda one: one.rank or 0)
    assert [one.candidate.name for one in order] == [
        "accurate", "fast", "small", "unknown", "beaten", "nearer", "beyond",
    ]  # fmt: skip
    assert [one.candidate.name for one in ranked if one.best] == ["accurate", "small", "fast", "unknown"]
    assert [one.status for one in ranked[-2:]] == [DROPPED, FAILED]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 4), st.integers(1, 3)), max_size=12))
def test_every_ranked_point_has_its_own_place(found: list[tuple[int, int, int]]) -> None:
    points = [point("p", 100 * lut, accuracy / 3, cycles=cycles) for accuracy, lut, cycles in found]
    places = [one.rank for one in choose.rank(points)]
    assert sorted(places) == list(range(1, len(found) + 1))
