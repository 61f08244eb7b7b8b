# SPDX-License-Identifier: Apache-2.0
"""Small folded designs for proofs: generated, mapped, in the folder of their network."""

from __future__ import annotations

from pathlib import Path

from qap2fpga.backends.finn.backend import FinnBackend
from qap2fpga.backends.finn.options import FinnOptions
from qap2fpga.hw import boards
from qap2fpga.ir import storage
from qap2fpga.ir.graph import Graph
from qap2fpga.prove.run import Subject
from qap2fpga.synth import yosys
from tests.support.graphs import all_frames

BOARD = boards.load("pynq-z2")


def subject(network: Graph, folder: Path, *, mapped: bool = True, **options: object) -> Subject:
    """Return the design of `network` that is written to `folder`, `mapped` by Yosys or not."""
    storage.save(network, folder / "network.npz")
    design = FinnBackend().generate(network, BOARD, folder / "finn", FinnOptions(**options), all_frames(network, 2, 1))  # type: ignore[arg-type]
    netlist = yosys.map_design(design, BOARD, folder / "synthesize").netlist if mapped else ()
    return Subject(design, network, folder / "network.npz", netlist)
