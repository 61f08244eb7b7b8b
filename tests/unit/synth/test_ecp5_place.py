# SPDX-License-Identifier: Apache-2.0
"""Parts, and every way that nextpnr ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from qap2fpga.hw.design import Stage
from qap2fpga.hw.resources import Resources
from qap2fpga.synth.ecp5 import place
from qap2fpga.synth.ecp5.place import Placed
from qap2fpga.system.errors import QapError
from tests.conftest import Make
from tests.support.ecp5 import REPORT, TOO_LARGE, ULX3S


@pytest.mark.parametrize(
    ("part", "options"),
    [
        ("LFE5U-85F-6BG381C", "--85k --package CABGA381 --speed 6"),
        ("LFE5U-25F-8MG285I", "--25k --package CSFBGA285 --speed 8"),
        ("LFE5UM-45F-7BG554C", "--um-45k --package CABGA554 --speed 7"),
        ("LFE5UM5G-85F-8BG756C", "--um5g-85k --package CABGA756 --speed 8"),
    ],
)
def test_a_part_is_nextpnrs_options(part: str, options: str) -> None:
    assert place.device(part) == options.split()


@pytest.mark.parametrize("part", ["LFE5U-85F", "LFE5U-85F-5BG381C", "xc7z020clg400-1", "LFE5U-85F-6BG381CX"])
def test_another_part_is_refused(part: str) -> None:
    with pytest.raises(QapError, match="is no full name of an ECP5"):
        place.device(part)


def placed(tmp_path: Path, limit: float = 30.0) -> Placed:
    netlist = tmp_path / "board.json"
    netlist.write_text("{}")
    return place.place(netlist, ULX3S, 40.0, tmp_path / "route", time_limit_s=limit)


def test_a_routed_design(tmp_path: Path, native: Make) -> None:
    native("nextpnr-ecp5", f"echo config > board.config; cat > report.json <<'X'\n{json.dumps(REPORT)}\nX")
    routed = placed(tmp_path)
    assert (
        routed.version == "0.7-5-gabc" and routed.achieved_ns == 50.0 and routed.used["TRELLIS_COMB"] == (1085, 83640)
    )
    assert routed.path == "longest path 2.0 ns of cells and 30.0 ns of wires, first to last"
    measurement = routed.measurement(ULX3S.device_family.labels)
    assert measurement.total == Resources(1085, 251, 0, 0) and measurement.stage is Stage.ROUTED
    words = (tmp_path / "route" / "arguments").read_text().split()
    assert words[:5] == place.device(ULX3S.part)
    assert words[words.index("--freq") + 1] == "25.000000" and "--timing-allow-fail" in words
    assert "--lpf-allow-unconstrained" not in words
    assert (tmp_path / "route" / "pins.lpf").read_text() == ULX3S.pins


def test_too_large_is_no_error_and_no_routed_number(tmp_path: Path, native: Make) -> None:
    native("nextpnr-ecp5", "exit 1", packed=TOO_LARGE)
    result = placed(tmp_path)
    assert result.achieved_ns is None and result.used["TRELLIS_COMB"] == (25801, 24288)
    measurement = result.measurement(ULX3S.device_family.labels)
    assert measurement.stage is Stage.SYNTHESIS and measurement.total.lut == 25801
    assert "not placed" in measurement.note and measurement.total.dsp is None
    assert not (tmp_path / "route" / "arguments").exists()


def test_a_design_that_cannot_be_packed_is_not_placed(tmp_path: Path, native: Make) -> None:
    native("nextpnr-ecp5", "exit 0", packed="echo 'ERROR: no such port'; exit 1")
    with pytest.raises(QapError, match="nextpnr-ecp5 failed: ERROR: no such port"):
        placed(tmp_path)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("echo 'ERROR: cell type A is unsupported'; exit 1", "nextpnr-ecp5 failed: ERROR: cell type A is unsupported"),
        ("echo working; kill -9 $$", "nextpnr-ecp5 was killed by signal 9: working"),
        ("sleep 60", "nextpnr-ecp5 took more than 0.5 s"),
        ("echo done", "nextpnr-ecp5 left no report: done"),
        ('echo \'{"utilization": {}, "fmax": {}}\' > report.json; touch board.config', "found no clock"),
    ],
)
def test_how_nextpnr_fails(tmp_path: Path, native: Make, text: str, what: str) -> None:
    native("nextpnr-ecp5", text)
    with pytest.raises(QapError, match=what) as caught:
        placed(tmp_path, 0.5 if "sleep" in text else 30.0)
    assert caught.value.exit_code == 2


def test_an_old_report_is_not_read(tmp_path: Path, native: Make) -> None:
    native("nextpnr-ecp5", "true")
    (tmp_path / "route").mkdir()
    (tmp_path / "route" / "report.json").write_text(json.dumps(REPORT))
    (tmp_path / "route" / "board.config").write_text("")
    with pytest.raises(QapError, match="left no report"):
        placed(tmp_path)
