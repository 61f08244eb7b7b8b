# SPDX-License-Identifier: Apache-2.0
"""What openFPGALoader is asked for, with a mock of it: no board is here."""

from __future__ import annotations

from pathlib import Path

import pytest

from qap2fpga.synth.ecp5 import load as loading
from qap2fpga.system.errors import QapError
from tests.conftest import Make


@pytest.fixture
def bits(tmp_path: Path) -> Path:
    path = tmp_path / "board.bit"
    path.write_bytes(b"bits")
    return path


def test_a_board_is_called_by_the_loaders_name(bits: Path) -> None:
    assert loading.command(bits, "ulx3s-85f") == ["openFPGALoader", "--board=ulx3s", str(bits)]
    assert loading.command(bits, "mine", "ecpix5", flash=True)[1:3] == ["--board=ecpix5", "--write-flash"]


def test_what_cannot_be_loaded_is_refused(bits: Path) -> None:
    with pytest.raises(QapError, match=r"calls 'pynq-z2'"):
        loading.command(bits, "pynq-z2")
    with pytest.raises(QapError, match=r"there is no .*none\.bit"):
        loading.command(bits.with_name("none.bit"), "ulx3s-85f")


def test_the_program_gets_just_that(bits: Path, native: Make) -> None:
    native("openFPGALoader", 'echo "asked: $@"')
    assert loading.load(loading.command(bits, "ulx3s-85f"), bits.with_name("log")) == f"asked: --board=ulx3s {bits}\n"


def test_a_program_that_fails_or_is_missing_is_said(bits: Path, native: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = loading.command(bits, "ulx3s-85f")
    native("openFPGALoader", "echo 'Error: unable to open ftdi device'; exit 1")
    with pytest.raises(QapError, match="unable to open ftdi device"):
        loading.load(wanted, bits.with_name("log"))
    monkeypatch.setenv("PATH", str(bits.parent / "nothing"))
    with pytest.raises(QapError, match="not installed; the command is: openFPGALoader --board=ulx3s"):
        loading.load(wanted, bits.with_name("log"))
