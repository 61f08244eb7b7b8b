# SPDX-License-Identifier: Apache-2.0
"""Synthesis with Yosys for any board: the cells of its family decide how a design is mapped, and what is counted."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path

from qap2fpga.hw.boards import Board
from qap2fpga.hw.design import Design, Measurement
from qap2fpga.synth import yosys
from qap2fpga.synth.ecp5 import synthesis as ecp5
from qap2fpga.synth.yosys import Synthesis

Progress = Callable[[str], None]


class Mapper(ABC):
    """Makes a netlist of one library of cells of a design, and counts what it is made of."""

    @abstractmethod
    def map_design(
        self, design: Design, board: Board, folder: Path, *, time_limit_s: float, threads: int, progress: Progress
    ) -> Synthesis:
        """Map `design`, in at most `threads` processes. Raises `QapError` as `mapping.map_design` does."""

    @abstractmethod
    def measurement(self, done: Synthesis) -> Measurement:
        """Return the numbers of a mapped design."""


class Xilinx(Mapper):
    """The cells of AMD's families."""

    def map_design(
        self, design: Design, board: Board, folder: Path, *, time_limit_s: float, threads: int, progress: Progress
    ) -> Synthesis:
        return yosys.map_design(design, board, folder, time_limit_s=time_limit_s, threads=threads, progress=progress)

    def measurement(self, done: Synthesis) -> Measurement:
        return yosys.measurement(done)


class Ecp5(Mapper):
    """The cells of Lattice's ECP5; one process maps all parts."""

    def map_design(
        self, design: Design, board: Board, folder: Path, *, time_limit_s: float, threads: int, progress: Progress
    ) -> Synthesis:
        return ecp5.map_design(design, folder, time_limit_s=time_limit_s, progress=progress)

    def measurement(self, done: Synthesis) -> Measurement:
        return ecp5.measurement(done)


# By `Family.cells`.
MAPPERS: dict[str, Mapper] = {"xilinx": Xilinx(), "ecp5": Ecp5()}


def map_design(
    design: Design, board: Board, folder: Path, *, time_limit_s: float = yosys.TIME_LIMIT_S, threads: int = 2,
    progress: Progress = lambda text: None,
) -> Synthesis:  # fmt: skip
    """Map `design` to the board's family. Raises `QapError` when Yosys is missing, fails or is too slow."""
    mapper = MAPPERS[board.device_family.cells]
    return mapper.map_design(
        design, board, folder, time_limit_s=time_limit_s, threads=threads, progress=progress
    )  # fmt: skip


def measurement(done: Synthesis, board: Board) -> Measurement:
    """Return the numbers of a design that was mapped for `board`."""
    return MAPPERS[board.device_family.cells].measurement(done)
