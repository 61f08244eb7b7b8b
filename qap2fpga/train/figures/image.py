# SPDX-License-Identifier: Apache-2.0
"""Charts as images, with matplotlib, which `squares` alone imports beside it. The same chart gives the same bytes.

Colours are those of Okabe and Ito, which colour-blind readers can tell apart; markers differ as well, so that a
figure is legible in grey. Curves are named where they are (`labels`) or, if there is no room, by one legend on top.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.axis import XAxis, YAxis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from qap2fpga.train.figures.chart import Axis, Chart, Curve, Panel
from qap2fpga.train.figures.labels import GREY, SMALL, name_curves, note_sparsities

PALETTE = ("#000000", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#7F7F7F", "#E69F00")
MARKERS = ("o", "s", "^", "D", "v", "P", "h", "<", ">")
# Inches: the axes of a panel, of a single one, and what surrounds them.
PANEL, SINGLE = (2.75, 1.95), (4.6, 3.5)
LEFT, RIGHT, BOTTOM, TOP = 0.75, 0.12, 0.48, 0.28
BETWEEN, BETWEEN_ROWS, LEGEND_ROW, LEGEND_MARGIN = 0.25, 0.16, 0.16, 0.14
# Letters across a legend, by inches of figure.
LETTERS = 13
DPI = 200
MARGIN = 0.05
MOST_DECADES = 2.3
# Single runs behind their mean: opaqueness, and points of marker and line; and the ring around the best means.
LIGHT, LIGHT_MARKER, LIGHT_LINE, RING = 0.5, 3.0, 0.5, 7.5
STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 8.5,
    "axes.titlesize": 8.5,
    "axes.labelsize": 8.5,
    "legend.fontsize": 7.5,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.5,
    "axes.axisbelow": True,
    "lines.linewidth": 1.2,
    "lines.markersize": 3.8,
    "xtick.minor.size": 1.5,
    "ytick.minor.size": 1.5,
    "figure.dpi": DPI,
    "svg.hashsalt": "qap2fpga",
    "svg.fonttype": "path",
}


@dataclass(frozen=True)
class Drawn:
    """A panel and where it is drawn."""

    panel: Panel
    axes: Axes


def render(chart: Chart) -> tuple[bytes, bytes]:
    """Return the chart as PNG of 200 dots per inch, and as SVG with its text as paths."""
    png, svg = io.BytesIO(), io.BytesIO()
    with style():
        figure = _figure(chart)
        figure.savefig(png, format="png", metadata={"Software": None})
        figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
    return png.getvalue(), svg.getvalue()


@contextmanager
def style() -> Iterator[None]:
    """Our settings over matplotlib's defaults, whatever the user's matplotlibrc says."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        yield


def _figure(chart: Chart) -> Figure:
    figure, panels = _panels(chart, 0)
    apart = [one for one in panels if not one.panel.legend]
    if not all(name_curves(one.axes, one.panel.curves, list(map(_colour, one.panel.curves))) for one in apart):
        names = dict.fromkeys(curve.label for one in apart for curve in one.panel.curves if curve.named)
        columns = max(1, min(len(names), int(figure.get_figwidth() * LETTERS / (max(map(len, names)) + 7))))
        figure, panels = _panels(chart, math.ceil(len(names) / columns))
        _legend(figure, panels, list(names), columns)
    for one in panels:
        note_sparsities(one.axes, one.panel.curves)
    return figure


def _legend(figure: Figure, panels: Iterable[Drawn], names: list[str], columns: int) -> None:
    """One legend for all panels, at the top."""
    handles: dict[str, Any] = {}
    for one in panels:
        artists, labels = one.axes.get_legend_handles_labels()
        handles |= dict(zip(labels, artists, strict=True))
    figure.legend([handles[name] for name in names], names, loc="upper center", ncols=columns, frameon=False)


def _panels(chart: Chart, legend_rows: int) -> tuple[Figure, list[Drawn]]:
    """The chart without the names of its curves, below room for a legend of so many rows."""
    rows, columns = len(chart.rows), max(map(len, chart.rows))
    width, height = SINGLE if chart.large or rows == columns == 1 else PANEL
    between = BETWEEN if all(panel.y == row[0].y for row in chart.rows for panel in row) else LEFT
    across = LEFT + RIGHT + columns * width + (columns - 1) * between
    legend = LEGEND_ROW * legend_rows + LEGEND_MARGIN * bool(legend_rows)
    title = TOP if any(panel.title for panel in chart.rows[0]) else RIGHT
    up = BOTTOM + title + legend + rows * height + (rows - 1) * BETWEEN_ROWS
    figure = Figure(figsize=(across, up))
    FigureCanvasAgg(figure)
    panels = []
    for index, row in enumerate(chart.rows):
        low = BOTTOM + (rows - 1 - index) * (height + BETWEEN_ROWS)
        for column, panel in enumerate(row):
            left = LEFT + column * (width + between)
            axes = figure.add_axes((left / across, low / up, width / across, height / up))
            _plot(axes, panel)
            axes.set_xlim(_limits(panel.x, _across(chart, column)))
            axes.set_ylim(_limits(panel.y, _up(row, panel.y), panel.floor))
            for ticks, axis in ((axes.xaxis, panel.x), (axes.yaxis, panel.y)):
                if axis.log:
                    _ticks(ticks)
            lowest = index == rows - 1
            first = column == 0 or panel.y != row[0].y
            axes.set_title("" if index else panel.title, loc="left")
            axes.set_xlabel(panel.x.label if lowest else "")
            axes.set_ylabel(panel.y.label if first else "")
            axes.tick_params(which="both", labelbottom=lowest, labelleft=first)
            panels.append(Drawn(panel, axes))
    return figure, panels


def _plot(axes: Axes, panel: Panel) -> None:
    _scale(axes, panel)
    for curve in panel.curves:
        _curve(axes, curve)
    for x, text in panel.verticals:
        axes.axvline(x, color="#999999", linewidth=0.6, linestyle=":", zorder=1)
        note = axes.annotate(text, (x, 1.0), (1.5, -1), ("data", "axes fraction"), "offset points")
        note.set(rotation=90, va="top", ha="left", fontsize=5.5, color=GREY)
    for y, text in panel.caps:
        axes.axhline(y, color="#999999", linewidth=0.9, linestyle=":", zorder=1)
        note = axes.annotate(text, (0.0, y), (3, 1), ("axes fraction", "data"), "offset points")
        note.set(va="bottom", ha="left", fontsize=SMALL, color=GREY)
    if panel.legend:
        axes.legend(ncols=2 if len(panel.curves) > 4 else 1, loc="best", framealpha=0.9, edgecolor="none")


def _curve(axes: Axes, curve: Curve) -> None:
    """Draw a curve; what is light lies behind all means, a ring around them."""
    colour = "black" if curve.ring else _colour(curve)
    # A line is broken at a point that is not a number.
    values = [(one.x, one.y, one.error or 0.0) for one in curve.points]
    for index in reversed(curve.breaks):
        values.insert(index, (math.nan, math.nan, 0.0))
    errors = [error for _, _, error in values]
    axes.errorbar(
        [x for x, _, _ in values],
        [y for _, y, _ in values],
        yerr=errors if any(errors) else None,
        color=colour,
        linestyle=("--" if curve.dashed else "-") if curve.line else "none",
        marker=_marker(curve),
        markersize=10 if curve.star else RING if curve.ring else LIGHT_MARKER if curve.light else None,
        markerfacecolor="none" if curve.ring else "white" if curve.dashed else colour,
        markeredgecolor="black" if curve.star else colour,
        markeredgewidth=0.0 if curve.light else 0.7,
        linewidth=LIGHT_LINE if curve.light else None,
        alpha=LIGHT if curve.light else None,
        elinewidth=0.8,
        capsize=1.8,
        label=curve.label if curve.named else "_nolegend_",
        zorder=4 if curve.star or curve.ring else 2 if curve.light else 3,
    )


def _marker(curve: Curve) -> str:
    if not curve.marker:
        return "none"
    if curve.ring:
        return "o"
    if not curve.line and not curve.light:
        return "*" if curve.star else "x"
    return MARKERS[curve.colour % len(MARKERS)]


def _colour(curve: Curve) -> str:
    return PALETTE[curve.colour % len(PALETTE)]


def _scale(axes: Axes, panel: Panel) -> None:
    if panel.x.log:
        axes.set_xscale("log", nonpositive="mask")
    if panel.y.log:
        axes.set_yscale("log", nonpositive="mask")
    for ticks, axis in ((axes.xaxis, panel.x), (axes.yaxis, panel.y)):
        if axis.percent:
            ticks.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.6g}"))
        elif axis.log:
            ticks.set_major_formatter(EngFormatter(sep=" "))
        if axis.log:
            ticks.set_minor_formatter(NullFormatter())
        if axis.whole:
            ticks.set_major_locator(MaxNLocator(integer=True))


def _ticks(ticks: XAxis | YAxis) -> None:
    """Ticks at powers of ten, and of 2 and 5 times them where there are few."""
    low, high = ticks.get_view_interval()
    many = math.log10(high / low) > MOST_DECADES
    ticks.set_major_locator(LogLocator(subs=(1,) if many else (1, 2, 5), numticks=12))


def _across(chart: Chart, column: int) -> list[float]:
    """All x of the panels of a column, and of those of other columns that have the same axis and shall share it."""
    mine = chart.rows[0][column].x
    every = [(index, panel) for row in chart.rows for index, panel in enumerate(row)]
    panels = [panel for index, panel in every if index == column or (chart.share_x and panel.x == mine)]
    return [point.x for panel in panels for curve in panel.curves for point in curve.points]


def _up(row: Iterable[Panel], y: Axis) -> list[float]:
    """All y of a row's panels that have this axis, with the ends of error bars, and caps."""
    panels = [panel for panel in row if panel.y == y]
    points = [point for panel in panels for curve in panel.curves for point in curve.points]
    bars = [point.y + sign * (point.error or 0.0) for point in points for sign in (-1, 1)]
    return bars + [cap for panel in panels for cap, _ in panel.caps]


def _limits(axis: Axis, values: Iterable[float], floor: float | None = None) -> tuple[float, float]:
    """The range of the values and a margin; on a logarithmic axis that of the positive ones."""
    if axis.log:
        exponents = [math.log10(value) for value in values if value > 0 and (floor is None or value >= floor)]
        low, high = _widened(exponents)
        return floor or 10**low, 10**high
    return _widened(list(values))


def _widened(values: list[float]) -> tuple[float, float]:
    low, high = min(values, default=0.0), max(values, default=1.0)
    margin = MARGIN * (high - low) or 0.5
    return low - margin, high + margin
