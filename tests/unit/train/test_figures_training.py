# SPDX-License-Identifier: Apache-2.0
"""Loss and ROC of a study's runs."""

from __future__ import annotations

from pathlib import Path
from statistics import fmean

from qap2fpga.train.figures import training
from qap2fpga.train.figures.records import Study
from tests.support.figures import drawn, made
from tests.support.studies import CLASSES, SPARSITIES, configure, folded


def test_loss_shows_every_run_and_the_mean_over_the_epochs_that_all_have(study: Study) -> None:
    (panels,) = drawn(training.loss(study)).rows
    assert [panel.title for panel in panels] == ["6 bits, fine-tuning, 4 runs", "6 bits, lottery ticket, 4 runs"]
    assert not panels[0].x.log and panels[0].x.whole
    configs = folded(pruning__schedule="fine_tuning")
    runs = [next(run for run in study.runs if run.config == config) for config in configs]
    losses, validation = (curve for curve in panels[0].curves if not curve.light)
    longest = [max(len(run.steps[index].epochs) for run in runs) for index in range(len(SPARSITIES))]
    common = [min(len(run.steps[index].epochs) for run in runs) for index in range(len(SPARSITIES))]
    starts = [sum(longest[:index]) for index in range(len(SPARSITIES))]
    epochs = [(step, number) for step, count in enumerate(common) for number in range(count)]
    assert [one.x for one in losses.points] == [starts[step] + number + 1 for step, number in epochs]
    for curve, name in ((losses, "training_loss"), (validation, "validation_loss")):
        values = [fmean(getattr(run.steps[step].epochs[number], name) for run in runs) for step, number in epochs]
        assert [one.y for one in curve.points] == values and {one.runs for one in curve.points} == {4}
    assert losses.breaks == tuple(sum(common[:index]) for index in range(1, len(SPARSITIES)))
    single = [curve for curve in panels[0].curves if curve.label == "training, run 2"]
    assert all(curve.light and not curve.named for curve in single)
    assert [one.y for curve in single for one in curve.points] == [
        epoch.training_loss for step in runs[1].steps for epoch in step.epochs
    ]
    assert [x for x, _ in panels[0].verticals] == [start + 0.5 for start in starts]
    assert [text for _, text in panels[0].verticals][:3] == ["0 %", "10 %", "20 %"]


def test_the_loss_of_one_run_is_drawn_once(tmp_path: Path) -> None:
    ((panel,),) = drawn(training.loss(made(tmp_path, [configure(bits=6)]))).rows
    assert panel.title == "6 bits, fine-tuning"
    assert [curve.label for curve in panel.curves] == ["training", "validation"]


def test_roc_compares_the_float_network_with_the_pruned_one(study: Study) -> None:
    ((panel,),) = drawn(training.roc(study)).rows
    assert panel.title == "full lines: 32 bits, not pruned;  broken lines: 6 bits, 80 % pruned"
    assert [curve.dashed for curve in panel.curves] == [False] * 5 + [True] * 5
    pruned = next(one for one in study.runs if one.config == configure((1, 4))).steps[SPARSITIES.index(0.8)]
    for name, curve in zip(CLASSES, panel.curves[5:], strict=True):
        assert curve.label == f"{name}, AUC {pruned.auc[name]:.3f}"
        assert tuple(one.x for one in curve.points) == pruned.roc[name].signal_efficiency
        assert tuple(one.y for one in curve.points) == pruned.roc[name].background_efficiency
