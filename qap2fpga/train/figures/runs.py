# SPDX-License-Identifier: Apache-2.0
"""All runs of a study in one figure, whatever they are about: each run, the mean of each setting, the best means."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

from qap2fpga.report import pareto, study_settings
from qap2fpga.train import config as configuration
from qap2fpga.train.figures.chart import ACCURACY, BOPS, LUT, READERS, Axis, Chart, Curve, Panel, Point, points
from qap2fpga.train.figures.records import Run, Study

BEST = "best means"
TITLE = "rings: no other mean is better in both"


def runs(study: Study) -> Chart:
    """Accuracy against BOPs, and against estimated LUTs where there are some, of every run and trial.

    Not in the paper. Every run is a pale point per pruning step, every setting a curve of means with standard errors;
    rings are around the means that no other on the same data beats. A trial counts with its last step, and is alone.
    """
    groups = _settings(study.runs)
    searched: dict[str, list[Run]] = {}
    for trial in study.trials:
        searched.setdefault(f"search {trial.search}" if trial.search else "search", []).append(trial)
    panels = tuple(_panel(axis, groups, searched) for axis in (BOPS, LUT))
    return Chart("runs", (tuple(panel for panel in panels if panel.curves),), large=True)


def _settings(every: Sequence[Run]) -> dict[str, list[Run]]:
    """The runs of each setting, by a name that no other setting has."""
    names: dict[str, str] = {}
    groups: dict[str, list[Run]] = {}
    for run in every:
        key = study_settings.key(configuration.to_dict(run.config))
        if key not in names:
            names[key] = study_settings.unlike(run.setting, names.values())
        groups.setdefault(names[key], []).append(run)
    return groups


def _panel(axis: Axis, groups: dict[str, list[Run]], searched: dict[str, list[Run]]) -> Panel:
    light, curves = [], []
    data: dict[str, list[Point]] = {}
    colours = count()
    for name, repetitions in groups.items():
        means = points(repetitions, axis, ACCURACY)
        colour = next(colours)
        if not means:
            continue
        if len(repetitions) > 1:
            single = tuple(point for run in repetitions for point in points([run], axis, ACCURACY))
            light.append(Curve(f"{name}, single runs", single, colour, line=False, light=True))
        curves.append(Curve(name, means, colour))
        data.setdefault(_data(repetitions[0]), []).extend(means)
    for name, trials in searched.items():
        last = [(READERS[axis](run.steps[-1]), run) for run in trials]
        known = [(Point(x, run.steps[-1].accuracy, sparsity=run.steps[-1].sparsity), run) for x, run in last if x]
        colour = next(colours)
        if known:
            curves.append(Curve(name, tuple(point for point, _ in known), colour, line=False))
        for point, run in known:
            data.setdefault(_data(run), []).append(point)
    best = tuple(point for comparable in data.values() for point in _best(comparable))
    ring = [Curve(BEST, best, 0, line=False, ring=True)] if best else []
    return Panel(TITLE, axis, ACCURACY, (*light, *curves, *ring))


def _data(run: Run) -> str:
    """What accuracies may only be compared on the same of."""
    return f"{run.config.data.source} {run.config.data.split}"


def _best(means: Sequence[Point]) -> list[Point]:
    return [means[index] for index in pareto.front([(point.x, -point.y) for point in means])]
