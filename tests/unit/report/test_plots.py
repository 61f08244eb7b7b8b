# SPDX-License-Identifier: Apache-2.0
"""Plots: every point inside the frame, ticks where they say, fronts only through what may be compared."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qap2fpga.report import plots
from qap2fpga.report.plots import Plot, Point


def point(cost: float, gain: float, group: str = "", *, sound: bool = True, mark: str = "") -> Point:
    return Point(f"{cost} {gain}", "#a", cost, gain, group, sound, mark)


def drawn(*points: Point) -> Plot:
    plot = plots.scatter("title", "LUTs", points, len(points))
    assert plot is not None
    return plot


costs = st.floats(0, 1e9, allow_nan=False).map(lambda value: round(value, 3))
gains = st.floats(0, 1)


@given(st.lists(st.tuples(costs, gains), min_size=1, max_size=20))
def test_all_points_and_ticks_lie_inside_the_frame(values: list[tuple[float, float]]) -> None:
    plot = drawn(*(point(*value) for value in values))
    dots = [dot for group in plot.groups for dot in group.dots]
    assert len(dots) == len(values)
    for dot in dots:
        assert plots.LEFT <= dot.x <= plots.RIGHT
        assert plots.TOP <= dot.y <= plots.BOTTOM
    for tick in plot.x_ticks:
        assert plots.LEFT - 0.1 <= tick.at <= plots.RIGHT + 0.1
    for ticks in (plot.x_ticks, plot.y_ticks):
        assert 1 <= len(ticks) <= plots.TICKS + 1


def test_a_tick_lies_where_a_point_of_its_value_would() -> None:
    for values in ([100.0, 1e5], [1000.0, 1800.0]):
        plot = drawn(*(point(value, 0.5) for value in values))
        assert plot.log == (values[1] / values[0] >= plots.LOG_FROM)
        for tick in plot.x_ticks:
            value = float(tick.text.replace("k", "e3").replace("M", "e6"))
            again = drawn(*(point(one, 0.5) for one in values), point(value, 0.5))
            inside = values[0] <= value <= values[1]
            assert not inside or math.isclose(again.groups[0].dots[-1].x, tick.at, abs_tol=0.11)


def test_accuracy_ticks_have_the_digits_they_need() -> None:
    close = drawn(point(1, 0.7601), point(2, 0.7603))
    texts = [tick.text for tick in close.y_ticks]
    assert len(set(texts)) == len(texts)
    assert all(len(text.split(".")[1]) >= 3 for text in texts)
    assert {tick.text for tick in drawn(point(1, 0.5), point(2, 0.9)).y_ticks} >= {"50", "60", "90"}


def test_the_front_goes_through_sound_points_of_one_group() -> None:
    plot = drawn(
        point(10, 0.5, "a"),
        point(20, 0.7, "a"),
        point(15, 0.4, "a"),
        point(5, 0.9, "a", sound=False),
        point(1, 0.95, "b"),
    )
    groups = {group.name: group for group in plot.groups}
    assert [dot.point.cost for dot in groups["a"].dots if dot.best] == [10, 20]
    assert groups["a"].line.count("H") == 1
    assert groups["b"].line == ""
    assert [dot.point.cost for dot in plot.best] == [10, 20, 1]


def test_too_many_points_are_one_path_and_the_best_keep_their_links() -> None:
    many = [point(1000.0 + index, 0.5 - index / 1e5) for index in range(plots.MOST_LINKS)]
    assert not drawn(*many).crowded
    plot = drawn(*many, point(2000.0, 0.4))
    assert plot.crowded
    group = plot.groups[0]
    assert [dot.point.cost for dot in group.dots] == [1000.0]
    assert group.others.count("M") == plots.MOST_LINKS


def test_marks_in_one_place_are_written_once() -> None:
    plot = drawn(point(10, 0.5, mark="1"), point(10, 0.5, mark="2"), point(1000, 0.9, mark="3"))
    assert [dot.mark for dot in plot.groups[0].dots] == ["1, 2", "", "3"]


def test_nothing_to_plot() -> None:
    assert plots.scatter("title", "LUTs", [], 3) is None
    plot = plots.scatter("title", "LUTs", [point(1, 0.5)], 3)
    assert plot is not None
    assert plot.left_out == 2


@pytest.mark.parametrize("same", [0.0, 5.0])
def test_points_that_are_all_the_same_are_drawn(same: float) -> None:
    plot = drawn(point(same, 0.0), point(same, 0.0))
    assert len({(dot.x, dot.y) for dot in plot.groups[0].dots}) == 1
