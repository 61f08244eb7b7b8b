# SPDX-License-Identifier: Apache-2.0
"""Which runs of a study repeat one setting, what people call it, and how long its networks learned.

Runs are told apart by the configuration in their records: those that differ in nothing but fold, seed and the device
they were trained on are repetitions. Names only say which setting it is; nothing is grouped by them.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Collection, Mapping
from typing import Any

REPETITION = ("fold", "seed", "training.device")
# A grid that has no name of its own (`train/plan.py`), which says nothing about a setting.
UNNAMED = "grid"
# How the names of runs differ for the folds of one setting, where a study says nothing else of it.
FOLD = re.compile(r"-fold\d+$")
REWINDING = "lottery_ticket"


def key(config: Mapping[str, Any]) -> str:
    """Return the setting of a run's configuration: all of it, as JSON, but what may differ between repetitions."""
    kept = {name: dict(value) if isinstance(value, Mapping) else value for name, value in config.items()}
    for path in REPETITION:
        *sections, last = path.split(".")
        place = kept.get(sections[0], {}) if sections else kept
        if isinstance(place, dict):
            place.pop(last, None)
    return json.dumps(kept, sort_keys=True)


def name(run: str, experiment: object, varied: object) -> str:
    """Return what people call the setting of `run`: its experiment and the values that are varied there.

    Where the study's list says neither, the run's name without its fold.
    """
    if not isinstance(experiment, str):
        return FOLD.sub("", run)
    values = varied if isinstance(varied, Mapping) else {}
    words = ", ".join(_word(path, value) for path, value in values.items() if path not in REPETITION)
    if not words:
        return experiment
    return words if experiment == UNNAMED else f"{experiment}: {words}"


def unlike(name: str, taken: Collection[str]) -> str:
    """Return `name`, with a number where another setting has it."""
    numbers = (f"{name} ({number})" for number in itertools.count(2))
    return next(one for one in itertools.chain([name], numbers) if one not in taken)


def epochs(record: Mapping[str, Any]) -> list[int | None]:
    """Return of every step how many epochs its weights learned since they were drawn or rewound; None is unknown.

    What is made of a trained network and tuned, as one with power-of-two scales, counts with its tuning.
    """
    config = record["config"]
    schedule = (config.get("pruning") or {}).get("schedule")
    rewinds = schedule == REWINDING and "rewind_without_copy" not in (config.get("paper_code") or ())
    counts: list[int | None] = []
    before: int | None = 0
    for step in record["steps"]:
        own = step.get("epochs")
        if rewinds:
            before = 0
        before = None if own is None or before is None else before + len(own)
        counts.append(None if before is None else before + len(step.get("tuning_epochs") or ()))
    return counts


def _word(path: str, value: object) -> str:
    """A varied value in words: `6 bits`, `lottery ticket`, `no batch norm`, `widths 64x32x32`."""
    last = path.rsplit(".", 1)[-1].replace("_", " ")
    if path == "model.bits":
        return f"{value} bits"
    if isinstance(value, bool):
        return last if value else f"no {last}"
    if isinstance(value, str):
        return value.replace("_", " ")
    if isinstance(value, list):
        return f"{last} {'x'.join(map(str, value))}"
    return f"{last} {value}"
