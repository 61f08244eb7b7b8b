# SPDX-License-Identifier: Apache-2.0
"""Hardware that is not ours: of a small network, written by hand and by alkaid, with the description of its ports."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from qap2fpga.ir.functions import Step
from qap2fpga.ir.graph import Graph, chain
from qap2fpga.ir.quantizer import InputQuantizer
from qap2fpga.ir.units import dense

FIRST = np.array([[1, 2, 0], [-2, 1, -3], [0, -1, 1], [3, 0, 1]])
SECOND = np.array([[1, -2], [-1, 1], [2, 0]])
# What the first layer's accumulators are cut down by, and to how many bits.
SHIFT, BITS = 1, 2


def network(bits: int = 3) -> Graph:
    """Two dense layers: `(sums >> SHIFT)` clipped to `BITS` bits between them, the sums of the second one come out."""
    levels = np.arange(1, 1 << BITS) << SHIFT
    quantizer = InputQuantizer(-(1 << bits - 1), (1 << bits - 1) - 1, (1.0,))
    layers = (
        dense("fc1", FIRST, Step(np.tile(levels, (3, 1))), 3, bits),
        dense("fc2", SECOND, Step(np.tile([0], (2, 1))), 3, BITS),
    )
    return chain(layers, quantizer, Fraction(1))


def alkaid(folder: Path, **options: Any) -> int:
    """Write alkaid's Verilog of the network into `folder`, and return the cycles that it takes."""
    from alkaid.codegen import RTLModel
    from alkaid.trace import FVArray, HWConfig, trace

    inputs = len(FIRST)
    given = FVArray.from_kif(np.ones(inputs, int), np.full(inputs, 2), np.zeros(inputs, int), hwconf=HWConfig(1, 1, -1))
    sums = given @ FIRST.astype(float)
    kinds = {"k": np.zeros(3, int), "i": np.full(3, BITS), "f": np.zeros(3, int)}
    levels = (sums * 2.0**-SHIFT).quantize(**kinds, overflow_mode="SAT", round_mode="TRN")
    logic = trace(given, levels @ SECOND.astype(float))
    model = RTLModel(logic, str(folder), "top", **options)
    model.write()
    signs, whole, fraction = logic.out_kifs
    bits = (signs + whole + fraction).tolist()
    # Its results stand behind a register each, and so do its inputs.
    latency = model.latency + 1 if options else 0
    describe(folder, clock="clk" if options else "", latency=latency,
             input={"port": "model_inp", "bits": 3, "signed": True},
             output={"port": "model_out", "bits": bits, "signed": [bool(one) for one in signs]})  # fmt: skip
    return int(latency)


def describe(folder: Path, **changes: Any) -> None:
    """Write `ports.yaml`, of a module `top` without a handshake, with what is said otherwise."""
    folder.mkdir(parents=True, exist_ok=True)
    told = {"top": "top", "latency": 0, **changes}
    (folder / "ports.yaml").write_text(yaml.safe_dump({key: value for key, value in told.items() if value is not None}))


HANDSHAKE = {
    "clock": "clk", "reset": "rst", "reset_active": "high", "latency": None,
    "input": {"port": "data", "bits": 3, "signed": True, "valid": "data_valid", "ready": "data_ready", "lanes": 2},
    "output": {"port": "sums", "bits": 5, "signed": True, "valid": "sums_valid", "ready": "sums_ready"},
}  # fmt: skip
# Two beats of two values; the sums stand in a register until they are taken.
STREAMED = """
module top(input clk, input rst, input [5:0] data, input data_valid, output data_ready,
           output [9:0] sums, output reg sums_valid, input sums_ready);
    reg signed [2:0] a, b; reg second; reg signed [4:0] s0, s1;
    wire signed [2:0] c = data[2:0], d = data[5:3];
    wire signed [6:0] x = a - 2 * b + 3 * d, y = 2 * a + b - c, z = -3 * b + c + d;
    function [1:0] cut(input signed [6:0] sum);
        cut = sum < 0 ? 0 : sum > 7 ? 3 : sum[2:1];
    endfunction
    wire signed [3:0] p = {2'b0, cut(x)}, q = {2'b0, cut(y)}, r = {2'b0, cut(z)};
    assign data_ready = !sums_valid || sums_ready;
    assign sums = {s1, s0};
    always @(posedge clk)
        if (rst) begin
            second <= 0;
            sums_valid <= 0;
        end else begin
            if (sums_ready)
                sums_valid <= 0;
            if (data_valid && data_ready) begin
                second <= !second;
                if (!second) begin
                    a <= data[2:0];
                    b <= data[5:3];
                end else begin
                    s0 <= p - q + 2 * r;
                    s1 <= -2 * p + q;
                    sums_valid <= 1;
                end
            end
        end
endmodule
"""


def streamed(folder: Path, text: str = STREAMED, **changes: Any) -> None:
    """Write the design with a handshake, and what its ports are, into `folder`."""
    describe(folder, **{**HANDSHAKE, **changes})
    (folder / "streamed.sv").write_text(text)
