# SPDX-License-Identifier: Apache-2.0
"""A live line below a notebook's cell, and none elsewhere."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from qap2fpga.system import notebook
from qap2fpga.system.progress import Progress


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a notebook would show, in which this test is said to run."""
    texts: list[str] = []

    def display(data: dict[str, str], *, raw: bool, display_id: bool) -> Any:
        assert raw and display_id
        texts.append(data["text/plain"])
        return SimpleNamespace(update=lambda data, raw: texts.append(data["text/plain"]))

    package, module = ModuleType("IPython"), ModuleType("IPython.display")
    package.get_ipython = lambda: SimpleNamespace(kernel=1)  # type: ignore[attr-defined]
    module.display = display  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", package)
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    monkeypatch.setattr(notebook, "EVERY_S", 0.0)
    return texts


def test_a_stage_is_one_line_that_changes(shown: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(quiet=False) as progress:
        with progress.stage("train") as say:
            say("epoch 1\x1b[2J")
        with pytest.raises(ValueError, match="bad"), progress.stage("fail"):
            raise ValueError("bad")
    assert shown[:2] == ["… train", "… train: epoch 1\\x1b[2J"]
    assert [text.split("  ")[0] for text in shown[2:]] == ["✓ train", "… fail", "✗ fail"]
    assert capsys.readouterr().err == ""


def test_a_line_changes_no_faster_than_it_is_read(shown: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notebook, "EVERY_S", 60.0)
    with Progress(quiet=False) as progress, progress.stage("train") as say:
        for epoch in range(5):
            say(f"epoch {epoch}")
    assert [text.split("  ")[0] for text in shown] == ["… train", "✓ train"]


def test_quiet_shows_nothing(shown: list[str]) -> None:
    with Progress(quiet=True) as progress, progress.stage("train") as say:
        say("epoch 1")
    assert shown == []


def test_elsewhere_there_is_no_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    assert notebook.line("x") is None
    package = ModuleType("IPython")
    package.get_ipython = lambda: SimpleNamespace()  # type: ignore[attr-defined]  # IPython on a terminal
    monkeypatch.setitem(sys.modules, "IPython", package)
    assert notebook.line("x") is None
