# SPDX-License-Identifier: Apache-2.0
"""Loss and ROC of a study's runs."""

from __future__ import annotations

from qap2fpga.train.figures import training
from qap2fpga.train.figures.records import Study
from tests.support.figures import drawn
from tests.support.studies import CLASSES, SPARSITIES, configure


def test_loss_runs_over_the_epochs_of_all_steps(study: Study) -> None:
    (panels,) = drawn(training.loss(study)).rows
    assert [panel.title for panel in panels] == ["6 bits, fine-tuning", "6 bits, lottery ticket"]
    first = next(one for one in study.runs if one.config == configure((1, 4), pruning__schedule="fine_tuning"))
    epochs = [epoch for step in first.steps for epoch in step.epochs]
    losses, validation = panels[0].curves
    assert [(one.x, one.y) for one in losses.points] == [(n, e.training_loss) for n, e in enumerate(epochs, 1)]
    assert [one.y for one in validation.points] == [epoch.validation_loss for epoch in epochs]
    starts = [sum(len(step.epochs) for step in first.steps[:index]) + 0.5 for index in range(len(SPARSITIES))]
    assert [x for x, _ in panels[0].verticals] == starts
    assert [text for _, text in panels[0].verticals][:3] == ["0 %", "10 %", "20 %"]


def test_roc_compares_the_float_network_with_the_pruned_one(study: Study) -> None:
    ((panel,),) = drawn(training.roc(study)).rows
    assert panel.title == "full lines: 32 bits, not pruned;  broken lines: 6 bits, 80 % pruned"
    assert [curve.dashed for curve in panel.curves] == [False] * 5 + [True] * 5
    pruned = next(one for one in study.runs if one.config == configure((1, 4))).steps[SPARSITIES.index(0.8)]
    for name, curve in zip(CLASSES, panel.curves[5:], strict=True):
        assert curve.label == f"{name}, AUC {pruned.auc[name]:.3f}"
        assert tuple(one.x for one in curve.points) == pruned.roc[name].signal_efficiency
        assert tuple(one.y for one in curve.points) == pruned.roc[name].background_efficiency
