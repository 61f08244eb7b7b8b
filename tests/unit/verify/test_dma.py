# SPDX-License-Identifier: Apache-2.0
"""From the words of a DMA to its words, in Verilator: every ratio of beat to word, and faults that must show."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from qap2fpga.driver import stream
from qap2fpga.driver.layout import in_memory, layout
from qap2fpga.hw.design import Design, HlsProject, Stream
from qap2fpga.ir import outputs as reference
from qap2fpga.ir.vectors import extremes, random_vectors
from qap2fpga.system.errors import CheckFailed
from qap2fpga.system.files import shipped
from qap2fpga.verify import dma
from tests.unit.backends.test_rtl import generated, network

# An identity: what is in a beat comes out again, some cycles later.
DELAY = """module delay (
  input ap_clk, input ap_rst_n, input [{bits}-1:0] in0_TDATA, input in0_TVALID, output in0_TREADY,
  output [{bits}-1:0] out0_TDATA, output out0_TVALID, input out0_TREADY);
  reg [{bits}-1:0] a, b;
  reg [1:0] valid = 0;
  wire move = !valid[1] || out0_TREADY;
  assign in0_TREADY = move, out0_TVALID = valid[1], out0_TDATA = b;
  always @(posedge ap_clk) if (!ap_rst_n) valid <= 0; else if (move) begin
    valid <= {{valid[0], in0_TVALID}}; a <= in0_TDATA; b <= a;
  end
endmodule
"""


def delay(folder, elements: int, lanes: int, bits: int, signed: bool) -> Design:
    ports = [Stream(name, elements, lanes, bits, signed) for name in ("in0", "out0")]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "delay.v").write_text(DELAY.format(bits=ports[0].beat_bits))
    return Design("test", folder, "delay", ("delay.v",), (), *ports, elements // lanes)


@pytest.mark.parametrize("bits, lanes, slot", [
    (1, 1, 1), (8, 1, 1), (3, 3, 2), (16, 1, 2), (7, 3, 4), (33, 1, 8), (64, 1, 8), (13, 5, 16), (128, 1, 16),
    (11, 12, 24),
])  # fmt: skip
def test_a_slot_is_a_power_of_two_or_whole_words(bits, lanes, slot):
    packing = layout(Stream("in0", 3 * lanes, lanes, bits, True))
    assert (packing.slot_bytes, packing.beats, packing.frame_bytes) == (slot, 3, 3 * slot)


def test_a_transfer_as_words():
    words = dma.on_stream(np.arange(1, 12, dtype=np.uint8))
    assert words.tolist() == [[0x04030201, 0x08070605, 0xFF], [0x000B0A09, 0, 0b1_00000111]]
    assert dma.on_stream(np.ones(8, np.uint8))[0, 2] == 0x1FF
    frames = in_memory(np.array([[-1, 3, 2], [0, 0, -4]]), Stream("in0", 3, 3, 3, True))
    assert frames.tolist() == [0b10_011_111, 0, 0, 0b1]


@pytest.mark.slow
@pytest.mark.parametrize("elements, lanes, bits, signed, batch", [
    (6, 2, 3, False, 5),  # one byte a slot, three slots a frame, fifteen a batch
    (10, 5, 29, True, 3),  # three words a slot
])  # fmt: skip
def test_every_ratio_of_beat_to_word(tmp_path, elements, lanes, bits, signed, batch):
    design = delay(tmp_path / "core", elements, lanes, bits, signed)
    low = -(1 << bits - 1) if signed else 0
    values = np.random.default_rng(1).integers(low, low + (1 << bits), (8 * batch, elements))
    simulation = dma.Dma(design, tmp_path / "work", batch=batch).simulate(values, values)
    assert len(simulation) == 5 and all(one.vectors == 8 * batch and one.mismatches == 0 for one in simulation)
    again = dma.Dma(design, tmp_path / "work", batch=1).simulate(values[:7], values[:7])
    assert [one.vectors for one in again] == [7] * 5
    wrong = values.copy()
    wrong[-1, -1] ^= 1
    with pytest.raises(CheckFailed, match=rf"DMA words of delay, .*: 1 of {8 * batch} vectors differ; first vector"):
        dma.Dma(design, tmp_path / "work", batch=batch).simulate(values, wrong)


@pytest.mark.slow
def test_a_network_from_dma_word_to_dma_word(tmp_path):
    """Odd widths: 5 inputs of 4 bits, logits of whatever their range needs."""
    one = network(7, (5, 8, 3))
    design = generated(one, tmp_path)
    vectors = np.concatenate([extremes(one), random_vectors(one, 200, 3)])[:161]
    answers = reference.outputs(one, "logits", vectors)
    dma.Dma(design, tmp_path / "work", batch=23).simulate(vectors, answers)


# An HLS tool's block, as far as its ports go: it never waits for its results, and odd elements come a cycle later.
BLOCK = """    wire start, ready, valid;
    wire [{in_bits}-1:0] values;
    wire [{out_beat}-1:0] results;
    reg [{out_beat}-1:0] later;
    reg valid_later = 0;
    always @(posedge clock) begin later <= results; valid_later <= valid; end
    rtl_design block (
        .ap_clk(clock), .ap_rst_n(reset_n), .in0_TDATA(values), .in0_TVALID(start), .in0_TREADY(ready),
        .out0_TDATA(results), .out0_TVALID(valid), .out0_TREADY(1'b1));
"""


@pytest.mark.slow
def test_a_block_of_an_hls_tool_from_dma_word_to_dma_word(tmp_path):
    """Results that nobody waits for, in different cycles, stay in order and are not lost."""
    one = network(11, (6, 8, 4), bits=3)
    core = generated(one, tmp_path)
    ports = (replace(core.input, name="x"), replace(core.output, name="y"))
    project = HlsProject("hls4ml", tmp_path, "top", (), (), *ports, 1, strategy="latency", traces=())
    bits = core.output.bits
    connected = ", .core_start(start), .core_ready(ready), .core_in(values)"
    for index in range(core.output.elements):
        source, valid = ("later", "valid_later") if index % 2 else ("results", "valid")
        connected += f", .core_result_{index}({source}[{bits * index}+:{bits}]), .core_result_{index}_vld({valid})"
    block = BLOCK.format(in_bits=core.input.elements * core.input.bits, out_beat=core.output.beat_bits)
    vectors = random_vectors(one, 400, 3)
    answers = reference.outputs(one, "logits", vectors)
    engine = dma.Dma(project, tmp_path / "work", batch=100, core=core, harness=dma.harness_of(block, connected))
    simulation = engine.simulate(vectors, answers)
    assert sum(run.mismatches for run in simulation) == 0 and len(simulation) == 5


@pytest.mark.slow
@pytest.mark.parametrize("old, new", [
    ("full <= s_last || count == SLOTS - 1;", "full <= count == SLOTS - 1;"),  # the last word never leaves
    ("kept = kept + s_keep[i*SLOT/8];", "kept = SLOTS;"),  # slots that are not there
    ("ended && frames == 1 && out_beat == OUT_BEATS - 1;", "ended && frames == 1;"),  # the batch ends too early
])  # fmt: skip
def test_a_fault_in_the_stream_is_found(tmp_path, monkeypatch, old, new):
    flows = tmp_path / "flows"
    text = (shipped("flows") / "vivado" / "qap_dma.v").read_text()
    assert text.count(old) == 1
    (flows / "vivado").mkdir(parents=True)
    (flows / "vivado" / "qap_dma.v").write_text(text.replace(old, new))
    monkeypatch.setattr(dma, "shipped", lambda name: flows)
    design = delay(tmp_path / "core", 6, 2, 3, False)
    values = np.random.default_rng(1).integers(0, 8, (40, 6))
    with pytest.raises(CheckFailed):
        dma.Dma(design, tmp_path / "work", batch=5).simulate(values, values)


def test_the_ports_of_the_stream_are_those_of_the_block_design():
    design = Design("t", shipped("flows"), "core", (), (), *(Stream(n, 4, 2, 5, True) for n in ("in0", "out0")), 2)
    text = stream.verilog(design)
    assert "ASSOCIATED_BUSIF s_axis:m_axis" in text and text.count("qap_dma_in #(.WORD(64), .BEAT(16), .SLOT(16))") == 1
    assert "core_start" not in text and stream.modules(design) == ("qap_dma.v",)


CHECK = """
import sys
from pyosys import libyosys
design = libyosys.Design()
commands = f"read_verilog {sys.argv[1]}; hierarchy -check; proc; check -assert; select -assert-none t:$dlatch*"
for command in commands.split("; "):
    libyosys.run_pass(command, design)
"""


@pytest.mark.parametrize("name", ["qap_dma.v", "qap_hls.v"])
def test_the_stream_is_plain_verilog_without_latches(name, tmp_path):
    """Yosys' own reader takes Verilog-2005 alone, and a module reference of Vivado's block designs wants no more."""
    source = shipped("flows") / "vivado" / name
    command = [sys.executable, "-c", CHECK]
    done = subprocess.run([*command, source], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and f"Generating RTLIL representation for module `\\{name[:-2]}" in done.stdout
    (tmp_path / "latch.v").write_text("module m(input g, d, output reg q); always @* if(g) q = d; endmodule")
    assert subprocess.run([*command, tmp_path / "latch.v"], capture_output=True, check=False).returncode != 0
