# SPDX-License-Identifier: Apache-2.0
"""Records of a study: which runs are read, and what is no study."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from qap2fpga.system.errors import QapError
from qap2fpga.train.figures import draw, records
from tests.support import studies
from tests.support.figures import change
from tests.support.studies import folded, write


def test_runs_that_did_not_end_are_left_out_and_counted(tmp_path: Path) -> None:
    write(tmp_path, folded(), studies.trials()[:3])
    change(tmp_path, "runs/run-000/record.json", finished=False)
    shutil.rmtree(tmp_path / "runs/run-001")
    (tmp_path / "runs/run-002/record.json").write_text('{"schema": 1, "fini')
    change(tmp_path, "runs/trial-001/record.json", finished=False)
    loaded = records.load(tmp_path)
    assert [one.name for one in loaded.runs] == ["run-003"]
    assert [one.name for one in loaded.trials] == ["trial-000", "trial-002"]
    assert loaded.unfinished == 3
    assert loaded.unreadable == (tmp_path / "runs/run-002/record.json",)
    lines: list[str] = []
    draw(tmp_path, lines.append)
    assert lines[0] == "1 finished runs and 2 finished trials of a search"
    assert lines[1].startswith("3 runs and trials that failed or are not finished")
    assert str(loaded.unreadable[0]) in lines[2]


@pytest.mark.parametrize(
    "broken",
    [
        {"schema": 2},
        {"steps": []},
        {"steps": [{"step": 0}]},
        {"config": {"data": {"source": "x.npz"}, "model": {"wights": 3}}},
        {"config": None},
    ],
)
def test_a_record_of_another_schema_is_left_out(tmp_path: Path, broken: dict[str, Any]) -> None:
    write(tmp_path, folded()[:2])
    change(tmp_path, "runs/run-001/record.json", **broken)
    loaded = records.load(tmp_path)
    assert len(loaded.runs) == 1
    assert loaded.unreadable == (tmp_path / "runs/run-001/record.json",)


def test_a_run_that_diverged_is_left_out(tmp_path: Path) -> None:
    write(tmp_path, folded()[:2])
    place = tmp_path / "runs/run-001/record.json"
    place.write_text(place.read_text().replace('"accuracy": 0.7', '"accuracy": NaN, "was": 0.7'))
    assert len(records.load(tmp_path).unreadable) == 1


def test_what_is_no_study_is_refused(tmp_path: Path) -> None:
    with pytest.raises(QapError, match=r"is not a study: there is no study.json"):
        records.load(tmp_path / "nowhere")
    (tmp_path / "study.json").write_text("{")
    with pytest.raises(QapError, match="is no sound JSON"):
        records.load(tmp_path)
    studies.dump(tmp_path / "study.json", [])
    with pytest.raises(QapError, match="holds a list"):
        records.load(tmp_path)
    studies.dump(tmp_path / "study.json", {"schema": 7})
    with pytest.raises(QapError, match="schema 7, not 1"):
        records.load(tmp_path)
    studies.dump(tmp_path / "study.json", {"schema": 1, "runs": {}})
    with pytest.raises(QapError, match="lists no runs"):
        records.load(tmp_path)
    studies.dump(tmp_path / "study.json", {"schema": 1, "runs": [{"name": "a", "folder": "runs/a"}, 3]})
    with pytest.raises(QapError, match="has no finished run"):
        records.load(tmp_path)
    studies.dump(tmp_path / "search.json", {"trials": None})
    with pytest.raises(QapError, match="lists no trials"):
        records.load(tmp_path)
