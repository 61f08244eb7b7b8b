# SPDX-License-Identifier: Apache-2.0
"""Netlists in Verilator: equal to the RTL, a flipped LUT is found, and our own cell models are right."""

from __future__ import annotations

import re
import shutil
import sys
from dataclasses import replace
from importlib import util
from pathlib import Path

import numpy as np
import pytest

from qap2fpga.hw import boards as board
from qap2fpga.hw.design import Design, Stream
from qap2fpga.hw.families import FAMILIES
from qap2fpga.synth import yosys
from qap2fpga.system import programs as tools
from qap2fpga.system.errors import CheckFailed, QapError
from qap2fpga.system.files import sha256, shipped
from qap2fpga.verify import netlist, rtl, verilator
from tests.support.streaming import frames, sums

pytestmark = pytest.mark.slow
of_one_synthesis = pytest.mark.xdist_group("mapped")
XC7 = board.load("pynq-z2")
XCUP = replace(XC7, name="up", family="xcup")


@pytest.fixture(scope="session")
def mapped(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Design, yosys.Synthesis]:
    place = tmp_path_factory.mktemp("netlist")
    design = sums(place / "design")
    return place, design, yosys.map_design(design, XC7, place / "yosys")


@of_one_synthesis
def test_a_netlist_computes_the_same(mapped: tuple[Path, Design, yosys.Synthesis]) -> None:
    place, design, done = mapped
    (simulation,) = netlist.Netlist(design, XC7, done, place / "sim").simulate(*frames(250))
    assert (simulation.vectors, simulation.mismatches, simulation.interval_cycles, simulation.note) == (250, 0, 4.0, "")
    assert "netlist (xc7" in simulation.compared


@of_one_synthesis
def test_one_flipped_bit_of_a_lut_is_found(mapped: tuple[Path, Design, yosys.Synthesis], tmp_path: Path) -> None:
    _, design, done = mapped
    (source,) = done.netlist
    text = source.read_text()
    # A two-input XOR or AND of the adders, whose every input combination occurs.
    inits = list(re.finditer(r"LUT2 #\(\s*\.INIT\(4'h([0-9a-f])\)", text))
    assert inits
    digit = inits[0].start(1)
    changed = tmp_path / source.name
    changed.write_text(text[:digit] + f"{int(text[digit], 16) ^ 8:x}" + text[digit + 1 :])
    with pytest.raises(CheckFailed):
        netlist.Netlist(design, XC7, replace(done, netlist=(changed,)), tmp_path / "sim").simulate(*frames(250))


@of_one_synthesis
def test_a_cell_without_a_model_is_not_simulated(
    mapped: tuple[Path, Design, yosys.Synthesis], monkeypatch: pytest.MonkeyPatch
) -> None:
    place, design, done = mapped
    strange = yosys.Synthesis({"": {**done.total, "GTXE2_CHANNEL": 1}}, done.netlist)
    (simulation,) = netlist.Netlist(design, XC7, strange, place / "strange").simulate(*frames(250))
    assert (simulation.vectors, simulation.mismatches) == (0, None)
    assert simulation.note == "netlist not simulated: no simulation model of GTXE2_CHANNEL"


def test_which_cells_have_a_model() -> None:
    cells = ("RAMB18E1", "RAMB36E1", "RAMB18E2", "RAMB36E2", "LUT6", "FDRE", "DSP48E1", "DSP48E2", "URAM288")
    assert netlist.without_model(dict.fromkeys(cells, 1), FAMILIES["xc7"]) == ["URAM288"]
    cells = ("LUT4", "CCU2C", "PFUMX", "L6MUX21", "TRELLIS_FF", "MULT18X18D")
    assert netlist.without_model(dict.fromkeys(cells, 1), FAMILIES["ecp5"]) == ["MULT18X18D"]


# Name, kind, width, depth. Kinds: a ROM, a ROM without enable; RAMs that read the old word, the new one, the old one of
# the written address only when nothing is written, and one written by halves.
MEMORIES = (
    ("shallow", "rom", 18, 16), ("half", "rom", 36, 512), ("wide", "rom", 72, 512), ("odd", "rom", 33, 256),
    ("long", "rom", 7, 2048), ("bits", "rom", 1, 16384), ("free", "free", 18, 1024), ("old", "old", 18, 1024),
    ("wider", "old", 72, 512), ("nibbles", "old", 4, 4096), ("new", "new", 36, 512), ("same", "same", 9, 2048),
    ("halves", "halves", 36, 512),
)  # fmt: skip
BODIES = {
    "rom": "always @(posedge clk) if (go) q <= mem[a];",
    "free": "reg [15:0] held; wire [15:0] at = go ? x : held;\n"
    "    always @(posedge clk) begin held <= at; q <= mem[at[TOP:0]]; end",
    "old": "always @(posedge clk) if (go) begin q <= mem[a]; if (control[0]) mem[b] <= word; end",
    "new": "always @(posedge clk) if (go) begin q <= control[0] && a == b ? word : mem[a];\n"
    "        if (control[0]) mem[b] <= word; end",
    "same": "always @(posedge clk) if (go) begin if (control[0]) mem[a] <= word; else q <= mem[a]; end",
    "halves": "always @(posedge clk) if (go) begin q <= mem[a];\n"
    "        if (control[0]) mem[b][W/2-1:0] <= word[W/2-1:0]; if (control[1]) mem[b][W-1:W/2] <= word[W-1:W/2]; end",
}


def memories(folder: Path) -> tuple[Design, np.ndarray, np.ndarray]:
    """All of `MEMORIES` side by side on the same inputs (two addresses, data, control), and what they answer."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(5)
    vectors = random.integers(0, 1 << 16, (400, 4))
    # Every second address comes from a few, so that reads meet writes.
    vectors[::2, :2] &= 3
    vectors[0] = 0
    vectors[::16, 1] = vectors[::16, 0]
    modules, instances, answers, low = [], [], [], 0
    for name, kind, width, depth in MEMORIES:
        content = [int.from_bytes(random.bytes(9), "little") % (1 << width) for _ in range(depth)]
        (folder / f"{name}.dat").write_text("".join(f"{word:x}\n" for word in content))
        ports = f"input clk, go, input [15:0] x, y, data, control, output reg [{width - 1}:0] q"
        modules.append(f"""module m_{name}({ports});
    localparam W = {width}, TOP = {depth.bit_length() - 2};
    (* ram_style = "block", rom_style = "block" *) reg [W-1:0] mem [0:{depth - 1}];
    wire [TOP:0] a = x[TOP:0], b = y[TOP:0];
    wire [95:0] many = {{3{{data, control}}}};
    wire [W-1:0] word = many[W-1:0];
    initial begin $readmemh("{name}.dat", mem); q = 0; end
    {BODIES[kind]}
endmodule
""")
        lanes = -(-width // 9)
        instances.append(f"wire [{width - 1}:0] q_{name}; m_{name} u_{name}(.clk(ap_clk), .go(go), .x(in0_TDATA[15:0]),"
                         f" .y(in0_TDATA[31:16]), .data(in0_TDATA[47:32]), .control(in0_TDATA[63:48]), .q(q_{name}));\n"
                         f"    assign out[{low + 9 * lanes - 1}:{low}] = q_{name};")  # fmt: skip
        low += 9 * lanes
        words = answer(kind, width, content, vectors)
        answers += [[word >> (9 * lane) & 511 for word in words] for lane in range(lanes)]
    body = "\n    ".join(instances)
    bits = -(-low // 8) * 8
    (folder / "memories.sv").write_text(f"""// SPDX-License-Identifier: Apache-2.0
module memories(input ap_clk, input ap_rst_n, input [63:0] in0_TDATA, input in0_TVALID, output in0_TREADY,
                output [{bits - 1}:0] out0_TDATA, output out0_TVALID, input out0_TREADY);
    reg valid;
    wire stall = valid && !out0_TREADY, go = in0_TVALID && !stall;
    wire [{low - 1}:0] out;
    assign in0_TREADY = !stall, out0_TVALID = valid, out0_TDATA = out;
    always @(posedge ap_clk) valid <= ap_rst_n && (in0_TVALID || stall);
    {body}
endmodule
{"".join(modules)}""")
    source, sink = Stream("in0", 4, 4, 16, False), Stream("out0", low // 9, low // 9, 9, False)
    data = tuple(f"{name}.dat" for name, *_ in MEMORIES)
    return Design("test", folder, "memories", ("memories.sv",), data, source, sink, 1), vectors, np.array(answers).T


def answer(kind: str, width: int, content: list[int], vectors: np.ndarray) -> list[int]:
    """What one memory answers to each vector."""
    memory, last, result = list(content), 0, []
    upper, lower = ((1 << width) - 1) ^ ((1 << width // 2) - 1), (1 << width // 2) - 1
    for a, b, data, control in vectors.tolist():
        a, b = a % len(memory), b % len(memory)
        word = sum((data << 16 | control) << 32 * k for k in range(3)) % (1 << width)
        before, writes = memory[a], kind not in ("rom", "free") and control & 1
        if kind == "same":
            last = last if writes else before
            memory[a] = word if writes else before
        elif kind == "halves":
            mask = (lower if control & 1 else 0) | (upper if control & 2 else 0)
            last, memory[b] = before, memory[b] & ~mask | word & mask
        else:
            memory[b] = word if writes else memory[b]
            last = memory[a] if kind == "new" else before
        result.append(last)
    return result


class Memories(rtl.Rtl):
    """RTL under the schedules of a netlist: a reset in between does not bring the first content back."""

    def plan(self) -> tuple[verilator.Schedule, ...]:
        return netlist.PLAN


@pytest.mark.parametrize(("target", "cells"), [(XC7, ("RAMB18E1", "RAMB36E1")), (XCUP, ("RAMB18E2", "RAMB36E2"))])
def test_block_ram_models_against_the_rtl(target: board.Board, cells: tuple[str, ...], tmp_path: Path) -> None:
    """Every memory is right in RTL and netlist; a flipped bit of its content is found, another mode stops."""
    design, vectors, expected = memories(tmp_path / "design")
    if target is XC7:
        Memories(design, tmp_path).simulate(vectors, expected)
    done = yosys.map_design(design, target, tmp_path / "yosys")
    assert all(done.total[kind] for kind in cells)
    for name, *_ in MEMORIES:
        assert any(kind in cells for kind in done.cells[f"u_{name}"]), name
    (simulation,) = netlist.Netlist(design, target, done, tmp_path / "sim").simulate(vectors, expected)
    assert (simulation.vectors, simulation.mismatches, simulation.note) == (400, 0, "")
    (part,) = (path for path in done.netlist if path.name == "u_half.v")
    text = part.read_text()
    # The lowest bit of the word at address 0.
    flipped = re.sub(r"(\.INIT_00\(256'h[0-9a-f]*)([0-9a-f])\)", lambda at: f"{at[1]}{int(at[2], 16) ^ 1:x})", text)
    registered = text.replace(".DOA_REG(32'sd0)", ".DOA_REG(32'sd1)")
    assert flipped != text != registered
    for changed, message in ((flipped, "first vector 0"), (registered, "a configuration of block RAM")):
        part.write_text(changed)
        with pytest.raises(QapError, match=message):
            netlist.Netlist(design, target, done, tmp_path / "changed").simulate(vectors, expected)


def test_too_few_vectors_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="200"):
        netlist.Netlist(sums(tmp_path), XC7, yosys.Synthesis({}, ()), tmp_path).simulate(*frames(10))


def test_our_luts_are_those_of_yosys(tmp_path: Path) -> None:
    """Every bit of INIT alone, and one random INIT, over all inputs, proven equal by Yosys' SAT solver."""
    library = yosys.library("xilinx/cells_sim.v").read_text()
    modules = []
    for inputs in range(1, 7):
        theirs = re.search(rf"^module LUT{inputs}\(.*?^endmodule", library, re.MULTILINE | re.DOTALL)
        assert theirs
        modules.append(theirs.group(0).replace(f"module LUT{inputs}(", f"module THEIRS{inputs}("))
        names = ", ".join(f".I{k}(x[{k}])" for k in range(inputs))
        values = [1 << bit for bit in range(1 << inputs)] + [0x6A3C_95F0_1B7D_E248 % (1 << (1 << inputs))]
        cells = "".join(
            f"LUT{inputs} #(.INIT({1 << inputs}'h{value:x})) a{k} (.O(a[{k}]), {names});\n"
            f"THEIRS{inputs} #(.INIT({1 << inputs}'h{value:x})) b{k} (.O(b[{k}]), {names});\n"
            for k, value in enumerate(values)
        )
        modules.append(
            f"module same{inputs}(input [{inputs - 1}:0] x, output ok);\n"
            f"wire [{len(values) - 1}:0] a, b;\n{cells}assign ok = a == b;\nendmodule\n"
        )
    # The timing of the library's models is of no interest here.
    text = re.sub(r"specify.*?endspecify", "", "\n".join(modules), flags=re.DOTALL)
    (tmp_path / "theirs.v").write_text(text)
    script = (
        "import sys\nfrom pyosys import libyosys as ys\nfor n in range(1, 7):\n    d = ys.Design()\n"
        "    for c in ([['read_verilog', '-sv', p] for p in sys.argv[1:]] + [['hierarchy', '-top', f'same{n}'],"
        " ['proc'], ['flatten'], ['opt'], ['sat', '-verify', '-prove', 'ok', '1', f'same{n}']]):\n"
        "        ys.Pass.call(d, c)\n"
    )
    luts = shipped("flows") / "open" / "luts.v"
    output = tools.run(
        [sys.executable, "-c", script, luts.resolve(), tmp_path / "theirs.v"], log=tmp_path / "sat.log",
        folder=tmp_path, time_limit_s=120,
    )  # fmt: skip
    assert output.count("SAT proof finished - no model found: SUCCESS!") == 6


def mvu(folder: Path, version: int) -> tuple[Design, np.ndarray]:
    """FINN's matrix-vector unit, 8 inputs and 4 outputs at PE 4 and SIMD 2, with its weights (8, 4) beside it."""
    spec = util.find_spec("finn")
    assert spec is not None and spec.submodule_search_locations
    library = Path(next(iter(spec.submodule_search_locations))) / "finn-rtllib" / "mvu"
    folder.mkdir(parents=True, exist_ok=True)
    names = ("mvu_pkg.sv", "add_multi.sv", "replay_buffer.sv", "mvu.sv", "mvu_vvu_8sx9_dsp58.sv", "mvu_vvu_axi.sv")
    for name in names:
        shutil.copy(library / name, folder / name)
    text = (folder / "mvu.sv").read_text()
    begin, end = text.index("\tif(1) begin : blkRecoveryWatch"), text.index("end : blkRecoveryWatch\n")
    (folder / "mvu.sv").write_text(text[:begin] + text[end + len("end : blkRecoveryWatch\n") :])
    text = (folder / "add_multi.sv").read_text()
    begin = text.index("\t\t// Compute the count of decendents")
    end = text.index("\t\tlocalparam leaf_load_t   LEAF_LOAD")
    block, text = text[begin:end], text[:begin] + text[end:]
    at = text.index("\tuwire [SUM_WIDTH-1:0]  sum0;")
    (folder / "add_multi.sv").write_text(text[:at] + block + "\n" + text[at:])
    weights = np.random.default_rng(3).integers(-8, 8, (8, 4))
    rows = []
    for beat in range(4):
        values = [int(weights[2 * beat + s, p]) & 15 for p in range(4) for s in range(2)]
        rows.append(sum(value << (4 * k) for k, value in enumerate(values)))
    cases = " ".join(f"2'd{k}: w = 32'h{row:08x};" for k, row in enumerate(rows))
    (folder / "matrix.v").write_text(f"""// SPDX-License-Identifier: Apache-2.0
module matrix(input ap_clk, input ap_rst_n, input [7:0] in0_TDATA, input in0_TVALID, output in0_TREADY,
              output [55:0] out0_TDATA, output out0_TVALID, input out0_TREADY);
    reg [1:0] at;
    reg [31:0] w;
    wire next;
    always @* case (at) {cases} endcase
    always @(posedge ap_clk) if (!ap_rst_n) at <= 0; else if (next) at <= at + 1;
    mvu_vvu_axi #(.IS_MVU(1), .VERSION({version}), .MW(8), .MH(4), .PE(4), .SIMD(2), .ACTIVATION_WIDTH(4),
        .WEIGHT_WIDTH(4), .ACCU_WIDTH(14), .NARROW_WEIGHTS(0), .SIGNED_ACTIVATIONS(1)) unit (
        .ap_clk(ap_clk), .ap_clk2x(ap_clk), .ap_rst_n(ap_rst_n), .s_axis_weights_tdata(w),
        .s_axis_weights_tvalid(1'b1), .s_axis_weights_tready(next), .s_axis_input_tdata(in0_TDATA),
        .s_axis_input_tvalid(in0_TVALID), .s_axis_input_tready(in0_TREADY), .m_axis_output_tdata(out0_TDATA),
        .m_axis_output_tvalid(out0_TVALID), .m_axis_output_tready(out0_TREADY));
endmodule
""")
    source, sink = Stream("in0", 8, 2, 4, True), Stream("out0", 4, 4, 14, True)
    return Design("finn", folder, "matrix", (*names, "matrix.v"), (), source, sink, 4), weights


@pytest.mark.parametrize(("target", "version", "cells"), [(XC7, 1, {"DSP48E1": 4}), (XCUP, 2, {"DSP48E2": 2})])
def test_dsp_models_against_the_rtl(target: board.Board, version: int, cells: dict[str, int], tmp_path: Path) -> None:
    """The unit's own behaviour in the RTL, and its netlist with the DSP cell's model, on the same stimuli."""
    design, weights = mvu(tmp_path / "design", version)
    vectors = np.random.default_rng(0).integers(-8, 8, (2000, 8))
    vectors[0], vectors[1] = -8, 7
    expected = vectors @ weights
    rtl.Rtl(design, tmp_path / "rtl").simulate(vectors, expected)
    done = yosys.map_design(design, target, tmp_path / "yosys")
    # Products of 4 x 4 bits: three to a DSP48E1 of 25 bits, four to a DSP48E2 of 27.
    assert {kind: number for kind, number in done.total.items() if kind.startswith("DSP")} == cells
    (simulation,) = netlist.Netlist(design, target, done, tmp_path / "sim").simulate(vectors, expected)
    assert (simulation.vectors, simulation.mismatches, simulation.interval_cycles) == (2000, 0, 4.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (".PREG(1)", None),
        (".PREG(0)", "does not model"),
        (".USE_SIMD(\"TWO24\")", "does not model"),
        (".BREG(2)", "does not model"),
    ],
)  # fmt: skip
def test_the_dsp48e2_model_refuses_what_it_is_not(change: str, message: str | None, tmp_path: Path) -> None:
    text = dsp_wrapper().replace("/*parameters*/", change)
    run_wrapper(text, message, tmp_path)


@pytest.mark.parametrize("pins", [".INMODE(5'b00100)", ".ALUMODE(4'b0011)", ".OPMODE(9'b000110101)"])
def test_the_dsp48e2_model_refuses_other_modes(pins: str, tmp_path: Path) -> None:
    name = pins[: pins.index("(")]
    text = re.sub(rf"\{name}\([^)]*\)", pins, dsp_wrapper().replace("/*parameters*/", ".PREG(1)"))
    run_wrapper(text, "not modelled", tmp_path)


def dsp_wrapper() -> str:
    return """// SPDX-License-Identifier: Apache-2.0
module boxed(input ap_clk, input ap_rst_n, input [7:0] in0_TDATA, input in0_TVALID, output in0_TREADY,
             output [7:0] out0_TDATA, output out0_TVALID, input out0_TREADY);
    assign out0_TVALID = in0_TVALID, in0_TREADY = out0_TREADY, out0_TDATA = in0_TDATA;
    wire [47:0] p;
    DSP48E2 #(.AMULTSEL("AD"), .AREG(0), .ACASCREG(0), .DREG(0), .CREG(0), .INMODEREG(0), .ALUMODEREG(0),
        .CARRYINREG(0), .CARRYINSELREG(0), /*parameters*/) d (.CLK(ap_clk), .A(30'd3), .B(18'd2), .D(27'd1), .P(p),
        .INMODE(5'b01100), .ALUMODE(4'd0), .OPMODE(9'b000000101), .CARRYINSEL(3'd0), .CARRYIN(1'b0), .CEAD(1'b1),
        .CEB2(1'b1), .CEM(1'b1), .CEP(1'b1), .CECTRL(1'b1), .RSTD(1'b0), .RSTB(1'b0), .RSTM(1'b0), .RSTP(1'b0),
        .RSTCTRL(1'b0));
endmodule
"""


def run_wrapper(text: str, message: str | None, place: Path) -> None:
    """Simulate pass-through beats beside one DSP48E2; `message` is what its refusal says."""
    folder = place / "design"
    folder.mkdir()
    shutil.copy(shipped("flows") / "open" / "dsp48e2.v", folder / "dsp48e2.v")
    (folder / "boxed.v").write_text(text)
    stream = Stream("in0", 1, 1, 8, False)
    design = Design("t", folder, "boxed", ("boxed.v", "dsp48e2.v"), (), stream, replace(stream, name="out0"), 1)
    values = np.arange(50)[:, None]
    if message is None:
        assert rtl.measured(rtl.Rtl(design, place / "sim").simulate(values, values)) == (1, 1.0)
        return
    with pytest.raises(QapError):
        rtl.Rtl(design, place / "sim").simulate(values, values)
    logs = "".join(path.read_text() for path in (place / "sim").glob("*.log"))
    assert message in logs


@of_one_synthesis
def test_a_run_leaves_its_netlist_and_its_logs_and_nothing_that_another_could_take(
    mapped: tuple[Path, Design, yosys.Synthesis],
) -> None:
    place, _, done = mapped
    left = {path.name for path in (place / "yosys").iterdir()}
    # For the longest path: RTLIL of the netlist that it is named after.
    rtlil = {f"{path.stem}.{sha256(path)[:16]}.il" for path in done.netlist}
    assert left == {path.name for path in done.netlist} | {"elaborate.log", "map0.log"} | rtlil
    assert verilator.version()
