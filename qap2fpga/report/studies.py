# SPDX-License-Identifier: Apache-2.0
"""The checkpoints of a study folder as points that can be plotted beside builds; `docs/studies.md` describes it.

Imports nothing of the training: a study of thousands of checkpoints is read in a moment.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from qap2fpga.hw.resources import NAMES
from qap2fpga.report import show, study_folder, study_settings
from qap2fpga.report.study_folder import Entry
from qap2fpga.report.summary import CHECKPOINT, Summary
from qap2fpga.system.errors import QapError
from qap2fpga.system.files import sha256

TEST_SET = "the training's test set"
# What a build knows of its hardware, and a checkpoint takes over from its build.
OF_THE_BUILD = (
    "backend", "circuit", "board", "part", "clock_ns", "tool", "tool_version", "stage", *NAMES,
    "lut_per_bop", *(f"board_{name}" for name in NAMES), "latency_cycles", "interval_cycles",
    "cycles_from", "latency_ns", "frames_per_second", "mismatches", "verdict", "checks", "checks_failed",
    "checks_not_run",
)  # fmt: skip


# Of an epoch: training loss, validation loss.
Loss = tuple[float, float]


@dataclass(frozen=True)
class Trained:
    """One step of one run, as a repetition of its setting.

    Steps of the same `setting` and number may be averaged; `name` is what people call the setting. `search` is that of
    a trial. `epochs`: how many its weights learned, None where its record does not say. `losses`: of each epoch of
    the step, None of one that diverged.
    """

    setting: str
    name: str
    run: str
    step: int
    checkpoint: Summary
    epochs: int | None = None
    search: str | None = None
    losses: tuple[Loss | None, ...] = ()


@dataclass(frozen=True)
class Study:
    """A study's checkpoints, each a summary. `waiting` and `failed` count runs, `unreadable` names their records.

    `trained` are the same as they were trained, whatever was built of them. `data` are (hash, name) of what they were
    trained and tested on.
    """

    name: str
    folder: Path
    checkpoints: tuple[Summary, ...]
    runs: int
    waiting: int
    failed: int
    unreadable: tuple[str, ...]
    trained: tuple[Trained, ...] = ()
    data: tuple[tuple[str, str], ...] = ()


def builds_in(folder: Path) -> list[Path]:
    """The builds that lie in the study's own folder `builds`."""
    return sorted(path.parent for path in (folder / "builds").glob("*/report.json"))


def load(name: str, folder: Path) -> Study:
    """Read the study in `folder`. Raises `QapError` if its index cannot be read."""
    listed = study_folder.load(folder)
    entries = (*listed.runs, *listed.trials)
    trained: list[Trained] = []
    data: dict[str, str] = {}
    unreadable, waiting = [], 0
    for entry in entries:
        if not entry.begun:
            waiting += not entry.failed
            continue
        try:
            record: dict[str, Any] = entry.record()
            trained += _trained(entry, record)
            data |= _data(record)
            waiting += not record["finished"] and not entry.failed
        except (QapError, KeyError, TypeError, AttributeError):
            unreadable.append(entry.name)
    failed = sum(entry.failed for entry in entries)
    checkpoints = tuple(one.checkpoint for one in trained)
    return Study(
        name, folder, checkpoints, len(entries), waiting, failed, tuple(unreadable), tuple(trained), tuple(data.items())
    )


def with_builds(study: Study, builds: Iterable[Summary]) -> tuple[Study, set[int]]:
    """The study with the hardware numbers of those `builds` that were made of its checkpoints, and their indices.

    A checkpoint that was built more than once appears once for each build; its `folder` is then the build's.
    """
    by_model: dict[str, list[tuple[int, Summary]]] = {}
    for index, build in enumerate(builds):
        if build.model_sha256:
            by_model.setdefault(build.model_sha256, []).append((index, build))
    if not by_model:
        return study, set()
    summaries: list[Summary] = []
    used: set[int] = set()
    for one in study.checkpoints:
        path = Path(one.folder) / str(one.model)
        of_model = by_model.get(sha256(path), []) if path.is_file() else []
        used |= {index for index, _ in of_model}
        summaries += [built(one, build) for _, build in of_model] or [one]
    return replace(study, checkpoints=tuple(summaries)), used


def built(checkpoint: Summary, build: Summary) -> Summary:
    """A checkpoint with what `build`, which was made of it, knows of its hardware."""
    taken: dict[str, Any] = {name: getattr(build, name) for name in OF_THE_BUILD}
    return replace(checkpoint, name=f"{checkpoint.name}, built as {build.name}", folder=build.folder, **taken)


def _data(record: dict[str, Any]) -> dict[str, str]:
    """The name of a record's data by its hash."""
    data = record.get("data") or {}
    return {str(data["sha256"]): str(data["name"])} if data.get("sha256") and data.get("name") else {}


def _trained(entry: Entry, record: dict[str, Any]) -> list[Trained]:
    """Every pruning step that the run has finished."""
    model, data = record["config"]["model"], record.get("data") or {}
    steps = record["steps"]
    setting, predicted = study_settings.key(record["config"]), entry.predicted_luts
    trained = []
    for step, epochs in zip(steps, study_settings.epochs(record), strict=True):
        # A search predicts the last checkpoint of each of its trials.
        lut = (step.get("estimate") or {}).get("lut") if step is not steps[-1] or predicted is None else predicted
        checkpoint = _checkpoint(entry, step, model, data, show.finite(lut))
        losses = tuple(map(_loss, step.get("epochs") or ()))
        trained.append(
            Trained(setting, entry.setting, entry.name, step["step"], checkpoint, epochs, entry.search, losses)
        )
    return trained


def _loss(epoch: dict[str, Any]) -> Loss | None:
    training, validation = show.finite(epoch.get("training_loss")), show.finite(epoch.get("validation_loss"))
    return None if training is None or validation is None else (training, validation)


def _checkpoint(
    entry: Entry, step: dict[str, Any], model: dict[str, Any], data: dict[str, Any], lut: float | None
) -> Summary:  # fmt: skip
    test, bops = step["metrics"]["test"], step["bops"]
    zeros = step.get("integer_sparsity")
    cells: dict[str, Any] = {} if lut is None else {"lut": round(lut), "tool": "qap2fpga", "stage": "estimate"}
    return Summary(
        kind=CHECKPOINT,
        name=f"{entry.name}, step {step['step']}",
        folder=str(entry.folder),
        model=step.get("checkpoint"),
        weight_bits=_bits(model.get("weight_bits")),
        activation_bits=_bits(model.get("activation_bits")),
        zeros=show.finite(step.get("mask_sparsity") if zeros is None else zeros),
        accuracy=show.finite(test["accuracy"]),
        accuracy_rows=test.get("rows"),
        accuracy_data=data.get("sha256") or data.get("name"),
        accuracy_from=TEST_SET,
        mean_auc=show.finite(test.get("mean_auc")),
        bops_paper=show.finite(bops["paper"]),
        bops_nonzero_products=show.finite(bops.get("nonzero")),
        **cells,
    )


def _bits(width: object) -> str | None:
    if isinstance(width, list):
        return ",".join(map(str, width))
    return None if width is None else str(width)
