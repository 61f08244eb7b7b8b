# SPDX-License-Identifier: Apache-2.0
"""What is said of a stage where nobody sees a live line: its end, and now and then what it is at."""

from __future__ import annotations

from pathlib import Path

import pytest

from qap2fpga.system import logs, progress
from qap2fpga.system.progress import Progress


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    seconds = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: seconds[0])
    return seconds


def test_a_long_stage_says_what_it_is_at(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(quiet=False) as shown, shown.stage("estimate") as say:
        for number in range(1, 101):
            clock[0] += 1
            say(f"{number} of 100")
    lines = capsys.readouterr().err.splitlines()
    assert lines == [*(f"  estimate: {number} of 100" for number in (30, 60, 90)), "✓ estimate  100.0 s"]


def test_quiet_says_nothing_and_logs_all_the_same(
    clock: list[float], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with logs.into(tmp_path / "log"), Progress(quiet=True) as shown:
        with shown.stage("one") as say:
            say("at it")
        shown.reused("two")
        shown.note("  by the way")
        with pytest.raises(ValueError), shown.stage("three"):
            raise ValueError
    assert capsys.readouterr().err == ""
    texts = [line.split("INFO")[1].strip() for line in (tmp_path / "log").read_text().splitlines()]
    assert texts == [
        "one: begins", "one: at it", "one: 0.0 s", "two: already there", "by the way", "three: begins",
        "three: failed after 0.0 s",
    ]  # fmt: skip
