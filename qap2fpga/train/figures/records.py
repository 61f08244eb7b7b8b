# SPDX-License-Identifier: Apache-2.0
"""The finished runs of a study folder, read back as values. `docs/studies.md` describes the folder."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from qap2fpga.report import study_folder, study_settings
from qap2fpga.report.study_folder import Entry
from qap2fpga.system.errors import QapError
from qap2fpga.train import config as configuration
from qap2fpga.train.schema import NeuralEfficiency, Record, StepRecord
from qap2fpga.train.settings import RunConfig


@dataclass(frozen=True)
class Roc:
    """Points of a ROC curve, both efficiencies rising from 0 to 1."""

    background_efficiency: tuple[float, ...]
    signal_efficiency: tuple[float, ...]


@dataclass(frozen=True)
class Epoch:
    """Losses, as the training minimises them, after one epoch."""

    training_loss: float
    validation_loss: float


@dataclass(frozen=True)
class Step:
    """A network as it left one pruning step; shares are 0 to 1.

    `target` and `sparsity` are the share of weights to prune and the masked one, `background_efficiency` the mean over
    classes at 50 % signal efficiency, `efficiency_cap` what the sample allows `neural_efficiency` to be at most,
    `bops` those of equation 1, `code_bops` those that the paper's code counts, `lut` None where nothing was estimated,
    `learned` the number of epochs that the weights learned since they were drawn or rewound.
    """

    target: float
    sparsity: float
    epochs: tuple[Epoch, ...]
    validation_loss: float
    accuracy: float
    mean_auc: float
    auc: dict[str, float]
    roc: dict[str, Roc]
    background_efficiency: float
    neural_efficiency: float | None
    efficiency_cap: float | None
    bops: float
    code_bops: float
    lut: float | None
    learned: int


@dataclass(frozen=True)
class Run:
    """One finished run. `setting` is what people call what it trains, `search` the search that a trial belongs to."""

    name: str
    config: RunConfig
    steps: tuple[Step, ...]
    setting: str
    search: str | None = None


@dataclass(frozen=True)
class Study:
    """The finished runs of a study and of its search, and how many others there are."""

    folder: Path
    runs: tuple[Run, ...]
    trials: tuple[Run, ...]
    unfinished: int
    unreadable: tuple[Path, ...]


def load(folder: Path) -> Study:
    """Read a study. Raises `QapError` if `folder` is none, or has no finished run."""
    listed = study_folder.load(folder)
    runs, missing, broken = _finished(listed.runs)
    tried, missing_trials, broken_trials = _finished(listed.trials)
    if not runs and not tried:
        raise QapError(f"{folder} has no finished run", "run `qap2fpga study` again: it goes on where it stopped")
    return Study(folder, runs, tried, missing + missing_trials, broken + broken_trials)


def _finished(entries: Sequence[Entry]) -> tuple[tuple[Run, ...], int, tuple[Path, ...]]:
    runs, unfinished, unreadable = [], 0, []
    for entry in entries:
        if not entry.begun:
            unfinished += 1
            continue
        try:
            # Of another schema, it raises one of the errors below where it is looked at.
            record = cast(Record, entry.record())
            if record["finished"]:
                runs.append(_run(entry, record))
            else:
                unfinished += 1
        # A record of another schema, or with numbers that are none.
        except (ValueError, KeyError, TypeError, AttributeError, ArithmeticError, QapError):
            unreadable.append(entry.folder / study_folder.RECORD)
    return tuple(runs), unfinished, tuple(unreadable)


def _run(entry: Entry, record: Record) -> Run:
    if record["schema"] != study_folder.SCHEMA or not record["steps"]:
        raise ValueError("a record of another schema")
    *steps, last = map(_step, record["steps"], study_settings.epochs(record))
    if entry.predicted_luts is not None:
        last = replace(last, lut=_number(cast(float, entry.predicted_luts)))
    config = configuration.from_dict(record["config"])
    return Run(entry.folder.name, config, (*steps, last), entry.setting, entry.search)


def _step(step: StepRecord, learned: int | None) -> Step:
    if learned is None:
        raise ValueError("a step without its epochs")
    test = step["metrics"]["test"]
    neural = test.get("neural_efficiency")
    estimate = step.get("estimate")
    lut = estimate.get("lut") if estimate else None
    return Step(
        target=_number(step["target_sparsity"]),
        sparsity=_number(step["mask_sparsity"]),
        epochs=tuple(Epoch(_number(one["training_loss"]), _number(one["validation_loss"])) for one in step["epochs"]),
        validation_loss=_number(step["metrics"]["validation"]["loss"]),
        accuracy=_number(test["accuracy"]),
        mean_auc=_number(test["mean_auc"]),
        auc={name: _number(area) for name, area in test["auc"].items()},
        roc={
            name: Roc(
                tuple(map(_number, curve["background_efficiency"])), tuple(map(_number, curve["signal_efficiency"]))
            )
            for name, curve in test["roc"].items()
        },
        background_efficiency=_number(test["mean_background_efficiency"]["value"]),
        neural_efficiency=None if neural is None else _number(neural["network"]),
        efficiency_cap=None if neural is None else _cap(neural),
        bops=_number(step["bops"]["paper"]),
        code_bops=_number(step["bops"]["paper_code"]),
        lut=None if lut is None else _number(lut),
        learned=learned,
    )


def _number(value: float) -> float:
    """A finite float; a run that diverged has others."""
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{number} where a number is due")
    return number


def _cap(neural: NeuralEfficiency) -> float:
    """The network efficiency if every layer had as many states as neurons, or rows, allow."""
    product, layers = 1.0, neural["layers"].values()
    for layer in layers:
        product *= min(1.0, neural["cap_bits"] / layer["neurons"])
    return float(product ** (1.0 / len(layers)))
