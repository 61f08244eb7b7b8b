# SPDX-License-Identifier: Apache-2.0
"""About 2,000 damaged inputs: a message for people or a result, in time and memory, and never a traceback."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from qap2fpga.system.errors import QapError
from tests.fuzz import __main__ as fuzz
from tests.fuzz import mutate
from tests.fuzz.readers import Reader, case, quietly, readers

ROOT = Path(__file__).parents[2]
LIGHT = [one for one in readers() if not one.heavy]
HEAVY = [one for one in readers() if one.heavy]


def run(chosen: list[Reader], cases: int) -> list[dict[str, object]]:
    """The lines of a run in a process of its own, whose memory is its alone."""
    names = [part for one in chosen for part in ("--reader", one.name)]
    command = [sys.executable, "-m", "tests.fuzz", "--cases", str(cases), *names]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900, check=False)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-3000:]
    return lines


def assert_tried(lines: list[dict[str, object]], chosen: list[Reader], cases: int) -> None:
    """Every reader had its share; most of it was refused, and not all."""
    told = {str(line["reader"]): line for line in lines}
    for one in chosen:
        line = told[one.name]
        assert int(str(line["cases"])) >= cases // len(chosen)
        assert 0 < int(str(line["refused"])) < int(str(line["cases"])), line


def test_readers_of_settings_data_reports_and_builds() -> None:
    assert_tried(run(LIGHT, 1400), LIGHT, 1400)


@pytest.mark.slow
def test_readers_of_models() -> None:
    assert_tried(run(HEAVY, 600), HEAVY, 600)


@pytest.mark.parametrize("reader", [*readers()], ids=lambda one: one.name)
def test_what_is_not_damaged_is_read(reader: Reader, tmp_path: Path) -> None:
    """Else the damage would prove nothing."""
    read = 0
    for number, files in enumerate(reader.samples()):
        for name, data in files.items():
            path = tmp_path / f"case{number}" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        try:
            quietly(reader.read, tmp_path / f"case{number}")
            read += 1
        except QapError as error:
            # Two of the reports are whole, but measure something else.
            assert reader.name == "tool-report", error
            assert "no report in" in error.message
    assert read >= len(reader.samples()) - 2


@pytest.mark.parametrize("error", [ValueError("x"), fuzz.Hung("x")])
def test_a_traceback_and_a_hang_are_told_with_what_repeats_them(
    error: BaseException, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(folder: Path) -> None:
        raise error

    reader = Reader("broken", lambda: [{"a.json": b"{}"}], fails)
    assert fuzz._run(reader, 7, [3, 4]) == 2
    first = json.loads(capsys.readouterr().out.splitlines()[0])
    assert (first["reader"], first["seed"], first["case"]) == ("broken", 7, 3)
    assert type(error).__name__ in first["error"]


def test_the_same_case_is_the_same_damage(tmp_path: Path) -> None:
    reader = LIGHT[0]
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    what = [case(reader, Random("x"), tmp_path / name) for name in ("one", "two")]
    assert what[0] == what[1]
    files = [sorted(path.read_bytes() for path in (tmp_path / name).iterdir()) for name in ("one", "two")]
    assert files[0] == files[1]


def test_damage_changes_what_it_is_given() -> None:
    value = {"a": [1, 2, {"b": "text"}], "c": 3.5}
    changed = [mutate.changed(Random(seed), value)[0] for seed in range(60)]
    assert sum(one != value for one in changed) > 50
    assert value == {"a": [1, 2, {"b": "text"}], "c": 3.5}
    data = bytes(range(200))
    assert sum(mutate.damaged(Random(seed), data)[0] != data for seed in range(60)) > 50
