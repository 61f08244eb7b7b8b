# SPDX-License-Identifier: Apache-2.0
"""A worker gets the job that was asked for, its answer comes back as a type, and its faults are said of the job."""

from __future__ import annotations

from pathlib import Path

import pytest

from qap2fpga.synth.jobs import Elaborate, FindPath, FoundPath, Part, Parts, ask
from qap2fpga.system.errors import QapError

WORKER = """
import os
import time
from pathlib import Path
from qap2fpga.synth.jobs import Elaborate, FoundPath, Part, Parts, serve

def elaborate(job):
    if job.top == "slow":
        time.sleep(60)
    if job.top == "broken":
        raise SystemExit("ERROR: no such module")
    if job.top == "strange":
        return FoundPath(ps=3, untimed=())
    if job.top == "damaged":
        return Parts(parts={"a": Part(module="m", cost="1")})
    Path(job.rtlil).write_text(os.environ["GLIBC_TUNABLES"])
    return Parts(parts={name: Part(module=job.top, cost=len(name)) for name in (*job.sources, Path.cwd().name)})

if __name__ == "__main__":
    serve({Elaborate: elaborate})
"""


@pytest.fixture
def worker(tmp_path: Path) -> Path:
    path = tmp_path / "worker.py"
    path.write_text(WORKER)
    for name in ("place", "logs", "here"):
        (tmp_path / name).mkdir()
    return path


def elaborate(worker: Path, top: str, limit_s: float = 60.0) -> Parts:
    near = worker.parent
    job = Elaborate(top=top, sources=("a.v", "b's.sv"), rtlil=str(near / "place" / "rtlil"))
    return ask(
        worker, job, Parts, name="read", what="reading", logs=near / "logs", place=near / "place",
        folder=near / "here", limit_s=limit_s,
    )  # fmt: skip


def test_a_job_is_answered(worker: Path) -> None:
    parts = elaborate(worker, "top").parts
    assert parts == {name: Part(module="top", cost=len(name)) for name in ("a.v", "b's.sv", "here")}
    assert {path.name for path in (worker.parent / "place").iterdir()} == {"read.job.json", "read.result.json", "rtlil"}
    assert (worker.parent / "logs" / "read.log").is_file()


def test_a_worker_has_memory_in_large_pages_unless_the_user_says_otherwise(
    worker: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = worker.parent / "place" / "rtlil"
    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)
    elaborate(worker, "top")
    assert "hugetlb=1" in written.read_text()
    monkeypatch.setenv("GLIBC_TUNABLES", "glibc.malloc.mxfast=64")
    elaborate(worker, "top")
    assert written.read_text() == "glibc.malloc.mxfast=64"


def test_a_worker_that_fails_is_named_with_its_job(worker: Path) -> None:
    with pytest.raises(QapError, match=r"Yosys \(reading of broken\): .*ERROR: no such module") as caught:
        elaborate(worker, "broken")
    assert str(worker.parent / "logs" / "read.log") in caught.value.hint


def test_a_worker_that_is_too_slow_is_stopped(worker: Path) -> None:
    with pytest.raises(QapError, match=r"Yosys took more than 0\.5 s for reading of slow"):
        elaborate(worker, "slow", 0.5)


@pytest.mark.parametrize(("top", "message"), [("strange", "'parts' is missing"), ("damaged", r"parts\.a\.cost = '1'")])
def test_an_answer_of_another_kind_is_refused(worker: Path, top: str, message: str) -> None:
    with pytest.raises(QapError, match=rf"read\.result\.json: {message}"):
        elaborate(worker, top)


def test_a_job_that_a_worker_does_not_know_is_refused(worker: Path) -> None:
    near = worker.parent
    job = FindPath(top="top", netlist=(), folder=str(near))
    with pytest.raises(QapError, match=r"Yosys \(time of top\): .*KeyError: 'FindPath'"):
        ask(worker, job, FoundPath, name="time", what="time", logs=near, place=near, limit_s=60.0)
