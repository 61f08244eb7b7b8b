# SPDX-License-Identifier: Apache-2.0
"""All runs of a study: what repetitions come to on average, and where pruning costs many points."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from qap2fpga.report.summary import Summary

# The names of a study's runs differ in this for the folds of one setting (`train/plan.py`).
FOLD = re.compile(r"-fold\d+(?=, step \d+$)")
STEP = re.compile(r", step (\d+)$")
# Share of accuracy that pruning may cost before it is said.
MANY_POINTS = 0.02


@dataclass(frozen=True)
class Mean:
    """One pruning step of one setting over its folds. `error` is the standard error of the mean, None of one run.

    `lost` is how much accuracy it has less than the setting's first step.
    """

    name: str
    step: int
    runs: int
    accuracy: float
    error: float | None
    bops: float | None
    zeros: float | None
    lost: float


def means(checkpoints: Iterable[Summary]) -> tuple[Mean, ...]:
    """Return a mean for every setting and step whose accuracy is known, in the order of the study."""
    together: dict[str, dict[int, list[Summary]]] = {}
    for one in checkpoints:
        step = STEP.search(one.name)
        if step is not None and one.accuracy is not None:
            name = STEP.sub("", FOLD.sub("", one.name))
            together.setdefault(name, {}).setdefault(int(step.group(1)), []).append(one)
    return tuple(mean for name, steps in together.items() for mean in _setting(name, steps))


def costly(means: Iterable[Mean]) -> tuple[Mean, ...]:
    """Return of every setting the first step at which pruning has cost many points."""
    first: dict[str, Mean] = {}
    for one in means:
        if one.lost >= MANY_POINTS:
            first.setdefault(one.name, one)
    return tuple(first.values())


def _setting(name: str, steps: dict[int, list[Summary]]) -> list[Mean]:
    rows: list[Mean] = []
    for step in sorted(steps):
        runs = steps[step]
        values = [run.accuracy for run in runs if run.accuracy is not None]
        error = stdev(values) / math.sqrt(len(values)) if len(values) > 1 else None
        accuracy = fmean(values)
        lost = rows[0].accuracy - accuracy if rows else 0.0
        bops, zeros = _known([run.bops_paper for run in runs]), _known([run.zeros for run in runs])
        rows.append(Mean(name, step, len(values), accuracy, error, bops, zeros, lost))
    return rows


def _known(values: Sequence[float | None]) -> float | None:
    """The mean of what is known."""
    known = [value for value in values if value is not None]
    return fmean(known) if known else None
