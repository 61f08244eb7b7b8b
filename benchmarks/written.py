# SPDX-License-Identifier: Apache-2.0
"""Faulty hardware as Verilog, and what the simulation of a build says of it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from qap2fpga.hw import boards
from qap2fpga.ir.outputs import outputs
from qap2fpga.prove.run import Subject
from qap2fpga.verify.compare import Mismatch
from qap2fpga.verify.netlist import models
from qap2fpga.verify.rtl import Rtl

WRITE = """
import sys
from pyosys import libyosys
design = libyosys.Design()
for command in (["read_json", sys.argv[1]], ["write_verilog", "-noattr", sys.argv[2]]):
    libyosys.Pass.call(design, command)
"""


class Written(Rtl):
    """The RTL simulation of a build, of other Verilog."""

    files: tuple[Path, ...] = ()

    def sources(self) -> list[Path]:
        """Return the other Verilog."""
        return [*self.files]


def simulated(
    content: dict[str, Any], subject: Subject, board: str, mapped: bool, vectors: np.ndarray, single: list[int],
    folder: Path,
) -> dict[str, Any]:  # fmt: skip
    """Return whether a build's simulation passes all `vectors`, and what it says of the input `single` alone."""
    read, verilog = folder / "faulty.json", folder / "faulty.v"
    # A port's net has the port's name, too; the port says what its bits are.
    modules = {name: {**one, "netnames": {net: wire for net, wire in one["netnames"].items()
                                          if net not in one["ports"]}}
               for name, one in content["modules"].items()}  # fmt: skip
    read.write_text(json.dumps({"modules": modules}))
    subprocess.run([sys.executable, "-c", WRITE, read, verilog], check=True, capture_output=True)
    kinds = {cell["type"]: 1 for module in content["modules"].values() for cell in module["cells"].values()}
    kinds = {kind: one for kind, one in kinds.items() if kind not in content["modules"]}
    files = (verilog, *(models(kinds, folder, boards.load(board).device_family) if mapped else ()))
    engine = Written(subject.design, folder / "simulate", threads=1)
    engine.files = files
    # The first vectors fill the pipeline, and give the last one something before and after it.
    alone = np.concatenate([vectors[:16], np.array([single]), vectors[:16]])
    result: dict[str, Any] = {}
    for name, rows in (("vectors", vectors), ("single", alone)):
        try:
            runs = engine.simulate(rows, outputs(subject.network, subject.design.output_kind, rows))
            result[name] = {"rows": len(rows), "schedules": len(runs), "mismatch": ""}
        except Mismatch as mismatch:
            result[name] = {"rows": len(rows), "mismatch": str(mismatch)}
    return result
