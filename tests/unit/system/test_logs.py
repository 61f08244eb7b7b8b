# SPDX-License-Identifier: Apache-2.0
"""The log of a build: lines in a file, also while libraries are silenced, and what is to be seen in it."""

from __future__ import annotations

import io
import logging
from contextlib import redirect_stderr
from pathlib import Path

import pytest

from qap2fpga.system import logs
from qap2fpga.system.errors import QapError
from qap2fpga.system.quiet import quiet


def test_a_file_gets_what_is_logged_meanwhile_and_no_more(tmp_path: Path) -> None:
    path = tmp_path / "build.log"
    logs.note("before")
    for number in (1, 2):
        with logs.into(path), quiet():
            logs.note(f"line {number}\nand \x1b[31mmore")
    logs.note("after")
    lines = path.read_text().splitlines()
    assert [line.split("INFO")[1].strip() for line in lines] == [
        "line 1 | and \\x1b[31mmore", "line 2 | and \\x1b[31mmore",
    ]  # fmt: skip


def test_a_level_leaves_lines_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs.LOGGER, "level", logging.ERROR)
    with logs.into(tmp_path / "build.log"):
        logs.note("usual")
        logs.note("wrong", logging.ERROR)
    assert "usual" not in (tmp_path / "build.log").read_text()
    assert "ERROR   wrong" in (tmp_path / "build.log").read_text()


def test_lines_are_shown_on_standard_error() -> None:
    stream = io.StringIO()
    with redirect_stderr(stream), logs.shown():
        logs.note("here")
    logs.note("not here")
    assert stream.getvalue().count("here") == 1


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(QapError, match="cannot write"), logs.into(tmp_path):
        pass
