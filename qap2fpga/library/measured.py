# SPDX-License-Identifier: Apache-2.0
"""What Yosys counts of a network, without a build: nothing is simulated, and nothing is left behind."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from qap2fpga import backends
from qap2fpga.hw import boards
from qap2fpga.hw.design import Design
from qap2fpga.ir.graph import Graph
from qap2fpga.library.network import load
from qap2fpga.train.predict import LARGE


def luts_of(model: Path) -> int:
    """Return the LUTs that Yosys counts of the network in a model file, unrolled by the rtl backend."""
    from qap2fpga.synth import yosys

    graph = load(model, quiet=True).graph
    with tempfile.TemporaryDirectory() as folder:
        design = unrolled(graph, Path(folder) / "rtl")
        luts = yosys.synthesize(design, boards.load(LARGE), Path(folder) / "yosys").total.lut
        assert luts is not None, "Yosys counts LUTs"
        return luts


def unrolled(graph: Graph, folder: Path) -> Design:
    """Write the Verilog of `graph` by the rtl backend, for a board whose size and clock do not bind."""
    backend = backends.get("rtl")
    options, vectors = backend.make_options(allow_oversize=True), np.zeros((1, graph.inputs), np.int64)
    design = backend.generate(graph, boards.load(LARGE), folder, options, vectors).circuit
    assert design is not None, "the rtl backend writes circuits"
    return design
