# SPDX-License-Identifier: Apache-2.0
"""What Yosys counts of a network, without a build: nothing is simulated, and nothing is left behind."""

from __future__ import annotations

import tempfile
from pathlib import Path

from qap2fpga.library.network import load

# Its size and its clock do not bind.
LARGE = "vu13p"


def luts_of(model: Path, board: str = LARGE) -> int:
    """Return the LUTs that Yosys counts of the network in a model file, unrolled by the rtl backend for `board`."""
    import numpy as np

    from qap2fpga import backends
    from qap2fpga.hw import boards
    from qap2fpga.synth import yosys

    graph, target = load(model, quiet=True).graph, boards.load(board)
    backend = backends.get("rtl")
    options = backend.make_options(allow_oversize=True)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        design = backend.generate(graph, target, place / "rtl", options, np.zeros((1, graph.inputs), np.int64)).circuit
        assert design is not None, "the rtl backend writes circuits"
        luts = yosys.synthesize(design, target, place / "yosys").total.lut
        assert luts is not None, "Yosys counts LUTs"
        return luts
