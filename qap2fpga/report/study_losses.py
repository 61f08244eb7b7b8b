# SPDX-License-Identifier: Apache-2.0
"""Losses of a study's settings over their epochs, for its page: means over runs, all pruning steps after each other.

The places are units of the plots' SVG, as in `plots`; the template only draws them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean

from qap2fpga.report import plots
from qap2fpga.report.plots import Scale, Tick
from qap2fpga.report.studies import Loss, Trained
from qap2fpga.report.study_means import Mean
from qap2fpga.report.study_plots import look, order


@dataclass(frozen=True)
class Curve:
    """A setting: paths of its losses, and the place where that of validation ends."""

    name: str
    colour: int
    mark: int
    training: str
    validation: str
    end: tuple[float, float]


@dataclass(frozen=True)
class LossPlot:
    """The losses of all settings but the trials of searches; `left_out`: settings whose records have none."""

    curves: tuple[Curve, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    left_out: int


def draw(trained: Sequence[Trained], means: Sequence[Mean]) -> LossPlot | None:
    """Return the plot, with the names and looks that the settings have in the plots of `means`; None without losses."""
    names = {one.setting: one.name for one in means if one.search is None}
    together: dict[str, list[Trained]] = {setting: [] for setting in names}
    for one in trained:
        together.get(one.setting, []).append(one)
    every = {setting: list(_losses(runs)) for setting, runs in together.items()}
    known = {setting: losses for setting, losses in every.items() if len(losses) > 1}
    if not known:
        return None
    x = Scale([1, max(map(len, known.values()))], plots.LEFT, plots.RIGHT, log=False)
    values = [value for losses in known.values() for loss in losses for value in loss]
    y = Scale(values, plots.BOTTOM, plots.TOP, log=False)
    numbers = order(means)
    curves = []
    for setting, losses in known.items():
        training, validation = (
            [(x.place(epoch), y.place(loss[kind])) for epoch, loss in enumerate(losses, start=1)] for kind in (0, 1)
        )
        colour, mark = look(numbers.index(names[setting]))
        curves.append(Curve(names[setting], colour, mark, _path(training), _path(validation), validation[-1]))
    ticks = tuple(Tick(y.place(at), f"{at:g}") for at in (round(at, 9) for at in y.ticks))
    return LossPlot(tuple(curves), plots.cost_ticks(x), ticks, len(names) - len(known))


def _losses(runs: Sequence[Trained]) -> Iterator[Loss]:
    """Yield the means of the epochs that all runs of a setting have, step by step; it ends where one has diverged."""
    for step in sorted({one.step for one in runs}):
        together = [one.losses for one in runs if one.step == step]
        for epoch in zip(*together, strict=False):
            whole = [loss for loss in epoch if loss is not None]
            if len(whole) < len(epoch):
                return
            yield fmean(loss[0] for loss in whole), fmean(loss[1] for loss in whole)


def _path(places: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:g} {y:g}" for x, y in places)
