# SPDX-License-Identifier: Apache-2.0
"""Fronts of accuracy against LUTs: how good one is, which candidates are on it, what an accuracy costs on it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

Line = Mapping[str, Any]
# LUTs for which a front is scored, in even steps of the logarithm: a small part of any board to a large one.
BUDGETS = tuple(round(250 * 2 ** (step / 2)) for step in range(13))  # 250 to 16,000


def front(lines: Sequence[Line]) -> list[Line]:
    """Return the candidates that no other beats in LUTs and validation accuracy, by rising LUTs."""
    kept: list[Line] = []
    for line in sorted((one for one in lines if "lut" in one), key=lambda one: (one["lut"], -one["validation"])):
        if not kept or line["validation"] > kept[-1]["validation"]:
            kept.append(line)
    return kept


def score(lines: Sequence[Line]) -> float:
    """Return the mean of the best validation accuracy within each of `BUDGETS`; 0 where nothing is small enough."""
    known = [line for line in lines if "lut" in line]
    best = [max((line["validation"] for line in known if line["lut"] <= most), default=0.0) for most in BUDGETS]
    return sum(best) / len(best)


def luts(lines: Sequence[Line], accuracy: float) -> float | None:
    """Return the LUTs at which a front, chosen on validation data, reaches `accuracy` on test data.

    Between two candidates the logarithm of the LUTs is drawn as a line. None: the front does not reach it, or begins
    above it.
    """
    points = _rising(front(lines))
    for (below, few), (above, many) in pairwise(points):
        if below <= accuracy <= above:
            part = (accuracy - below) / (above - below)
            return math.exp(math.log(few) + part * (math.log(many) - math.log(few)))
    return None


def _rising(kept: Sequence[Line]) -> list[tuple[float, float]]:
    """(test accuracy, LUTs) of a front, without candidates that are no better on test data than a smaller one."""
    points: list[tuple[float, float]] = []
    for line in kept:
        if line["lut"] > 0 and (not points or line["test"] > points[-1][0]):
            points.append((line["test"], line["lut"]))
    return points


def chosen(lines: Sequence[Line]) -> dict[int, list[Line]]:
    """Return the lines of one side by seed, of the settings that were chosen: those of the best trial.

    Trials are settings that were run with the first seed of all; they are compared as `peers.py` does.
    """
    by_task: dict[tuple[int, str], list[Line]] = {}
    for line in lines:
        by_task.setdefault((line["task"]["seed"], json.dumps(line["task"]["settings"], sort_keys=True)), []).append(
            line
        )
    seeds = list(dict.fromkeys(seed for seed, _ in by_task))
    if not seeds:
        return {}
    trials = [settings for seed, settings in by_task if seed == seeds[0]]
    best = max(trials, key=lambda settings: (score(by_task[seeds[0], settings]), -trials.index(settings)))
    return {seed: by_task[seed, best] for seed in seeds if (seed, best) in by_task}


def ratio(ours: Sequence[float | None], theirs: Sequence[float | None]) -> float | None:
    """Return the ratio of the geometric means of LUTs at one accuracy over seeds; None where a seed has none."""
    if not ours or not theirs or None in ours or None in theirs:
        return None
    logs = [sum(math.log(one) for one in side if one) / len(side) for side in (ours, theirs)]
    return math.exp(logs[0] - logs[1])
