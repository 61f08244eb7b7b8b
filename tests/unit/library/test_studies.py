# SPDX-License-Identifier: Apache-2.0
"""Studies and explorations in Python, of work that is done: what they did is tested with what does it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import qap2fpga
from qap2fpga import Candidates, Study
from qap2fpga.explore.builds import Built
from qap2fpga.report.gather import gather
from qap2fpga.system.errors import CheckFailed, QapError
from qap2fpga.train import plan
from qap2fpga.train.study import Result
from tests.support import explorations, studies


def test_a_study_has_a_row_per_checkpoint(tmp_path: Path) -> None:
    folder = studies.write(tmp_path / "study", studies.folded(bits=4))
    study = Study(Result(folder, plan.Study({}, (), ()), {}))
    assert study.folder == folder and not study.failures
    assert len(study.table) == len(qap2fpga.compare([folder]).table) > 1
    assert {row["weight_bits"] for row in study.table} == {"4"}
    assert repr(study) == f"<Study {folder}: {len(study.table)} checkpoints, 0 failed>"
    assert [row["runs"] for row in study.means] == [studies.FOLDS] * len(studies.SPARSITIES)
    assert [text.split()[0] for text in study.warnings] == ["Pruning", "Networks"]
    study.require_finished()
    failed = Study(Result(folder, plan.Study({}, (), ()), {"a": "no rows"}))
    with pytest.raises(QapError, match="a: no rows"):
        failed.require_finished()


def test_a_study_without_its_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(QapError, match=r"none\.yaml"):
        qap2fpga.study(tmp_path / "none.yaml", tmp_path / "out", quiet=True)


def test_an_exploration_has_a_row_per_candidate_best_first(tmp_path: Path) -> None:
    points = explorations.explored(tmp_path, 3, 0)
    assert [row["rank"] for row in Candidates(points).table] == [1, 2, 3]
    explorations.built(tmp_path, "p1", lut=1234)
    (build,) = gather([tmp_path / "builds" / "p1"]).builds
    request = replace(points.request, build=1)
    result = Candidates(replace(points, request=request, built={"p1": Built(build.folder, build)}))
    assert [(row["rank"], row["lut"]) for row in result.table] == [(2, 1234), (1, 100), (3, 100)]
    assert all(row["outcome"] for row in result.table)
    assert result.page == tmp_path / "explore.html"
    assert [one.path for one in result.builds] == [tmp_path / "builds" / "p1"]
    assert result.met == 1 and repr(result).startswith("<Candidates ")
    result.require_met()


def test_an_exploration_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(QapError, match="--min-accuracy is 7"):
        qap2fpga.explore([tmp_path], "pynq-z2", min_accuracy=7, output=tmp_path / "out", quiet=True)
    with pytest.raises(QapError, match="unknown board"):
        qap2fpga.explore([tmp_path], ["pynq"], output=tmp_path / "out", quiet=True)
    with pytest.raises(QapError, match="--build is below 0"):
        qap2fpga.explore([tmp_path], "pynq-z2", "rtl", build=-1, output=tmp_path / "out", quiet=True)


def test_nothing_within_the_limits_is_raised_when_asked(tmp_path: Path) -> None:
    limits = explorations.Limits(max_lut=1.0)
    result = Candidates(explorations.explored(tmp_path, 2, 0, limits))
    assert result.met == 0
    assert repr(result) == "<Candidates 2 candidates of 2 networks: 0 within --max-lut 1>"
    assert repr(Candidates(explorations.explored(tmp_path, 1, 0))).endswith(
        "1 candidate of 1 network: 1 within no limits>"
    )
    with pytest.raises(CheckFailed, match="nothing meets the limits"):
        result.require_met()
