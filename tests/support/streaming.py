# SPDX-License-Identifier: Apache-2.0
"""Small AXI-stream designs with known answers, and faults planted in them, for the simulation tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from qap2fpga.hw.design import Design, Stream

# A frame is 4 beats of 2 signed 3-bit values; out comes one beat of two sums: of lane 0, and of lane 1 doubled.
# Three pipeline stages after the last beat: interval 4, latency 4 + 3.
SUMS = """// SPDX-License-Identifier: Apache-2.0
module sums(input ap_clk, input ap_rst_n, input [7:0] in0_TDATA, input in0_TVALID, output in0_TREADY,
            output [15:0] out0_TDATA, output out0_TVALID, input out0_TREADY);
    wire stall = out0_TVALID && !out0_TREADY;
    wire take = in0_TVALID && in0_TREADY;
    wire signed [2:0] a = in0_TDATA[2:0], b = in0_TDATA[5:3];
    reg [1:0] beat;
    reg signed [5:0] sum_a;
    reg signed [6:0] sum_b;
    wire signed [5:0] next_a = (beat == 0 ? 6'sd0 : sum_a) + a;
    wire signed [6:0] next_b = (beat == 0 ? 7'sd0 : sum_b) + 2 * b;
    reg [2:0] valid;
    reg [12:0] stage0, stage1, stage2;
    reg [7:0] frames;
    assign in0_TREADY = !stall;
    always @(posedge ap_clk) begin
        if (!ap_rst_n) begin
            beat <= 0; valid <= 0; frames <= 0;
        end else if (!stall) begin
            if (take) begin beat <= beat + 1; sum_a <= next_a; sum_b <= next_b; end
            if (take && beat == 3) frames <= frames + 1;
            valid <= {valid[1:0], take && beat == 3};
            stage0 <= {next_b, next_a}; stage1 <= stage0; stage2 <= stage1;
        end
    end
    assign out0_TVALID = valid[2];
    assign out0_TDATA = {3'd0, stage2};
endmodule
"""
DECLARED = "    reg [7:0] frames;"
FAULTS = {
    "wrong bit": ("out0_TDATA = {3'd0, stage2}", "out0_TDATA = {3'd0, stage2 ^ (stage2 == 13'd0)}"),
    "dropped frame": ("take && beat == 3}", "take && beat == 3 && frames != 40}"),
    "hang": ("assign in0_TREADY = !stall;", "assign in0_TREADY = !stall && frames != 20;"),
    "TVALID dropped": ("end else if (!stall) begin", "end else if (stall) valid[2] <= 0; else begin"),
    "TDATA changed": ("end else if (!stall) begin", "end else if (stall) stage2 <= stage2 + 1; else begin"),
    "TVALID waits": ("out0_TVALID = valid[2]", "out0_TVALID = valid[2] && out0_TREADY"),
    "extra beat": ("take && beat == 3}", "(take && beat == 3) || (frames == 200 && valid == 0)}"),
    "bad padding": ("{3'd0, stage2}", "{2'd0, ^stage2, stage2}"),
    "no reset": ("beat <= 0; valid <= 0; frames <= 0;", "valid <= 0; frames <= 0;"),
    "uninitialised": ("{3'd0, stage2}", "{3'd0, stage2 ^ {12'd0, never}}"),
}


def sums(folder: Path, fault: str | None = None) -> Design:
    """The design in `folder`, with one of `FAULTS` planted."""
    text = SUMS
    if fault is not None:
        old, new = FAULTS[fault]
        assert text.count(old) == 1, fault
        text = text.replace(old, new)
    if fault == "uninitialised":
        text = text.replace(DECLARED, f"{DECLARED}\n    reg never;\n    always @(posedge ap_clk) never <= never;")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sums.v").write_text(text)
    # Both sums are one element of 13 bits, so that there are three bits of padding.
    source, sink = Stream("in0", 8, 2, 3, True), Stream("out0", 1, 1, 13, True)
    return Design("test", folder, "sums", ("sums.v",), (), source, sink, 4)


def frames(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Vectors (count, 8) and the outputs (count, 1): {sum of odd values doubled, sum of even values} as 13 bits."""
    vectors = np.random.default_rng(seed).integers(-4, 4, (count, 8))
    vectors[0], vectors[1], vectors[2] = -4, 3, 0
    even, odd = vectors[:, 0::2].sum(axis=1), 2 * vectors[:, 1::2].sum(axis=1)
    word = ((odd & 127) << 6) | (even & 63)
    return vectors, (word - ((word >> 12) << 13))[:, None]
