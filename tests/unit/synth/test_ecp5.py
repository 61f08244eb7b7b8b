# SPDX-License-Identifier: Apache-2.0
"""ECP5 boards: parts, pins, the serial port's bytes, every way that nextpnr and ecppack end, and what is reported."""

from __future__ import annotations

import io
import json
import re
import shutil
import sys
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from qap2fpga import backends
from qap2fpga.build import collect
from qap2fpga.cli import doctor
from qap2fpga.estimate.estimate import estimate
from qap2fpga.hw import boards
from qap2fpga.hw.beats import pack
from qap2fpga.hw.design import Design, Stage, Stream
from qap2fpga.hw.resources import Resources
from qap2fpga.report import gather, page, routed, table
from qap2fpga.synth.ecp5 import pack as packing
from qap2fpga.synth.ecp5 import place, synthesis, tool, wrapper
from qap2fpga.synth.ecp5.place import Placed
from qap2fpga.system.errors import QapError
from qap2fpga.verify import pins
from tests.conftest import Make
from tests.support.command import run, save
from tests.support.reports import closed, failed, finished, read
from tests.unit.backends.test_rtl import network

ROOT = Path(__file__).parents[3]
ULX3S = boards.load("ulx3s-85f")
# What nextpnr prints of a design that is too large when it packs.
TOO_LARGE = """cat <<'X'
Info: Device utilisation:
Info:             TRELLIS_IO:       4/    197     2%
Info:           TRELLIS_COMB:   25801/  24288   106%
Info:             TRELLIS_FF:     834/  24288     3%
X"""
REPORT: dict[str, Any] = {
    "fmax": {"$glbnet$clk": {"achieved": 50.0, "constraint": 25.0}, "slower": {"achieved": 20.0, "constraint": 25.0}},
    "utilization": {
        "TRELLIS_COMB": {"used": 1085, "available": 83640}, "TRELLIS_FF": {"used": 251, "available": 83640},
        "MULT18X18D": {"used": 0, "available": 156}, "DP16KD": {"used": 0, "available": 208},
    },
    "critical_paths": [
        {"from": "posedge clk", "to": "posedge clk", "path": [
            {"type": "clk-to-q", "delay": 0.5, "from": {"cell": "first"}, "to": {"cell": "first"}},
            {"type": "routing", "delay": 30.0, "from": {"cell": "first"}, "to": {"cell": "last"}},
            {"type": "setup", "delay": 1.5, "from": {"cell": "last"}, "to": {"cell": "last"}},
        ]},
        {"from": "<async>", "to": "posedge clk", "path": [
            {"type": "routing", "delay": 99.0, "from": {"cell": "pin"}, "to": {"cell": "first"}},
        ]},
    ],
}  # fmt: skip


# ---- parts and pins


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


@pytest.mark.parametrize(
    ("lines", "what"),
    [
        (None, "an ecp5 board needs its pins"),
        (["clk", "uart_rx"], "no LOCATE of uart_tx"),
        (["clk", "uart_rx", "uart_tx", "led"], "unknown port led"),
    ],
)
def test_pins_of_a_users_board_are_checked(tmp_path: Path, lines: list[str] | None, what: str) -> None:
    folder = Path(boards.shipped("boards"))
    (tmp_path / "mine.yaml").write_text((folder / "ulx3s-85f.yaml").read_text())
    if lines is not None:
        (tmp_path / "mine.lpf").write_text("".join(f'LOCATE COMP "{port}" SITE "A1";\n' for port in lines))
    with pytest.raises(QapError, match=what):
        boards.load(str(tmp_path / "mine.yaml"))


# ---- the serial port's bytes


@given(st.lists(st.binary(min_size=3, max_size=3), min_size=1, max_size=5))
def test_the_crc_is_the_remainder_of_a_division(rows: list[bytes]) -> None:
    """The definition: FF into the first eight bits, then x^8 times the message modulo x^8 + x^2 + x + 1."""
    found = wrapper.crc8(np.array([list(row) for row in rows], np.uint8))
    for row, crc in zip(rows, found, strict=True):
        rest = (int.from_bytes(row, "big") ^ (0xFF << 16)) << 8
        for bit in range(31, 7, -1):
            rest ^= (0x107 << (bit - 8)) if rest >> bit & 1 else 0
        assert rest == crc


def test_a_message_is_the_beat_from_its_lowest_byte_up() -> None:
    stream = Stream("in0", 5, 5, 4, True)
    (message,) = wrapper.messages(pack(np.array([[1, -2, 3, 4, -5]]), stream), stream.beat_bits // 8)
    assert bytes(message[:3]) == bytes([0xE1, 0x43, 0x0B]) and message[3] == wrapper.crc8(message[None, :3])[0]


def test_the_clock_is_divided_to_the_baud_rate() -> None:
    assert wrapper.divider(40.0) == 217 and wrapper.divider(20.0) == 434
    with pytest.raises(QapError, match="does not divide to 115200 baud"):
        wrapper.divider(1000.0)


def design(folder: Path, *, lanes: int = 2) -> Design:
    """A network of one register: two bytes in, the first and twice the second out a cycle later."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "adder.v").write_text(
        "module adder(input ap_clk, input ap_rst_n, input [15:0] in0_TDATA, input in0_TVALID, output in0_TREADY,\n"
        "             output reg [15:0] out0_TDATA, output reg out0_TVALID, input out0_TREADY);\n"
        "    assign in0_TREADY = !out0_TVALID || out0_TREADY;\n"
        "    always @(posedge ap_clk) begin\n"
        "        if (!ap_rst_n) out0_TVALID <= 0;\n"
        "        else if (in0_TREADY) out0_TVALID <= in0_TVALID;\n"
        "        if (in0_TREADY) out0_TDATA <= in0_TDATA[7:0] + 2 * in0_TDATA[15:8];\n"
        "    end\n"
        "endmodule\n"
    )
    source, sink = Stream("in0", 2, lanes, 8, False), Stream("out0", 1, 1, 10, False)
    return Design("rtl", folder, "adder", ("adder.v",), (), source, sink, 1, 2)


def test_a_design_with_several_beats_has_no_serial_port(tmp_path: Path) -> None:
    with pytest.raises(QapError, match="in several beats"):
        wrapper.sizes(design(tmp_path, lanes=1))


def test_a_pin_that_must_be_high_is_a_port_only_where_the_board_has_it(tmp_path: Path) -> None:
    made = design(tmp_path)
    assert "assign hold_high = 1;" in wrapper.verilog(made, 40.0, hold_high=True)
    assert "hold_high" not in wrapper.verilog(made, 40.0, hold_high=False)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "pattern", "instead"),
    [
        ("none", "", ""),
        ("bytes in another order", "in_data <= {got, in_data} >> 8;", "in_data <= {in_data, got};"),
        ("a damaged request is answered", "if (got == crc) state", "state"),
        ("a cut request is kept", "else if (silence == PAUSE)", "else if (0)"),
        ("a bit too short", "wait_cycles <= DIVIDER - 1;", "wait_cycles <= DIVIDER - DIVIDER / 10;"),
    ],
)
def test_from_pin_to_pin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str, pattern: str, instead: str
) -> None:
    changed = []
    for source in wrapper.sources():
        text = source.read_text()
        changed.append(tmp_path / source.name)
        changed[-1].write_text(text.replace(pattern, instead) if pattern else text)
    assert fault == "none" or any(instead in one.read_text() for one in changed)
    monkeypatch.setattr(wrapper, "sources", lambda: changed)
    monkeypatch.setattr(wrapper, "PAUSE_S", 0.001)
    vectors = np.random.default_rng(1).integers(0, 256, (9, 2))
    expected = vectors @ [[1], [2]]

    def simulated() -> Any:
        return pins.Pins(design(tmp_path / "adder"), ULX3S, tmp_path / "pins").simulate(vectors, expected)[0]

    if fault != "none":
        with pytest.raises(QapError) as caught:
            simulated()
        assert caught.value.exit_code == 1
        return
    found = simulated()
    assert (found.vectors, found.mismatches, found.latency_cycles) == (9, 0, None)
    assert found.compared == "ulx3s-85f from pin to pin with the integer network, UART"


def test_the_documented_computer_asks_as_the_board_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The Python in docs/ecp5.md, with a port that answers as the board in `test_from_pin_to_pin` does."""
    text = (ROOT / "docs" / "ecp5.md").read_text()
    (code,) = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    source, sink = Stream("in0", 3, 3, 5, True), Stream("out0", 2, 2, 7, True)
    values, outputs = [-16, 7, 15], [-64, 63]
    question = wrapper.messages(pack(np.array([values]), source), 2)[0].tobytes()
    answer = wrapper.messages(pack(np.array([outputs]), sink), 2)[0].tobytes()
    streams = {name: asdict(one) | {"beat_bits": one.beat_bits} for name, one in (("input", source), ("output", sink))}
    example = {"integers": values, "output_integers": outputs}
    (tmp_path / "report.json").write_text(json.dumps({"interface": {**streams, "example": example}}))

    class Port:
        def __init__(self, device: str, baud: int, timeout: float) -> None:
            assert (device, baud) == ("/dev/tty", wrapper.BAUD) and timeout > wrapper.PAUSE_S

        def __enter__(self) -> Port:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def write(self, data: bytes) -> None:
            assert data == question

        def read(self, size: int) -> bytes:
            assert size == len(answer)
            return answer

    monkeypatch.setitem(sys.modules, "serial", SimpleNamespace(Serial=Port))
    monkeypatch.setattr(sys, "argv", ["ask.py", str(tmp_path), "/dev/tty"])
    exec(compile(code, "ecp5.md", "exec"), {})
    assert capsys.readouterr().out == f"{outputs} should be {outputs}\n"


# ---- nextpnr and ecppack


def placed(tmp_path: Path, limit: float = 30.0) -> Placed:
    netlist = tmp_path / "board.json"
    netlist.write_text("{}")
    return place.place(netlist, ULX3S, 40.0, tmp_path / "route", time_limit_s=limit)


def test_a_routed_design(tmp_path: Path, native: Make) -> None:
    native("nextpnr-ecp5", f"echo config > board.config; cat > report.json <<'X'\n{json.dumps(REPORT)}\nX")
    found = placed(tmp_path)
    assert found.version == "0.7-5-gabc" and found.achieved_ns == 50.0 and found.used["TRELLIS_COMB"] == (1085, 83640)
    assert found.path == "longest path 2.0 ns of cells and 30.0 ns of wires, first to last"
    measurement = found.measurement(ULX3S.device_family.labels)
    assert measurement.total == Resources(1085, 251, 0, 0) and measurement.stage is Stage.ROUTED
    words = (tmp_path / "route" / "arguments").read_text().split()
    assert words[:5] == place.device(ULX3S.part)
    assert words[words.index("--freq") + 1] == "25.000000" and "--timing-allow-fail" in words
    assert "--lpf-allow-unconstrained" not in words
    assert (tmp_path / "route" / "pins.lpf").read_text() == ULX3S.pins


def test_too_large_is_no_error_and_no_routed_number(tmp_path: Path, native: Make) -> None:
    native("nextpnr-ecp5", "exit 1", packed=TOO_LARGE)
    found = placed(tmp_path)
    assert found.achieved_ns is None and found.used["TRELLIS_COMB"] == (25801, 24288)
    measurement = found.measurement(ULX3S.device_family.labels)
    assert measurement.stage is Stage.SYNTHESIS and measurement.total.lut == 25801
    assert "not placed" in measurement.note and measurement.total.dsp is None
    assert not (tmp_path / "route" / "arguments").exists()


def test_a_design_that_can_not_be_packed_is_not_placed(tmp_path: Path, native: Make) -> None:
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


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("echo 'Error: no database'; exit 1", "no database"),
        ("true", "left no bitstream"),
        ("touch board.part", "left no"),
    ],
)
def test_how_ecppack_fails(tmp_path: Path, native: Make, text: str, what: str) -> None:
    native("ecppack", text)
    (tmp_path / "board.bit").write_text("of before")
    with pytest.raises(QapError, match=what):
        packing.pack(tmp_path / "board.config", tmp_path / "board.bit")


@pytest.fixture
def absent(monkeypatch: pytest.MonkeyPatch) -> None:
    which = shutil.which
    hidden = (tool.PLACER, tool.PACKER)
    monkeypatch.setattr(tool.shutil, "which", lambda name: None if name in hidden else which(name))
    monkeypatch.setattr(tool.sysconfig, "get_path", lambda name: "/nowhere")


def test_what_is_absent_is_named_with_its_cure(absent: None) -> None:
    assert tool.find("nextpnr-ecp5") is None
    with pytest.raises(QapError, match="nextpnr-ecp5 is not installed") as caught:
        tool.require("nextpnr-ecp5")
    assert caught.value.hint == "pip install 'qap2fpga[ecp5]'"
    listed = {one.name: one for one in doctor._open_route()}
    assert set(listed) == {"nextpnr-ecp5", "ecppack"}
    assert not any(one.found or one.needed for one in listed.values())


def test_the_packaged_program_is_found_without_a_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tool.shutil, "which", lambda name: None)
    found = tool.find("ecppack")
    assert found is not None and found.path.is_file() and found.version.startswith("0.11")


# ---- before any work


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
def test_what_can_not_be_is_said_before_any_work(tmp_path: Path, words: str, what: str) -> None:
    found = run("build", save(tmp_path / "net.pt"), *words.split(), "--output", tmp_path / "made")
    assert found.code == 2 and what in found.err
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("words", ["--board ulx3s-85f", "--board pynq-z2 --cross-check ecp5"])
def test_nextpnr_is_required_before_any_work(tmp_path: Path, absent: None, words: str) -> None:
    model = save(tmp_path / "net.pt")
    found = run("build", model, *words.split(), "--backend", "rtl", "--output", tmp_path / "made")
    assert found.code == 2 and "nextpnr-ecp5 is not installed" in found.err and "qap2fpga[ecp5]" in found.err
    assert not (tmp_path / "made").exists()


def test_an_estimate_for_an_ecp5_is_not_calibrated() -> None:
    small = network(1)
    found = estimate(small, "rtl", ULX3S, backends.get("rtl").make_options())
    assert not found.calibrated and found.predictions["lut"].value > 0
    refused = estimate(small, "finn", ULX3S, backends.get("finn").make_options())
    assert "the finn backend makes no hardware for ulx3s" in refused.refused


def test_cells_are_counted_as_luts() -> None:
    cells = {"LUT4": 10, "CCU2C": 3, "PFUMX": 5, "L6MUX21": 1, "TRELLIS_FF": 7, "MULT18X18D": 2, "DP16KD": 1}
    assert synthesis.count(cells) == Resources(lut=16, ff=7, dsp=2, bram18=1, carry=3)


# ---- the report


def report(achieved: float | None = 24.0, used: int = 1085, available: int = 83640) -> dict[str, Any]:
    """A build's report with what nextpnr found."""
    made = Placed(ULX3S.part, "0.11", {"TRELLIS_COMB": (used, available), "TRELLIS_FF": (251, available)}, 40.0,
                  achieved, "longest path 4.0 ns of cells and 20.0 ns of wires, a to b")  # fmt: skip
    found = finished()
    found["backend"] = "rtl"
    found["board"] = {key: value for key, value in asdict(ULX3S).items() if key != "pins"} | {"lut": available}
    for one in (*found["measurements"], *found["predictions"], found["simulations"][1]):
        one["circuit"] = "rtl"
    found["measurements"][0]["total"] |= {"dsp": 0, "lut_packed": None, "lutram": None}
    found["predictions"][1]["total"]["dsp"] = 0
    measurement = asdict(made.measurement(ULX3S.device_family.labels))
    found["measurements"].append({"circuit": "rtl", **measurement})
    stored = {
        "board": "ulx3s-85f",
        "vectors_per_second": 400.0,
        **asdict(made),
        "measurement": measurement,
    }
    bitstream = {"file": "route/board.bit"} if achieved is not None and achieved <= 40 else None
    found["routed"] = json.loads(json.dumps(collect._routed(stored, bitstream)))
    found["cross_check"] = None
    return closed(found)


def shown(found: dict[str, Any]) -> str:
    out = io.StringIO()
    table.render([("one", read(found))], Console(file=out, width=220))
    return out.getvalue()


def test_a_routed_design_is_reported_as_such(tmp_path: Path) -> None:
    found = report()
    assert not failed(found) and found["fits"]["stage"] == "routed" and found["fits"]["tool"] == "nextpnr-ecp5"
    text = shown(found)
    for part in ("nextpnr-ecp5 0.11, routed", "TRELLIS_COMB", "1,085 of 83,640 (1.3 %)", "41.7 MHz (24.00 ns) reached",
                 "fits (routed)", "not calibrated: no measured designs for ecp5", "route/board.bit"):  # fmt: skip
        assert part in text, part
    (tmp_path / "report.json").write_text(json.dumps(found))
    html = page.render(gather.gather([tmp_path]), tmp_path)
    for part in ("nextpnr-ecp5 0.11, routed", "41.7", "placed and routed", "TRELLIS_COMB"):
        assert part in html, part


def test_a_missed_clock_is_a_failed_check_with_the_achieved_one() -> None:
    found = report(achieved=50.0)
    (one,) = failed(found)
    assert one.name == "clock after place and route by nextpnr-ecp5"
    assert (one.expected, one.found) == ("25.0 MHz (40.00 ns)", "20.0 MHz (50.00 ns)")
    assert "20.0 ns of wires" in one.why and "--clock" in one.why
    assert "There is no bitstream." in shown(found)


def test_what_does_not_fit_is_one_failed_check_with_the_numbers() -> None:
    found = report(achieved=None, used=25801, available=24288)
    (one,) = failed(found)
    assert "finn" not in one.why
    assert one.found == "TRELLIS_COMB 25801 of 24288" and found["fits"]["verdict"] == "does not fit"
    assert "does not fit LFE5U-85F-6BG381C: TRELLIS_COMB 25,801 of 24,288 (106.2 %)" in shown(found)


def test_a_cross_check_decides_nothing() -> None:
    found = report(achieved=None, used=90000, available=83640)
    found["cross_check"], found["routed"] = found["routed"], None
    del found["measurements"][1]
    found["board"] = asdict(boards.load("pynq-z2"))
    assert not failed(closed(found)) and found["fits"]["tool"] == "yosys"
    text = " ".join(shown(found).split())
    assert "another device, LFE5U-85F-6BG381C, as a cross-check" in text
    assert "It says nothing about xc7z020clg400-1, and no check rests on it." in text


def test_names_of_resources_are_the_familys() -> None:
    (ecp5, xc7, unknown) = (read(finished() | {"board": {**asdict(ULX3S), "family": one}}).board
                            for one in ("ecp5", "xc7", None))  # fmt: skip
    assert routed.resource_names(ecp5)["dsp"] == "MULT18X18D"
    assert routed.resource_names(xc7)["lut"] == routed.resource_names(unknown)["lut"] == "LUT"
