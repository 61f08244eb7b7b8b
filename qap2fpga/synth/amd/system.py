# SPDX-License-Identifier: Apache-2.0
"""A design in a Zynq: which boards have a processor, and what `system.tcl` and `bitstream.tcl` read."""

from __future__ import annotations

import re
from pathlib import Path

from qap2fpga.driver import stream
from qap2fpga.driver.layout import LENGTH_BITS
from qap2fpga.hw import boards
from qap2fpga.hw.boards import Board
from qap2fpga.hw.design import Artifact
from qap2fpga.synth.amd.contents import SOLUTION, Value, tcl_settings
from qap2fpga.system.errors import QapError
from qap2fpga.system.files import shipped, write_atomically

# Vivado's blocks of the processors, by what the part's name begins with.
PROCESSORS = {r"xc7z": "processing_system7", r"xczu|xck2[46]": "zynq_ultra_ps_e"}
WRAPPER = "system_wrapper"
BITSTREAM, HANDOFF = "overlay/network.bit", "overlay/network.hwh"
# Where HLS tools leave the block that they export, depending on their version.
ARCHIVES = (f"{SOLUTION}/impl/ip/*.zip", f"{SOLUTION}/impl/*.zip", f"{SOLUTION}/impl/*/*.zip")
SETTINGS = "system_settings.tcl"


def has_processor(board: Board) -> bool:
    """Whether the board's part is a Zynq."""
    return any(re.match(part, board.part.lower()) for part in PROCESSORS)


def processor(board: Board) -> str:
    """Vivado's block of the board's processor. Raises `QapError` for a board without one."""
    for part, block in PROCESSORS.items():
        if re.match(part, board.part.lower()):
            return block
    known = ", ".join(name for name in boards.names() if has_processor(boards.load(name)))
    raise QapError(
        f"{board.name} has no processor beside its logic ({board.part}): no bitstream can be made for it",
        f"choose a board with a Zynq ({known}), or the steps synth and route",
    )


def write(artifact: Artifact, board: Board, block: str, clock_ns: float, folder: Path) -> tuple[str, ...]:
    """Write the stream around `artifact` and `system_settings.tcl` into `folder`, and name what was written."""
    files = (*stream.modules(artifact), f"{stream.TOP}.v")
    for name in stream.modules(artifact):
        write_atomically(folder / name, (shipped("flows") / "vivado" / name).read_text())
    write_atomically(folder / f"{stream.TOP}.v", stream.verilog(artifact))
    values: dict[str, Value] = {
        "processor": block,
        "board_part": board.board_part,
        "clock_mhz": round(1000 / clock_ns, 6),
        "word_bits": stream.WORD,
        "length_bits": LENGTH_BITS,
    }
    if artifact.circuit is None:
        values |= {"system_sources": files, "system_memories": (), "ip_archives": ARCHIVES,
                   "hls_input": artifact.input.name, "hls_outputs": artifact.output.elements}  # fmt: skip
    else:
        values |= {"system_sources": (*artifact.sources, *files), "system_memories": artifact.data, "ip_archives": (),
                   "hls_input": "", "hls_outputs": 0}  # fmt: skip
    write_atomically(folder / SETTINGS, tcl_settings(values))
    return (*files, SETTINGS)
