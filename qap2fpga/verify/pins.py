# SPDX-License-Identifier: Apache-2.0
"""A board from pin to pin: requests go in at its serial port bit by bit, and the replies are read off its pin.

The computer at the other end is `flows/ecp5/host.sv`, with a clock that is a little off and with two requests that are
damaged on the way. Its bytes are made and compared by Python (`synth.ecp5.wrapper`), as a real computer's would be.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from qap2fpga.hw.beats import pack
from qap2fpga.hw.boards import HOLD_HIGH, Board
from qap2fpga.hw.design import Design, Stream
from qap2fpga.ir.comparison import Simulation
from qap2fpga.synth.ecp5 import wrapper
from qap2fpga.system.files import shipped, write_atomically
from qap2fpga.verify import verilator
from qap2fpga.verify.rtl import SINGLE, exercise
from qap2fpga.verify.verilator import Progress, Schedule

# The host's bit is this much longer than the board's: the middle of the last bit is a sixth of a bit off.
CLOCK_ERROR = 1.02
# Clock cycles that one simulation may take, about; a vector takes tens of thousands.
CYCLES = 1_000_000
# The fifth request is the last one that is disturbed; two more show that it has left nothing behind.
LEAST, MOST = 7, 64


def simulate(
    design: Design, board: Board, vectors: np.ndarray, expected: np.ndarray, folder: Path,
    *, progress: Progress = lambda text: None,
) -> Simulation:  # fmt: skip
    """Send `vectors` (n >= 7, inputs), as many as time allows, through the pins and compare with `expected`.

    Raises `CheckFailed` when a reply differs or none comes.
    """
    into, out = (size + 1 for size in wrapper.sizes(design))
    bit = round(wrapper.divider(board.clock_ns) * CLOCK_ERROR)
    exchange = 11 * bit * (into + out)
    count = min(len(vectors), MOST, max(LEAST, CYCLES // exchange))
    requests = wrapper.messages(pack(vectors[:count], design.input), into - 1)
    replies = wrapper.messages(pack(expected[:count], design.output), out - 1)
    silence = round(wrapper.pause(board.clock_ns) * CLOCK_ERROR)
    folder.mkdir(parents=True, exist_ok=True)
    top = folder / f"{wrapper.TOP}.v"
    hold_high = HOLD_HIGH in board.pins
    write_atomically(top, wrapper.verilog(design, board.clock_ns, hold_high=hold_high))
    sources = [*(design.folder / name for name in design.sources), *wrapper.sources(), top, _host()]
    # To the testbench a message is a beat of bytes. It gives up after 64 intervals, here four disturbed exchanges.
    over_wires = replace(
        design, top=wrapper.TOP, input=_bytes("request", into), output=_bytes("reply", out), probes=(),
        interval_cycles=(2 * exchange + silence) // 16, latency_cycles=None,
    )  # fmt: skip
    text = _harness(into, out, bit, silence)
    made = verilator.build(over_wires, sources, folder, jobs=2, harness=text, progress=progress)
    # One request at a time: what the protocol asks of a computer.
    plan = (Schedule(SINGLE, single=True, seed=21),)
    found = exercise(made, over_wires, requests, replies, folder, plan, what="pins", threads=1, progress=progress)[0]
    note = f"{wrapper.BAUD} baud, the computer's clock 2 % off, two requests damaged on the way"
    compared = f"{board.name} from pin to pin with the integer network, UART"
    return replace(found, compared=compared, latency_cycles=None, note=note)


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
