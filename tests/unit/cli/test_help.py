# SPDX-License-Identifier: Apache-2.0
"""`help`, `--version`, `-h`, and what a shell completes."""

from __future__ import annotations

import os

import pytest

from qap2fpga import __version__, cli
from qap2fpga.cli import arguments
from qap2fpga.cli import help as documentation
from qap2fpga.hw import boards
from qap2fpga.system import documents
from tests.support.command import run


def test_pages_are_listed_and_shown() -> None:
    listed = run("help").out.splitlines()
    assert [line.split()[0] for line in listed] == documents.topics()
    assert run("help", "limits").out == documents.text("limits") + "\n"
    done = run("help", "limitz")
    assert done.code == 2 and "did you mean 'limits'?" in done.err


def test_version_and_short_help() -> None:
    assert run("--version").out == f"qap2fpga {__version__}\n"
    assert run("-h").out == run("--help").out != ""
    assert run("boards", "-h").out == run("boards", "--help").out != ""


def test_a_shell_completes_names(monkeypatch: pytest.MonkeyPatch) -> None:
    assert arguments.board_names("pynq") == ["pynq-z1", "pynq-z2"]
    assert arguments.board_names("") == boards.names()
    assert arguments.backend_names("h") == ["hls4ml"]
    assert arguments.stage_names("s") == ["simulate", "synthesize"]
    assert documentation.topics("lim") == ["limits"]
    words = "qap2fpga build net.pt --board ultra"
    monkeypatch.setenv("_QAP2FPGA_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(len(words.split()) - 1))
    assert run().out.split() == ["ultra96-v2"]
    assert os.environ["COMP_WORDS"] == words


@pytest.mark.parametrize(
    ("command", "resumed"), [("build", True), ("study", True), ("report", False), ("boards", False)]
)
def test_who_stops_a_command_is_told_that_it_goes_on(
    monkeypatch: pytest.MonkeyPatch, command: str, resumed: bool
) -> None:
    def interrupted() -> None:
        cli.signals.append(2)
        raise SystemExit(130)

    monkeypatch.setattr(cli, "_run", interrupted)
    monkeypatch.setattr(cli, "signals", [])
    done = run(command)
    assert done.code == 130
    assert ("stopped; the same command goes on" in done.err) is resumed
