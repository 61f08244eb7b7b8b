# SPDX-License-Identifier: Apache-2.0
"""External programs: found or named, logged, limited in time, and never given to a shell."""

from __future__ import annotations

import os
import signal
import stat
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from qap2fpga.system import programs as tools
from qap2fpga.system.errors import QapError


def program(path: Path, text: str) -> Path:
    """A small executable that does what `text` says."""
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def start(folder: Path, text: str, *arguments: str, limit: float = 60.0, **environment: str) -> str:
    fake = program(folder / "fake", text)
    return tools.run(
        [fake, *arguments], log=folder / "logs" / "fake.log", folder=folder, time_limit_s=limit, environment=environment
    )


def test_a_program_on_the_path_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = program(tmp_path / "synthesizer", "true")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert tools.require("synthesizer", "synthesis", "buy one") == result


def test_a_missing_program_is_named_with_what_it_is_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(QapError) as caught:
        tools.require("g++", "simulating hardware", "apt install g++")
    assert "'g++' was not found on PATH; it is needed for simulating hardware" in caught.value.message
    assert caught.value.hint == "apt install g++"
    assert caught.value.exit_code == 2


def test_output_goes_to_the_log_and_back(tmp_path: Path) -> None:
    output = start(tmp_path, 'echo one; echo two >&2; pwd; echo "$COLOUR"', COLOUR="blue")
    assert output.splitlines() == ["one", "two", str(tmp_path), "blue"]
    assert (tmp_path / "logs" / "fake.log").read_text() == output


def test_arguments_are_not_given_to_a_shell(tmp_path: Path) -> None:
    output = start(tmp_path, 'printf "%s|" "$@"', "a b", "; touch evil", "$(touch evil)", "*")
    assert output == "a b|; touch evil|$(touch evil)|*|"
    assert not (tmp_path / "evil").exists()


def test_a_program_gets_no_input(tmp_path: Path) -> None:
    """Not even what waits on our own standard input: a program that asks would wait for ever."""
    kept, (reading, writing) = os.dup(0), os.pipe()
    os.write(writing, b"typed ahead\n")
    os.close(writing)
    os.dup2(reading, 0)
    try:
        assert start(tmp_path, 'read line || echo "no input"', limit=10.0) == "no input\n"
    finally:
        os.dup2(kept, 0)
        os.close(kept)
        os.close(reading)


def test_a_failure_shows_the_telling_line_and_the_log(tmp_path: Path) -> None:
    text = 'echo "starting"; echo "%Error: top.v:3: syntax"; echo "make: leaving"; exit 3'
    with pytest.raises(QapError) as caught:
        start(tmp_path, text)
    assert caught.value.message == "'fake' failed (3): %Error: top.v:3: syntax"
    assert str(tmp_path / "logs" / "fake.log") in caught.value.hint
    assert "make: leaving" in (tmp_path / "logs" / "fake.log").read_text()


def test_a_killed_program_is_said_to_be_killed(tmp_path: Path) -> None:
    with pytest.raises(QapError, match="'fake' was killed by signal 9: it printed nothing"):
        start(tmp_path, "kill -9 $$")


def test_a_program_that_hangs_is_stopped(tmp_path: Path) -> None:
    begin = time.monotonic()
    with pytest.raises(QapError, match="'fake' took more than 0 s"):
        start(tmp_path, "echo begun; exec sleep 60", limit=0.3)
    assert time.monotonic() - begin < 20
    assert (tmp_path / "logs" / "fake.log").read_text() == "begun\n"


def test_what_a_stopped_program_started_is_stopped_too(tmp_path: Path) -> None:
    """The vendors' programs are scripts that start the program: it would go on with the licence."""
    with pytest.raises(QapError, match="took more than"):
        start(tmp_path, "sleep 60 & echo $! > child; wait", limit=0.5)
    state = Path("/proc") / (tmp_path / "child").read_text().strip() / "stat"
    for _ in range(100):
        # Ended, and perhaps not yet waited for by whoever inherits it.
        if not state.exists() or state.read_text().rsplit(")", 1)[1].split()[0] in "ZX":
            return
        time.sleep(0.1)
    raise AssertionError("the child still runs")


@pytest.mark.parametrize(
    ("text", "limit", "code"),
    [("echo fine", 60.0, 0), ("exit 3", 60.0, 3), ("kill -11 $$", 60.0, -11), ("exec sleep 9", 0.3, None)],
)
def test_how_a_program_ended(tmp_path: Path, text: str, limit: float, code: int | None) -> None:
    fake = program(tmp_path / "fake", text)
    ended = tools.execute([fake], log=tmp_path / "log", folder=tmp_path, time_limit_s=limit)
    assert ended == tools.Ended("fine\n" if code == 0 else "", code)


def test_output_that_is_no_text_is_read(tmp_path: Path) -> None:
    assert "fine" in start(tmp_path, r"printf 'fine \377\376\n'")


@pytest.mark.parametrize("what", ["absent", "not executable"])
def test_a_program_that_cannot_be_started(tmp_path: Path, what: str) -> None:
    path = tmp_path / "tool"
    if what == "not executable":
        path.write_text("text")
        os.chmod(path, 0o644)
    with pytest.raises(QapError, match="'tool' could not be started: "):
        tools.run([path], log=tmp_path / "log", folder=tmp_path, time_limit_s=5)


def test_a_log_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(QapError, match=r"cannot write .*log: "):
        tools.run(["true"], log=tmp_path / "file" / "log", folder=tmp_path, time_limit_s=5)


@pytest.mark.parametrize(
    ("output", "line"),
    [
        ("", "it printed nothing"),
        ("a\n\n  b  \n", "b"),
        ("x\nERROR: first\nfatal: second\nbye", "ERROR: first"),
        ("%Error: top.v:3\nmake[1]: *** [all] Error 1\n%Error: Exiting due to 1 error(s)", "%Error: top.v:3"),
        ("a.cpp:3: error: no\nmake: *** [a.o] Error 1", "a.cpp:3: error: no"),
        ("cannot open foo\nrest", "cannot open foo"),
        ("e" * 1000 + " error", "e" * 300),
    ],
)
def test_telling_line(output: str, line: str) -> None:
    assert tools.telling_line(output) == line


def test_an_interrupted_command_ends_what_runs_in_other_threads(tmp_path: Path) -> None:
    """A stage waits in a thread of its own; the program and what it started must not be waited for."""
    with ThreadPoolExecutor(1) as pool:
        script = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(600)'])"
        command = [sys.executable, "-c", script]
        waiting = pool.submit(tools.execute, command, log=tmp_path / "log", folder=tmp_path, time_limit_s=600)
        while not tools.running:
            time.sleep(0.01)
        tools.stop()
        assert waiting.result(60).code == -signal.SIGKILL
    assert not tools.running
    tools.stop()
