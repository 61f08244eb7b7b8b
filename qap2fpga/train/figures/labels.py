# SPDX-License-Identifier: Apache-2.0
"""Where text fits into a panel: beside a point, inside the axes, on no curve and on no other text."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from qap2fpga.train.figures.chart import Curve, Point

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIZE, SMALL, GREY = 7.5, 6.0, "#666666"
# Pixels between samples of a line; points between text and what is near.
STEP, GAP = 4.0, 3.5
# Directions from a point to the middle of its text, in half-widths and half-heights: the preferred first.
DIRECTIONS = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (1, -1), (-1, 1), (-1, -1))
# Shares of pruned weights that are written beside the nearest points.
NOTED = (0.5, 0.8, 0.9, 1.0)

Box = tuple[float, float, float, float]


class Space:
    """What of a panel is taken, in pixels: the lines as samples, the texts as boxes (left, low, right, high)."""

    def __init__(self, axes: Axes, curves: Sequence[Curve]) -> None:
        self.axes = axes
        self.lines = np.concatenate([np.empty((0, 2)), *(self._samples(curve) for curve in curves)])
        extents = [text.get_window_extent() for text in axes.texts]
        self.boxes: list[Box] = [(one.x0, one.y0, one.x1, one.y1) for one in extents]
        figure = axes.get_figure(root=True)
        assert figure is not None
        self.pixels = figure.dpi / 72

    def write(self, text: str, places: Sequence[Point], size: float, colour: str) -> bool:
        """Write `text` beside the first of `places` where it fits; false, and nothing, if it fits nowhere."""
        seen = [(place, *self._pixel(place.x, place.y)) for place in places]
        seen = [(place, x, y) for place, x, y in seen if math.isfinite(x + y)]
        if not seen:
            return False
        start = (seen[0][0].x, seen[0][0].y)
        note = self.axes.annotate(text, start, (0, 0), textcoords="offset points", annotation_clip=False)
        note.set(ha="center", va="center", fontsize=size, color=colour)
        extent = note.get_window_extent()
        across, up = extent.width / 2, extent.height / 2
        gap = GAP * self.pixels
        for place, x, y in seen:
            for right, high in DIRECTIONS:
                dx, dy = right * (across + gap), high * (up + gap)
                box = (x + dx - across, y + dy - up, x + dx + across, y + dy + up)
                if self._free(box):
                    note.xy = (place.x, place.y)
                    note.set_position((dx / self.pixels, dy / self.pixels))
                    self.boxes.append(box)
                    return True
        note.remove()
        return False

    def _free(self, box: Box) -> bool:
        left, low, right, high = box
        edge, near = self.axes.bbox, 1.5 * self.pixels
        if left < edge.x0 + near or low < edge.y0 + near or right > edge.x1 or high > edge.y1:
            return False
        x, y = self.lines.T
        if ((x > left - near) & (x < right + near) & (y > low - near) & (y < high + near)).any():
            return False
        return all(left >= end or right <= start or low >= up or high <= down for start, down, end, up in self.boxes)

    def _samples(self, curve: Curve) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
        """Pixels along the curve, and at the ends of its error bars; of points without a line, the points."""
        corners = [self._pixel(one.x, one.y) for one in curve.points]
        samples = corners + [
            self._pixel(one.x, one.y + sign * one.error) for one in curve.points if one.error for sign in (-1, 1)
        ]
        for index, (start, end) in enumerate(itertools.pairwise(corners) if curve.line else (), start=1):
            if index in curve.breaks:
                continue
            length = math.dist(start, end)
            if math.isfinite(length):
                parts = np.linspace(0, 1, int(length / STEP) + 2)
                samples += [
                    (start[0] + part * (end[0] - start[0]), start[1] + part * (end[1] - start[1])) for part in parts
                ]
        return np.array([one for one in samples if math.isfinite(one[0] + one[1])]).reshape(-1, 2)

    def _pixel(self, x: float, y: float) -> tuple[float, float]:
        """Where a value is drawn; not finite where a logarithmic axis cannot show it."""
        across, up = self.axes.transData.transform((x, y)).tolist()
        return across, up


def name_curves(axes: Axes, curves: Sequence[Curve], colours: Sequence[str]) -> bool:
    """Write every curve's name beside it, in its colour. False if one finds no place: then none is to be kept."""
    space = Space(axes, curves)
    for curve, colour in zip(curves, colours, strict=True):
        if not curve.named:
            continue
        ordered = sorted(curve.points, key=lambda one: one.x, reverse=True)
        if not space.write(curve.label, [ordered[0], ordered[-1], *ordered], SIZE, colour):
            return False
    return True


def note_sparsities(axes: Axes, curves: Sequence[Curve]) -> None:
    """Write beside some points of the first pruning curve how much is pruned, where there is room."""
    pruned = [curve for curve in curves if curve.line and curve.marker and not curve.light and len(curve.points) > 1]
    if not pruned:
        return
    space = Space(axes, curves)
    known = {point.sparsity: point for point in pruned[0].points if point.sparsity}
    chosen = dict.fromkeys(_nearest(known, share) for share in NOTED if known)
    explained = False
    for share in chosen:
        text, place = f"{100 * share:.0f} %", [known[share]]
        if not explained and space.write(f"{text} pruned", place, SMALL, GREY):
            explained = True
        else:
            space.write(text, place, SMALL, GREY)


def _nearest(values: Iterable[float], target: float) -> float:
    return min(values, key=lambda value: abs(value - target))
