# SPDX-License-Identifier: Apache-2.0
"""The hls4ml project of the shipped jet network, for the image `csim`: generated without torch, from integers.

    python project.py NETWORK.npz JETS.npz FOLDER

NETWORK.npz is the `network.npz` of `qap2fpga build examples/jets-6b-80pruned.pt --until model`; a test holds the copy
in this folder against the model. FOLDER becomes a build folder as far as the stage `generate`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from qap2fpga import backends
from qap2fpga.build import making
from qap2fpga.build.folder import BuildFolder
from qap2fpga.build.request import Request
from qap2fpga.build.stored import Stored
from qap2fpga.frontend.checkpoint.widths import Widths
from qap2fpga.hw import boards
from qap2fpga.ir import storage
from qap2fpga.ir.vectors import extremes, random_vectors
from qap2fpga.system.arrays import save_npz
from qap2fpga.system.progress import Progress

ROWS, BOARD = 1000, "pynq-z2"


def main(source: Path, jets: Path, folder: Path) -> None:
    """Write the build folder."""
    options = backends.get("hls4ml").make_options()
    request = Request(Path("jets-6b-80pruned.pt"), boards.load(BOARD), "hls4ml", options, folder, Widths())
    network = storage.load(source)
    with np.load(jets) as data:
        rows, labels = data["X"][:ROWS], data["y"][:ROWS]
    with Progress(quiet=False) as progress, BuildFolder(folder, progress) as build:
        storage.save(network, folder / "network.npz")
        vectors = {
            "recorded": network.input.quantize(rows),
            "random": random_vectors(network, ROWS, seed=0),
            "extreme": extremes(network),
            "labels": labels,
        }
        save_npz(folder / "vectors.npz", vectors)
        key = "the image is built as a whole"
        model: Stored = {"facts": {}}  # no model was read: its frames are vectors
        build.stage(
            "generate",
            "generate: hls4ml",
            key,
            lambda say: making.generate(request, "hls4ml", options, model, lambda name: None, say),
        )


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
