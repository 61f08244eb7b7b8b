# SPDX-License-Identifier: Apache-2.0
"""`estimate` and `calibrate` as they are called: the table, the JSON, and what is refused before any work."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from qap2fpga.estimate import calibrate
from qap2fpga.hw import boards
from tests.support.command import run, save


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("estimate") / "net.pt")


def test_the_table_and_the_json_say_the_same(model: Path) -> None:
    shown = run("estimate", model, "--board", "pynq-z2", "--backend", "rtl")
    result = run("estimate", model, "--board", "pynq-z2", "--backend", "rtl", "--json")
    assert (shown.code, result.code) == (0, 0)
    (one,) = json.loads(result.out)["estimates"]
    assert (one["backend"], one["board"], one["stage"], one["refused"]) == ("rtl", "pynq-z2", "estimate", None)
    (row,) = (line for line in shown.out.splitlines() if line.startswith("rtl "))
    values = [f"{one['predictions'][name]['value']:,.0f}" for name in ("dsp", "bram18")]
    # An interval may stand after LUTs and FFs, where there is a calibration.
    lut, ff = (f"{one['predictions'][name]['value']:,.0f}" for name in ("lut", "ff"))
    cycles = [str(one["predictions"][name]["value"]) for name in ("latency_cycles", "interval_cycles")]
    cells = re.split(r"  +", row.strip())
    assert [cells[2], cells[4]] == [lut, ff]
    size = boards.load("pynq-z2").lut
    assert cells[3] == f"{100 * one['predictions']['lut']['value'] / size:.1f} %"
    time = f"{one['predictions']['latency_cycles']['value'] * boards.load('pynq-z2').clock_ns:,.0f}"
    assert cells[5:] == [*values, cycles[0], time, cycles[1], "yes"]


@pytest.mark.parametrize(
    ("arguments", "what", "hint"),
    [
        (("--backend", "rlt"), "unknown backend 'rlt'", "did you mean 'rtl'?"),
        (("--board", "pynq-z3"), "pynq-z3", "did you mean 'pynq-z2'?"),
        (("--bits", "6"), "a model.pt has its own", "leave --bits and the like out"),
        (("--input-range", "4"), "--input-range is '4'", "give LOW,HIGH"),
    ],
)
def test_an_estimate_that_cannot_be_made(model: Path, arguments: tuple[str, ...], what: str, hint: str) -> None:
    done = run("estimate", model, *arguments)
    assert (done.code, done.out) == (2, "")
    assert what in done.err and hint in done.err


def test_a_calibration_that_cannot_be_made(tmp_path: Path) -> None:
    for more in ((), ("--confirm",)):
        done = run("calibrate", "--backend", "hls4ml", "--output", tmp_path / "here", *more)
        assert done.code == 2 and "no designs of backend 'hls4ml' can be measured here" in done.err
    assert not (tmp_path / "here").exists()
    done = run("calibrate", "--backend", "rtl", "--confirm", "--output", tmp_path / "none")
    assert done.code == 2 and "qap2fpga calibrate --backend rtl" in done.err


def test_a_calibration_of_other_hardware_is_a_failed_check(monkeypatch: pytest.MonkeyPatch) -> None:
    for same, code in ((True, 0), (False, 1)):
        monkeypatch.setattr(calibrate, "confirm", lambda *given, same=same: same)
        done = run("calibrate", "--backend", "rtl", "--confirm")
        assert done.code == code
        assert ("the calibration of rtl is of other hardware: calibrate again" in done.err) is not same
