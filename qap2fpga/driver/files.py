# SPDX-License-Identifier: Apache-2.0
"""The folder `driver/` of a build for a Zynq board: all that goes onto the board beside the bitstream."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import numpy as np

from qap2fpga.driver.constants import constants
from qap2fpga.driver.header import header
from qap2fpga.hw.boards import Board
from qap2fpga.hw.design import Artifact
from qap2fpga.ir import outputs as reference
from qap2fpga.ir.graph import Graph
from qap2fpga.ir.shown import Frame
from qap2fpga.system.arrays import save_npz
from qap2fpga.system.files import shipped, write_atomically
from qap2fpga.system.names import identifier

FOLDER = "driver"


def write(
    artifact: Artifact, network: Graph, kind: str, board: Board, name: str, vectors: np.ndarray,
    folder: Path, frame: Frame | None = None,
) -> None:  # fmt: skip
    """Write `folder` anew: driver.py, constants.json, vectors.npz and `<name>.h`.

    `vectors` (n, inputs) are the recorded input integers of the self-test, `frame` how rows of the model become frames.
    """
    shutil.rmtree(folder, ignore_errors=True)
    content = constants(artifact, network, kind, board, frame)
    write_atomically(folder / "driver.py", (shipped("flows") / "driver" / "driver.py").read_text())
    write_atomically(folder / "constants.json", json.dumps(content.values, indent=1) + "\n")
    write_atomically(folder / f"{identifier(name)}.h", header(name, content))
    real = edges(network)
    save_npz(
        folder / "vectors.npz",
        {
            "inputs": vectors,
            "outputs": reference.outputs(network, kind, vectors),
            "real": real,
            "real_integers": network.input.quantize(real),
            **({} if frame is None else {"order": _order(frame)}),
        },
    )


def _order(frame: Frame) -> np.ndarray:
    """Where each value of a frame (1, inputs) stands in a row of the model."""
    return frame.frames(np.arange(math.prod(frame.model))[None])


def edges(network: Graph) -> np.ndarray:
    """Real inputs (n, inputs) float32 around every rounding of the quantizer: ties, steps, their neighbours, extremes.

    Wide quantizers are sampled.
    """
    source = network.input
    span = np.unique(np.linspace(source.low - 2, source.high + 2, 512).round())
    levels = np.concatenate([span, span + 0.5])[:, None]
    exact = (levels * np.asarray(source.scale) + np.asarray(source.offset)).astype(np.float32)
    columns = np.broadcast_to(exact, (len(exact), network.inputs))
    away = np.float32(np.inf)
    largest = np.finfo(np.float32).max
    rest = np.array([0.0, -0.0, away, -away, largest, -largest, np.finfo(np.float32).smallest_subnormal], np.float32)
    rows = np.concatenate([columns, np.nextafter(columns, away), np.nextafter(columns, -away)])
    return np.concatenate([rows, np.broadcast_to(rest[:, None], (len(rest), network.inputs))])
