# SPDX-License-Identifier: Apache-2.0
"""A drawn design written down: FINN's layers, executed and compared, then their RTL and ours."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from qap2fpga.backends.api import Progress
from qap2fpga.backends.finn import session
from qap2fpga.backends.finn.sources import Sources
from qap2fpga.backends.finn.stream.draw import Drawn
from qap2fpga.hw.boards import Board
from qap2fpga.hw.design import Probe
from qap2fpga.ir.graph import Graph
from qap2fpga.system.files import write_atomically
from qap2fpga.system.quiet import quiet


def emit(
    graph: Graph, drawn: Drawn, board: Board, folder: Path, inputs: np.ndarray, progress: Progress
) -> tuple[Sources, tuple[Probe, ...]]:
    """Write the RTL of `drawn` to `folder`/rtl and the graph after each step beside it, each compared on `inputs`.

    Raises `CheckFailed` for a step of FINN that changed the network.
    """
    for old in folder.glob("[0-9][0-9]_*.onnx"):
        old.unlink()
    with session.session(folder):
        with quiet():
            from finn.transformation.fpgadataflow.prepare_ip import PrepareIP

            from qap2fpga.backends.finn.steps import portable
            from qap2fpga.backends.finn.stream import layers, wiring
        comparison = layers.Comparison(graph, drawn, inputs)
        model = layers.write(drawn)
        for number, step in enumerate(("layers", "generate_rtl")):
            if number:
                with quiet():
                    model = model.transform(PrepareIP(board.part, board.clock_ns))
            comparison.compare(step, model)
            write_atomically(folder / f"{number:02}_{step}.onnx", portable(model))
            progress(f"{number:02} {step}: {len(model.graph.node)} nodes, {len(inputs)} vectors exact")
        sources = Sources(folder / "rtl")
        wires = wiring.Wiring(drawn, sources, lambda block: layers.generated(model, block))
        wires.write()
        return sources, wires.probes(graph)
