# SPDX-License-Identifier: Apache-2.0
"""Placed and routed designs in the report, its checks, table and page."""

from __future__ import annotations

import io
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console

from qap2fpga.build import collect
from qap2fpga.hw import boards
from qap2fpga.report import gather, page, routed, table
from qap2fpga.synth.ecp5.place import Placed
from tests.support.ecp5 import ULX3S
from tests.support.reports import closed, failed, finished, read


def report(achieved: float | None = 24.0, used: int = 1085, available: int = 83640) -> dict[str, Any]:
    """A build's report with what nextpnr found."""
    placement = Placed(ULX3S.part, "0.11", {"TRELLIS_COMB": (used, available), "TRELLIS_FF": (251, available)}, 40.0,
                  achieved, "longest path 4.0 ns of cells and 20.0 ns of wires, a to b")  # fmt: skip
    content = finished()
    content["backend"] = "rtl"
    content["board"] = {key: value for key, value in asdict(ULX3S).items() if key != "pins"} | {"lut": available}
    for one in (*content["measurements"], *content["predictions"], content["simulations"][1]):
        one["circuit"] = "rtl"
    content["measurements"][0]["total"] |= {"dsp": 0, "lut_packed": None, "lutram": None}
    content["predictions"][1]["total"]["dsp"] = 0
    measurement = asdict(placement.measurement(ULX3S.device_family.labels))
    content["measurements"].append({"circuit": "rtl", **measurement})
    stored = {
        "board": "ulx3s-85f",
        "vectors_per_second": 400.0,
        **asdict(placement),
        "measurement": measurement,
    }
    bitstream = {"file": "route/board.bit"} if achieved is not None and achieved <= 40 else None
    content["routed"] = json.loads(json.dumps(collect._routed(stored, bitstream)))
    content["cross_check"] = None
    return closed(content)


def shown(found: dict[str, Any]) -> str:
    out = io.StringIO()
    table.render([("one", read(found))], Console(file=out, width=220))
    return out.getvalue()


def test_a_routed_design_is_reported_as_such(tmp_path: Path) -> None:
    content = report()
    assert not failed(content) and content["fits"]["stage"] == "routed" and content["fits"]["tool"] == "nextpnr-ecp5"
    text = shown(content)
    for part in ("nextpnr-ecp5 0.11, routed", "TRELLIS_COMB", "1,085 of 83,640 (1.3 %)", "41.7 MHz (24.00 ns) reached",
                 "fits (routed)", "not calibrated: no measured designs for ecp5", "route/board.bit"):  # fmt: skip
        assert part in text, part
    (tmp_path / "report.json").write_text(json.dumps(content))
    html = page.render(gather.gather([tmp_path]), tmp_path)
    for part in ("nextpnr-ecp5 0.11, routed", "41.7", "placed and routed", "TRELLIS_COMB"):
        assert part in html, part


def test_a_missed_clock_is_a_failed_check_with_the_achieved_one() -> None:
    content = report(achieved=50.0)
    (one,) = failed(content)
    assert one.name == "clock after place and route by nextpnr-ecp5"
    assert (one.expected, one.found) == ("25.0 MHz (40.00 ns)", "20.0 MHz (50.00 ns)")
    assert "20.0 ns of wires" in one.why and "--clock" in one.why
    assert "There is no bitstream." in shown(content)


def test_what_does_not_fit_is_one_failed_check_with_the_numbers() -> None:
    content = report(achieved=None, used=25801, available=24288)
    (one,) = failed(content)
    assert "finn" not in one.why
    assert one.found == "TRELLIS_COMB 25801 of 24288" and content["fits"]["verdict"] == "does not fit"
    assert "does not fit LFE5U-85F-6BG381C: TRELLIS_COMB 25,801 of 24,288 (106.2 %)" in shown(content)


def test_a_cross_check_decides_nothing() -> None:
    content = report(achieved=None, used=90000, available=83640)
    content["cross_check"], content["routed"] = content["routed"], None
    del content["measurements"][1]
    content["board"] = asdict(boards.load("pynq-z2"))
    assert not failed(closed(content)) and content["fits"]["tool"] == "yosys"
    text = " ".join(shown(content).split())
    assert "another device, LFE5U-85F-6BG381C, as a cross-check" in text
    assert "It says nothing about xc7z020clg400-1, and no check rests on it." in text


def test_names_of_resources_are_the_familys() -> None:
    (ecp5, xc7, unknown) = (read(finished() | {"board": {**asdict(ULX3S), "family": one}}).board
                            for one in ("ecp5", "xc7", None))  # fmt: skip
    assert routed.resource_names(ecp5)["dsp"] == "MULT18X18D"
    assert routed.resource_names(xc7)["lut"] == routed.resource_names(unknown)["lut"] == "LUT"
