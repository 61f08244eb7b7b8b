# SPDX-License-Identifier: Apache-2.0
"""The mapped netlist in Verilator: what synthesis made still computes the same integers.

The netlist is the one that was measured, cell by cell. Cells are simulated by Yosys' own models (`cells_sim.v`);
where it has none, or only a slow one, by ours in `flows/open` and `flows/ecp5`: block RAM, DSP48E2 and LUTs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from qap2fpga.hw.boards import Board
from qap2fpga.hw.design import Design
from qap2fpga.hw.families import Family
from qap2fpga.ir.comparison import Simulation
from qap2fpga.ir.graph import Graph
from qap2fpga.synth import yosys
from qap2fpga.synth.yosys import Synthesis
from qap2fpga.system.files import shipped, write_atomically
from qap2fpga.verify import verilator
from qap2fpga.verify.engine import Progress
from qap2fpga.verify.rtl import FULL_SPEED, Verilated
from qap2fpga.verify.verilator import Schedule

# Hardly more time than full speed alone, and the stalls are what synthesis can get wrong.
PLAN = (Schedule(FULL_SPEED, seed=11), Schedule("random gaps", in_go=128, out_go=128, shy=True, seed=12))
LEAST_VECTORS = 200


class Netlist(Verilated):
    """What `mapping.map_design` made of `design` for the `board`."""

    what = "netlist"
    # Every cell has a defined start, so there is no X to make random. It is much C++ that runs for few cycles:
    # compiling is all the time there is.
    options = ()
    optimize = "-O0"

    def __init__(
        self, design: Design, board: Board, mapped: Synthesis, folder: Path, *, network: Graph | None = None,
        threads: int = 2,
    ) -> None:  # fmt: skip
        super().__init__(design, folder, network=network, threads=threads)
        self.family, self.mapped = board.device_family, mapped

    def sources(self) -> list[Path]:
        """Return the files to simulate, those of this engine written now."""
        return [*self.mapped.netlist, *models(self.mapped.total, self.folder, self.family)]

    def plan(self) -> tuple[Schedule, ...]:
        """Return the schedules to run."""
        return PLAN

    def simulate(
        self, vectors: np.ndarray, expected: np.ndarray, progress: Progress = lambda text: None
    ) -> list[Simulation]:
        """Compare as any engine does; all schedules are one result.

        When a cell of the netlist has no model, nothing is simulated: the result has `vectors` 0 and a note that says
        'netlist not simulated' and why. Raises `QapError` for a cell in a mode that its model does not have, too.
        """
        if len(vectors) < LEAST_VECTORS:
            raise ValueError(f"{len(vectors)} vectors; a netlist is tried with {LEAST_VECTORS} at least")
        missing = without_model(self.mapped.total, self.family)
        if missing:
            note = f"netlist not simulated: no simulation model of {', '.join(missing)}"
            compared = f"netlist ({self.family.name})"
            return [Simulation(self.name, verilator.version(), compared, vectors=0, mismatches=None, note=note)]
        first, *_ = super().simulate(vectors, expected, progress)
        compared = f"netlist ({self.family.name}, yosys {yosys.version()}) with the integer network"
        return [replace(first, compared=compared, note="")]


def models(cells: Mapping[str, int], folder: Path, family: Family) -> list[Path]:
    """The simulation models that a netlist of `cells` needs; Yosys' ones are copied to `folder`, as far as used."""
    library = _library(family)
    ours = [name for name, kinds in family.models.items() if any(kinds.fullmatch(kind) for kind in cells)]
    used = [model for kind in sorted(cells) if not _ours(kind, family) and (model := _model(kind, library)) is not None]
    chosen = folder / "cells.v"
    write_atomically(chosen, "".join(f"{model}\n" for model in used))
    return [*(shipped("flows") / name for name in ours), chosen]


def without_model(cells: Mapping[str, int], family: Family) -> list[str]:
    """The types among `cells` that have no simulation model, sorted."""
    library = _library(family)
    return [kind for kind in sorted(cells) if not _ours(kind, family) and _model(kind, library) is None]


def _ours(kind: str, family: Family) -> bool:
    """Whether a file of ours models this kind of cell, whatever the library says of it."""
    return any(kinds.fullmatch(kind) for kinds in family.models.values())


def _library(family: Family) -> str:
    """Yosys' models of the family's cells."""
    return "\n".join(yosys.library(name).read_text() for name in family.library)


def _model(kind: str, library: str) -> str | None:
    match = re.search(rf"^module {re.escape(kind)}\b.*?^endmodule$", library, re.MULTILINE | re.DOTALL)
    return match.group(0) if match else None
