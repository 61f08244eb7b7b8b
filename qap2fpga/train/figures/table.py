# SPDX-License-Identifier: Apache-2.0
"""Table 1 of the paper from a study: what quantization and pruning, alone and together, cost and leave."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from statistics import fmean

from qap2fpga.system.names import cell
from qap2fpga.train.figures.chart import mean
from qap2fpga.train.figures.records import Run, Step, Study
from qap2fpga.train.figures.select import (
    SCHEDULES,
    Groups,
    Setting,
    comparable,
    group,
    regularization,
    setting_of,
    true_labels,
    usual_l1,
)
from qap2fpga.train.settings import FLOAT_BITS

# A pruned network's row is the sparsest step that loses at most this much accuracy against the network before pruning.
TOLERANCE = 0.01
NAMES = {"aware": ("QAT", "QAP"), "after": ("PTQ", "pruning, then PTQ")}
FLOAT_NAMES = ("nominal", "pruning")


@dataclass(frozen=True)
class Row:
    """One network, averaged over `runs` folds and seeds; errors are those of the mean. Shares are 0 to 1.

    `neural_efficiency` and `lut` are None where the records have none, errors where there is one run. `epochs`: how
    many the weights learned, so that a network before pruning is not taken for one that learned as long.
    """

    model: str
    bits: str
    scales: str
    trained_with: str
    schedule: str
    sparsity: float
    bops: float
    accuracy: float
    accuracy_error: float | None
    background_efficiency: float
    background_efficiency_error: float | None
    mean_auc: float
    mean_auc_error: float | None
    neural_efficiency: float | None
    lut: float | None
    epochs: float
    runs: int


def rows(study: Study) -> list[Row]:
    """Every kind of network before pruning and as far pruned as the tolerance allows; then the best of the search."""
    groups = true_labels(usual_l1(comparable(group(study.runs))))
    lines: list[Row] = []
    for kind in sorted(groups, key=_order):
        runs = groups[kind]
        dense, pruned = FLOAT_NAMES if kind.bits == FLOAT_BITS else NAMES[kind.quantization]
        if kind == _first_of_kind(groups, kind):
            lines.append(_row(dense, kind, "", [run.steps[0] for run in runs]))
        chosen = sparsest(runs)
        if chosen:
            lines.append(_row(pruned, kind, SCHEDULES[kind.schedule], [run.steps[chosen] for run in runs]))
    return lines + _searched(study)


def to_csv(table: Sequence[Row]) -> str:
    """Return the table in full precision; an empty field is an unknown value."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([field.name for field in fields(Row)])
    writer.writerows(map(cell, astuple(row)) for row in table)
    return text.getvalue()


def to_markdown(table: Sequence[Row]) -> str:
    """Return the table as people read it, shares in per cent."""
    head = ("model", "bits", "scales", "trained with", "schedule", "pruned [%]", "BOPs", "accuracy [%]")
    tail = ("mean background efficiency [%]", "mean AUC [%]", "neural efficiency [%]", "LUT", "epochs", "runs")
    lines = [" | ".join(head + tail), " | ".join(["---"] * 5 + ["---:"] * 9)]
    for row in table:
        cells = [row.model, row.bits, row.scales, row.trained_with, row.schedule]
        cells += [f"{100 * row.sparsity:.1f}", f"{row.bops:,.0f}", _percent(row.accuracy, row.accuracy_error, 2)]
        cells += [_percent(row.background_efficiency, row.background_efficiency_error, 3)]
        cells += [_percent(row.mean_auc, row.mean_auc_error, 2)]
        cells += ["" if row.neural_efficiency is None else f"{100 * row.neural_efficiency:.1f}"]
        cells += ["" if row.lut is None else f"{row.lut:,.0f}", f"{row.epochs:.0f}", str(row.runs)]
        lines.append(" | ".join(cells))
    return "".join(f"| {line} |\n" for line in lines)


def _order(kind: Setting) -> tuple[object, ...]:
    schedule = list(SCHEDULES).index(kind.schedule) if kind.schedule in SCHEDULES else len(SCHEDULES)
    regular = -kind.batch_norm - (kind.l1 > 0)
    return (-(kind.bits or 0), kind.quantization, kind.scales or "", regular, regularization(kind), schedule)


def _first_of_kind(groups: Groups, kind: Setting) -> Setting:
    """The setting that differs from `kind` in the schedule only and comes first: before pruning they are the same."""
    same = (kind.bits, kind.quantization, kind.scales, kind.batch_norm, kind.l1)
    alike = [one for one in groups if (one.bits, one.quantization, one.scales, one.batch_norm, one.l1) == same]
    return min(alike, key=_order)


def sparsest(runs: Sequence[Run]) -> int:
    """The last step within the tolerance, 0 if none after the first is."""
    common = min(len(run.steps) for run in runs)
    accuracies = [fmean(run.steps[index].accuracy for run in runs) for index in range(common)]
    return max(index for index, one in enumerate(accuracies) if one >= accuracies[0] - TOLERANCE)


def _searched(study: Study) -> list[Row]:
    best: dict[int | None, Run] = {}
    for run in study.trials:
        bits = setting_of(run.config).bits
        if bits not in best or run.steps[-1].validation_loss < best[bits].steps[-1].validation_loss:
            best[bits] = run
    lines = []
    for bits in sorted(best, key=lambda one: -(one or 0)):
        kind, step = setting_of(best[bits].config), best[bits].steps[-1]
        lines.append(_row("BO", kind, SCHEDULES.get(kind.schedule, "") if step.sparsity else "", [step]))
    return lines


def _row(model: str, kind: Setting, schedule: str, steps: Sequence[Step]) -> Row:
    accuracy, accuracy_error = mean([step.accuracy for step in steps])
    background, background_error = mean([step.background_efficiency for step in steps])
    area, area_error = mean([step.mean_auc for step in steps])
    return Row(
        model=model,
        bits="mixed" if kind.bits is None else str(kind.bits),
        scales=(kind.scales or "").replace("_", " "),
        trained_with=regularization(kind),
        schedule=schedule,
        sparsity=fmean(step.sparsity for step in steps),
        bops=fmean(step.bops for step in steps),
        accuracy=accuracy,
        accuracy_error=accuracy_error,
        background_efficiency=background,
        background_efficiency_error=background_error,
        mean_auc=area,
        mean_auc_error=area_error,
        neural_efficiency=_known_mean([step.neural_efficiency for step in steps]),
        lut=_known_mean([step.lut for step in steps]),
        epochs=fmean(step.learned for step in steps),
        runs=len(steps),
    )


def _known_mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None


def _percent(value: float, error: float | None, digits: int) -> str:
    shown = f"{100 * value:.{digits}f}"
    return shown if error is None else f"{shown} ± {100 * error:.{digits}f}"
