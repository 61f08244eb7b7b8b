# SPDX-License-Identifier: Apache-2.0
"""Terminals that cannot show our signs, pipes that are closed, and Ctrl-C at any moment."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.unit.report.test_report import content, finished

ROOT = Path(__file__).parents[3]


def command(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "qap2fpga", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment}, capture_output=True, timeout=120, check=False,
    )  # fmt: skip


@pytest.fixture
def build(tmp_path: Path) -> Path:
    (tmp_path / "report.json").write_text(content.dump(finished()))
    return tmp_path


@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "latin-1"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    ],
    ids=str,
)
def test_encodings_without_our_signs(build: Path, environment: dict[str, str]) -> None:
    for arguments in (("--help",), ("boards",), ("report", build), ("doctor",)):
        done = command(*arguments, **environment)
        assert done.returncode in (0, 2 if arguments == ("doctor",) else 0), done.stderr
        assert b"Traceback" not in done.stderr
        assert done.stdout
    shown = command("report", build, PYTHONIOENCODING="ascii").stdout.decode("ascii")
    assert "16x5" in shown or "x" in shown
    assert "?" not in shown


def test_a_closed_pipe_is_no_error(build: Path) -> None:
    for arguments in (("report", "--json", str(build)), ("boards",), ("report", str(build))):
        process = subprocess.Popen(
            [sys.executable, "-m", "qap2fpga", *arguments], env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        said = process.stderr.read()
        assert (process.wait(60), said) == (0, b"")
        process.stderr.close()


@pytest.mark.slow
def test_ctrl_c_while_torch_is_imported(example: Path) -> None:
    for delay in (0.6, 1.2, 2.0, 3.0):
        process = subprocess.Popen(
            [sys.executable, "-m", "qap2fpga", "estimate", str(example), "--backend", "rtl"],
            env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        time.sleep(delay)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
        assert (process.returncode, said) == (130, b"")
