# SPDX-License-Identifier: Apache-2.0
"""Means over the folds of a study, and pruning that costs much, in the table and on the page."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from statistics import fmean, stdev

from qap2fpga.report import gather, page, study_means
from qap2fpga.report import studies as checkpoints
from tests.support import studies


def test_folds_are_averaged_and_single_runs_have_no_error(tmp_path: Path) -> None:
    study = checkpoints.load("s", studies.write(tmp_path, [*studies.folded(bits=6), studies.configure(bits=4)]))
    # The support names runs by number, a study's plan by fold.
    named = [replace(one, name=f"six-fold{index // len(studies.SPARSITIES)}, step {index % len(studies.SPARSITIES)}")
             for index, one in enumerate(study.checkpoints[: 4 * len(studies.SPARSITIES)])]  # fmt: skip
    single = study.checkpoints[4 * len(studies.SPARSITIES) :]
    means = study_means.means([*named, *single])
    assert len(means) == 2 * len(studies.SPARSITIES)
    values = [one.accuracy or 0.0 for one in named if one.name.endswith("step 3")]
    six = means[3]
    assert (six.name, six.step, six.runs) == ("six", 3, 4)
    assert six.accuracy == fmean(values) and six.error == stdev(values) / math.sqrt(4)
    assert six.lost == means[0].accuracy - six.accuracy
    assert means[-1].runs == 1 and means[-1].error is None


def test_pruning_that_costs_much_is_said_once_per_setting() -> None:
    first = study_means.Mean("a", 0, 1, 0.75, None, 10.0, 0.0, 0.0)
    much = replace(first, step=1, accuracy=0.70, lost=0.05)
    assert study_means.costly([first, much, replace(much, step=2, lost=0.1)]) == (much,)
    assert study_means.costly([first, replace(much, lost=0.019)]) == ()


def test_the_page_has_all_runs(tmp_path: Path) -> None:
    studies.write(tmp_path, [studies.configure(bits=6)])
    text = page.render(gather.gather([tmp_path]), tmp_path)
    assert f"All runs: {len(studies.SPARSITIES)} steps" in text
    assert "Pruning costs run-000 " in text
