# SPDX-License-Identifier: Apache-2.0
"""Study folders in the report: their checkpoints, what was built of them, and what is broken or not done."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest

from qap2fpga.report import content, gather, page, rows, studies, summary
from qap2fpga.system.errors import QapError
from qap2fpga.system.files import sha256
from tests.conftest import ROOT
from tests.support.command import run
from tests.support.reports import finished


def step(number: int, accuracy: float, bops: float, **more: Any) -> dict[str, Any]:
    return {
        "step": number,
        "mask_sparsity": number / 10,
        "integer_sparsity": number / 10 + 0.01,
        "metrics": {"validation": {"accuracy": 0.1}, "test": {"rows": 1000, "accuracy": accuracy}},
        "bops": {"paper": bops, "paper_code": 2 * bops, "nonzero": bops / 2},
        "checkpoint": f"step-{number:02}.pt",
        **more,
    }


def write_run(study: Path, name: str, *steps: dict[str, Any], done: bool = True) -> None:
    folder = study / "runs" / name
    folder.mkdir(parents=True)
    for one in steps:
        (folder / one["checkpoint"]).write_bytes(f"{name} {one['step']}".encode())
    model = {"weight_bits": 6, "activation_bits": [8, 6]}
    record = {"schema": 1, "finished": done, "config": {"model": model}, "data": {"name": "jets"}, "steps": list(steps)}
    (folder / "record.json").write_text(json.dumps(record))


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Two runs, one not finished, one that failed, one whose record is broken, and a trial of a search."""
    folder = tmp_path / "study"
    write_run(folder, "a", step(0, 0.76, 5000.0), step(1, 0.75, 3000.0), step(2, 0.70, 3500.0))
    write_run(folder, "b", step(0, 0.74, 2000.0), done=False)
    write_run(folder, "broken", step(0, 0.5, 1.0))
    (folder / "runs" / "broken" / "record.json").write_text(
        '{"finished": true, "config": {"model": {}}, "steps": [{}]}'
    )
    write_run(folder, "trial", step(0, 0.73, 2500.0, estimate={"lut": 900}), step(1, float("nan"), 1500.0))
    names = [("a", "finished"), ("b", "running"), ("broken", "finished"), ("c", "failed"), ("d", "waiting")]
    runs = [{"name": name, "folder": f"runs/{name}", "status": status} for name, status in names]
    (folder / "study.json").write_text(json.dumps({"schema": 1, "runs": runs}))
    trial = {"name": "trial", "folder": "runs/trial", "status": "finished", "objectives": {"predicted_luts": 700.4}}
    (folder / "search.json").write_text(json.dumps({"trials": [trial]}))
    return folder


def build_of(model: Path, folder: Path, **total: int) -> Path:
    """A build whose model is the checkpoint `model`."""
    report = finished(**total)
    report["model"]["sha256"] = sha256(model)
    folder.mkdir(parents=True)
    (folder / "report.json").write_text(content.dump(report))
    return folder


def test_every_step_that_a_run_has_finished_is_a_checkpoint(study: Path) -> None:
    loaded = studies.load("s", study)
    assert [one.name for one in loaded.checkpoints] == [
        "a, step 0", "a, step 1", "a, step 2", "b, step 0", "trial, step 0", "trial, step 1",
    ]  # fmt: skip
    assert (loaded.runs, loaded.waiting, loaded.failed, loaded.unreadable) == (6, 2, 1, ("broken",))
    one = loaded.checkpoints[1]
    assert (one.accuracy, one.accuracy_rows, one.bops_paper, one.zeros) == (0.75, 1000, 3000.0, 0.11)
    assert (one.weight_bits, one.activation_bits, one.model) == ("6", "8,6", "step-01.pt")
    assert (one.lut, one.stage, one.backend, one.checks) == (None, None, None, None)


def test_luts_that_a_training_predicted_are_estimates(study: Path) -> None:
    first, last = studies.load("s", study).checkpoints[-2:]
    assert (first.lut, first.stage, first.tool) == (900, "estimate", "qap2fpga")
    assert (last.lut, last.stage) == (700, "estimate")
    assert last.accuracy is None  # of a training that diverged


def test_a_checkpoint_takes_over_the_hardware_of_its_builds(study: Path, tmp_path: Path) -> None:
    build_of(study / "runs/a/step-01.pt", tmp_path / "one", lut=4000)
    build_of(study / "runs/a/step-01.pt", study / "builds/two", lut=4500)
    build_of(study / "runs/broken/step-00.pt", tmp_path / "other")
    gathered = gather.gather([study, tmp_path / "one", tmp_path / "other"])
    built = [one for one in gathered.studies[0].checkpoints if one.board]
    assert [(one.lut, one.stage, one.accuracy) for one in built] == [
        (4500, "synthesis", 0.75),
        (4000, "synthesis", 0.75),
    ]
    assert all(one.kind == summary.CHECKPOINT for one in built)
    assert [build.studied for build in gathered.builds] == [True, True, False]
    # Each thing is there once, whether it is a checkpoint or a build or both.
    assert len(gathered.summaries) == 6 + 1 + 1
    text = page.render(gathered, tmp_path)
    assert "2 checkpoints built" in text
    assert 'href="#b1"' in text
    assert 'aria-label="a, step 1, built as' in text


def test_the_page_of_a_study_leads_to_its_runs(study: Path, tmp_path: Path) -> None:
    (tmp_path / "pages").mkdir()
    assert run("report", study, "--html", tmp_path / "pages" / "page.html").code == 0
    text = (tmp_path / "pages" / "page.html").read_text()
    assert "6 checkpoints of 6 runs, 2 runs not finished, 1 failed" in text
    assert "Records that cannot be read: broken" in text
    assert 'href="../study/runs/a/record.json"' in text
    assert "Accuracy against BOPs" in text
    assert "Accuracy against latency" not in text
    body = text[text.index("<tbody>") : text.index("</tbody>")]
    # By rising BOPs; the last step of a is worse and dearer than the one before it.
    assert [name for name in ("a, step 0", "a, step 1", "a, step 2", "b, step 0", "trial, step 0") if name in body] == [
        "a, step 0", "a, step 1", "b, step 0",
    ]  # fmt: skip


def test_the_terminal_shows_what_no_checkpoint_beats(study: Path) -> None:
    result = run("report", study)
    assert result.code == 0
    assert "6 checkpoints of 6 runs, 2 not finished, 1 failed, 1 unreadable" in result.out
    lines = [line.split() for line in result.out.splitlines()]
    assert ["b,", "step", "0", "74.00", "%", "2,000", "1.0", "%", "6", "8,6", "–", "–"] in lines


def test_json_and_csv_of_a_study(study: Path, tmp_path: Path) -> None:
    build_of(study / "runs/b/step-00.pt", tmp_path / "one", lut=4000)
    assert run("report", study, tmp_path / "one", "--csv", tmp_path / "all.csv").code == 0
    table = list(csv.DictReader(io.StringIO((tmp_path / "all.csv").read_text())))
    assert [one["kind"] for one in table] == ["build", *["checkpoint"] * 6]
    assert tuple(table[0]) == summary.columns()
    assert (table[4]["name"].split(", built")[0], table[4]["lut"], table[4]["accuracy"]) == (
        "b, step 0",
        "4000",
        "0.74",
    )
    assert table[1]["lut"] == ""
    result = json.loads(run("report", study, tmp_path / "one", "--json").out)
    assert set(result) == {str(study), str(tmp_path / "one")}
    assert len(result[str(study)]["checkpoints"]) == 6


def test_csv_gives_back_every_number_of_a_build(tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "report.json").write_text(content.dump(finished(dsp=0, bram18=None)))
    gathered = gather.gather([tmp_path / "net"])
    table = list(csv.DictReader(io.StringIO(rows.as_csv(gathered))))
    for name, value in summary.values(gathered.builds[0].summary).items():
        text = table[0][name]
        assert text == ("" if value is None else str(value)), name
    assert (table[0]["dsp"], table[0]["bram18"]) == ("0", "")


def test_every_column_is_documented() -> None:
    document = (ROOT / "docs" / "reading-the-report.md").read_text().split("## The columns of the CSV")[1]
    rows_of_it = [line.split("|")[1] for line in document.splitlines() if line.startswith("| `")]
    named = [name for row in rows_of_it for name in re.findall(r"`(\w+)`", row)]
    assert tuple(named) == summary.columns()


@pytest.mark.parametrize("text", ["[]", "{}", '{"schema": 9, "runs": []}', "no json"])
def test_what_is_no_study_is_said(tmp_path: Path, text: str) -> None:
    (tmp_path / "study.json").write_text(text)
    with pytest.raises(QapError, match=r"study\.json"):
        gather.gather([tmp_path])


def test_one_folder_of_several_without_a_report_is_left_out_and_named(tmp_path: Path) -> None:
    for name in ("builds/one", "builds/two"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "report.json").write_text(content.dump(finished()))
    (tmp_path / "empty").mkdir()
    (tmp_path / "builds" / "two" / "report.json").write_text("{")
    result = run("report", tmp_path / "builds", tmp_path / "empty")
    assert result.code == 0
    assert "left out: no report in" in result.err
    assert str(tmp_path / "empty") in result.err
    assert str(tmp_path / "builds" / "two") in result.err
    assert "Checks 6 of 6 passed" in result.out
    assert run("report", tmp_path / "empty").code == 2
