# SPDX-License-Identifier: Apache-2.0
"""What stages hand to each other: in the build folder, or as JSON-like values."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import asdict, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from qap2fpga import backends
from qap2fpga.build.folder import BUILD_AGAIN
from qap2fpga.build.request import Request
from qap2fpga.hw.design import Artifact, Design, HlsProject
from qap2fpga.ir import storage
from qap2fpga.ir.graph import Graph
from qap2fpga.ir.shown import Frame
from qap2fpga.system import codec as shapes
from qap2fpga.system.arrays import load_npz
from qap2fpga.system.errors import QapError
from qap2fpga.system.files import PLACE

Say = Callable[[str], None]
Stored = dict[str, Any]
RELAXED = "network.relaxed.npz"
VECTORS = "vectors.npz"
EVERY = ("recorded", "random", "extreme")


def exact(folder: Path) -> tuple[Graph, dict[str, np.ndarray]]:
    network = storage.load(folder / "network.npz")
    return network, vectors(folder, network)


def load(request: Request) -> tuple[Graph, dict[str, np.ndarray]]:
    """The network that hardware must equal, and the vectors."""
    network = storage.load(request.output / network_file(request))
    return network, vectors(request.output, network)


def vectors(folder: Path, network: Graph) -> dict[str, np.ndarray]:
    """Return the arrays of the build's vectors. Raises `QapError` where they are none that `network` takes."""
    path = folder / VECTORS
    arrays: dict[str, np.ndarray] = dict(load_npz(path, BUILD_AGAIN))
    for name in EVERY:
        rows = arrays.get(name)
        if rows is None or rows.dtype.kind != "i" or rows.ndim != 2 or rows.shape[1] != network.inputs:
            raise QapError(f"{path}: '{name}' is not rows of {network.inputs} integers", BUILD_AGAIN)
        if not network.input.gives(rows):
            raise QapError(f"{path}: '{name}' has values that the input's quantizer does not give", BUILD_AGAIN)
    labels, first = arrays.get("labels"), arrays.get("first_input")
    if labels is not None and (labels.dtype.kind != "i" or labels.shape != (len(arrays["recorded"]),)):
        raise QapError(f"{path}: 'labels' is not one class number a recorded row", BUILD_AGAIN)
    if first is not None and (first.dtype.kind != "f" or first.shape != (network.inputs,)):
        raise QapError(f"{path}: 'first_input' is not {network.inputs} numbers", BUILD_AGAIN)
    return arrays


def all_vectors(arrays: dict[str, np.ndarray]) -> np.ndarray:
    """Every input vector (n, inputs) of the build: recorded, random, extreme."""
    return np.concatenate([arrays[name] for name in EVERY])


def network_file(request: Request) -> str:
    """The file of the network that hardware must equal."""
    return RELAXED if request.tolerance else "network.npz"


def fields(artifact: Artifact, output: Path) -> Stored:
    """Return what `generate` stores of what a backend left in a folder below `output`."""
    folder = artifact.folder.resolve().relative_to(output.resolve())
    nodes = [shapes.encode(node) for node in artifact.nodes]
    return asdict(replace(artifact, nodes=())) | {"folder": str(folder), "nodes": nodes}


def frame(model: Stored, output: Path) -> Frame | None:
    """Return how a row of the model becomes a frame; None where both are the same vector."""
    stored = model["facts"].get("frame")
    return None if stored is None else shapes.decode(Frame, stored, "facts.frame", f"{output}: model")


def artifact(generated: Stored, output: Path) -> Artifact:
    """What `generate` stored, of the type that its backend leaves."""
    kind = backends.get(str(generated.get("backend"))).artifact
    return shapes.tree(kind, _placed(generated, output), "design", f"{output}: generate")  # type: ignore[no-any-return]


def design(generated: Stored, output: Path) -> Design:
    """The hardware that `generate` stored. Raises `QapError` where it left C++."""
    circuit = artifact(generated, output).circuit
    if circuit is None:
        raise QapError(f"{output}: what stage 'generate' stored is no hardware", BUILD_AGAIN)
    return circuit


def project(generated: Stored, output: Path) -> HlsProject:
    """The `HlsProject` that `generate` stored."""
    return shapes.tree(HlsProject, _placed(generated, output), "design", f"{output}: generate")


def _placed(generated: Stored, output: Path) -> Stored:
    """The fields of what was generated, with its folder inside of `output`."""
    fields = generated.get("design")
    if not isinstance(fields, dict):
        raise QapError(f"{output}: what stage 'generate' stored has no design", BUILD_AGAIN)
    listed = [fields.get(key) or [] for key in ("sources", "data")]
    if not all(isinstance(one, list) for one in listed):
        raise QapError(f"{output}: what stage 'generate' stored lists no files", BUILD_AGAIN)
    names = [fields.get("folder"), *chain.from_iterable(listed)]
    if not all(isinstance(name, str) and PLACE.fullmatch(name) for name in names):
        raise QapError(f"{output}: what stage 'generate' stored names files outside of the build", BUILD_AGAIN)
    if not re.fullmatch(r"[A-Za-z_]\w*", str(fields.get("top")), re.ASCII):
        raise QapError(f"{output}: what stage 'generate' stored names no top module", BUILD_AGAIN)
    return {**fields, "folder": output / str(fields["folder"])}
