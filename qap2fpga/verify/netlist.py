# SPDX-License-Identifier: Apache-2.0
"""The mapped netlist against the integer network: what synthesis made still computes the same integers.

The netlist is the one that was measured, cell by cell. Cells are simulated by Yosys' own models (`cells_sim.v`);
where it has none, or only a slow one, by ours in `flows/open` and `flows/ecp5`: block RAM, DSP48E2 and LUTs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from qap2fpga.hw.boards import Board
from qap2fpga.hw.design import Design
from qap2fpga.hw.families import Family
from qap2fpga.ir.comparison import Simulation
from qap2fpga.ir.graph import Graph
from qap2fpga.synth import mapping, yosys
from qap2fpga.synth.yosys import Synthesis
from qap2fpga.system.files import shipped, write_atomically
from qap2fpga.verify import verilator
from qap2fpga.verify.layers import Suspect
from qap2fpga.verify.rtl import FULL_SPEED, exercise
from qap2fpga.verify.verilator import Progress, Schedule

# Hardly more time than full speed alone, and the stalls are what synthesis can get wrong.
PLAN = (Schedule(FULL_SPEED, seed=11), Schedule("random gaps", in_go=128, out_go=128, shy=True, seed=12))
LEAST_VECTORS = 200


def simulate_netlist(
    design: Design,
    board: Board,
    vectors: np.ndarray,
    expected: np.ndarray,
    folder: Path,
    *,
    network: Graph | None = None,
    mapped: Synthesis | None = None,
    time_limit_s: float = yosys.TIME_LIMIT_S,
    threads: int = 2,
    progress: Progress = lambda text: None,
) -> Simulation:
    """Feed `vectors` (n >= 200, inputs) to the netlist of `design` and hold it against `expected` (n, outputs).

    `mapped` is what `mapping.map_design` made, if it was made before; with the `network`, a difference names the first
    wrong layer. When a cell of the netlist
    has no model, nothing is simulated: the result has `vectors` 0 and a note that says 'netlist not simulated' and
    why. Raises `CheckFailed` on a difference, `QapError` for a missing tool or for a cell in a mode that its model
    does not have.
    """
    if len(vectors) < LEAST_VECTORS:
        raise ValueError(f"{len(vectors)} vectors; a netlist is tried with {LEAST_VECTORS} at least")
    if mapped is None:
        place = folder / "yosys"
        mapped = mapping.map_design(design, board, place, time_limit_s=time_limit_s, threads=threads, progress=progress)
    missing = without_model(mapped.total, board.device_family)
    if missing:
        return _not_simulated(f"no simulation model of {', '.join(missing)}", board)
    return exercise_netlist(
        design, board, mapped.netlist, mapped.total, vectors, expected, folder, network=network, threads=threads,
        progress=progress,
    )  # fmt: skip


def exercise_netlist(
    design: Design,
    board: Board,
    netlist: tuple[Path, ...],
    cells: Mapping[str, int],
    vectors: np.ndarray,
    expected: np.ndarray,
    folder: Path,
    *,
    network: Graph | None = None,
    threads: int = 2,
    progress: Progress = lambda text: None,
) -> Simulation:
    """Simulate the Verilog files `netlist`, whose cells by type are `cells`."""
    folder.mkdir(parents=True, exist_ok=True)
    sources = [*netlist, *models(cells, folder, board.device_family)]
    # Every cell has a defined start, so there is no X to make random. It
    # is much C++ that runs for few cycles: compiling is all the time there is.
    made = verilator.build(design, sources, folder, jobs=threads, options=(), optimize="-O0", progress=progress)
    suspect = Suspect(design, sources, network, folder / "layers", threads, (), "-O0") if network else None
    done = exercise(
        made, design, vectors, expected, folder, PLAN, what="netlist", suspect=suspect, threads=threads,
        progress=progress,
    )  # fmt: skip
    return Simulation(
        engine="verilator",
        version=verilator.version(),
        compared=f"netlist ({board.family}, yosys {yosys.version()}) with the integer network",
        vectors=len(vectors),
        mismatches=0,
        interval_cycles=done[0].interval_cycles,
    )


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
    found = re.search(rf"^module {re.escape(kind)}\b.*?^endmodule$", library, re.MULTILINE | re.DOTALL)
    return found.group(0) if found else None


def _not_simulated(why: str, board: Board) -> Simulation:
    return Simulation(
        engine="verilator",
        version=verilator.version(),
        compared=f"netlist ({board.family})",
        vectors=0,
        mismatches=None,
        note=f"netlist not simulated: {why}",
    )
