# SPDX-License-Identifier: Apache-2.0
"""The ECP5 board of the tests, a small design for it, and what nextpnr writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qap2fpga.hw import boards
from qap2fpga.hw.design import Design, Stream

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
