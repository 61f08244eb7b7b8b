# SPDX-License-Identifier: Apache-2.0
"""Jobs through Dask: outcomes, errors, and workers that die or cannot do the work."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from qap2fpga.system import clusters
from qap2fpga.system.errors import QapError
from qap2fpga.train import runner as runners
from qap2fpga.train.runner import Job, Outcome, Runner, open_runner
from tests.support import study_work


@pytest.fixture(scope="module")
def client() -> Iterator[object]:
    """A whole Dask cluster in this process."""
    from distributed import Client

    with Client(processes=False, n_workers=1, threads_per_worker=2, dashboard_address=None) as client:
        yield client


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    path = tmp_path / "study.json"
    path.write_text("{}")
    return path


@pytest.fixture
def runner(client: object, marker: Path) -> Runner:
    return Runner(client, clusters.here(marker), lambda name, message: None)


def job(folder: Path, name: str, **config: object) -> Job:
    return Job(name, {"steps": 3, **config}, folder / "runs" / name)


def by_name(runner: Runner) -> dict[str, Outcome]:
    return {outcome.job.name: outcome for outcome in runner.outcomes()}


def test_results_and_errors_come_back_by_job(runner: Runner, tmp_path: Path) -> None:
    for name, config in {"fine": {}, "user": {"error": "user"}, "bug": {"error": "bug"}}.items():
        runner.submit(job(tmp_path, name, **config), study_work.count)
    result = by_name(runner)
    assert (result["fine"].result, result["fine"].error) == (3, None)
    assert (result["user"].result, result["user"].error) == (None, "it went wrong")
    assert result["bug"].error == "ZeroDivisionError: it went wrong (see bug.error.txt)"
    assert "study_work.py" in (tmp_path / "runs" / "bug.error.txt").read_text()
    assert not list(runner.outcomes())


def test_what_the_machine_did_is_tried_again(runner: Runner, tmp_path: Path) -> None:
    tries = []

    def fails_twice(config: object, folder: Path, say: runners.Say) -> int:
        tries.append(1)
        if len(tries) < 3:
            raise OSError("no space left on device")
        return len(tries)

    runner.submit(job(tmp_path, "one"), fails_twice)
    assert by_name(runner)["one"].result == 3
    runner.submit(job(tmp_path, "two", error="machine"), study_work.count)
    assert by_name(runner)["two"].error == "OSError: it went wrong"


def test_jobs_may_be_added_while_others_end(runner: Runner, tmp_path: Path) -> None:
    runner.submit(job(tmp_path, "0"), study_work.count)
    seen = []
    for outcome in runner.outcomes():
        seen.append(outcome.job.name)
        if len(seen) < 3:
            runner.submit(job(tmp_path, str(len(seen))), study_work.count)
    assert seen == ["0", "1", "2"]


def test_messages_arrive(client: object, marker: Path, tmp_path: Path) -> None:
    heard: list[tuple[str, str]] = []
    runner = Runner(client, clusters.here(marker), lambda name, message: heard.append((name, message)))
    runner.submit(job(tmp_path, "talks"), study_work.count)
    by_name(runner)
    deadline = time.monotonic() + 20
    while len(heard) < 4 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert heard == [("talks", text) for text in ("starting", "step 0", "step 1", "step 2")]


def test_two_jobs_in_one_process_wait_for_each_other(runner: Runner, tmp_path: Path) -> None:
    """torch's random numbers belong to the process, and the worker here has two threads."""
    inside = []

    def alone(config: object, folder: Path, say: runners.Say) -> int:
        inside.append(1)
        time.sleep(0.05)
        most = len(inside)
        inside.pop()
        return most

    for name in "abc":
        runner.submit(job(tmp_path, name), alone)
    assert [outcome.result for outcome in runner.outcomes()] == [1, 1, 1]


def test_a_worker_that_cannot_do_the_work_is_told(
    client: object, runner: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner.place = clusters.here(tmp_path / "elsewhere" / "study.json")
    runner.submit(job(tmp_path, "blind"), study_work.count)
    assert "does not see" in str(by_name(runner)["blind"].error)
    with pytest.raises(QapError, match=r"does not see .*\n.*same path"):
        clusters.check_workers(client, runner.place, "tcp://x")
    runner.place = replace(clusters.here(), program="another")
    runner.submit(job(tmp_path, "old"), study_work.count)
    assert by_name(runner)["old"].error == "OSError: it has another version of qap2fpga"


def test_a_scheduler_that_is_not_there(marker: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clusters, "CONNECT_SECONDS", 0.3)
    for address in ("tcp://127.0.0.1:9", "nonsense"):
        with (
            pytest.raises(QapError, match="no Dask scheduler at"),
            open_runner(marker, lambda *_: None, scheduler=address),
        ):
            pass
    with pytest.raises(QapError, match="--workers"), open_runner(marker, lambda *_: None, "tcp://127.0.0.1:9", 2):
        pass


def test_a_cluster_without_workers(marker: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from distributed import LocalCluster

    monkeypatch.setattr(clusters, "CONNECT_SECONDS", 1)
    with (
        LocalCluster(n_workers=0, processes=False, dashboard_address=None, protocol="tcp") as cluster,
        pytest.raises(QapError, match=r"has no workers\n  start some"),
        open_runner(marker, lambda *_: None, scheduler=cluster.scheduler_address),
    ):
        pass


@pytest.mark.slow
def test_workers_that_die(tmp_path: Path, marker: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job goes on after its last step; one that dies again and again at one step ends, and the others do not."""
    monkeypatch.setattr(runners, "MEND_SECONDS", 2)
    with open_runner(marker, lambda *_: None, workers=2) as runner:
        runner.submit(job(tmp_path, "twice", die=[1, 2]), study_work.count)
        runner.submit(job(tmp_path, "always", die=[1], always=True), study_work.count)
        runner.submit(job(tmp_path, "fine"), study_work.count)
        runner.submit(job(tmp_path, "process"), study_work.process)
        result = by_name(runner)
    assert result["fine"].result == 3
    assert result["process"].result != os.getpid()
    assert result["twice"].result == 1  # steps 0 and 1 were counted before the deaths
    steps = json.loads((tmp_path / "runs" / "twice" / "record.json").read_text())["steps"]
    assert [one["step"] for one in steps] == [0, 1, 2]
    assert "died 4 times before" in str(result["always"].error)
    assert [path.parent.name for path in tmp_path.glob("runs/*/.tries")] == ["always"]
