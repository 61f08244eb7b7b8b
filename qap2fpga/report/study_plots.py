# SPDX-License-Identifier: Apache-2.0
"""All runs of a study as plots of its page: each run a pale dot, each setting its means, the best of them marked.

The places are units of the plots' SVG, as in `plots`; the template only draws them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from qap2fpga.report import compare, plots, show
from qap2fpga.report.plots import Scale, Tick
from qap2fpga.report.study_means import Mean
from qap2fpga.report.summary import Summary

# Colours and marks of the page, which together tell so many times so many settings apart.
COLOURS = MARKS = 6


@dataclass(frozen=True)
class Dot:
    """The mean of a setting at one step, with the ends of its error bar; `best`: no other mean beats it in both."""

    x: float
    y: float
    low: float
    high: float
    text: str
    best: bool


@dataclass(frozen=True)
class Series:
    """A setting, or the trials of a search: the `runs` and the `line` through the means are paths."""

    name: str
    colour: int
    mark: int
    dots: tuple[Dot, ...]
    runs: str
    line: str


@dataclass(frozen=True)
class StudyPlot:
    """Accuracy against one cost."""

    cost: str
    series: tuple[Series, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    log: bool


@dataclass(frozen=True)
class _Cost:
    """What lies across: of a mean, and of a single run."""

    name: str
    of_mean: Callable[[Mean], float | None]
    of_run: Callable[[Summary], float | None]


COSTS = (
    _Cost("BOPs", lambda mean: mean.bops, lambda run: run.bops_paper),
    _Cost("estimated LUTs", lambda mean: mean.lut, lambda run: run.lut),
)


def draw(means: Sequence[Mean]) -> tuple[StudyPlot, ...]:
    """Return a plot against each cost that two means or more have."""
    every = [(cost, [one for one in means if cost.of_mean(one) is not None]) for cost in COSTS]
    # A setting looks the same in all plots, whether or not all have it.
    names = order(means)
    return tuple(_plot(cost, known, names) for cost, known in every if len(known) > 1)


def order(means: Sequence[Mean]) -> list[str]:
    """Return the names of all settings and searches, in the order in which they get their looks."""
    return list(dict.fromkeys(map(_series_name, means)))


def look(number: int) -> tuple[int, int]:
    """Return the colour and the mark of a setting."""
    return number % COLOURS, (number + number // COLOURS) % MARKS


def _series_name(mean: Mean) -> str:
    return f"search {mean.search}" if mean.search else mean.name


def _plot(cost: _Cost, means: Sequence[Mean], names: Sequence[str]) -> StudyPlot:
    runs = {id(one): _runs(cost, one) for one in means}
    places = [(cost.of_mean(one) or 0.0, one.accuracy) for one in means]
    bars = [one.accuracy + sign * (one.error or 0.0) for one in means for sign in (-1, 1)]
    single = [place for each in runs.values() for place in each]
    x, y = plots.scales([at for at, _ in (*places, *single)], [*bars, *(up for _, up in single)])
    best = {id(means[index]) for index in _best(means, places)}
    together: dict[str, list[Mean]] = {}
    for one in means:
        together.setdefault(_series_name(one), []).append(one)
    series = []
    for name, members in together.items():
        dots = tuple(_dot(cost, one, x, y, best=id(one) in best) for one in members)
        light = "".join(f"M{x.place(at):g} {y.place(up):g}h0" for one in members for at, up in runs[id(one)])
        joined = members[0].search is None and len(dots) > 1
        line = "M" + "L".join(f"{dot.x:g} {dot.y:g}" for dot in dots) if joined else ""
        series.append(Series(name, *look(names.index(name)), dots, light, line))
    return StudyPlot(cost.name, tuple(series), plots.cost_ticks(x), plots.percent_ticks(y), x.log)


def _best(means: Sequence[Mean], places: Sequence[tuple[float, float]]) -> list[int]:
    """Those that no other beats whose accuracy is of the same rows of the same data."""
    together: dict[object, list[int]] = {}
    for index, one in enumerate(means):
        together.setdefault(one.checkpoints[0].basis("accuracy"), []).append(index)
    return [each[place] for each in together.values() for place in compare.front([places[index] for index in each])]


def _runs(cost: _Cost, mean: Mean) -> list[tuple[float, float]]:
    """The single runs, where there are several."""
    if mean.runs < 2:
        return []
    pairs = [(cost.of_run(one), one.accuracy) for one in mean.checkpoints]
    return [(at, up) for at, up in pairs if at is not None and up is not None]


def _dot(cost: _Cost, mean: Mean, x: Scale, y: Scale, *, best: bool) -> Dot:
    at, error = cost.of_mean(mean) or 0.0, mean.error or 0.0
    spread = "" if mean.error is None else f"{show.error(mean.error)}, mean of {mean.runs} runs"
    text = f"{mean.name}, step {mean.step}: {show.percent(mean.accuracy)}{spread}; {show.number(at)} {cost.name}"
    ends = (y.place(mean.accuracy - error), y.place(mean.accuracy + error))
    return Dot(x.place(at), y.place(mean.accuracy), *ends, text, best)
