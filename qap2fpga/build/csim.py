# SPDX-License-Identifier: Apache-2.0
"""The C simulation of a finished hls4ml build, again and alone: needs numpy and a compiler, neither torch nor a board.

For another machine than the one that generated the project, above all the container of `docker/csim`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from qap2fpga.build import folder as stages
from qap2fpga.build import stored
from qap2fpga.hw.boards import Board
from qap2fpga.hw.design import HlsProject
from qap2fpga.ir import storage
from qap2fpga.ir.comparison import Simulation
from qap2fpga.ir.graph import Graph
from qap2fpga.synth import amd as vendor
from qap2fpga.synth.amd.tool import INSTALLED
from qap2fpga.system.codec import tree
from qap2fpga.system.errors import QapError, nearest
from qap2fpga.system.progress import Progress
from qap2fpga.system.reading import shown
from qap2fpga.verify.csim import CSimulation
from qap2fpga.verify.engine import Reference

VITIS, GXX = "vitis", "g++"
TOOLS = (VITIS, GXX)
# Inside the build's folder, beside what the build itself left.
FOLDER = "csim-again"


@dataclass(frozen=True)
class Build:
    """What a build of the hls4ml backend left of the stage `generate`."""

    folder: Path
    project: HlsProject
    board: Board
    network: Graph
    vectors: np.ndarray


def simulate(folder: Path, tool: str | None, progress: Progress) -> Simulation:
    """Compare the C++ of the build in `folder` with its integer network: with Vitis HLS, else with g++.

    `tool` is one of `TOOLS`; None takes Vitis HLS where it is installed. g++ compares every layer on all vectors of the
    build; Vitis HLS, with its own types, the outputs on those of the project's testbench. Raises `QapError` for a tool
    that is absent or fails, `CheckFailed` or `Mismatch` where C++ and network differ.
    """
    if tool not in (None, *TOOLS):
        raise QapError(f"unknown tool '{tool}'", nearest(str(tool), TOOLS))
    build = load(folder)
    tools = vendor.Tools() if tool == GXX else vendor.find()
    if tool == VITIS and tools.hls is None:
        raise QapError(
            vendor.absent(vendor.Kind.HLS).rstrip("."),
            f"in a container, mount the host's: -v $XILINX:{INSTALLED}:ro; or --tool g++, which needs none",
        )
    with stages.BuildFolder(folder, progress):
        if tools.hls is not None:
            with progress.stage(f"C simulation with {tools.hls.title}, {tools.hls.path}") as say:
                planned = vendor.plan(build.project, build.board, folder / FOLDER / VITIS, tools, steps=("csim",))
                (result,) = vendor.run(planned, progress=say)
            assert result.simulation is not None, "csim gives one"
            return result.simulation
        why = "as asked" if tool == GXX else "since Vitis HLS is absent"
        with progress.stage(f"C simulation with g++ and the open ap_types, {why}") as say:
            engine = CSimulation(build.project, build.network, folder / FOLDER / GXX)
            expected = Reference(build.network, build.project.output_kind).outputs(build.vectors)
            return engine.simulate(build.vectors, expected, say)[0]


def load(folder: Path) -> Build:
    """The build in `folder`. Raises `QapError` if it is not one, or not of the hls4ml backend."""
    hint = "qap2fpga build MODEL --board BOARD --backend hls4ml --until generate"
    generated = stages.stored(folder, "generate", hint)
    if not isinstance(generated, dict) or generated.get("backend") != "hls4ml":
        by = generated.get("backend") if isinstance(generated, dict) else None
        raise QapError(f"{folder} is a build of the backend {shown(by)}, which leaves no C++", hint)
    project = stored.project(generated, folder)
    name = generated.get("network")
    if name not in ("network.npz", stored.RELAXED):
        raise QapError(f"{folder}: what stage 'generate' stored names the network {shown(name)}", hint)
    network = storage.load(folder / name)
    board = tree(Board, generated.get("board"), "board", f"{folder}: generate")
    return Build(folder, project, board, network, stored.all_vectors(stored.vectors(folder, network)))
