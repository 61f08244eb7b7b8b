# SPDX-License-Identifier: Apache-2.0
"""A finished build is proven again, by the command line and in Python."""

from __future__ import annotations

from pathlib import Path

import pytest

from qap2fpga.library import proofs
from qap2fpga.library.builds import Build
from qap2fpga.prove.certificate import FORMAT, Certificate, Claim, Word
from tests.support.command import run as command
from tests.support.reports import finished, read


@pytest.mark.parametrize(("word", "code"), [(Word.PROVEN, 0), (Word.NOT_PROVEN, 1), (Word.REFUTED, 1)])
def test_the_command_ends_with_1_unless_all_is_proven(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, word: Word, code: int
) -> None:
    claims = (Claim(claim="one", word=Word.PROVEN, detail="so"), Claim(claim="two", word=word, detail="because"))
    certificate = Certificate(format=FORMAT, files={}, versions={}, claims=claims)
    monkeypatch.setattr(proofs, "again", lambda *_: certificate)
    done = command("prove", tmp_path)
    assert done.code == code and f"{word}: two: because" in done.out and "trusted: Yosys" in done.out
    assert ("two" in done.err) == bool(code)
    assert command("prove", tmp_path, "--quiet").out == ""
    assert Build(tmp_path, read(finished())).prove(quiet=True) is certificate
