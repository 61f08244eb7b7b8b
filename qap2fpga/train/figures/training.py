# SPDX-License-Identifier: Apache-2.0
"""Figures of single runs: the loss over the pruning steps (Fig. 2 of the paper) and ROC curves (Fig. 3)."""

from __future__ import annotations

from collections.abc import Callable

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

EPOCH = Axis("epoch, over all pruning steps")
LOSS = Axis("loss [nats]")
SIGNAL = Axis("signal efficiency [%]", percent=True)
BACKGROUND = Axis("background efficiency [%]", log=True, percent=True)
# The sparsity whose ROC curve the paper shows.
ROC_SPARSITY = 0.8
# Below it, few rows pass the cut and the curves are noise.
ROC_FLOOR = 1e-4


def loss(study: Study) -> Chart | Missing:
    """Training and validation loss over all epochs, one panel a pruning schedule, of the first fold and seed."""
    groups = _nominal(study)
    if not groups:
        return Missing("loss", "model.bits: [6], pruning.schedule: [fine_tuning, lottery_ticket]")
    bits = focus([width for width in widths(groups) if width != FLOAT_BITS] or widths(groups))
    panels = []
    for schedule, name in SCHEDULES.items():
        matching = having(groups, bits=bits, schedule=schedule).values()
        panels += [_loss_panel(runs[0], f"{bits} bits, {name}") for runs in matching]
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


def _loss_panel(run: Run, title: str) -> Panel:
    epochs = [(step.sparsity, epoch) for step in run.steps for epoch in step.epochs]
    ends, verticals = 0, []
    for step in run.steps:
        verticals.append((ends + 0.5, f"{100 * step.target:.0f} %"))
        ends += len(step.epochs)
    parts: tuple[tuple[str, Callable[[Epoch], float]], ...] = (
        ("training", lambda epoch: epoch.training_loss),
        ("validation", lambda epoch: epoch.validation_loss),
    )
    curves = [
        Curve(
            name,
            tuple(Point(count, read(epoch), sparsity=at) for count, (at, epoch) in enumerate(epochs, start=1)),
            colour,
            marker=False,
        )
        for colour, (name, read) in enumerate(parts)
    ]
    return Panel(title, EPOCH, LOSS, tuple(curves), verticals=tuple(verticals))
