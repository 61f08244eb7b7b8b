# SPDX-License-Identifier: Apache-2.0
"""What a study lists, read for the page and for the figures by the same code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from qap2fpga.report import study_folder
from qap2fpga.system.errors import QapError


def written(folder: Path, name: str = "study.json", **content: Any) -> Path:
    (folder / name).write_text(json.dumps(content))
    return folder


def test_runs_and_trials_with_their_places(tmp_path: Path) -> None:
    written(tmp_path, schema=1, runs=[{"name": "a"}, {"name": "b", "folder": "elsewhere", "status": "failed"}, 3])
    trial = {"name": "t", "folder": "runs/t", "objectives": {"predicted_luts": 120.5}}
    written(tmp_path, "search.json", trials=[trial, {"name": "u", "objectives": None}])
    (tmp_path / "runs" / "t").mkdir(parents=True)
    (tmp_path / "runs" / "t" / "record.json").write_text('{"finished": true}')
    study = study_folder.load(tmp_path)
    assert [(one.name, one.folder.name, one.failed) for one in study.runs] == [
        ("a", "a", False), ("b", "elsewhere", True),
    ]  # fmt: skip
    trial, other = study.trials
    assert (trial.predicted_luts, other.predicted_luts) == (120.5, None)
    assert (trial.begun, other.begun) == (True, False)
    assert trial.record() == {"finished": True}
    assert study_folder.is_study(tmp_path)
    assert not study_folder.is_study(tmp_path / "runs")


def test_a_study_without_a_search_has_no_trials(tmp_path: Path) -> None:
    assert study_folder.load(written(tmp_path, runs=[])).trials == ()


@pytest.mark.parametrize(
    ("content", "message"),
    [({"schema": 2, "runs": []}, "has schema 2, not 1"), ({"runs": {}}, "lists no runs"), ({}, "lists no runs")],
)
def test_what_is_no_list_of_runs(content: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(QapError, match=message):
        study_folder.load(written(tmp_path, **content))


def test_a_search_that_lists_nothing_and_a_folder_that_is_no_study(tmp_path: Path) -> None:
    with pytest.raises(QapError, match=r"is not a study: there is no study\.json in it"):
        study_folder.load(tmp_path)
    written(tmp_path, runs=[])
    written(tmp_path, "search.json", trials=4)
    with pytest.raises(QapError, match=r"search\.json lists no trials"):
        study_folder.load(tmp_path)
