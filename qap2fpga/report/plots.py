# SPDX-License-Identifier: Apache-2.0
"""Where the points, ticks and fronts of a plot lie, in the units of its SVG; the template only draws them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from qap2fpga.report import show
from qap2fpga.report.compare import front

# The drawing in SVG units, which are about CSS pixels; the frame leaves room for tick labels.
WIDTH, HEIGHT = 400.0, 300.0
LEFT, RIGHT, TOP, BOTTOM = 52.0, 388.0, 26.0, 254.0
TICKS = 5
MARK_WIDTH, MARK_HEIGHT = 16.0, 12.0  # of what is written beside a point
LOG_FROM = 8.0  # an axis whose largest value is this many times the smallest is logarithmic
# More points than this are drawn as one path without links: the page must stay small.
MOST_LINKS = 600


@dataclass(frozen=True)
class Point:
    """One thing to plot: `cost` (less is better), `gain` (more is better), and where it leads.

    `group` names what it may be compared with; points of other groups are another kind of measurement. `sound` is
    false where a check failed: then it is drawn, and no front goes through it.
    """

    label: str
    link: str
    cost: float
    gain: float
    group: str
    sound: bool = True
    mark: str = ""


@dataclass(frozen=True)
class Tick:
    """A place on an axis and what is written there."""

    at: float
    text: str


@dataclass(frozen=True)
class Dot:
    """A point as drawn. `mark` is what is written beside it; dots in one place share one."""

    x: float
    y: float
    point: Point
    best: bool
    mark: str


@dataclass(frozen=True)
class Group:
    """Points that may be compared: the linked ones, a path of all others, and the front through the best."""

    name: str
    dots: tuple[Dot, ...]
    others: str
    line: str


@dataclass(frozen=True)
class Plot:
    """A scatter plot of gain against cost."""

    title: str
    cost: str
    groups: tuple[Group, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    log: bool
    left_out: int

    @property
    def crowded(self) -> bool:
        """Whether some points are only drawn and lead nowhere."""
        return any(group.others for group in self.groups)

    @property
    def best(self) -> tuple[Dot, ...]:
        """The dots that no comparable one beats."""
        return tuple(dot for group in self.groups for dot in group.dots if dot.best)


def scatter(title: str, cost: str, points: Sequence[Point], total: int) -> Plot | None:
    """The plot of `points`, of `total` things that might have had one; None if there is no point."""
    if not points:
        return None
    costs, gains = [point.cost for point in points], [point.gain for point in points]
    x, y = scales(costs, gains)
    places = [(x.place(point.cost), y.place(point.gain)) for point in points]
    marks = _marks(points, places)
    together: dict[str, list[int]] = {}
    for index, point in enumerate(points):
        together.setdefault(point.group, []).append(index)
    groups = []
    for name, members in together.items():
        best = _best(points, members)
        dots = [Dot(*places[index], points[index], index in best, marks[index]) for index in members]
        groups.append(_group(name, dots, [places[index] for index in best], crowded=len(points) > MOST_LINKS))
    return Plot(title, cost, tuple(groups), cost_ticks(x), percent_ticks(y), x.log, total - len(points))


def scales(costs: Sequence[float], shares: Sequence[float]) -> tuple[Scale, Scale]:
    """The scale across, logarithmic where the costs are far apart, and the one up."""
    log = min(costs) > 0 and max(costs) / min(costs) >= LOG_FROM
    return Scale(costs, LEFT, RIGHT, log=log), Scale(shares, BOTTOM, TOP, log=False)


def cost_ticks(scale: Scale) -> tuple[Tick, ...]:
    """The ticks of a count."""
    return tuple(Tick(scale.place(at), show.short(at)) for at in scale.ticks)


def percent_ticks(scale: Scale) -> tuple[Tick, ...]:
    """The ticks of a share, in per cent, with the digits that tell them apart."""
    digits = max(0, -math.floor(math.log10(100 * scale.step) + 1e-9))
    return tuple(Tick(scale.place(at), f"{100 * at:.{digits}f}") for at in scale.ticks)


def _best(points: Sequence[Point], members: list[int]) -> list[int]:
    """Those of `members` that no other of them beats, by rising cost."""
    sound = [index for index in members if points[index].sound]
    return [sound[index] for index in front([(points[index].cost, points[index].gain) for index in sound])]


def _group(name: str, dots: list[Dot], best: list[tuple[float, float]], *, crowded: bool) -> Group:
    linked = tuple(dot for dot in dots if dot.best or not crowded)
    # A path of lines of no length with round ends is the shortest way to write many dots.
    others = "".join(f"M{dot.x:g} {dot.y:g}h0" for dot in dots if crowded and not dot.best)
    return Group(name, linked, others, _staircase(best))


def _marks(points: Sequence[Point], places: list[tuple[float, float]]) -> list[str]:
    """What is written beside each point: marks that would lie on each other are put together beside the first."""
    marks = [""] * len(points)
    written: list[int] = []
    for index, point in enumerate(points):
        if not point.mark:
            continue
        x, y = places[index]
        near = (
            one for one in written if abs(places[one][0] - x) < MARK_WIDTH and abs(places[one][1] - y) < MARK_HEIGHT
        )
        first = next(near, None)
        if first is None:
            marks[index] = point.mark
            written.append(index)
        else:
            marks[first] += f", {point.mark}"
    return marks


def _staircase(points: list[tuple[float, float]]) -> str:
    """The front as steps: at a cost, what the best of at most this cost gains."""
    if len(points) < 2:
        return ""
    steps = "".join(f"H{x:g}V{y:g}" for x, y in points[1:])
    return f"M{points[0][0]:g} {points[0][1]:g}{steps}"


class Scale:
    """From values to places between `low_at` and `high_at`, with round ticks."""

    def __init__(self, values: Sequence[float], low_at: float, high_at: float, *, log: bool) -> None:
        self.log, self.low_at, self.high_at = log, low_at, high_at
        low, high = min(values), max(values)
        if log:
            low, high = math.log10(low), math.log10(high)
        margin = 0.06 * (high - low) or 0.05 * abs(high) or 1.0
        self.low, self.high = low - margin, high + margin
        self.step = _round_step((self.high - self.low) / TICKS)
        self.ticks = self._decades() if log else self._even()

    def place(self, value: float) -> float:
        """Where `value` is drawn."""
        scaled = math.log10(value) if self.log else value
        part = (scaled - self.low) / (self.high - self.low)
        return round(self.low_at + part * (self.high_at - self.low_at), 1)

    def _even(self) -> list[float]:
        first = math.ceil(self.low / self.step - 1e-9)
        last = math.floor(self.high / self.step + 1e-9)
        return [index * self.step for index in range(first, last + 1)]

    def _decades(self) -> list[float]:
        for factors in ((1, 2, 5), (1, 3), (1,)):
            places = [
                factor * 10.0**power
                for power in range(math.floor(self.low), math.ceil(self.high) + 1)
                for factor in factors
                if self.low <= math.log10(factor * 10.0**power) <= self.high
            ]
            if len(places) <= TICKS + 1:
                break
        return places[:: -(-len(places) // (TICKS + 1))] if places else []


def _round_step(raw: float) -> float:
    """The next of 1, 2, 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(raw))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * (1 - 1e-9))
