# SPDX-License-Identifier: Apache-2.0
"""What Hawks et al. 2021 found, and what a study finds: a number with its error beside each claim, and a verdict.

A claim is that a number is at least, or at most, some limit, which is fixed here and not by the study. Where accuracies
are compared, it is run by run of the same fold and seed, so what these do to both is not in the error. A claim holds,
or does not, where the number is away from its limit by two standard errors; else the study cannot tell.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from statistics import fmean, stdev

from qap2fpga.system.names import cell
from qap2fpga.train.figures.chart import mean
from qap2fpga.train.figures.records import Run, Step, Study
from qap2fpga.train.figures.select import (
    FINE_TUNING,
    FOCUS_BITS,
    Groups,
    having,
    one_schedule,
    pruned_alike,
    regularization,
    regularized,
    setting_of,
    true_labels,
    usual_l1,
)
from qap2fpga.train.figures.table import sparsest
from qap2fpga.train.settings import FLOAT_BITS

# Percentage points of accuracy: what counts as no loss, and what ends the plateau.
NO_LOSS, FALL = 0.5, 1.0
# The share of weights that the paper prunes before accuracy falls, and from where little is left; the paper's steps are
# a weight or two off.
PLATEAU, LITTLE, OFF = 0.8, 0.9, 0.005
ERRORS = 2.0
HOLDS, FAILS, OPEN, UNKNOWN = "holds", "does not hold", "cannot be told", "no runs for it"
POINTS, TIMES = "points", "times"


@dataclass(frozen=True)
class Claim:
    """A claim and what a study says of it.

    `number` says what `value` is, in `unit`; its limits are `least` and `most`, at least one of them. `error` is one
    standard error, None of a single run; or else `ends` are the least and the largest that the value may be. There is
    no value where no runs give one, or for a `reason`, against it.
    """

    claim: str
    figure: str
    number: str
    unit: str
    least: float | None
    most: float | None
    value: float | None
    error: float | None
    runs: int
    reason: str = ""
    ends: tuple[float, float] | None = None

    @property
    def verdict(self) -> str:
        """Whether it holds, does not, or cannot be told."""
        if self.value is None and self.ends is None:
            return FAILS if self.reason else UNKNOWN
        spread = ERRORS * (self.error or 0.0)
        low, high = self.ends or ((self.value or 0.0) - spread, (self.value or 0.0) + spread)
        least = -math.inf if self.least is None else self.least
        most = math.inf if self.most is None else self.most
        if low >= least and high <= most:
            return HOLDS
        return FAILS if high < least or low > most else OPEN


def claims(study: Study) -> list[Claim]:
    """Return every claim, with what the runs of `study` say of it."""
    every = usual_l1(pruned_alike(study.runs))
    regular = regularized(true_labels(every))
    usual, tuned = one_schedule(regular), one_schedule(every)
    return [
        *_quantization(usual),
        *_pruning(usual),
        *_costs(usual),
        _schedules(regular),
        *_regularization(true_labels(tuned)),
        *_searched(study, usual),
        *_labels(regularized(tuned)),
        _information(tuned),
    ]


def to_csv(lines: Sequence[Claim]) -> str:
    """Return the claims in full precision, with their verdicts; an empty field is an unknown value."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*(field.name for field in fields(Claim)), "verdict"])
    writer.writerows([*map(cell, astuple(line)), line.verdict] for line in lines)
    return text.getvalue()


def to_markdown(lines: Sequence[Claim]) -> str:
    """Return the claims as people read them."""
    rows = [
        "the paper | there | our number | holds if | ours | runs | verdict",
        "--- | --- | --- | --- | ---: | ---: | ---",
    ]
    for line in lines:
        ours = line.reason if line.value is None else _amount(line.value, line.error)
        ours += f" ({line.ends[0]:.2f} to {line.ends[1]:.2f})" if line.ends else ""
        texts = (line.claim, line.figure, f"{line.number} [{line.unit}]", _limits(line), ours, line.runs, line.verdict)
        rows.append(" | ".join(map(str, texts)))
    return "".join(f"| {row} |\n" for row in rows)


def _limits(line: Claim) -> str:
    words = [f"{word} {limit:g}" for word, limit in (("≥", line.least), ("≤", line.most)) if limit is not None]
    return " and ".join(words)


def _amount(value: float, error: float | None) -> str:
    return f"{value:.2f}" + ("" if error is None else f" ± {error:.2f}")


# An accuracy of a run in per cent; None where it has no such steps.
Read = Callable[[Run], float | None]


def _dense(run: Run) -> float:
    return 100 * run.steps[0].accuracy


def _pruned(run: Run, least: float, most: float) -> float | None:
    """Mean accuracy of the steps that prune by `least` to `most`, each a share of the weights."""
    accuracies = [step.accuracy for step in run.steps[1:] if least - OFF <= step.target <= most + OFF]
    return 100 * fmean(accuracies) if accuracies else None


def _plateau(run: Run) -> float | None:
    return _pruned(run, PLATEAU, PLATEAU)


def _sparsest(run: Run) -> float | None:
    return _pruned(run, max(run.steps[-1].target, LITTLE), 1.0)


def _runs(groups: Groups, **values: object) -> list[Run]:
    """The repetitions of the one setting that has these values; none where it is not there, or not the only one."""
    chosen = list(having(groups, **values).values())
    return chosen[0] if len(chosen) == 1 else []


def _paired(runs: Sequence[Run], others: Sequence[Run], read: Read) -> list[float]:
    """Differences between runs of the same fold and seed."""
    alike = {(run.config.fold, run.config.seed): read(run) for run in others}
    return _differences([(read(run), alike.get((run.config.fold, run.config.seed))) for run in runs])


def _within(runs: Sequence[Run], read: Read, other: Read) -> list[float]:
    """Differences between two accuracies of each run."""
    return _differences([(read(run), other(run)) for run in runs])


def _differences(pairs: Sequence[tuple[float | None, float | None]]) -> list[float]:
    return [one - other for one, other in pairs if one is not None and other is not None]


def _points(
    claim: str, figure: str, number: str, values: Sequence[float], *, least: float | None = None,
    most: float | None = None,
) -> Claim:  # fmt: skip
    value, error = mean(values) if values else (None, None)
    return Claim(claim, figure, number, POINTS, least, most, value, error, len(values))


def _quantization(groups: Groups) -> Iterator[Claim]:
    floats, six = _runs(groups, bits=FLOAT_BITS), _runs(groups, bits=FOCUS_BITS)
    for bits in (12, FOCUS_BITS):
        number = f"accuracy at {bits} bits less that at 32, not pruned"
        losses = _paired(_runs(groups, bits=bits), floats, _dense)
        yield _points(f"{bits} bits lose no accuracy", "Fig. 4", number, losses, least=-NO_LOSS)
    number = "accuracy at 4 bits less that at 6, not pruned"
    yield _points("4 bits lose some", "Fig. 4", number, _paired(_runs(groups, bits=4), six, _dense), most=0.0)


def _pruning(groups: Groups) -> Iterator[Claim]:
    for bits in (FLOAT_BITS, FOCUS_BITS):
        losses = _within(_runs(groups, bits=bits), _plateau, _dense)
        number = f"accuracy pruned by 80 % less that before pruning, {bits} bits"
        yield _points("80 % of the weights can go", "Fig. 4", number, losses, least=-FALL)
    falls = _within(_runs(groups, bits=FOCUS_BITS), _sparsest, _plateau)
    number = "accuracy of the sparsest network less that pruned by 80 %, 6 bits"
    yield _points("then accuracy falls", "Fig. 4", number, falls, most=-FALL)


def _costs(groups: Groups) -> Iterator[Claim]:
    floats, six = _runs(groups, bits=FLOAT_BITS), _runs(groups, bits=FOCUS_BITS)
    others = (
        ("with neither", "25", 24.5, "32 bits, not pruned", _first(floats)),
        ("with pruning alone", "3.3", 3.25, "32 bits, pruned", _pruned_far(floats)),
        ("with quantization alone", "2.2", 2.15, "6 bits, not pruned", _first(six)),
    )
    counts: tuple[tuple[str, Callable[[Step], float]], ...] = (
        ("equation 1", lambda step: step.bops),
        ("as the paper's code counts", lambda step: step.code_bops),
    )
    pruned = _pruned_far(six)
    for words, published, limit, what, steps in others:
        for name, count in counts:
            value = error = None
            if steps and pruned:
                value, error = _ratio(mean([count(step) for step in steps]), mean([count(step) for step in pruned]))
            number = f"BOPs ({name}) of {what}, over those of 6 bits, pruned; pruned as far as costs one point"
            # The paper gives 25, 3.3 and 2.2: these and what is rounded to them.
            claim = f"pruned at 6 bits a network needs {published} times fewer bit operations than {words}"
            runs = 0 if value is None else len(steps)
            yield Claim(claim, "Table 1", number, TIMES, limit, None, value, error, runs)


def _first(runs: Sequence[Run]) -> list[Step]:
    return [run.steps[0] for run in runs]


def _pruned_far(runs: Sequence[Run]) -> list[Step]:
    """As far as costs one point; empty if nothing was pruned."""
    if not runs or min(len(run.steps) for run in runs) == 1:
        return []
    return [run.steps[sparsest(runs)] for run in runs]


def _ratio(one: tuple[float, float | None], other: tuple[float, float | None]) -> tuple[float, float | None]:
    """The quotient of two independent means, and its error."""
    quotient = one[0] / other[0]
    if one[1] is None or other[1] is None:
        return quotient, None
    return quotient, quotient * math.hypot(one[1] / one[0], other[1] / other[0])


def _schedules(groups: Groups) -> Claim:
    def all_plateau(run: Run) -> float | None:
        return _pruned(run, 0.0, PLATEAU)

    tuned = _runs(groups, bits=FOCUS_BITS, schedule=FINE_TUNING)
    tickets = _runs(groups, bits=FOCUS_BITS, schedule="lottery_ticket")
    number = "accuracy by fine-tuning less that by lottery ticket, 6 bits, mean of all steps to 80 %"
    differences = _paired(tuned, tickets, all_plateau)
    claim = "fine-tuning and lottery ticket do equally well"
    return _points(claim, "Fig. 4", number, differences, least=-NO_LOSS, most=NO_LOSS)


def _regularization(groups: Groups) -> Iterator[Claim]:
    def little(run: Run) -> float | None:
        return _pruned(run, LITTLE, 1.0)

    named = {regularization(one): runs for one, runs in having(groups, bits=FOCUS_BITS).items()}
    both = named.get("L1 and batch norm", [])
    for name in ("batch norm", "L1"):
        for words, read in (("not pruned", _dense), ("pruned by 90 % and more", little)):
            number = f"accuracy with batch norm and L1 less that without {name}, 6 bits, {words}"
            gains = _paired(both, named.get(f"no {name}", []), read)
            yield _points(f"{name} helps", "Fig. 5", number, gains, least=0.0)


def _searched(study: Study, groups: Groups) -> Iterator[Claim]:
    """The best network of each width's search against the cheapest pruned one that is at least as accurate."""
    searches: dict[int, list[Run]] = {}
    for trial in study.trials:
        bits = setting_of(trial.config).bits
        if bits is not None and trial.config.pruning.schedule == "none":
            searches.setdefault(bits, []).append(trial)
    six = _runs(groups, bits=FOCUS_BITS)
    steps = list(zip(*(run.steps for run in six), strict=False))
    # The search's network is one run: so much another one of its kind may be off.
    spread = ERRORS * stdev([run.steps[0].accuracy for run in six]) if len(six) > 1 else 0.0
    for bits in sorted(searches, reverse=True):
        best = min(searches[bits], key=lambda run: run.steps[-1].validation_loss).steps[-1]
        ratios = [_cheapest(steps, best, best.accuracy + more) for more in (0.0, spread, -spread)]
        value, ends = ratios[0], (ratios[1] or 0.0, ratios[2] or 0.0)
        reason = "" if value is not None or not six else "no pruned network is as accurate"
        claim = f"pruning needs no more bit operations than a search of the widths at {bits} bits"
        number = (
            "BOPs of the search's network of lowest validation loss, over those of the cheapest network of 6 bits, "
            "pruned or not, that is at least as accurate; and with the search's two standard deviations better or worse"
        )
        yield Claim(claim, "Fig. 6", number, TIMES, 1.0, None, value, None, len(six), reason, ends if six else None)


def _cheapest(steps: Sequence[Sequence[Step]], best: Step, accuracy: float) -> float | None:
    """The BOPs of `best` over those of the cheapest of `steps`, each of several runs, of so much accuracy."""
    enough = [alike for alike in steps if fmean(step.accuracy for step in alike) >= accuracy]
    cheapest = min((fmean(step.bops for step in alike) for alike in enough), default=None)
    return None if cheapest is None else best.bops / cheapest


def _labels(groups: Groups) -> Iterator[Claim]:
    six = having(groups, bits=FOCUS_BITS)
    true = _runs(six, randomize=0)
    for share in sorted({one.randomize for one in six if one.randomize > 0}):
        number = f"accuracy with {100 * share:g} % of the training labels random less that with true ones, 6 bits"
        falls = _paired(_runs(six, randomize=share), true, _dense)
        yield _points("random labels lower the accuracy", "Fig. 7", number, falls, most=0.0)


def _information(groups: Groups) -> Claim:
    """The largest neural efficiency over the smallest, of networks on the plateau, however they were trained."""
    alike = [
        steps
        for runs in having(groups, bits=FOCUS_BITS).values()
        for steps in zip(*(run.steps for run in runs), strict=False)
        if all(step.neural_efficiency for step in steps)
    ]
    best = max((fmean(step.accuracy for step in steps) for steps in alike), default=0.0)
    good = [steps for steps in alike if fmean(step.accuracy for step in steps) >= best - FALL / 100]
    means = [mean([step.neural_efficiency or 0.0 for step in steps]) for steps in good]
    means.sort(key=lambda one: one[0])
    value, error = _ratio(means[-1], means[0]) if len(means) > 1 else (None, None)
    claim = "networks that are equally accurate differ in neural efficiency by up to 3 times"
    number = "largest over smallest of all networks of 6 bits within one point of the most accurate, however trained"
    return Claim(claim, "Fig. 7", number, TIMES, 3.0, None, value, error, len(means))
