# SPDX-License-Identifier: Apache-2.0
"""Many small networks on one sheet: one design to simulate or to map, in little more time than one of them takes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from qap2fpga.backends.rtl.backend import RtlBackend
from qap2fpga.backends.rtl.options import RtlOptions
from qap2fpga.hw import boards
from qap2fpga.hw.design import Design, Stream
from qap2fpga.ir.graph import Graph

BOARD = boards.load("pynq-z2")


def sheet(networks: Sequence[Graph], folder: Path) -> Design:
    """All `networks`, of equal inputs, side by side: each gets every input vector, outputs stand in a row.

    An instance `n<number>` each. A vector enters when all are ready and leaves when all are done, so the latency is
    the longest one; the sheet is slower than its networks, whose pipelines wait for each other.
    """
    parts = []
    for number, network in enumerate(networks):
        none = np.zeros((0, network.inputs), np.int64)
        parts.append(RtlBackend().generate(network, BOARD, folder / str(number), RtlOptions(), none))
        _rename(parts[-1], number)
    source = parts[0].input
    bits = max(part.output.bits + (not part.output.signed) for part in parts)
    lanes = sum(part.output.lanes for part in parts)
    sink = Stream("out0", lanes, lanes, bits, signed=True)
    (folder / "sheet.v").write_text(_top(parts, source, sink))
    sources = [f"{number}/{name}" for number, part in enumerate(parts) for name in part.sources]
    longest = max(part.latency_cycles or 0 for part in parts)
    return Design("rtl", folder, "sheet", (*sources, "sheet.v"), (), source, sink, longest, longest)


def _rename(part: Design, number: int) -> None:
    """Give the modules of one network names of their own: those of all networks stand in one design."""
    names = {Path(source).stem for source in part.sources}
    for source in part.sources:
        path = part.folder / source
        text = path.read_text()
        for name in names:
            own = f"net{number}" if name == part.top else f"net{number}_{name}"
            text = text.replace(f"module {name} (", f"module {own} (").replace(
                f"  {name} u_{name} (", f"  {own} u_{name} ("
            )
        path.write_text(text)


def outputs(networks: Sequence[Graph], vectors: np.ndarray) -> np.ndarray:
    """What the sheet must give."""
    return np.concatenate([network.run(vectors) for network in networks], axis=1)


def _top(parts: Sequence[Design], source: Stream, sink: Stream) -> str:
    body = [
        f"module sheet (input ap_clk, input ap_rst_n, input [{source.beat_bits - 1}:0] in0_TDATA, input in0_TVALID,",
        f"  output in0_TREADY, output [{sink.beat_bits - 1}:0] out0_TDATA, output out0_TVALID, input out0_TREADY);",
        f"  wire [{len(parts) - 1}:0] ready, valid;",
        "  assign in0_TREADY = &ready;",
        "  assign out0_TVALID = &valid;",
    ]
    lanes = []
    for number, part in enumerate(parts):
        out = part.output
        body.append(f"  wire [{out.beat_bits - 1}:0] y{number};")
        body.append(
            f"  net{number} n{number} (.ap_clk(ap_clk), .ap_rst_n(ap_rst_n), .in0_TDATA(in0_TDATA), "
            f".in0_TVALID(in0_TVALID && in0_TREADY), .in0_TREADY(ready[{number}]), .out0_TDATA(y{number}), "
            f".out0_TVALID(valid[{number}]), .out0_TREADY(out0_TVALID && out0_TREADY));"
        )
        for lane in range(out.lanes):
            name = f"y{number}[{(lane + 1) * out.bits - 1}:{lane * out.bits}]"
            spare = sink.bits - out.bits
            fill = f"{{{spare}{{y{number}[{(lane + 1) * out.bits - 1}]}}}}" if out.signed else f"{spare}'d0"
            lanes.append(f"{{{fill}, {name}}}" if spare else name)
    padding = sink.beat_bits - sink.lanes * sink.bits
    joined = ", ".join([f"{padding}'d0"] * bool(padding) + list(reversed(lanes)))
    return "\n".join([*body, f"  assign out0_TDATA = {{{joined}}};", "endmodule", ""])
