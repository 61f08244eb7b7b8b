# SPDX-License-Identifier: Apache-2.0
"""All runs of a study: what repetitions come to on average, where pruning costs many points, and who learned longer."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from qap2fpga.report import show, study_settings
from qap2fpga.report.studies import Trained
from qap2fpga.report.summary import Summary, Value

# Share of accuracy that pruning may cost before it is said: twice what Table 1 of a study lets a pruned network lose.
MANY_POINTS = 0.02
# A loss is said where it is so many of its standard errors, or of one run, which has none.
ERRORS = 2.0
# So many settings are named, those of the fewest zeros; the others are counted.
MOST_WARNINGS = 3
FLOAT_BITS = "32"


@dataclass(frozen=True)
class Mean:
    """One pruning step of one setting over its runs. `error` is the standard error of the mean, None of one run.

    `name` is what people call the `setting`, and no other has it. `lost` is how much less accuracy it has than the
    first step of the same runs, run by run; None where that is unknown.
    `epochs`: how many the weights learned, on average. `checkpoints` are what the mean is of.
    """

    setting: str
    name: str
    step: int
    checkpoints: tuple[Summary, ...]
    accuracy: float
    error: float | None
    bops: float | None
    lut: float | None
    zeros: float | None
    lost: float | None
    lost_error: float | None
    epochs: float | None
    search: str | None = None

    @property
    def runs(self) -> int:
        """How many runs it is the mean of."""
        return len(self.checkpoints)

    @property
    def is_float(self) -> bool:
        """Whether its weights are floats."""
        return self.checkpoints[0].weight_bits == FLOAT_BITS


@dataclass(frozen=True)
class Learned:
    """How many epochs, at least and at most, networks learned before pruning and after the last step of it.

    `reference` are those of float networks before pruning, None where there are none.
    """

    dense: tuple[float, float]
    pruned: tuple[float, float]
    reference: tuple[float, float] | None


def means(trained: Iterable[Trained]) -> tuple[Mean, ...]:
    """Return a mean for every setting and step whose accuracy is known, in the order of the study."""
    together: dict[str, dict[int, list[Trained]]] = {}
    for one in trained:
        if one.checkpoint.accuracy is not None:
            together.setdefault(one.setting, {}).setdefault(one.step, []).append(one)
    names: dict[str, str] = {}
    for setting, steps in together.items():
        names[setting] = study_settings.unlike(steps[min(steps)][0].name, names.values())
    return tuple(mean for setting, steps in together.items() for mean in _setting(names[setting], steps))


def values(mean: Mean) -> dict[str, Value]:
    """Return the numbers by name."""
    names = (
        "name", "step", "runs", "epochs", "accuracy", "error", "lost", "lost_error", "bops", "lut", "zeros", "search",
    )  # fmt: skip
    return {name: getattr(mean, name) for name in names}


def costly(means: Iterable[Mean]) -> tuple[Mean, ...]:
    """Return of every setting the first step at which pruning has cost many points, and not by chance of its runs."""
    first: dict[str, Mean] = {}
    for one in means:
        if one.lost is not None and one.lost >= max(MANY_POINTS, ERRORS * (one.lost_error or 0.0)):
            first.setdefault(one.setting, one)
    return tuple(first.values())


def learned(means: Sequence[Mean]) -> Learned | None:
    """Return how long networks learned, None where pruned ones learned no longer than others, or it is unknown."""
    last = {one.setting: one for one in means}
    dense = [one.epochs for one in means if one.step == 0 and one.epochs is not None]
    pruned = [one.epochs for one in last.values() if one.step and one.epochs is not None]
    reference = [one.epochs for one in means if one.step == 0 and one.is_float and one.epochs is not None]
    if not dense or not pruned or (min(dense), max(dense)) == (min(pruned), max(pruned)):
        return None
    ends = (min(reference), max(reference)) if reference else None
    return Learned((min(dense), max(dense)), (min(pruned), max(pruned)), ends)


def warnings(means: Sequence[Mean]) -> tuple[str, ...]:
    """Return what to know before accuracies are compared: where pruning costs much, and who learned longer."""
    much, who = sorted(costly(means), key=lambda one: one.zeros or 0.0), learned(means)
    further = len(much) - MOST_WARNINGS
    more = [f"Pruning costs {further} further settings {100 * MANY_POINTS:g} points or more."] if further > 0 else []
    return (*map(cost, much[:MOST_WARNINGS]), *more, *([lengths(who)] if who else ()))


def cost(mean: Mean) -> str:
    """Say what pruning has cost at a step."""
    assert mean.lost is not None
    points = show.points(mean.lost, mean.lost_error)
    zeros = "" if mean.zeros is None else f", {show.percent(mean.zeros, 1)} zeros"
    left = f"{show.percent(mean.accuracy)} are left"
    return f"Pruning costs '{mean.name}' {points} points of accuracy at step {mean.step}{zeros}: {left}."


def lengths(learned: Learned) -> str:
    """Say who learned how long."""
    reference = f" (the float reference: {_range(learned.reference)})" if learned.reference else ""
    return (
        f"Networks did not learn equally long: {_range(learned.dense)} epochs before pruning{reference}, "
        f"{_range(learned.pruned)} after the last step of it. Part of a difference in accuracy may come from that."
    )


def _range(ends: tuple[float, float]) -> str:
    low, high = (f"{end:.0f}" for end in ends)
    return low if low == high else f"{low} to {high}"


def _setting(name: str, steps: dict[int, list[Trained]]) -> list[Mean]:
    first = {one.run: _accuracy(one) for one in steps[min(steps)]}
    return [_mean(name, steps[number], first) for number in sorted(steps)]


def _mean(name: str, repetitions: Sequence[Trained], first: dict[str, float]) -> Mean:
    checkpoints = tuple(one.checkpoint for one in repetitions)
    accuracy, error = _average([_accuracy(one) for one in repetitions])
    losses = [first[one.run] - _accuracy(one) for one in repetitions if one.run in first]
    lost, lost_error = _average(losses) if losses else (None, None)
    return Mean(
        setting=repetitions[0].setting,
        name=name,
        step=repetitions[0].step,
        checkpoints=checkpoints,
        accuracy=accuracy,
        error=error,
        bops=_known([one.bops_paper for one in checkpoints]),
        lut=_known([one.lut for one in checkpoints]),
        zeros=_known([one.zeros for one in checkpoints]),
        lost=lost,
        lost_error=lost_error,
        epochs=_known([one.epochs for one in repetitions]),
        search=repetitions[0].search,
    )


def _accuracy(one: Trained) -> float:
    assert one.checkpoint.accuracy is not None
    return one.checkpoint.accuracy


def _average(values: Sequence[float]) -> tuple[float, float | None]:
    """Mean and its standard error."""
    return fmean(values), stdev(values) / math.sqrt(len(values)) if len(values) > 1 else None


def _known(values: Sequence[float | None]) -> float | None:
    """The mean of what is known."""
    known = [value for value in values if value is not None]
    return fmean(known) if known else None
