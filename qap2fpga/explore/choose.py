# SPDX-License-Identifier: Apache-2.0
"""Which candidates are worth building, and in which order."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from qap2fpga.estimate.prediction import Estimated, Interval
from qap2fpga.explore.candidates import Candidate
from qap2fpga.explore.estimates import Known, Line
from qap2fpga.explore.limits import Excess, Limits, broken, intervals
from qap2fpga.hw.resources import NAMES
from qap2fpga.report import pareto
from qap2fpga.report.summary import CANDIDATE, Summary, Value, from_values, values

# In words, what became of a point before anything was built.
FAILED, DROPPED, RANKED = "failed", "dropped", "ranked"


@dataclass(frozen=True)
class Point:
    """A candidate and what was estimated of it. `failed` is the reason why there is no estimate, else empty.

    `predicted` has the interval of each quantity. `certain` are limits that it breaks whatever of its intervals comes
    true, `expected` those that the predicted values break. `rank` is the place in the order of building, from 1;
    `best`: no other that is expected to meet the limits beats it in accuracy, LUTs and latency.
    """

    candidate: Candidate
    summary: Summary
    predicted: dict[str, Interval]
    calibrated: bool = False
    failed: str = ""
    certain: tuple[Excess, ...] = ()
    expected: tuple[Excess, ...] = ()
    best: bool = False
    rank: int | None = None

    @property
    def status(self) -> str:
        """One of FAILED, DROPPED, RANKED."""
        return FAILED if self.failed else DROPPED if self.certain else RANKED


def point(candidate: Candidate, line: Line | None, model: Known, folder: str, limits: Limits) -> Point:
    """Return the point of an estimate's `line`, which is None where the accuracy is too low to ask for one.

    `model` is what its file says of the network, `folder` that of its build.
    """
    known = {**model, **{name: one for name, one in values(candidate.network.summary).items() if one is not None}}
    target: dict[str, Value] = {
        "kind": CANDIDATE, "name": candidate.name, "folder": folder, "model_sha256": candidate.network.sha256,
        "backend": candidate.target.backend, "circuit": candidate.target.backend, "board": candidate.target.board.name,
        "part": candidate.target.board.part, "clock_ns": candidate.target.clock_ns,
    }  # fmt: skip
    # A study's own estimate is of another backend, perhaps.
    nothing = dict.fromkeys(("lut", "tool", "stage"))
    estimate = line.estimate if line else None
    if estimate is None:
        reason = (line.refused or line.failed or "") if line else ""
        summary = from_values({**known, **nothing, **target})
        excess = tuple(broken({}, summary.accuracy, limits, candidate.target.board))
        return Point(candidate, summary, {}, failed=reason, certain=excess, expected=excess)
    predicted = intervals(estimate, candidate.target.clock_ns)
    summary = from_values({**known, **target, **_numbers(estimate, candidate)})
    lows = {name: one.low for name, one in predicted.items()}
    expected = {name: one.value for name, one in predicted.items()}
    accuracy, board = summary.accuracy, candidate.target.board
    return Point(
        candidate, summary, predicted, estimate.calibrated,
        certain=tuple(broken(lows, accuracy, limits, board, prefix="at least ")),
        expected=tuple(broken(expected, accuracy, limits, board)),
    )  # fmt: skip


def rank(points: Sequence[Point]) -> list[Point]:
    """The points in the same order, with `best` and `rank`.

    First what is expected to meet the limits: the Pareto set, then the rest, both by falling accuracy, then by rising
    LUTs and latency. Behind them what may still meet the limits, the nearest first.
    """
    within = [one for one in range(len(points)) if points[one].status == RANKED and not points[one].expected]
    beyond = [one for one in range(len(points)) if points[one].status == RANKED and points[one].expected]
    front = {within[one] for one in pareto.front([_cost(points[index]) for index in within])}
    order = sorted(within, key=lambda one: (one not in front, _cost(points[one])))
    order += sorted(beyond, key=lambda one: points[one].expected[0].ratio)
    places = {index: place for place, index in enumerate(order, 1)}
    return [replace(one, best=index in front, rank=places.get(index)) for index, one in enumerate(points)]


def _cost(one: Point) -> tuple[float, ...]:
    accuracy, latency = one.summary.accuracy, one.predicted.get("latency_ns")
    worst = math.inf
    return (
        worst if accuracy is None else -accuracy,
        one.predicted["lut"].value,
        worst if latency is None else latency.value,
    )


def _numbers(estimate: Estimated, candidate: Candidate) -> dict[str, Value]:
    """The predicted values, as a build's summary has the measured ones."""
    predictions, board, clock = estimate.predictions, candidate.target.board, candidate.target.clock_ns
    counts = {name: round(predictions[name].value) for name in NAMES}
    cycles = (predictions.get(name) for name in ("latency_cycles", "interval_cycles"))
    latency, interval = (None if one is None else one.value for one in cycles)
    return {
        **counts,
        **{f"board_{name}": count / board.available(name) for name, count in counts.items()},
        "tool": "qap2fpga", "stage": "estimate", "latency_cycles": latency, "interval_cycles": interval,
        "cycles_from": "predicted", "latency_ns": None if latency is None else latency * clock,
        "frames_per_second": None if not interval else 1e9 / (interval * clock),
    }  # fmt: skip
