# SPDX-License-Identifier: Apache-2.0
"""The cells of a folder of Verilog, by one and the same Yosys command for everybody's hardware."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from qap2fpga.hw import boards
from qap2fpga.synth.cells import count
from qap2fpga.synth.jobs import Cells, Elaborate, FindPath, FoundPath, Parts, Synthesize, ask
from qap2fpga.synth.yosys import DSP_POLICY, PATH_LIMIT_S, WORKER, version
from qap2fpga.system.errors import QapError

BOARD = boards.load("vu13p")
LIMIT_S = 1800.0
COMMAND = f"synth_xilinx -family {BOARD.family} -flatten {DSP_POLICY}"


@dataclass(frozen=True)
class Counted:
    """Cells as `synth.cells.count` defines them; `lutram` of the LUTs are shift registers or memory.

    `path_ns`: delays of cells on the longest path, without routing, by Yosys' `sta`; it knows those of 7 series, and
    None stands for a path that it does not find. `yosys`: its version.
    """

    lut: int
    ff: int
    carry: int
    lutram: int
    path_ns: float | None
    yosys: str


def counted(folder: Path, top: str, limit_s: float = LIMIT_S) -> Counted:
    """Map the module `top` of all Verilog below `folder`, flattened, and count its cells.

    Raises `QapError` for a folder without Verilog, and where Yosys fails or takes more than `limit_s`.
    """
    sources = sorted(path.resolve() for path in folder.rglob("*") if path.suffix in (".v", ".sv"))
    if not sources:
        raise QapError(f"no Verilog below {folder}", "the side that made it has a mistake")
    with tempfile.TemporaryDirectory(prefix="qap2fpga-") as scratch:
        place = Path(scratch)
        rtlil, netlist = place / "elaborated.il", "mapped.v"
        read = Elaborate(top=top, sources=tuple(map(str, sources)), rtlil=str(rtlil))
        # Verilog may name files beside it, as tables in memory.
        ask(WORKER, read, Parts, name="read", what="reading", logs=place, place=place, folder=folder, limit_s=limit_s)
        job = Synthesize(
            top=top, keep=(), boxes=(), rtlil=str(rtlil), family=BOARD.family, options=(DSP_POLICY,), glue=True,
            files={top: netlist}, statistics=str(place / "statistics.json"), folder=str(place),
        )  # fmt: skip
        cells = ask(WORKER, job, Cells, name="map", what="mapping", logs=place, place=place, limit_s=limit_s).cells
        found = count(cells[top])
        return Counted(
            found.lut or 0, found.ff or 0, found.carry or 0, found.lutram or 0,
            _path_ns(top, place / netlist, place), version(),
        )  # fmt: skip


def _path_ns(top: str, netlist: Path, place: Path) -> float | None:
    job = FindPath(top=top, netlist=(str(netlist),), folder=str(place))
    try:
        path = ask(WORKER, job, FoundPath, name="time", what="the path", logs=place, place=place, limit_s=PATH_LIMIT_S)
    except QapError:
        return None
    return None if path.ps is None or path.untimed else path.ps / 1000
