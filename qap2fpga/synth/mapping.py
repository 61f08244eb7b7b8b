# SPDX-License-Identifier: Apache-2.0
"""Synthesis with Yosys for any board: the family decides whose cells a design is mapped to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from qap2fpga.hw.boards import ECP5, Board
from qap2fpga.hw.design import Design, Measurement
from qap2fpga.synth import yosys
from qap2fpga.synth.ecp5 import synthesis as ecp5
from qap2fpga.synth.yosys import Synthesis

Progress = Callable[[str], None]


def map_design(
    design: Design, board: Board, folder: Path, *, time_limit_s: float = yosys.TIME_LIMIT_S, threads: int = 2,
    progress: Progress = lambda text: None,
) -> Synthesis:  # fmt: skip
    """Map `design` to the board's family. Raises `QapError` when Yosys is missing, fails or is too slow."""
    if board.family == ECP5:
        return ecp5.map_design(design, folder, time_limit_s=time_limit_s, progress=progress)
    return yosys.map_design(design, board, folder, time_limit_s=time_limit_s, threads=threads, progress=progress)


def measurement(done: Synthesis, board: Board) -> Measurement:
    """The numbers of a design that was mapped for `board`."""
    return ecp5.measurement(done) if board.family == ECP5 else yosys.measurement(done)
