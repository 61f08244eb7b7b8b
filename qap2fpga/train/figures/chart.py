# SPDX-License-Identifier: Apache-2.0
"""What a figure shows, as values: panels of curves. `image` makes the image of it, and the CSV is it.

Shares are 0 to 1 here and in the CSV; an axis in per cent shows them times a hundred.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from qap2fpga.system.names import cell
from qap2fpga.train.figures.records import Run, Step

COLUMNS = ("panel", "curve", "x_quantity", "x", "y_quantity", "y", "y_error", "sparsity", "runs")


@dataclass(frozen=True)
class Axis:
    """A quantity and how it is shown; `whole`: it has no values between whole numbers."""

    label: str
    log: bool = False
    percent: bool = False
    whole: bool = False


@dataclass(frozen=True)
class Point:
    """One value: `error` is the standard error of the mean of `runs` runs, None where there is but one."""

    x: float
    y: float
    error: float | None = None
    sparsity: float | None = None
    runs: int = 1


@dataclass(frozen=True)
class Curve:
    """A named line or set of points. `colour` is an index into the palette; curves that differ in colour and no other
    way get different markers too. `light` ones are single runs, pale behind their mean; a `ring` is drawn around
    points that other curves have. The line is broken before the points at `breaks`."""

    label: str
    points: tuple[Point, ...]
    colour: int
    dashed: bool = False
    line: bool = True
    marker: bool = True
    star: bool = False
    light: bool = False
    ring: bool = False
    breaks: tuple[int, ...] = ()

    @property
    def named(self) -> bool:
        """Whether its name is written in the image; those of single runs and of rings are only in the CSV."""
        return not self.light and not self.ring


@dataclass(frozen=True)
class Panel:
    """One pair of axes. `verticals` are (x, text) of thin lines, `caps` (y, text) of horizontal ones; y below `floor`
    is not shown; `legend`: the curves are named inside the panel."""

    title: str
    x: Axis
    y: Axis
    curves: tuple[Curve, ...]
    verticals: tuple[tuple[float, str], ...] = ()
    caps: tuple[tuple[float, str], ...] = ()
    floor: float | None = None
    legend: bool = False


@dataclass(frozen=True)
class Chart:
    """A named figure: rows of as many panels. The panels of a column have one range of x, those of a row and the same
    quantity one of y; with `share_x` columns of the same quantity have the same range. `large`: for many curves."""

    name: str
    rows: tuple[tuple[Panel, ...], ...]
    share_x: bool = True
    large: bool = False


@dataclass(frozen=True)
class Missing:
    """A figure that cannot be drawn, and the experiment whose runs it needs."""

    name: str
    needs: str


Read = Callable[[Step], float | None]

ACCURACY = Axis("accuracy [%]", percent=True)
BACKGROUND = Axis("mean background efficiency\nat 50 % signal efficiency [%]", log=True, percent=True)
EFFICIENCY = Axis("neural efficiency [%]", percent=True)
BOPS = Axis("bit operations (BOPs) per inference", log=True)
LUT = Axis("estimated LUTs", log=True)

READERS: dict[Axis, Read] = {
    ACCURACY: lambda step: step.accuracy,
    BACKGROUND: lambda step: step.background_efficiency,
    EFFICIENCY: lambda step: step.neural_efficiency,
    BOPS: lambda step: step.bops,
    LUT: lambda step: step.lut,
}


def mean(values: Sequence[float]) -> tuple[float, float | None]:
    """Mean and its standard error, `s / sqrt(n)` with n - 1 degrees of freedom; no error of a single value."""
    return fmean(values), stdev(values) / math.sqrt(len(values)) if len(values) > 1 else None


def points(runs: Sequence[Run], x: Axis, y: Axis) -> tuple[Point, ...]:
    """A point for every pruning step, averaged over the runs that have it; steps without the quantity are left out."""
    means = []
    for index in range(max(len(run.steps) for run in runs)):
        steps = [run.steps[index] for run in runs if index < len(run.steps)]
        pairs = [(READERS[x](step), READERS[y](step), step.sparsity) for step in steps]
        known = [(across, up, sparsity) for across, up, sparsity in pairs if across is not None and up is not None]
        if known:
            value, error = mean([up for _, up, _ in known])
            across = fmean(one for one, _, _ in known)
            means.append(Point(across, value, error, fmean(one for _, _, one in known), len(known)))
    return tuple(means)


def to_csv(chart: Chart) -> str:
    """Return every point of a chart, a row each; an empty field is an unknown value."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for panel in (panel for row in chart.rows for panel in row):
        x, y = (" ".join(axis.label.removesuffix(" [%]").split()) for axis in (panel.x, panel.y))
        for curve in panel.curves:
            names = (cell(panel.title), cell(curve.label))
            for one in curve.points:
                writer.writerow([*names, x, one.x, y, one.y, one.error, one.sparsity, one.runs])
    return text.getvalue()
