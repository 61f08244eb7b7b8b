# SPDX-License-Identifier: Apache-2.0
"""Counting cells, and synthesis of small designs whose cells are known."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from qap2fpga.hw import boards as board
from qap2fpga.hw.design import Design, Stage, Stream
from qap2fpga.hw.resources import Resources
from qap2fpga.synth import yosys
from qap2fpga.synth.cells import count, packed, unknown
from qap2fpga.system.errors import QapError
from tests.conftest import ROOT

XC7 = board.load("pynq-z2")
BYTE = Stream("in0", 1, 1, 8, False)
HEAD = """// SPDX-License-Identifier: Apache-2.0
module known(input ap_clk, input ap_rst_n, input [7:0] in0_TDATA, input in0_TVALID, output in0_TREADY,
             output [7:0] out0_TDATA, output out0_TVALID, input out0_TREADY);
"""


def design(folder: Path, body: str, more: str = "") -> Design:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "known.sv").write_text(f"{HEAD}{body}\nendmodule\n{more}")
    return Design("test", folder, "known", ("known.sv",), (), BYTE, replace(BYTE, name="out0"), 1)


def test_count_is_what_it_says() -> None:
    cells = {
        "LUT1": 1, "LUT2": 2, "LUT3": 3, "LUT4": 4, "LUT5": 5, "LUT6": 6, "LUT6_2": 7, "INV": 8, "MUXF7": 9,
        "FDRE": 10, "FDSE": 11, "FDCE": 12, "FDPE": 13, "LDCE": 1, "DSP48E1": 14, "RAMB18E1": 15, "RAMB36E1": 16,
        "RAM32M": 2, "RAM64X1D": 3, "SRL16E": 4, "SRLC32E": 5, "CARRY4": 17,
    }  # fmt: skip
    memory = 2 * 4 + 3 * 2 + 4 + 5
    result = count(cells)
    assert result == Resources(36 + memory, 47, 14, 15 + 32, memory, 17, result.lut_packed)
    # LUT3 take 2 LUT2 and 1 LUT1, LUT4 take 4 LUT1, the other 4 LUT1 are two LUTs.
    assert packed(cells) == 3 + 4 + 5 + 6 + 7 + 2 and result.lut_packed == 27 + memory
    assert unknown(cells) == {}


def test_an_unknown_cell_is_named() -> None:
    assert unknown({"LUT6": 1, "BUFG": 2, "$scopeinfo": 1, "FDRE_1": 3}) == {"BUFG": 2}
    result = yosys.measurement(yosys.Synthesis({"": {"BUFG": 2, "LUT6": 1}}, ()))
    assert result.total.lut == 1 and "not counted: 2 BUFG" in result.note


@pytest.mark.parametrize(
    ("cells", "luts"),
    [({"LUT2": 5}, 3), ({"LUT3": 2, "LUT2": 1}, 2), ({"LUT4": 2, "LUT1": 1}, 2), ({"LUT5": 2, "LUT1": 2}, 3), ({}, 0)],
)
def test_packing(cells: dict[str, int], luts: int) -> None:
    assert packed(cells) == luts


@pytest.mark.slow
def test_a_known_design_is_counted_exactly(tmp_path: Path) -> None:
    """Eight flip-flops after XOR of two bits; one adder of 8 bits (two CARRY4) in a part; a multiplier in LUTs."""
    body = """
    wire [7:0] total; reg [7:0] held; reg valid;
    adder part_a (.clk(ap_clk), .x(in0_TDATA), .y(total));
    inverter part_b (.clk(ap_clk), .x(total), .y(out0_TDATA));
    assign out0_TVALID = in0_TVALID; assign in0_TREADY = out0_TREADY;"""
    more = """
module adder(input clk, input [7:0] x, output reg [7:0] y);
    always @(posedge clk) y <= y + x;
endmodule
module inverter(input clk, input [7:0] x, output reg [7:0] y);
    always @(posedge clk) y <= {x[7:1] ^ x[6:0], x[0]};
endmodule
"""
    done = yosys.map_design(design(tmp_path / "design", body, more), XC7, tmp_path / "yosys")
    measurement = yosys.measurement(done)
    assert (measurement.tool, measurement.version, measurement.stage) == ("yosys", yosys.version(), Stage.SYNTHESIS)
    assert measurement.parts == {
        "part_a": Resources(8, 8, 0, 0, 0, 2, 4),
        "part_b": Resources(7, 8, 0, 0, 0, 0, 4),
    }
    assert measurement.total == Resources(15, 16, 0, 0, 0, 2, 8)
    # Clock to output of a register, a LUT2, from S of one CARRY4 to its CO, and from CI of the next to its O.
    path = yosys.longest_path("known", done.netlist, tmp_path / "time")
    assert path.ns == (303 + 238 + 528 + 334) / 1000
    assert str(path).startswith("longest path 1.40 ns of cells, before routing: ")


@pytest.mark.slow
def test_a_part_that_nobody_reads_has_no_cells_and_no_netlist(tmp_path: Path) -> None:
    body = """
    wire [7:0] unused;
    later part_a (.clk(ap_clk), .x(in0_TDATA), .y(out0_TDATA));
    unread part_b (.clk(ap_clk), .x(in0_TDATA), .y(unused));
    assign out0_TVALID = in0_TVALID; assign in0_TREADY = out0_TREADY;"""
    part = "module {}(input clk, input [7:0] x, output reg [7:0] y);\n    always @(posedge clk) y <= ~x;\nendmodule\n"
    known = design(tmp_path / "design", body, "".join(part.format(name) for name in ("later", "unread")))
    done = yosys.map_design(known, XC7, tmp_path / "yosys", threads=1)
    assert done.cells["part_a"]["FDRE"] == 8 and done.cells["part_b"] == {}
    assert [path.name for path in done.netlist] == ["part_a.v", "known_top.v"]


@pytest.mark.slow
def test_multipliers_are_not_dsps_and_memory_is_block_ram(tmp_path: Path) -> None:
    """A 2048 x 18 memory is two RAMB18 or one RAMB36."""
    body = """
    (* ram_style = "block" *) reg [17:0] memory [0:2047]; reg [17:0] word; reg [10:0] at;
    always @(posedge ap_clk) begin
        at <= at + in0_TDATA;
        if (in0_TVALID) memory[at] <= {at, in0_TDATA[6:0]};
        word <= memory[at ^ 11'd5];
    end
    assign out0_TDATA = word[17:10] * word[7:0]; assign out0_TVALID = word[8]; assign in0_TREADY = 1'b1;"""
    known = design(tmp_path / "design", body)
    done = yosys.map_design(known, XC7, tmp_path / "yosys")
    total = yosys.measurement(done).total
    assert total.bram18 == 2 and total.dsp == 0 and total.lut
    assert done.total.get("RAMB18E1", 0) + 2 * done.total.get("RAMB36E1", 0) == 2


MEMORIES = """
import json, sys
from collections import Counter
from qap2fpga.synth import worker

def cells(ours):
    yosys = worker.Yosys()
    yosys.run("read_verilog", sys.argv[1])
    synth = f"synth_xilinx -flatten -noiopad -noclkbuf -nodsp -top known -family {sys.argv[2]}"
    yosys.run(f"{synth} -run begin:map_memory")
    if ours:
        yosys.run("memory_libmap", *worker.to_memories(sys.argv[2]))
    yosys.run(f"{synth} -run map_memory:map_ffram")
    (top,) = (one for one in yosys.design.modules_.values() if worker.plain(one.name) == "known")
    return Counter(cell.type.str() for cell in top.cells_.values())

print("cells", json.dumps([cells(False), cells(True)]))
"""
SHAPES = ((4, 3), (12, 16), (24, 64), (9, 200), (36, 1500))
HUGE = """
    (* ram_style = "huge" *) reg [71:0] mh [0:4095]; output reg [71:0] qh;
    always @(posedge clk) if (e0) mh[{r4, r0}] <= {d4, d4}; else qh <= mh[{r4, r0}];
"""


@pytest.mark.slow
@pytest.mark.parametrize("family", ["xc7", "xcu", "xcup"])
def test_memories_become_the_cells_that_synth_xilinx_makes_of_them(tmp_path: Path, family: str) -> None:
    """From registers to UltraRAM, and ROMs: what we tell `memory_libmap` is what synth_xilinx tells it."""
    ports, body = ["clk"], "input clk;"
    for number, (bits, words) in enumerate(SHAPES):
        at = max(1, (words - 1).bit_length())
        ports += [f"{name}{number}" for name in "wrdeqk"]
        body += f"""
    input [{at - 1}:0] w{number}, r{number}; input [{bits - 1}:0] d{number}; input e{number};
    output reg [{bits - 1}:0] q{number}, k{number};
    reg [{bits - 1}:0] m{number} [0:{words - 1}], c{number} [0:255];
    integer i{number};
    initial for (i{number} = 0; i{number} < 256; i{number} = i{number} + 1)
        c{number}[i{number}] = i{number} * 7 ^ (i{number} >> 1);
    always @(posedge clk) begin
        if (e{number}) m{number}[w{number}] <= d{number};
        q{number} <= m{number}[r{number}];
        k{number} <= c{number}[r{number}];
    end"""
    if family == "xcup":
        ports, body = [*ports, "qh"], body + HUGE
    source = tmp_path / "known.v"
    source.write_text(f"module known({', '.join(ports)}); {body}\nendmodule\n")
    command = [sys.executable, "-c", MEMORIES, str(source), family]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    (line,) = (one for one in done.stdout.splitlines() if one.startswith("cells "))
    theirs, ours = json.loads(line.removeprefix("cells "))
    assert theirs == ours
    kinds = " ".join(theirs)
    wanted = {"RAM32M", "RAM64M", "RAMB18E"} | ({"URAM288"} if family == "xcup" else set())
    assert not [kind for kind in wanted if kind not in kinds], kinds


@pytest.mark.slow
def test_the_longest_path_is_the_same_of_rtlil_and_of_verilog(tmp_path: Path) -> None:
    """What mapping leaves for it is removed, and of another Verilog it is not read."""
    body = """
    wire [7:0] middle;
    part a(.clk(ap_clk), .x(in0_TDATA), .y(middle)); part b(.clk(ap_clk), .x(middle + 8'd3), .y(out0_TDATA));
    assign out0_TVALID = 1'b1; assign in0_TREADY = 1'b1;"""
    more = """
module part(input clk, input [7:0] x, output reg [7:0] y);
    reg [7:0] kept; always @(posedge clk) begin kept <= x; y <= kept * kept + 8'd5; end
endmodule
"""
    done = yosys.map_design(design(tmp_path / "design", body, more), XC7, tmp_path / "yosys")
    left = sorted((tmp_path / "yosys").glob("*.il"))
    assert len(left) == len(done.netlist) > 1
    copies = [tmp_path / one.name for one in left]
    for one, copy in zip(left, copies, strict=True):
        shutil.copy(one, copy)
    fast = yosys.longest_path("known", done.netlist, tmp_path / "time")
    assert fast.ns is not None and not list((tmp_path / "yosys").glob("*.il"))
    assert yosys.longest_path("known", done.netlist, tmp_path / "time") == fast
    for one, copy in zip(left, copies, strict=True):
        shutil.copy(copy, one)
    done.netlist[-1].write_text("module known; endmodule\n")
    assert yosys.longest_path("known", done.netlist, tmp_path / "time").ns is None


@pytest.mark.slow
def test_a_long_case_of_constants_is_a_memory_that_does_not_grow_with_its_words(tmp_path: Path) -> None:
    """It is no memory in the source; 1024 x 18 are one RAMB18."""
    words = "\n".join(f"        10'd{at}: word <= 18'd{(at * at * 7 + at * 13) % 262144};" for at in range(1024))
    body = f"""
    reg [17:0] word; reg [9:0] at;
    always @(posedge ap_clk) begin
        at <= at + in0_TDATA;
        case (at)
{words}
        endcase
    end
    assign out0_TDATA = word[17:10] ^ word[9:2]; assign out0_TVALID = word[0] ^ word[1]; assign in0_TREADY = 1'b1;"""
    done = yosys.map_design(design(tmp_path / "design", body), XC7, tmp_path / "yosys")
    total = yosys.measurement(done).total
    assert total.bram18 == 1 and total.lut < 50


@pytest.mark.slow
def test_ultrascale_plus_is_mapped_too(tmp_path: Path) -> None:
    body = """
    reg [7:0] sum; always @(posedge ap_clk) sum <= sum + in0_TDATA;
    assign out0_TDATA = sum; assign out0_TVALID = 1'b1; assign in0_TREADY = 1'b1;"""
    measurement = yosys.synthesize(design(tmp_path / "design", body), replace(XC7, family="xcup"), tmp_path / "yosys")
    assert measurement.total.carry == 2 and measurement.total.ff == 8
    assert measurement.parts == {}


@pytest.mark.slow
def test_cells_without_delays_leave_no_longest_path(tmp_path: Path) -> None:
    (tmp_path / "netlist.v").write_text("""module known(input ap_clk, input x, output y);
        wire a, b; FDRE r(.C(ap_clk), .CE(1'b1), .R(1'b0), .D(x), .Q(a));
        STRANGE s(.I(a), .O(b)); FDRE t(.C(ap_clk), .CE(1'b1), .R(1'b0), .D(b), .Q(y)); endmodule""")
    result = yosys.longest_path("known", (tmp_path / "netlist.v",), tmp_path)
    assert result.ns is None and str(result) == "longest path of cells not known: Yosys has no delays of STRANGE"


def test_large_parts_are_mapped_alone() -> None:
    costs = {"a": 70_000, "b": 10, "c": 200_000, "d": 30, "e": 20}
    assert yosys._groups(costs, 2) == [["c"], ["a"], ["d"], ["e", "b"]]
    assert yosys._groups({}, 2) == []


@pytest.mark.slow
def test_what_yosys_cannot_read_is_an_error_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(QapError, match=r"Yosys \(elaborate of known\)"):
        yosys.synthesize(design(tmp_path / "design", "missing m (.a(ap_clk));"), XC7, tmp_path / "yosys")


@pytest.mark.slow
def test_the_time_limit_is_kept(tmp_path: Path) -> None:
    with pytest.raises(QapError, match="more than"):
        yosys.synthesize(design(tmp_path / "design", ""), XC7, tmp_path / "yosys", time_limit_s=0.01)


@pytest.mark.slow
def test_the_part_that_takes_too_long_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yosys, "ALONE", 0)
    body = """
    busy part_a (.clk(ap_clk), .x(in0_TDATA), .y(out0_TDATA)); assign out0_TVALID = 1'b1; assign in0_TREADY = 1'b1;"""
    more = "module busy(input clk, input [7:0] x, output reg [7:0] y); always @(posedge clk) y <= y + x; endmodule"
    known = design(tmp_path / "design", body, more)
    parts = yosys._elaborate(known, tmp_path, tmp_path, 600.0)
    with pytest.raises(QapError, match=r"more than 0.05 s for part_a of known") as caught:
        yosys._map(known, XC7, tmp_path, tmp_path, parts, 0.05, 1)
    assert "fewer bits" in caught.value.hint
