# SPDX-License-Identifier: Apache-2.0
"""A board from pin to pin: requests go in at its serial port bit by bit, and the replies are read off its pin.

The computer at the other end is `flows/ecp5/host.sv`, with a clock that is a little off and with two requests that are
damaged on the way. Its bytes are made and compared by Python (`synth.ecp5.wrapper`), as a real computer's would be.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from qap2fpga.hw.beats import pack, unpack, words
from qap2fpga.hw.boards import HOLD_HIGH, Board
from qap2fpga.hw.design import Design, Stream
from qap2fpga.synth.ecp5 import wrapper
from qap2fpga.system.errors import CheckFailed
from qap2fpga.system.files import shipped, write_atomically
from qap2fpga.verify.engine import Execution
from qap2fpga.verify.rtl import SINGLE, Verilated
from qap2fpga.verify.verilator import Run, Schedule

# The host's bit is this much longer than the board's: the middle of the last bit is a sixth of a bit off.
CLOCK_ERROR = 1.02
# Clock cycles that one simulation may take, about; a vector takes tens of thousands.
CYCLES = 1_000_000
# The fifth request is the last one that is disturbed; two more show that it has left no traces.
LEAST, MOST = 7, 64


class Pins(Verilated):
    """The board's serial port and the network after it; as many vectors (7 at least) as time allows."""

    what = "pins"

    def __init__(self, design: Design, board: Board, folder: Path) -> None:
        self.core, self.board = design, board
        # Bytes of a message, with its CRC.
        self.request, self.reply = (size + 1 for size in wrapper.sizes(design))
        self.bit = round(wrapper.divider(board.clock_ns) * CLOCK_ERROR)
        self.silence = round(wrapper.pause(board.clock_ns) * CLOCK_ERROR)
        self.exchange = 11 * self.bit * (self.request + self.reply)
        # To the testbench a message is a beat of bytes. It gives up after 64 intervals, here four disturbed exchanges.
        over_wires = replace(
            design, top=wrapper.TOP, input=_bytes("request", self.request), output=_bytes("reply", self.reply),
            probes=(), interval_cycles=(2 * self.exchange + self.silence) // 16, latency_cycles=None,
        )  # fmt: skip
        super().__init__(over_wires, folder)

    def sources(self) -> list[Path]:
        """Return the files to simulate, those of this engine written now."""
        top = self.folder / f"{wrapper.TOP}.v"
        hold_high = HOLD_HIGH in self.board.pins
        write_atomically(top, wrapper.verilog(self.core, self.board.clock_ns, hold_high=hold_high))
        return [*(self.core.folder / name for name in self.core.sources), *wrapper.sources(), top, _host()]

    def plan(self) -> tuple[Schedule, ...]:
        """Return the schedules to run."""
        # One request at a time: what the protocol asks of a computer.
        return (Schedule(SINGLE, single=True, seed=21),)

    def harness(self) -> str:
        """Return what drives the ports."""
        return _harness(self.request, self.reply, self.bit, self.silence)

    def frames(self, schedule: Schedule, vectors: int) -> int:
        """Return how many frames are sent of so many vectors."""
        return min(vectors, MOST, max(LEAST, CYCLES // self.exchange))

    def encode(self, vectors: np.ndarray) -> np.ndarray:
        """Return the input beats of `vectors` (n, inputs)."""
        requests = wrapper.messages(pack(vectors, self.core.input), self.request - 1)
        return pack(requests, self.design.input)

    def decode(self, run: Run) -> tuple[np.ndarray, CheckFailed | None]:
        """Return the outputs (n, channels) in the beats of a run, and what is wrong beside them."""
        replies, _ = unpack(run.beats, self.design.output)
        beats = np.zeros((len(replies), 4 * words(self.core.output)), np.uint8)
        beats[:, : self.reply - 1] = replies[:, :-1]
        outputs, _ = unpack(beats.view("<u4"), self.core.output)
        # All but the values: padding and CRC.
        wrong = np.flatnonzero((replies != self._replies(outputs)).any(axis=1))
        if not len(wrong):
            return outputs, None
        fault = CheckFailed(
            f"{self.title(run.schedule)}: the CRC or the padding of reply {wrong[0]} is wrong", "its outputs are right"
        )
        return outputs, fault

    def _replies(self, outputs: np.ndarray) -> np.ndarray:
        return wrapper.messages(pack(outputs, self.core.output), self.reply - 1)

    def execution(self, run: Run) -> Execution:
        """Return what a run gave, with what the report calls it."""
        note = f"{wrapper.BAUD} baud, the computer's clock 2 % off, two requests damaged on the way"
        compared = f"{self.board.name} from pin to pin with the integer network, UART"
        return replace(super().execution(run), compared=compared, latency_cycles=None, note=note)


def _bytes(name: str, count: int) -> Stream:
    return Stream(name, count, count, 8, False)


def _host() -> Path:
    return shipped("flows") / "ecp5" / "host.sv"


def _harness(into: int, out: int, bit: int, silence: int) -> str:
    """Module `harness`, as the testbench knows it: the computer, and the board on two wires."""
    high = [max(96, -(-8 * size // 32) * 32) - 1 for size in (into, out)]
    return (
        "// SPDX-License-Identifier: Apache-2.0\n"
        f"module harness(input clock, input reset_n, input [{high[0]}:0] in_data, input in_valid, output in_ready,\n"
        f"               output [{high[1]}:0] out_data, output out_valid, input out_ready);\n"
        "    wire to_board, from_board;\n"
        f"    wire [{8 * out - 1}:0] reply;\n"
        "    assign out_data = reply;\n"
        f"    qap_host #(.IN_BYTES({into}), .OUT_BYTES({out}), .BIT({bit}), .SILENCE({silence})) host (\n"
        f"        .clock(clock), .reset_n(reset_n), .in_data(in_data[{8 * into - 1}:0]), .in_valid(in_valid),\n"
        "        .in_ready(in_ready), .out_data(reply), .out_valid(out_valid), .out_ready(out_ready),\n"
        "        .to_board(to_board), .from_board(from_board)\n"
        "    );\n"
        f"    {wrapper.TOP} board (.clk(clock), .uart_rx(to_board), .uart_tx(from_board));\n"
        "endmodule\n"
    )
