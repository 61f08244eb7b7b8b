# SPDX-License-Identifier: Apache-2.0
"""Figures of performance against cost: Figs. 4, 5, 6 and 7 of the paper, and LUTs, which it leaves as its outlook."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from qap2fpga.train.figures.chart import (
    ACCURACY,
    BACKGROUND,
    BOPS,
    EFFICIENCY,
    LUT,
    READERS,
    Axis,
    Chart,
    Curve,
    Missing,
    Panel,
    Point,
    points,
)
from qap2fpga.train.figures.records import Run, Study
from qap2fpga.train.figures.select import (
    SCHEDULES,
    Groups,
    Setting,
    comparable,
    focus,
    group,
    having,
    one_schedule,
    pruned_alike,
    pruned_aware,
    regularization,
    regularized,
    setting_of,
    true_labels,
    usual_l1,
    where,
    widths,
)
from qap2fpga.train.settings import FLOAT_BITS

# A width has the same colour in all figures; the paper's widths, and then the likely ones, have the first colours.
COLOURS = (FLOAT_BITS, 12, 6, 4, 8, 2, None, 3, 16, 5, 10, 14, 7, 9, 11, 13, 15)
REGULARIZATIONS = ("L1 and batch norm", "no L1", "no batch norm", "no L1, no batch norm")


def bops(study: Study) -> Chart | Missing:
    """Accuracy and background efficiency against BOPs of every width, one column per pruning schedule (Fig. 4)."""
    groups = regularized(true_labels(pruned_alike(study.runs)))
    columns = [(name, _by_bits(having(groups, schedule=schedule))) for schedule, name in SCHEDULES.items()]
    if not groups:
        return Missing("bops", "model.bits: [32, 12, 6, 4], pruning.schedule: [fine_tuning, lottery_ticket]")
    return _columns("bops", [one for one in columns if one[1]], (ACCURACY, BACKGROUND))


def regularizations(study: Study) -> Chart | Missing:
    """Accuracy and background efficiency with and without batch norm and L1, one column a width (Fig. 5)."""
    groups = one_schedule(usual_l1(true_labels(pruned_alike(study.runs))))
    columns = []
    for bits in widths(groups):
        here = having(groups, bits=bits)
        if len(here) > 1:
            columns.append((f"{bits} bits", _curves(here, regularization, REGULARIZATIONS)))
    if not columns:
        return Missing("regularization", "model.bits: [32, 6], model.batch_norm: [true, false]; and training.l1: [0.0]")
    return _columns("regularization", columns, (ACCURACY, BACKGROUND), share_x=False)


def search(study: Study) -> Chart | Missing:
    """Networks of the Bayesian optimization beside quantization-aware pruning of the same widths (Fig. 6).

    A trial counts with its last step; the one of lowest validation loss among those of a width has a star.
    """
    if not study.trials:
        return Missing("search", "a Bayesian optimization: `search:` in study.yaml")
    groups = one_schedule(regularized(true_labels(pruned_alike(study.runs))))
    tried: dict[int | None, list[Run]] = {}
    for run in study.trials:
        tried.setdefault(setting_of(run.config).bits, []).append(run)
    shown = groups if None in tried else where(groups, lambda one: one.bits in tried)
    pruning = [(f"QAP, {bits} bits", runs, bits) for bits, runs in _bits(shown)]
    panels = []
    for axis in (ACCURACY, BACKGROUND):
        curves = [Curve(label, points(runs, BOPS, axis), _colour(bits)) for label, runs, bits in pruning]
        for bits, runs in _ordered(tried):
            best = min(runs, key=lambda run: run.steps[-1].validation_loss)
            curves.append(_trials(f"BO, {_wide(bits)}", runs, (BOPS, axis), bits, best=False))
            curves.append(_trials(f"BO, {_wide(bits)}, best", [best], (BOPS, axis), bits, best=True))
        panels.append(Panel("", BOPS, axis, tuple(curves)))
    return Chart("search", (tuple(panels),))


def randomization(study: Study) -> Chart | Missing:
    """Accuracy, background and neural efficiency against BOPs for shares of random labels (Fig. 7).

    One column a regularization, at one width. The thin line is the most that so many rows allow for the efficiency.
    """
    groups = one_schedule(usual_l1(pruned_alike(study.runs)))
    random = where(groups, lambda one: one.randomize > 0)
    if not random:
        return Missing("randomization", "model.bits: [6], data.randomize: [0.0, 0.5, 0.75, 0.9]")
    bits = focus(widths(random))
    shares = sorted({setting.randomize for setting in groups})
    columns = []
    for name in REGULARIZATIONS:
        here = _trained_with(having(groups, bits=bits), name)
        if any(setting.randomize for setting in here):
            labels = [_share(share) for share in shares]
            columns.append((f"{bits} bits, {name}", _curves(here, lambda one: _share(one.randomize), labels)))
    return _columns("randomization", columns, (ACCURACY, BACKGROUND, EFFICIENCY))


def hardware(study: Study) -> Chart | Missing:
    """Accuracy against BOPs and against estimated LUTs, by width and kind of scales, and the search's networks.

    Not in the paper. Only runs and trials with an estimate are drawn, in both panels.
    """
    groups = one_schedule(regularized(true_labels(pruned_aware(comparable(group(study.runs))))))
    groups = where(groups, lambda one: any(step.lut is not None for run in groups[one] for step in run.steps))
    trials: dict[int | None, list[Run]] = {}
    for run in study.trials:
        if run.steps[-1].lut is not None:
            trials.setdefault(setting_of(run.config).bits, []).append(run)
    if not groups and not trials:
        return Missing("hardware", "LUT estimates: a search with the objective predicted_luts")
    panels = []
    for axis in (BOPS, LUT):
        curves = [
            Curve(_scaled(one), points(groups[one], axis, ACCURACY), _colour(one.bits), one.scales == "power_of_two")
            for one in sorted(groups, key=lambda one: (-(one.bits or 0), one.scales or ""))
        ]
        for bits, runs in _ordered(trials):
            curves.append(_trials(f"search, {_wide(bits)}", runs, (axis, ACCURACY), bits, best=False))
        panels.append(Panel("", axis, ACCURACY, tuple(curves)))
    return Chart("hardware", (tuple(panels),))


# A curve before its quantity is chosen: label, runs, colour.
Unread = tuple[str, list[Run], int]


def _trained_with(groups: Groups, name: str) -> Groups:
    return where(groups, lambda one: regularization(one) == name)


def _columns(
    name: str, columns: Sequence[tuple[str, list[Unread]]], axes: Sequence[Axis], *, share_x: bool = True
) -> Chart:
    """Every quantity of `axes` against BOPs, a row each."""
    rows = []
    for axis in axes:
        known = [[one for one in curves if points(one[1], BOPS, axis)] for _, curves in columns]
        if any(known):
            rows.append(tuple(_panel(title, curves, axis) for (title, _), curves in zip(columns, known, strict=True)))
    return Chart(name, tuple(rows), share_x)


def _panel(title: str, curves: Sequence[Unread], axis: Axis) -> Panel:
    drawn = tuple(Curve(label, points(runs, BOPS, axis), colour) for label, runs, colour in curves)
    caps: tuple[tuple[float, str], ...] = ()
    if axis is EFFICIENCY:
        known_caps = {step.efficiency_cap for _, runs, _ in curves for run in runs for step in run.steps}
        caps = tuple(
            (cap, "most that the sample allows") for cap in sorted(cap for cap in known_caps if cap is not None)
        )
    return Panel(title, BOPS, axis, drawn, caps=caps)


def _by_bits(groups: Groups) -> list[Unread]:
    return [(f"{bits} bits", runs, _colour(bits)) for bits, runs in _bits(groups)]


def _bits(groups: Groups) -> list[tuple[int, list[Run]]]:
    return [(bits, runs) for bits in widths(groups) for one, runs in groups.items() if one.bits == bits]


def _curves(groups: Groups, label: Callable[[Setting], str], order: Sequence[str]) -> list[Unread]:
    """A curve for every group, coloured and ordered by the place of its label in `order`."""
    curves = [(label(setting), runs, order.index(label(setting))) for setting, runs in groups.items()]
    return sorted(curves, key=lambda one: one[2])


def _trials(label: str, runs: Sequence[Run], axes: tuple[Axis, Axis], bits: int | None, *, best: bool) -> Curve:
    """The last network of every trial, as points of the two quantities."""
    last = [run.steps[-1] for run in runs]
    values = [(READERS[axes[0]](step), READERS[axes[1]](step), step.sparsity) for step in last]
    known = tuple(Point(x, y, sparsity=at) for x, y, at in values if x is not None and y is not None)
    return Curve(label, known, _colour(bits), line=False, star=best)


def _ordered(trials: dict[int | None, list[Run]]) -> list[tuple[int | None, list[Run]]]:
    """Widest first, mixed widths last."""
    return sorted(trials.items(), key=lambda one: -(one[0] or 0))


def _wide(bits: int | None) -> str:
    return "mixed bits" if bits is None else f"{bits} bits"


def _scaled(setting: Setting) -> str:
    return f"{setting.bits} bits" + ("" if setting.scales is None else f", {setting.scales.replace('_', ' ')} scales")


def _share(share: float) -> str:
    return f"{100 * share:g} % random" if share else "true labels"


def _colour(bits: int | None) -> int:
    return COLOURS.index(bits)
