# SPDX-License-Identifier: Apache-2.0
"""What stages hand to each other: in the build folder, or as JSON-like values."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from qap2fpga.backends.hls4ml.project import HlsProject
from qap2fpga.design import Design, Probe, Stream
from qap2fpga.network import IntegerNetwork
from qap2fpga.request import Request

Say = Callable[[str], None]
Stored = dict[str, Any]
RELAXED = "network.relaxed.npz"


def exact(folder: Path) -> tuple[IntegerNetwork, dict[str, np.ndarray]]:
    with np.load(folder / "vectors.npz") as stored:
        return IntegerNetwork.load(folder / "network.npz"), dict(stored)


def load(request: Request) -> tuple[IntegerNetwork, dict[str, np.ndarray]]:
    """The network that hardware must equal, and the vectors."""
    _, arrays = exact(request.output)
    return IntegerNetwork.load(request.output / network_file(request)), arrays


def all_vectors(arrays: dict[str, np.ndarray]) -> np.ndarray:
    """Every input vector (n, inputs) of the build: recorded, random, extreme."""
    return np.concatenate([arrays[name] for name in ("recorded", "random", "extreme")])


def network_file(request: Request) -> str:
    """The file of the network that hardware must equal."""
    return RELAXED if request.tolerance else "network.npz"


def design(made: Stored, output: Path) -> Design:
    """The `Design` that `generate` stored."""
    fields = made["design"]
    streams = {name: Stream(**fields[name]) for name in ("input", "output")}
    return Design(
        **{
            **fields,
            **streams,
            "folder": output / fields["folder"],
            "sources": tuple(fields["sources"]),
            "data": tuple(fields["data"]),
            "probes": tuple(Probe(**one) for one in fields["probes"]),
        }
    )


def project(made: Stored, output: Path) -> HlsProject:
    """The `HlsProject` that `generate` stored."""
    return HlsProject.restore(made["design"], output / made["design"]["folder"])
