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
from qap2fpga.hw import beats
from qap2fpga.hw.design import Artifact, Design, Stream
from qap2fpga.system.errors import CheckFailed
from qap2fpga.system.files import shipped, write_atomically
from qap2fpga.verify import rtl
from qap2fpga.verify.engine import Execution
from qap2fpga.verify.rtl import Verilated
from qap2fpga.verify.verilator import Run, Schedule

# Data, a keep bit a byte, and the end of the batch.
BITS = 9 * WORD_BYTES + 1


def on_stream(memory: np.ndarray) -> np.ndarray:
    """A transfer of the bytes `memory` (n,): (words, 3) uint32, the data and in the third word TKEEP and TLAST."""
    count = -(-len(memory) // WORD_BYTES)
    padded = np.zeros((count, WORD_BYTES), np.uint8)
    padded.reshape(-1)[: len(memory)] = memory
    words = np.zeros((count, 3), np.uint32)
    words[:, :2] = padded.view("<u4")
    words[:, 2] = (1 << WORD_BYTES) - 1
    words[-1, 2] = (1 << len(memory) - WORD_BYTES * (count - 1)) - 1 | 1 << WORD_BYTES
    return words


def from_stream(transfer: np.ndarray, port: Stream, frames: int) -> np.ndarray:
    """The values (frames, elements) in one transfer (words, 3), whatever its TKEEP and TLAST are."""
    one = layout(port)
    memory = np.ascontiguousarray(transfer[:, :2]).view(np.uint8).reshape(-1)[: frames * one.frame_bytes]
    slots = memory.reshape(-1, one.slot_bytes)
    rows = np.zeros((len(slots), 4 * beats.words(port)), np.uint8)
    kept = min(rows.shape[1], one.slot_bytes)
    rows[:, :kept] = slots[:, :kept]
    return beats.unpack(rows.view("<u4"), port)[0]


class Dma(Verilated):
    """Hardware with the stream around it, in transfers of `batch` vectors, of which there must be a multiple.

    Hardware of an HLS tool comes with `core`, whose sources it is, further sources `extra`, and a `harness` that
    connects it.
    """

    what = "DMA words"

    def __init__(
        self, artifact: Artifact, folder: Path, *, batch: int, core: Design | None = None,
        extra: Sequence[Path] = (), harness: str | None = None, threads: int = 1,
    ) -> None:  # fmt: skip
        core = artifact.circuit or core
        if core is None:
            raise ValueError("a project of an HLS tool has no hardware without its core")
        self.artifact, self.batch, self.core, self.extra = artifact, batch, core, extra
        self.around = harness or harness_of()
        self.into, self.out = artifact.streams
        ports = [_port(name, layout(one), batch) for name, one in (("s_axis", self.into), ("m_axis", self.out))]
        interval = max(core.interval_cycles, ports[0].elements // batch + 1, ports[1].elements // batch + 1)
        whole = replace(core, top=stream.TOP, input=ports[0], output=ports[1], interval_cycles=interval * batch)
        super().__init__(whole, folder, threads=threads)

    def sources(self) -> list[Path]:
        """Return the files to simulate, those of this engine written now."""
        top = self.folder / f"{stream.TOP}.v"
        write_atomically(top, stream.verilog(self.artifact))
        modules = (shipped("flows") / "vivado" / name for name in stream.modules(self.artifact))
        return [*(self.core.folder / name for name in self.core.sources), *self.extra, *modules, top]

    def plan(self) -> tuple[Schedule, ...]:
        """Return the schedules to run."""
        return rtl.schedules(self.design)

    def harness(self) -> str:
        """Return what drives the ports."""
        return self.around

    def title(self, schedule: Schedule) -> str:
        """Return what messages call a run by this schedule."""
        return f"{self.what} of {self.core.top}, {schedule.name}"

    def frames(self, schedule: Schedule, vectors: int) -> int:
        """Return how many frames are sent of so many vectors."""
        if vectors % self.batch:
            raise ValueError(f"{vectors} vectors in batches of {self.batch}")
        return vectors // self.batch

    def encode(self, vectors: np.ndarray) -> np.ndarray:
        """Return the input beats of `vectors` (n, inputs)."""
        return self._words(vectors, self.into)

    def decode(self, run: Run) -> tuple[np.ndarray, CheckFailed | None]:
        """Return the outputs (n, channels) in the beats of a run, and what is wrong beside them."""
        transfers = run.beats.reshape(-1, self.design.output.elements, run.beats.shape[1])
        outputs = np.concatenate([from_stream(one, self.out, self.batch) for one in transfers])
        # All but the values: what is between them, TKEEP and TLAST.
        exact = self._words(outputs, self.out)
        wrong = np.flatnonzero((run.beats != exact).any(axis=1))
        if not len(wrong):
            return outputs, None
        at = wrong[0]
        fault = CheckFailed(
            f"{self.title(run.schedule)}: word {at} is {_shown(run.beats[at])}, expected {_shown(exact[at])}",
            "the stream around the network is wrong",
        )
        return outputs, fault

    def execution(self, run: Run) -> Execution:
        """Return what a run gave, with what the report calls it."""
        compared = f"RTL from DMA word to DMA word with the integer network, {run.schedule.name}"
        # Cycles would be of whole transfers.
        return replace(super().execution(run), compared=compared, latency_cycles=None, interval_cycles=None, note="")

    def _words(self, values: np.ndarray, port: Stream) -> np.ndarray:
        rows = range(0, len(values), self.batch)
        return np.concatenate([on_stream(in_memory(values[row : row + self.batch], port)) for row in rows])


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
