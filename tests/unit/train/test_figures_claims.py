# SPDX-License-Identifier: Apache-2.0
"""What a study says of the paper's claims: numbers, errors and verdicts."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from dataclasses import replace
from statistics import fmean

import pytest

from qap2fpga.train.figures.claims import FAILS, HOLDS, OPEN, UNKNOWN, Claim, claims, to_csv, to_markdown
from qap2fpga.train.figures.records import Run, Step, Study
from tests.support import studies
from tests.support.studies import configure

Change = Callable[[Run, Step], Step]


def changed(study: Study, change: Change) -> Study:
    """The study with other steps."""
    runs = tuple(replace(run, steps=tuple(change(run, step) for step in run.steps)) for run in study.runs)
    return replace(study, runs=runs)


def shifted(accept: Callable[[Run, Step], bool], by: float) -> Change:
    """Another accuracy of some steps."""
    return lambda run, step: replace(step, accuracy=step.accuracy + by) if accept(run, step) else step


def bits(run: Run) -> int:
    return run.config.model.layer_weight_bits[0]


def one(study: Study, start: str, number: str = "") -> Claim:
    """The claim of this beginning, about a number with these words."""
    chosen = [line for line in claims(study) if line.claim.startswith(start) and number in line.number]
    assert len(chosen) == 1
    return chosen[0]


@pytest.mark.parametrize(
    ("value", "error", "least", "most", "verdict"),
    [
        (1.1, 0.1, 0.8, None, HOLDS), (0.85, 0.1, 0.8, None, OPEN), (0.65, 0.1, 0.8, None, OPEN),
        (0.5, 0.1, 0.8, None, FAILS), (1.0, 0.1, None, 0.8, OPEN), (1.2, 0.1, None, 0.8, FAILS),
        (0.0, 0.2, -0.5, 0.5, HOLDS), (0.3, 0.2, -0.5, 0.5, OPEN), (-1.0, 0.2, -0.5, 0.5, FAILS),
        (0.8, None, 0.8, None, HOLDS), (0.79, None, 0.8, None, FAILS), (None, None, 0.8, None, UNKNOWN),
    ],
)  # fmt: skip
def test_two_errors_from_the_limit(
    value: float | None, error: float | None, least: float | None, most: float | None, verdict: str
) -> None:
    assert Claim("", "", "", "points", least, most, value, error, 4).verdict == verdict


def test_what_a_study_with_all_experiments_says(study: Study) -> None:
    lines = claims(study)
    assert UNKNOWN not in {line.verdict for line in lines}
    assert len({(line.claim, line.number) for line in lines}) == len(lines) == 23
    assert {line.runs for line in lines if line.unit == "points"} == {studies.FOLDS}
    assert one(study, "4 bits lose some").verdict == HOLDS
    assert one(study, "then accuracy falls").verdict == HOLDS


def test_a_gain_and_a_loss_are_seen(study: Study) -> None:
    plain = one(study, "6 bits lose no accuracy")
    for by, verdict in ((0.03, HOLDS), (-0.03, FAILS)):
        other = one(changed(study, shifted(lambda run, step: bits(run) == 6 and not step.target, by)), plain.claim)
        assert other.verdict == verdict
        assert other.value == pytest.approx((plain.value or 0.0) + 100 * by)


def test_what_a_fold_does_to_all_its_runs_is_not_in_the_error(study: Study) -> None:
    folds = changed(
        study, lambda run, step: replace(step, accuracy=step.accuracy - 0.05 * (run.config.fold or (0,))[0])
    )
    for name in ("6 bits lose no accuracy", "fine-tuning and lottery ticket"):
        assert one(folds, name).error == pytest.approx(one(study, name).error)
        assert one(folds, name).value == pytest.approx(one(study, name).value)


def test_bit_operations_are_counted_in_both_ways(study: Study) -> None:
    """All runs pruned by as much have as many; networks lose a point from 60 % on, or from 90 %."""

    def stepped(run: Run, step: Step) -> Step:
        return replace(step, accuracy=0.7 if step.target < (0.6 if bits(run) == 32 else 0.9) else 0.6)

    flat = changed(study, stepped)
    for counted, count in (("equation 1", studies.bops), ("paper's code", studies.code_bops)):
        pruned = count(configure(bits=6), 0.8)
        for other, dear in (
            ("of 32 bits, not pruned", count(configure(bits=32), 0.0)),
            ("of 32 bits, pruned", count(configure(bits=32), 0.5)),
            ("of 6 bits, not pruned", count(configure(bits=6), 0.0)),
        ):
            lines = [line for line in claims(flat) if other in line.number and counted in line.number]
            assert [line.value for line in lines] == [pytest.approx(dear / pruned)]
            assert lines[0].error == 0


def test_a_search_is_compared_with_what_is_as_accurate(study: Study) -> None:
    def searched(accuracy: float) -> list[Claim]:
        steps = [tuple(replace(step, accuracy=accuracy) for step in run.steps) for run in study.trials]
        trials = tuple(replace(run, steps=one) for run, one in zip(study.trials, steps, strict=True))
        return [line for line in claims(replace(study, trials=trials)) if line.figure == "Fig. 6"]

    assert [(line.verdict, line.reason) for line in searched(0.99)] == [(FAILS, "no pruned network is as accurate")] * 2
    best = [min((run for run in study.trials if bits(run) == width), key=validation) for width in (32, 6)]
    ratios = [run.steps[0].bops / studies.bops(configure(bits=6), 0.988) for run in best]
    assert [line.value for line in searched(0.1)] == pytest.approx(ratios)
    assert [line.ends for line in searched(0.1)] == [pytest.approx((ratio, ratio)) for ratio in ratios]
    six = [run for run in study.runs if run.config == configure(run.config.fold, bits=6)]
    top = max(fmean(step.accuracy for step in steps) for steps in zip(*(run.steps for run in six), strict=True))
    close = searched(top + 1e-4)
    assert {line.reason for line in close} == {"no pruned network is as accurate"}
    assert close[0].verdict == OPEN, "another run of the search's network may be as accurate"


def validation(run: Run) -> float:
    return run.steps[-1].validation_loss


def test_neural_efficiency_is_compared_among_equally_accurate_networks_alone(study: Study) -> None:
    def usage(run: Run, step: Step) -> Step:
        wasteful = run.config.data.randomize == 0.9
        return replace(step, neural_efficiency=0.08 if wasteful else 0.4, accuracy=0.6 if wasteful else 0.7)

    name = "networks that are equally accurate"
    assert one(changed(study, usage), name).value == pytest.approx(1)
    close = changed(changed(study, usage), lambda run, step: replace(step, accuracy=0.695 + step.accuracy / 100))
    assert one(close, name).value == pytest.approx(5)
    assert one(close, name).verdict == HOLDS


def test_a_study_without_runs_for_a_claim(study: Study) -> None:
    alone = replace(study, runs=tuple(run for run in study.runs if bits(run) == 6), trials=())
    verdicts = {line.claim: line.verdict for line in claims(alone)}
    assert verdicts["6 bits lose no accuracy"] == verdicts["4 bits lose some"] == UNKNOWN
    assert verdicts["then accuracy falls"] == HOLDS
    empty = claims(replace(study, runs=(), trials=study.trials))
    assert {line.verdict for line in empty} == {UNKNOWN}


@pytest.mark.parametrize(("most", "unknown"), [
    (0.0, ("pruned by", "sparsest", "all steps", "BOPs (")), (0.6, ("pruned by", "sparsest")),
    (0.85, ("90 % and more", "sparsest")), (0.95, ()),
])  # fmt: skip
def test_a_study_that_prunes_little(study: Study, most: float, unknown: tuple[str, ...]) -> None:
    """There is no number of steps that it has not; what is about no pruned network is as before."""
    few = replace(study, runs=tuple(replace(run, steps=tuple(_up_to(run, most))) for run in study.runs))
    for before, line in zip(claims(study), claims(few), strict=True):
        assert (line.verdict == UNKNOWN) == any(words in line.number for words in unknown), line.number
        if before.number.endswith(", not pruned") or "random labels" in before.claim:
            assert line == before


def _up_to(run: Run, most: float) -> list[Step]:
    return [step for step in run.steps if step.target <= most]


def test_as_csv_and_markdown(study: Study) -> None:
    lines = claims(study)
    read = list(csv.DictReader(io.StringIO(to_csv(lines))))
    assert [row["verdict"] for row in read] == [line.verdict for line in lines]
    assert [row["value"] for row in read] == ["" if line.value is None else str(line.value) for line in lines]
    rows = to_markdown(lines).splitlines()
    assert len(rows) == len(lines) + 2
    assert len({row.count("|") for row in rows}) == 1
