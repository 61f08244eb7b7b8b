# SPDX-License-Identifier: Apache-2.0
"""Programs for ECP5 boards: required before any work, absent ones named with a hint."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from qap2fpga.cli import doctor
from qap2fpga.synth.ecp5 import tool
from qap2fpga.system.errors import QapError
from tests.support.command import run, save


@pytest.fixture
def absent(monkeypatch: pytest.MonkeyPatch) -> None:
    which = shutil.which
    hidden = (tool.PLACER, tool.PACKER)
    monkeypatch.setattr(tool.shutil, "which", lambda name: None if name in hidden else which(name))
    monkeypatch.setattr(tool.sysconfig, "get_path", lambda name: "/nowhere")


def test_what_is_absent_is_named_with_a_hint(absent: None) -> None:
    assert tool.find("nextpnr-ecp5") is None
    with pytest.raises(QapError, match="nextpnr-ecp5 is not installed") as caught:
        tool.require("nextpnr-ecp5")
    assert caught.value.hint == "pip install 'qap2fpga[ecp5]'"
    listed = {one.name: one for one in doctor._open_route()}
    assert set(listed) == {"nextpnr-ecp5", "ecppack"}
    assert not any(one.found or one.needed for one in listed.values())


def test_the_packaged_program_is_found_without_a_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tool.shutil, "which", lambda name: None)
    tools = tool.find("ecppack")
    assert tools is not None and tools.path.is_file() and tools.version.startswith("0.11")


@pytest.mark.parametrize(
    ("words", "what"),
    [
        ("--board ulx3s-85f --backend finn", "the finn backend makes no hardware for ulx3s-85f"),
        ("--board colorlight-i5 --backend hls4ml", "the hls4ml backend makes no hardware for colorlight-i5"),
        ("--board ulx3s-85f --backend rtl --vendor route", "AMD's tools know no ecp5"),
        ("--board ulx3s-85f --backend rtl --plan", "no board of AMD's tools"),
        ("--board ulx3s-85f --backend rtl --cross-check ecp5", "for other families"),
        ("--board pynq-z2 --backend finn --cross-check ecp5", "of the rtl backend"),
        ("--board pynq-z2 --backend rtl --cross-check ice40", "unknown --cross-check 'ice40'"),
    ],
)
def test_what_cannot_be_is_named_before_any_work(tmp_path: Path, words: str, what: str) -> None:
    result = run("build", save(tmp_path / "net.pt"), *words.split(), "--output", tmp_path / "made")
    assert result.code == 2 and what in result.err
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("words", ["--board ulx3s-85f", "--board pynq-z2 --cross-check ecp5"])
def test_nextpnr_is_required_before_any_work(tmp_path: Path, absent: None, words: str) -> None:
    model = save(tmp_path / "net.pt")
    result = run("build", model, *words.split(), "--backend", "rtl", "--output", tmp_path / "made")
    assert result.code == 2 and "nextpnr-ecp5 is not installed" in result.err and "qap2fpga[ecp5]" in result.err
    assert not (tmp_path / "made").exists()
