# SPDX-License-Identifier: Apache-2.0
"""The compiler of the tests: an equal source is compiled once, another one, or other options, again."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support import compiler

COUNTING = """echo x >> "$(dirname "$0")/calls"
exec g++ "$@"
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the compiler `c++` and, after it, one that counts its calls."""
    real = tmp_path / "real"
    real.mkdir()
    (real / "c++").write_text(f"#!/bin/sh\n{COUNTING}")
    (real / "c++").chmod(0o755)
    monkeypatch.setenv("PATH", f"{real}:/usr/bin:/bin")
    compiler.install(tmp_path, tmp_path / "store")
    return tmp_path


def compiled(place: Path, text: str, *options: str, name: str = "a.o") -> tuple[int, int]:
    """(exit code, how often the real compiler was called) of one compilation in `place`."""
    calls = place / "real" / "calls"
    calls.unlink(missing_ok=True)
    (place / "a.cpp").write_text(text)
    command = [place / "c++", *options, "-c", "-o", name, "a.cpp"]
    code = subprocess.run(command, cwd=place, capture_output=True, check=False).returncode
    return code, len(calls.read_text().split())


def test_an_equal_source_is_compiled_once(place: Path) -> None:
    assert compiled(place, "int x = 1;") == (0, 2)  # preprocessed, and compiled
    assert compiled(place, "int x = 1;", name="b.o") == (0, 1)
    assert (place / "b.o").read_bytes() == (place / "a.o").read_bytes()
    assert compiled(place, "int x = 2;") == (0, 2)
    assert compiled(place, "int x = 1;", "-O2") == (0, 2)


def test_a_header_counts_and_an_error_stays_one(place: Path) -> None:
    (place / "h.h").write_text("int x = 1;")
    assert compiled(place, '#include "h.h"') == (0, 2)
    (place / "h.h").write_text("int x = 1, y;")
    assert compiled(place, '#include "h.h"') == (0, 2)
    for text in ("nonsense;", '#include "none.h"'):
        for _ in range(2):
            code, calls = compiled(place, text)
            assert code != 0 and calls == 2
