# SPDX-License-Identifier: Apache-2.0
"""Terminals that cannot show our signs, pipes that are closed, and Ctrl-C at any moment."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from qap2fpga.system import files
from qap2fpga.system.errors import QapError
from qap2fpga.system.terminal import Terminal, warning
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
        message = process.stderr.read()
        assert (process.wait(60), message) == (0, b"")
        process.stderr.close()


def test_output_that_the_caller_closed(build: Path) -> None:
    """Nothing is printed, and no file takes the number of standard output, into which a tool would print."""
    report = f"{sys.executable} -m qap2fpga report {build}"
    script = f"{report} && {report} --html {build}/page"
    for closed in (">&-", "<&- >&- 2>&-"):
        done = subprocess.run(
            ["bash", "-c", f"({script}) {closed}"], env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0
        assert all(line.startswith(b"qap2fpga: wrote ") for line in done.stderr.splitlines())
        assert (build / "page").read_text().endswith("</html>")
        (build / "page").unlink()


def test_reports_go_into_pipes_and_through_links_and_never_over_them(build: Path) -> None:
    """A user may name standard output; whoever is root would lose the device."""
    kept = build / "kept.csv"
    assert command("report", build, "--csv", kept).returncode == 0
    output = build / "output"
    output.symlink_to("/dev/stdout")
    assert command("report", build, "--csv", output).stdout == kept.read_bytes()
    link = build / "link.csv"
    link.symlink_to("target.csv")
    assert command("report", build, "--csv", link).returncode == 0
    assert link.is_symlink()
    assert link.read_bytes() == kept.read_bytes()
    pipe = build / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    done = command("report", build, "--html", pipe)
    assert done.returncode == 0 and os.read(reader, 15) == b"<!doctype html>"
    os.close(reader)
    assert pipe.is_fifo()
    with pytest.raises(QapError, match="is a device or a pipe"):
        files.write_atomically(pipe, "content")
    full = build / "full"
    full.symlink_to("/dev/full")
    done = command("report", build, "--csv", full)
    assert done.returncode == 2 and b"No space left" in done.stderr


@pytest.mark.slow
def test_ctrl_c_while_torch_is_imported(example: Path) -> None:
    for delay in (0.6, 1.2, 2.0, 3.0):
        process = subprocess.Popen(
            [sys.executable, "-m", "qap2fpga", "estimate", str(example), "--backend", "rtl"],
            env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        time.sleep(delay)
        process.send_signal(signal.SIGINT)
        _, message = process.communicate(timeout=60)
        assert (process.returncode, message) == (130, b"")


def test_a_warning_is_no_markup() -> None:
    out = io.StringIO()
    Terminal(file=out, width=80).print(warning("[b]a name[/] of a user's"))
    assert out.getvalue() == "warning [b]a name[/] of a user's\n"
