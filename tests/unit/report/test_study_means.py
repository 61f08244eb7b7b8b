# SPDX-License-Identifier: Apache-2.0
"""Means over the repetitions of a study's settings, and pruning that costs much, in the table and on the page."""

from __future__ import annotations

import io
import json
import math
from dataclasses import replace
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from rich.console import Console

from qap2fpga.report import gather, page, side_by_side, study_means
from qap2fpga.report import studies as checkpoints
from qap2fpga.report.study_means import Learned, Mean
from qap2fpga.report.summary import CHECKPOINT, Summary
from tests.support import studies
from tests.support.studies import SPARSITIES


def means(folder: Path) -> tuple[Mean, ...]:
    return study_means.means(checkpoints.load("s", folder).trained)


def test_folds_and_seeds_are_averaged_and_single_runs_have_no_error(tmp_path: Path) -> None:
    six = [*studies.folded(bits=6), *studies.folded(bits=6, seed=2)]
    folder = studies.write(tmp_path, [*six, studies.configure(bits=4)])
    study = checkpoints.load("s", folder)
    averaged = means(folder)
    assert len(averaged) == 2 * len(SPARSITIES)
    accuracies = [
        [one.checkpoint.accuracy or 0.0 for one in study.trained[: 8 * len(SPARSITIES)] if one.step == step]
        for step in (0, 3)
    ]
    third = averaged[3]
    assert (third.name, third.step, third.runs) == ("run-000", 3, 8)
    assert third.accuracy == fmean(accuracies[1]) and third.error == stdev(accuracies[1]) / math.sqrt(8)
    # A loss is of the same run: what its runs have in common is no part of its error.
    losses = [before - after for before, after in zip(*accuracies, strict=True)]
    assert third.lost == fmean(losses) and third.lost_error == stdev(losses) / math.sqrt(8)
    assert averaged[-1].runs == 1 and averaged[-1].error is None and averaged[-1].lost_error is None
    assert study_means.values(third)["accuracy"] == third.accuracy


def test_what_was_built_is_still_a_run_of_its_setting(tmp_path: Path) -> None:
    study = checkpoints.load("s", studies.write(tmp_path, [studies.configure(bits=6)]))
    built = replace(study.checkpoints[0], name="run-000, step 0, built as b")
    assert len(study_means.means(replace(study, checkpoints=(built,)).trained)) == len(SPARSITIES)


def test_settings_of_one_name_are_told_apart(tmp_path: Path) -> None:
    folder = studies.write(tmp_path, [studies.configure(bits=6), studies.configure(bits=4)])
    index = json.loads((folder / "study.json").read_text())
    for run in index["runs"]:
        run["experiment"] = "both"
    studies.dump(folder / "study.json", index)
    assert list(dict.fromkeys(one.name for one in means(folder))) == ["both", "both (2)"]


def mean(**values: Any) -> Mean:
    summary = Summary(CHECKPOINT, "a", "", weight_bits=values.pop("bits", "6"))
    first = Mean("key", "a", 0, (summary,), 0.75, None, 10.0, None, 0.0, 0.0, None, 10.0)
    return replace(first, **values)


def test_pruning_that_costs_much_is_said_once_per_setting() -> None:
    much = mean(step=1, accuracy=0.70, lost=0.05, zeros=0.5)
    assert study_means.costly([mean(), much, replace(much, step=2, lost=0.1)]) == (much,)
    assert study_means.costly([mean(), replace(much, lost=0.019)]) == ()
    assert study_means.costly([mean(), replace(much, lost=None)]) == ()
    text = "Pruning costs 'a' 5.0 points of accuracy at step 1, 50.0 % zeros: 70.00 % are left."
    assert study_means.cost(much) == text
    assert study_means.cost(replace(much, lost_error=0.004)) == text.replace("5.0 points", "5.0 ± 0.4 points")


def test_few_settings_are_named_and_the_others_counted() -> None:
    many = [mean(setting=str(n), name=f"s{n}", step=1, lost=0.05, zeros=0.9 - n / 10, epochs=None) for n in range(5)]
    texts = study_means.warnings(many)
    assert [text.split()[2] for text in texts[:3]] == ["'s4'", "'s3'", "'s2'"]
    assert texts[3:] == ("Pruning costs 2 further settings 2 points or more.",)
    assert len(study_means.warnings(many[:3])) == 3


def test_a_loss_within_its_error_is_not_said() -> None:
    much = mean(step=1, lost=0.05, lost_error=0.03)
    assert study_means.costly([mean(), much]) == ()
    assert study_means.costly([mean(), replace(much, lost_error=0.025)])


def test_it_is_said_who_learned_longer() -> None:
    reference = mean(setting="float", bits="32", epochs=8.0)
    pruned = [mean(step=1, epochs=14.0), mean(step=2, epochs=31.0)]
    learned = study_means.learned([reference, mean(), *pruned])
    assert learned == Learned((8.0, 10.0), (31.0, 31.0), (8.0, 8.0))
    assert "8 to 10 epochs before pruning (the float reference: 8), 31 after" in study_means.lengths(learned)
    alone = study_means.learned([mean(), *pruned])
    assert alone is not None and alone.reference is None
    assert "10 epochs before pruning, 31 after" in study_means.lengths(alone)
    assert study_means.learned([mean(), mean(step=1)]) is None
    assert study_means.learned([mean(), mean(step=1, epochs=None)]) is None


def test_page_and_terminal_have_all_runs_and_their_warnings(tmp_path: Path) -> None:
    studies.write(tmp_path, [studies.configure(bits=6)])
    gathered = gather.gather([tmp_path])
    text = page.render(gathered, tmp_path)
    assert f"All runs: {len(SPARSITIES)} steps" in text
    assert (
        "Pruning costs &#39;run-000&#39; " in text and "did not learn equally long: 30 epochs before pruning, " in text
    )
    out = io.StringIO()
    Console(width=200, file=out).print(side_by_side.study(gathered.studies[0]))
    assert "warning Pruning costs 'run-000' " in out.getvalue()
