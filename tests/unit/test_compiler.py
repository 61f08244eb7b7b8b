# SPDX-License-Identifier: Apache-2.0
"""The compiler of the tests: Verilator's runtime is compiled once, and all else is passed on."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support import compiler

COUNTING = """echo x >> "$(dirname "$0")/calls"
exec /usr/bin/g++ "$@"
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the compiler `g++` and, after it, one that counts its calls."""
    real = tmp_path / "real"
    real.mkdir()
    (real / "g++").write_text(f"#!/bin/sh\n{COUNTING}")
    (real / "g++").chmod(0o755)
    monkeypatch.setenv("PATH", f"{real}:/usr/bin:/bin")
    compiler.install(tmp_path, tmp_path / "store")
    return tmp_path


def compiled(
    place: Path, text: str, *options: str, name: str = "a.o", source: str = "verilated.cpp"
) -> tuple[int, int]:
    """(exit code, how often the real compiler was called) of one compilation in `place`."""
    calls = place / "real" / "calls"
    calls.unlink(missing_ok=True)
    (place / source).write_text(text)
    command = [place / "g++", *options, "-c", "-o", name, source]
    code = subprocess.run(command, cwd=place, capture_output=True, check=False).returncode
    return code, len(calls.read_text().split()) if calls.is_file() else 0


def test_the_runtime_is_compiled_once(place: Path) -> None:
    assert compiled(place, "int x = 1;") == (0, 1)
    assert compiled(place, "int x = 1;", name="b.o") == (0, 0)
    assert (place / "b.o").read_bytes() == (place / "a.o").read_bytes()
    assert compiled(place, "int x = 2;") == (0, 1)
    assert compiled(place, "int x = 1;", "-O2") == (0, 1)


def test_all_else_is_compiled_each_time_and_an_error_stays_one(place: Path) -> None:
    for _ in range(2):
        assert compiled(place, "int x = 1;", source="unit0.cpp") == (0, 1)
        for source in ("unit0.cpp", "verilated.cpp"):
            code, calls = compiled(place, "nonsense;", source=source)
            assert (code != 0, calls) == (True, 1)
