# SPDX-License-Identifier: Apache-2.0
"""The loss over the pruning steps (Fig. 2 of the paper), and ROC curves of single runs (Fig. 3)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from statistics import fmean

from qap2fpga.train.figures.chart import Axis, Chart, Curve, Missing, Panel, Point
from qap2fpga.train.figures.records import Epoch, Run, Step, Study
from qap2fpga.train.figures.select import (
    SCHEDULES,
    Groups,
    comparable,
    focus,
    group,
    having,
    one_schedule,
    pruned_aware,
    regularized,
    true_labels,
    usual_scales,
    widths,
)
from qap2fpga.train.settings import FLOAT_BITS

EPOCH = Axis("epoch, over all pruning steps", whole=True)
LOSS = Axis("loss [nats]")
SIGNAL = Axis("signal efficiency [%]", percent=True)
BACKGROUND = Axis("background efficiency [%]", log=True, percent=True)
# The sparsity whose ROC curve the paper shows.
ROC_SPARSITY = 0.8
# Below it, few rows pass the cut and the curves are noise.
ROC_FLOOR = 1e-4


def loss(study: Study) -> Chart | Missing:
    """Training and validation loss over all epochs, one panel per pruning schedule: every run thin, and their mean."""
    groups = _nominal(study)
    if not groups:
        return Missing("loss", "model.bits: [6], pruning.schedule: [fine_tuning, lottery_ticket]")
    bits = focus([width for width in widths(groups) if width != FLOAT_BITS] or widths(groups))
    panels = []
    for schedule, name in SCHEDULES.items():
        matching = having(groups, bits=bits, schedule=schedule).values()
        panels += [_loss_panel(runs, f"{bits} bits, {name}") for runs in matching]
    return Chart("loss", (tuple(panels),))


def roc(study: Study) -> Chart | Missing:
    """ROC of every class: the float network before pruning beside the quantized one pruned to about 80 %."""
    groups = one_schedule(_nominal(study))
    known = widths(groups)
    if not known:
        return Missing("roc", "model.bits: [32, 6]")
    bits = focus([width for width in known if width != FLOAT_BITS] or known)
    dense, pruned = _first(groups, known[0]).steps[0], _first(groups, bits).steps
    chosen = min(pruned, key=lambda step: abs(step.sparsity - ROC_SPARSITY))
    pairs = [(dense, _kind(known[0], dense), False), (chosen, _kind(bits, chosen), True)]
    curves = [
        Curve(
            f"{name}, AUC {step.auc[name]:.3f}",
            tuple(
                Point(x, y, sparsity=step.sparsity)
                for x, y in zip(curve.signal_efficiency, curve.background_efficiency, strict=True)
            ),
            index,
            dashed=dashed,
            marker=False,
        )
        for step, _, dashed in pairs
        for index, (name, curve) in enumerate(step.roc.items())
    ]
    title = f"full lines: {pairs[0][1]};  broken lines: {pairs[1][1]}"
    return Chart("roc", ((Panel(title, SIGNAL, BACKGROUND, tuple(curves), floor=ROC_FLOOR, legend=True),),))


def _nominal(study: Study) -> Groups:
    return regularized(true_labels(usual_scales(pruned_aware(comparable(group(study.runs))))))


def _first(groups: Groups, bits: int) -> Run:
    return next(runs[0] for setting, runs in groups.items() if setting.bits == bits)


def _kind(bits: int, step: Step) -> str:
    return f"{bits} bits, {100 * step.sparsity:.0f} % pruned" if step.sparsity else f"{bits} bits, not pruned"


def _loss_panel(runs: Sequence[Run], title: str) -> Panel:
    """A step takes the place of its longest run: runs that stopped earlier leave a gap before the next step."""
    if len(runs) > 1:
        title += f", {len(runs)} runs"
    starts, verticals = [0], []
    for index in range(min(len(run.steps) for run in runs)):
        target = runs[0].steps[index].target
        verticals.append((starts[-1] + 0.5, f"{100 * target:.0f} %"))
        starts.append(starts[-1] + max(len(run.steps[index].epochs) for run in runs))
    parts: tuple[tuple[str, Callable[[Epoch], float]], ...] = (
        ("training", lambda epoch: epoch.training_loss),
        ("validation", lambda epoch: epoch.validation_loss),
    )
    curves: list[Curve] = []
    for colour, (name, read) in enumerate(parts):
        if len(runs) > 1:
            curves += _single_runs(runs, starts, read, name, colour)
        curves.append(_mean_loss(runs, starts, read, name, colour))
    return Panel(title, EPOCH, LOSS, tuple(curves), verticals=tuple(verticals))


def _single_runs(
    runs: Sequence[Run], starts: Sequence[int], read: Callable[[Epoch], float], name: str, colour: int
) -> Iterator[Curve]:
    """Yield a line for every run and step."""
    for number, run in enumerate(runs, start=1):
        for start, step in zip(starts, run.steps, strict=False):
            points = tuple(
                Point(start + count, read(epoch), sparsity=step.sparsity)
                for count, epoch in enumerate(step.epochs, start=1)
            )
            yield Curve(f"{name}, run {number}", points, colour, marker=False, light=True)


def _mean_loss(
    runs: Sequence[Run], starts: Sequence[int], read: Callable[[Epoch], float], name: str, colour: int
) -> Curve:
    """The mean over the runs of every epoch that all of them have: it does not jump where one of them stops."""
    points: list[Point] = []
    breaks = []
    for index, start in enumerate(starts[:-1]):
        steps = [run.steps[index] for run in runs]
        sparsity = fmean(step.sparsity for step in steps)
        breaks.append(len(points))
        for count, epochs in enumerate(zip(*(step.epochs for step in steps), strict=False), start=1):
            points.append(Point(start + count, fmean(map(read, epochs)), None, sparsity, len(runs)))
    return Curve(name, tuple(points), colour, marker=False, breaks=tuple(breaks[1:]))
