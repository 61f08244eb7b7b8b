# SPDX-License-Identifier: Apache-2.0
"""Whole studies: what is left in the folder, what is done again, and what a death in the middle changes: nothing."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from qap2fpga.system.errors import QapError
from qap2fpga.system.locks import IN_USE, locked
from qap2fpga.train import plan
from qap2fpga.train import study as studies
from qap2fpga.train.manifest import FAILED, FINISHED, RUNNING, WAITING, Manifest, settings
from qap2fpga.train.runner import Job, Outcome, Say, Work
from qap2fpga.train.watch import Watch
from tests.support.command import run as command

TINY: dict[str, Any] = {
    "base": {
        "data": {"source": "simulated", "split": [2000, 500, 500]},
        "model": {"widths": [8, 4], "weight_bits": 4, "activation_bits": 4},
        "training": {"epochs": 4},
        "pruning": {"sparsities": [0.3, 0.6], "epochs": 2},
    },
    "vary": {"model.batch_norm": [True, False]},
    "folds": 2,
}


class Here:
    """A runner without Dask: jobs are done one after the other when outcomes are asked for."""

    def __init__(self, errors: dict[str, str] | None = None) -> None:
        self.errors, self.jobs = errors or {}, []

    def submit(self, job: Job, work: Work) -> None:
        self.jobs.append((job, work))

    def outcomes(self) -> Iterator[Outcome]:
        while self.jobs:
            job, work = self.jobs.pop(0)
            if job.name in self.errors:
                yield Outcome(job, error=self.errors[job.name])
            else:
                yield Outcome(job, work(job.config, job.folder, lambda text: None))


def record_of(config: dict[str, Any], folder: Path, say: Say) -> None:
    """Work that leaves a finished record of made-up numbers."""
    fold = config["fold"][0] if config["fold"] else 0
    step = {
        "integer_sparsity": 0.5,
        "metrics": {"validation": {"loss": 1.0, "accuracy": 0.5}, "test": {"accuracy": 0.5 + fold / 100}},
        "bops": {"paper": 1000.0},
    }
    folder.mkdir(parents=True)
    record = {"finished": True, "config": config, "steps": [{"step": number, **step} for number in (0, 1)]}
    (folder / "record.json").write_text(json.dumps(record))


@pytest.fixture
def study() -> plan.Study:
    return plan.from_dict(TINY)


def do(manifest: Manifest, runs: tuple[plan.Run, ...], **errors: str) -> dict[str, str]:
    return studies.do_runs(manifest, runs, Here(errors), Watch(quiet=True), lambda run: record_of)  # type: ignore[arg-type]


def read(folder: Path) -> dict[str, dict[str, Any]]:
    content = json.loads((folder / "study.json").read_text())
    assert (content["schema"], content["config"]) == (1, TINY)
    return {run["name"]: run for run in content["runs"]}


def test_the_manifest_says_what_each_run_is(study: plan.Study, tmp_path: Path) -> None:
    Manifest(tmp_path, study)
    assert list(read(tmp_path)) == [run.name for run in study.runs]
    assert read(tmp_path)["grid-no_batch_norm-fold2"] == {
        "name": "grid-no_batch_norm-fold2",
        "experiment": "grid",
        "varied": {"model.batch_norm": False},
        "fold": [2, 2],
        "folder": "runs/grid-no_batch_norm-fold2",
        "status": WAITING,
        "message": None,
    }


def test_a_failed_run_is_noted_and_does_not_stop_the_rest(study: plan.Study, tmp_path: Path) -> None:
    manifest = Manifest(tmp_path, study)
    failures = do(manifest, study.runs, **{"grid-batch_norm-fold1": "it diverged"})
    assert failures == {"grid-batch_norm-fold1": "it diverged"}
    results = {name: (run["status"], run["message"]) for name, run in read(tmp_path).items()}
    assert results.pop("grid-batch_norm-fold1") == (FAILED, "it diverged")
    assert set(results.values()) == {(FINISHED, None)}
    with pytest.raises(
        studies.RunsFailed, match=r"1 of 4 runs failed.*\n  grid-batch_norm-fold1: it diverged"
    ) as error:
        studies.Result(tmp_path, study, failures).check()
    assert error.value.exit_code == 1
    again = Manifest(tmp_path, study)
    assert [one.status for one in again.statuses.values()] == [FAILED, FINISHED, FINISHED, FINISHED]
    assert do(again, study.runs[:1]) == {}
    assert {run["status"] for run in read(tmp_path).values()} == {FINISHED}


def test_a_study_may_grow_but_a_run_may_not_change(study: plan.Study, tmp_path: Path) -> None:
    do(Manifest(tmp_path, study), study.runs)
    tree = {**TINY, "vary": {"model.batch_norm": [True, False], "seed": [1]}}
    grown = plan.from_dict({**TINY, "experiments": [{"name": "more", "vary": {"seed": [2]}}]})
    statuses = Manifest(tmp_path, grown).statuses
    assert [one.status for one in statuses.values()] == [FINISHED] * 4 + [WAITING] * 2
    assert {one.status for one in Manifest(tmp_path, plan.from_dict(tree)).statuses.values()} == {WAITING}
    changed = plan.from_dict({**TINY, "base": {**TINY["base"], "seed": 7}})
    with pytest.raises(QapError, match="holds a run 'grid-batch_norm-fold1' with other settings"):
        Manifest(tmp_path, changed)


def test_what_a_worker_says_late_changes_nothing(study: plan.Study, tmp_path: Path) -> None:
    manifest, (first, second, *_) = Manifest(tmp_path, study), study.runs
    manifest.begun(first.name)
    manifest.begun("a-trial")
    assert read(tmp_path)[first.name]["status"] == RUNNING
    manifest.set(second.name, FINISHED)
    manifest.begun(second.name)
    manifest.stopped()
    assert [read(tmp_path)[run.name]["status"] for run in (first, second)] == [WAITING, FINISHED]


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"runs": [1]}'])
def test_what_is_no_study_is_not_overwritten(study: plan.Study, tmp_path: Path, content: str) -> None:
    (tmp_path / "study.json").write_text(content)
    with pytest.raises(QapError, match=r"is not that of a study|is no sound JSON|holds a list"):
        Manifest(tmp_path, study)
    assert (tmp_path / "study.json").read_text() == content


def test_workers_find_the_data_from_any_folder(study: plan.Study, tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "x.npz").write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    tree = {"base": {"data": {"source": "x.npz"}}, "vary": {"seed": [1]}}
    assert settings(plan.from_dict(tree).runs[0].config)["data"]["source"] == str(tmp_path / "x.npz")
    assert settings(study.runs[0].config)["data"]["source"] == "simulated"


def test_the_command_refuses_before_it_starts(tmp_path: Path) -> None:
    file, output = tmp_path / "study.yaml", tmp_path / "out"
    file.write_text(yaml.safe_dump({**TINY, "foldz": 2}))
    result = command("study", file, "--output", output)
    assert (result.code, output.exists()) == (2, False)
    assert "unknown key 'foldz'" in result.err and "did you mean 'folds'" in result.err
    file.write_text(yaml.safe_dump(TINY))
    assert "no experiment or search 'x'" in command("study", file, "--output", output, "--only", "x").err
    assert command("study", tmp_path / "absent.yaml", "--output", output).code == 2
    with locked(output):
        assert "another process is writing" in command("study", file, "--output", output).err


def test_a_finished_study_needs_no_workers(study: plan.Study, tmp_path: Path, monkeypatch: Any) -> None:
    do(Manifest(tmp_path / "out", study), study.runs)
    file = tmp_path / "study.yaml"
    file.write_text(yaml.safe_dump(TINY))
    monkeypatch.setattr(studies, "open_runner", None)
    result = command("study", file, "--output", tmp_path / "out")
    assert result.code == 0
    assert result.err.count("already there") == 4
    # Two folds of each: before pruning, and after the last step.
    lines = [line.split() for line in result.out.splitlines() if "batch norm" in line]
    first, last = ("0 2 – 50.0 % 51.50 % ± 0.50 – 1,000 –", "1 2 – 50.0 % 51.50 % ± 0.50 0.0 ± 0.0 1,000 –")
    assert lines == [f"{name} {step}".split() for name in ("batch norm", "no batch norm") for step in (first, last)]
    assert command("study", file, "--output", tmp_path / "out", "--quiet").out == ""


@pytest.mark.slow
def test_a_worker_killed_in_the_middle_changes_no_bit(tmp_path: Path) -> None:
    """Two runs side by side; the process of each is killed once, after its first step, by SIGKILL."""
    tree = {**TINY, "folds": 1}
    tree["base"] = {**TINY["base"], "training": {"epochs": 60, "patience": 60}}
    file, output = tmp_path / "study.yaml", tmp_path / "out"
    file.write_text(yaml.safe_dump(tree))
    runs = plan.load(file).runs
    killed: dict[str, int] = {}

    def kill() -> None:
        while len(killed) < len(runs):
            for run in runs:
                folder = output / "runs" / run.name
                record = json.loads((folder / "record.json").read_text()) if (folder / "record.json").exists() else {}
                if run.name not in killed and record.get("steps") and not record["finished"]:
                    process = int((folder / IN_USE).read_text())
                    killed[run.name] = process
                    os.kill(process, signal.SIGKILL)
            time.sleep(0.02)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    result = studies.study(file, output, workers=2, quiet=True)
    assert (result.failures, set(killed)) == ({}, {run.name for run in runs})
    assert os.getpid() not in killed.values()
    from qap2fpga.train.run import run as train

    for run in runs:
        outcome, undisturbed = output / "runs" / run.name, tmp_path / run.name
        train(run.config, undisturbed, lambda text: None)
        records = [json.loads((folder / "record.json").read_text()) for folder in (outcome, undisturbed)]
        for record in records:
            assert record.pop("seconds") > 0
        assert records[0] == records[1]
        names = sorted(path.name for path in undisturbed.iterdir() if path.name != "record.json" and path.suffix)
        assert "step-02.pt" in names
        for name in names:
            assert (outcome / name).read_bytes() == (undisturbed / name).read_bytes(), name
