# SPDX-License-Identifier: Apache-2.0
"""A whole build for an ECP5 board, and what it does when its last stages end otherwise."""

from __future__ import annotations

import json
import re
import shutil
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qap2fpga.build import mapping, simulating
from qap2fpga.hw import boards
from qap2fpga.hw.design import Measurement, Stage
from qap2fpga.hw.resources import Resources
from qap2fpga.ir.comparison import Simulation
from qap2fpga.synth import yosys
from qap2fpga.synth.ecp5 import synthesis
from qap2fpga.system import programs as tools
from qap2fpga.system.errors import CheckFailed
from qap2fpga.system.files import shipped
from qap2fpga.verify import netlist
from tests.conftest import Make
from tests.support.command import Result, run, save
from tests.support.ecp5 import REPORT, TOO_LARGE, ULX3S, design
from tests.support.reports import failed

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("ecp5")]
SMALL = Path(__file__).parents[2] / "examples" / "jets-4b-small.pt"
SUCCESS = f"echo config > board.config; cat > report.json <<'X'\n{json.dumps(REPORT)}\nX"


def build(folder: Path, *more: str) -> Result:
    return run("build", SMALL, "--backend", "rtl", "--board", "colorlight-i5", "--output", folder, *more)


def report(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "report.json").read_text())


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small example, placed and routed for real."""
    folder = tmp_path_factory.mktemp("ecp5") / "small"
    result = build(folder)
    assert result.code == 0, result.err
    return folder


@pytest.fixture
def copied(built: Path, tmp_path: Path) -> Path:
    """A build to be spoilt."""
    return Path(shutil.copytree(built, tmp_path / "made"))


def test_from_a_model_to_a_bitstream(built: Path) -> None:
    content = report(built)
    routed = content["measurements"][-1]
    assert (routed["tool"], routed["stage"], routed["circuit"]) == ("nextpnr-ecp5", "routed", "rtl")
    assert 2000 < routed["total"]["lut"] < 6000 and routed["total"]["dsp"] == 0
    assert routed["total"]["lut"] > content["measurements"][0]["total"]["lut"]
    assert content["routed"]["achieved_ns"] <= content["routed"]["target_ns"] == 40.0
    assert content["fits"]["verdict"] == "fits" and content["fits"]["stage"] == "routed"
    names = {one["compared"]: one for one in content["simulations"]}
    pins = names["colorlight-i5 from pin to pin with the integer network, UART"]
    assert pins["vectors"] >= 7 and sum(one["mismatches"] for one in names.values()) == 0
    assert [one["word"] for one in content["proof"]["claims"]] == ["proven"] * 3
    assert not any(name.startswith("netlist") for name in names), "it is proven"
    assert not content["predictions"][1]["calibrated"] and not failed(content)
    bitstream = (built / content["routed"]["bitstream"]).read_bytes()
    # The preamble of an ECP5's bitstream (Lattice FPGA-TN-02039), and the part's name in the comment before it.
    assert b"\xff\xff\xbd\xb3" in bitstream and b"LFE5U-25F" in bitstream


def test_nothing_is_done_twice(built: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in built.rglob("*") if path.is_file() and path.name != "lock"}
    text = (built / "report.json").read_bytes()
    again = build(built, "--quiet")
    assert again.code == 0 and (built / "report.json").read_bytes() == text
    changed = {path.name for path, when in before.items() if path.stat().st_mtime_ns != when}
    assert changed == {"report.json", "report.html", "build.log", "history.jsonl"}


def test_no_cell_of_another_family_is_generated(built: Path) -> None:
    verilog = "".join(path.read_text() for path in (built / "rtl").glob("*.v"))
    assert not re.search(r"\b(DSP48E\d|LUT\d\w*|SRL\w+|CARRY\d|RAM\w*\d|FD[RSCP]E)\b", verilog)
    assert not re.search(r"\b(FD[RSCP]E|CARRY\d)\b", (built / "synthesize" / "netlist.v").read_text())


@pytest.mark.parametrize(
    ("text", "packed", "code", "what"),
    [
        ("echo routing; kill -9 $$", "", 2, "nextpnr-ecp5 was killed by signal 9: routing"),
        ("exit 1", TOO_LARGE, 1, "fits colorlight-i5: .* found TRELLIS_COMB 25801 of 24288"),
        (SUCCESS, "", 1, r"clock after place and route by nextpnr-ecp5: .* found 20.0 MHz \(50.00 ns\)"),
    ],
)
def test_what_came_before_is_kept_when_the_router_ends_otherwise(
    copied: Path, native: Make, text: str, packed: str, code: int, what: str
) -> None:
    when = (copied / ".qap2fpga" / "pins.json").stat().st_mtime_ns
    native("nextpnr-ecp5", text, packed)
    result = build(copied)
    assert result.code == code and re.search(what, result.err)
    assert (copied / ".qap2fpga" / "pins.json").stat().st_mtime_ns == when
    if code == 2:
        assert not (copied / "report.json").exists()
    else:
        assert report(copied)["routed"]["bitstream"] is None
        assert build(copied, "--check", "warn", "--quiet").code == 0


def test_another_device_is_told_and_decides_nothing(tmp_path: Path, native: Make, monkeypatch) -> None:
    """A design for a PYNQ-Z2 that an ECP5 would run at a tenth of the clock."""
    native("nextpnr-ecp5", SUCCESS)
    mapped = Measurement("yosys", "0.70", Stage.SYNTHESIS, Resources(100, 12, 0, 0))
    gates = Simulation("verilator", "5", "netlist", 200, 0)
    monkeypatch.setattr(mapping, "synthesize", lambda *_: {"measurement": asdict(mapped), "cells": {}, "netlist": []})
    monkeypatch.setattr(simulating, "simulate_netlist", lambda *_: asdict(gates))
    monkeypatch.setattr(simulating, "simulate_rtl", lambda *_: [])
    words = ("--backend", "rtl", "--board", "pynq-z2", "--vendor", "none", "--cross-check", "ecp5")
    result = run("build", save(tmp_path / "net.pt"), *words, "--output", tmp_path / "made")
    assert result.code == 0, result.err
    content = report(tmp_path / "made")
    assert content["cross_check"]["achieved_ns"] == 50.0 and content["cross_check"]["target_ns"] == 10.0
    assert content["routed"] is None and [one["tool"] for one in content["measurements"]] == ["yosys"]
    assert "another device, LFE5U-85F-6BG381C, as a cross-check" in " ".join(result.out.split())
    netlist_json = json.loads((tmp_path / "made" / "cross-check" / "ecp5_board.json").read_text())
    assert "ecp5_board" in netlist_json["modules"]


def test_one_flipped_bit_of_a_lut_is_found(tmp_path: Path) -> None:
    small_design = design(tmp_path / "adder")
    mapped = synthesis.map_design(small_design, tmp_path / "synthesize")
    vectors = np.random.default_rng(2).integers(0, 256, (256, 2))
    expected = vectors @ [[1], [2]]
    (simulation,) = netlist.Netlist(small_design, ULX3S, mapped, tmp_path / "sim").simulate(vectors, expected)
    assert (simulation.vectors, simulation.mismatches) == (256, 0) and "netlist (ecp5" in simulation.compared
    text = mapped.netlist[0].read_text()
    # The carry chain adds; without its second input it does not.
    changed = tmp_path / "netlist.v"
    changed.write_text(re.sub(r"\.INIT0\(16'h\w+\)", ".INIT0(16'hAAAA)", text))
    assert changed.read_text() != text
    engine = netlist.Netlist(small_design, ULX3S, replace(mapped, netlist=(changed,)), tmp_path / "changed")
    with pytest.raises(CheckFailed):
        engine.simulate(vectors, expected)


def test_our_luts_are_those_of_yosys(tmp_path: Path) -> None:
    """Every bit of INIT alone, and one random INIT, over all inputs, proven equal by Yosys' SAT solver."""
    library, modules = "\n".join(yosys.library(name).read_text() for name in ULX3S.device_family.library), []
    for inputs, ports in ((2, "AB"), (4, "ABCD")):
        theirs = re.search(rf"^module LUT{inputs}\(.*?^endmodule", library, re.MULTILINE | re.DOTALL)
        assert theirs
        modules.append(theirs.group(0).replace(f"module LUT{inputs}(", f"module THEIRS{inputs}("))
        names = ", ".join(f".{port}(x[{k}])" for k, port in enumerate(ports))
        values = [1 << bit for bit in range(1 << inputs)] + [0x1BE2 % (1 << (1 << inputs))]
        cells = "".join(
            f"{module}{inputs} #(.INIT({1 << inputs}'h{value:x})) {side}{k} (.Z({side}[{k}]), {names});\n"
            for k, value in enumerate(values)
            for module, side in (("LUT", "a"), ("THEIRS", "b"))
        )
        wires = f"wire [{len(values) - 1}:0] a, b;\n{cells}assign ok = a == b;\n"
        modules.append(f"module same{inputs}(input [{inputs - 1}:0] x, output ok);\n{wires}endmodule\n")
    text = re.sub(r"specify.*?endspecify", "", "\n".join(modules), flags=re.DOTALL)
    (tmp_path / "theirs.v").write_text(text)
    script = (
        "import sys\nfrom pyosys import libyosys as ys\nfor n in (2, 4):\n    d = ys.Design()\n"
        "    for c in ([['read_verilog', '-sv', p] for p in sys.argv[1:]] + [['hierarchy', '-top', f'same{n}'],"
        " ['proc'], ['flatten'], ['opt'], ['sat', '-verify', '-prove', 'ok', '1', f'same{n}']]):\n"
        "        ys.Pass.call(d, c)\n"
    )
    luts = shipped("flows") / "ecp5" / "luts.v"
    output = tools.run(
        [sys.executable, "-c", script, luts.resolve(), tmp_path / "theirs.v"], log=tmp_path / "sat.log",
        folder=tmp_path, time_limit_s=120,
    )  # fmt: skip
    assert output.count("SAT proof finished - no model found: SUCCESS!") == 2


def test_a_cross_checks_board_is_shipped() -> None:
    from qap2fpga.synth.ecp5.place import CROSS_CHECK

    assert boards.load(CROSS_CHECK).family == "ecp5"
