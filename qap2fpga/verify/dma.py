# SPDX-License-Identifier: Apache-2.0
"""A design with the stream around it, from the words that a DMA reads to those that it writes, in Verilator.

What a test bench calls a frame is a batch here: one transfer of the DMA. TKEEP and TLAST are compared too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from qap2fpga.driver import stream
from qap2fpga.driver.layout import WORD_BYTES, Layout, in_memory, layout, words
from qap2fpga.hw.design import Artifact, Design, Stream
from qap2fpga.ir.comparison import Simulation
from qap2fpga.system.errors import CheckFailed
from qap2fpga.system.files import shipped, write_atomically
from qap2fpga.verify import rtl, verilator

# Data, a keep bit a byte, and the end of the batch.
BITS = 9 * WORD_BYTES + 1


def on_stream(memory: np.ndarray) -> np.ndarray:
    """A transfer of the bytes `memory` (n,): (words, 3) uint32, the data and in the third word TKEEP and TLAST."""
    count = -(-len(memory) // WORD_BYTES)
    padded = np.zeros((count, WORD_BYTES), np.uint8)
    padded.reshape(-1)[: len(memory)] = memory
    found = np.zeros((count, 3), np.uint32)
    found[:, :2] = padded.view("<u4")
    found[:, 2] = (1 << WORD_BYTES) - 1
    found[-1, 2] = (1 << len(memory) - WORD_BYTES * (count - 1)) - 1 | 1 << WORD_BYTES
    return found


def simulate(
    artifact: Artifact, vectors: np.ndarray, expected: np.ndarray, folder: Path, *, batch: int,
    core: Design | None = None, extra: Sequence[Path] = (), harness: str | None = None, threads: int = 1,
    progress: verilator.Progress = lambda text: None,
) -> list[Simulation]:  # fmt: skip
    """Feed `vectors` (n, inputs) in transfers of `batch` vectors; the answers must be `expected` (n, outputs).

    n is a multiple of `batch`. Hardware of an HLS tool comes with `core`, whose sources it is, further sources
    `extra`, and a `harness` that connects it. One `Simulation` a schedule, as `rtl.simulate`. Raises `CheckFailed`.
    """
    design = artifact.circuit or core
    if design is None or len(vectors) % batch or len(vectors) != len(expected):
        raise ValueError(f"{len(vectors)} vectors in batches of {batch}, {len(expected)} answers")
    top = folder / f"{stream.TOP}.v"
    write_atomically(top, stream.verilog(artifact))
    sources = [design.folder / name for name in design.sources]
    sources += [*extra, *(shipped("flows") / "vivado" / name for name in stream.modules(artifact)), top]
    into, out = artifact.streams
    ports = [_port(name, layout(one), batch) for name, one in (("s_axis", into), ("m_axis", out))]
    interval = max(design.interval_cycles, ports[0].elements // batch + 1, ports[1].elements // batch + 1)
    whole = replace(design, top=stream.TOP, input=ports[0], output=ports[1], interval_cycles=interval * batch)
    program = verilator.build(
        whole, sources, folder, jobs=threads, harness=harness or harness_of(), progress=progress
    )  # fmt: skip
    rows = range(0, len(vectors), batch)
    beats = folder / "input.beats"
    np.concatenate([on_stream(in_memory(vectors[row : row + batch], into)) for row in rows]).tofile(beats)
    answers = np.concatenate([on_stream(in_memory(expected[row : row + batch], out)) for row in rows])
    found = []
    for schedule in rtl.schedules(whole):
        ran = verilator.run(program, whole, beats, len(rows), folder, schedule)
        wrong = np.flatnonzero((ran.beats != answers).any(axis=1))
        if len(wrong):
            raise CheckFailed(
                f"DMA words of {design.top}, {schedule.name}: word {wrong[0]} is {_shown(ran.beats[wrong[0]])}, "
                f"expected {_shown(answers[wrong[0]])}",
                "the network or the stream around it differs from the integer network",
            )
        compared = f"RTL from DMA word to DMA word with the integer network, {schedule.name}"
        found.append(Simulation("verilator", verilator.version(), compared, len(vectors), 0))
        progress(f"DMA words, {schedule.name}: {len(vectors)} vectors in {len(rows)} transfers")
    return found


def _port(name: str, one: Layout, batch: int) -> Stream:
    return Stream(name, words(one, batch), 1, BITS, False)


def _shown(row: np.ndarray) -> str:
    keep, last = int(row[2]) & (1 << WORD_BYTES) - 1, int(row[2]) >> WORD_BYTES
    return f"{int(row[1]):08x}{int(row[0]):08x} (TKEEP {keep:02x}, TLAST {last})"


def harness_of(core: str = "", ports: str = "") -> str:
    """Module `harness` of the testbench around `qap_stream`, with what stands beside it: `core`, on its `ports`."""
    width, keep = 8 * WORD_BYTES, 9 * WORD_BYTES
    return (
        "// SPDX-License-Identifier: Apache-2.0\n"
        "module harness(input clock, input reset_n, input [95:0] in_data, input in_valid, output in_ready,\n"
        "               output [95:0] out_data, output out_valid, input out_ready);\n"
        f"{core}    assign out_data[95:{BITS}] = 0;\n"
        f"    {stream.TOP} top (\n"
        f"        .aclk(clock), .aresetn(reset_n), .s_axis_tdata(in_data[{width - 1}:0]),\n"
        f"        .s_axis_tkeep(in_data[{keep - 1}:{width}]), .s_axis_tlast(in_data[{keep}]),\n"
        "        .s_axis_tvalid(in_valid), .s_axis_tready(in_ready),\n"
        f"        .m_axis_tdata(out_data[{width - 1}:0]), .m_axis_tkeep(out_data[{keep - 1}:{width}]),\n"
        f"        .m_axis_tlast(out_data[{keep}]), .m_axis_tvalid(out_valid), .m_axis_tready(out_ready){ports}\n"
        "    );\nendmodule\n"
    )
