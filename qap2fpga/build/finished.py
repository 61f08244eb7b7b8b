# SPDX-License-Identifier: Apache-2.0
"""A finished build, opened again: its network, how a row becomes a frame, and what runs the artifact."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from qap2fpga.build import folder as stages
from qap2fpga.build import stored
from qap2fpga.hw.design import Artifact, Design, HlsProject
from qap2fpga.ir import storage
from qap2fpga.ir.graph import Graph
from qap2fpga.ir.shown import Frame
from qap2fpga.system.errors import QapError, nearest
from qap2fpga.system.progress import Progress
from qap2fpga.system.reading import shown
from qap2fpga.verify.csim import CSimulation
from qap2fpga.verify.engine import Engine, Reference
from qap2fpga.verify.rtl import FULL_SPEED, Rtl
from qap2fpga.verify.verilator import Schedule

REFERENCE, RTL, CSIM = "reference", "rtl", "csim"
ENGINES = (REFERENCE, RTL, CSIM)
HINT = "build the model again, --until generate at least"


class AtFullSpeed(Rtl):
    """The generated Verilog under one schedule, for its outputs alone."""

    def plan(self) -> tuple[Schedule, ...]:
        """Return the one schedule to run."""
        return (Schedule(FULL_SPEED, seed=1),)


@dataclass(frozen=True, eq=False)
class Finished:
    """What a build left: `kind` is what leaves the chip, `artifact` None where it went no further than the network."""

    folder: Path
    network: Graph
    frame: Frame | None
    kind: str
    artifact: Artifact | None

    def outputs(self, vectors: np.ndarray, engine: str) -> np.ndarray:
        """Return what leaves the chip (n, outputs) for input integers (n, inputs), as `engine` of `ENGINES` runs it.

        Raises `QapError` for an engine that this build has nothing for, or whose tool is absent.
        """
        with stages.BuildFolder(self.folder, Progress(quiet=True)):
            return self._engine(engine).outputs(vectors)

    def _engine(self, name: str) -> Engine:
        match name, self.artifact:
            case "reference", _:
                return Reference(self.network, self.kind)
            case "rtl", Design() as design:
                # The program that the build compiled is used again.
                return AtFullSpeed(design, self.folder / "simulate", threads=1)
            case "csim", HlsProject() as project:
                return CSimulation(project, self.network, self.folder / "csim")
        if name not in ENGINES:
            raise QapError(f"unknown engine {shown(name)}", nearest(name, ENGINES))
        what = {RTL: "Verilog", CSIM: "C++"}[name]
        raise QapError(
            f"{self.folder}: the build left no {what}", HINT if self.artifact is None else "use another engine"
        )


def open_folder(folder: Path, *, generated: bool) -> Finished:
    """Return what the build in `folder` left, of hardware too if it was `generated`.

    Raises `QapError` where there is no build, or a damaged one.
    """
    model = stages.stored(folder, "model", HINT)
    if not isinstance(model, Mapping) or not isinstance(model.get("facts"), Mapping):
        raise QapError(f"{folder}: what stage 'model' stored has no facts", HINT)
    left = _generated(folder) if generated else None
    name = "network.npz" if left is None else left.get("network")
    if name not in ("network.npz", stored.RELAXED):
        raise QapError(f"{folder}: what stage 'generate' stored names the network {shown(name)}", HINT)
    artifact = None if left is None else stored.artifact(left, folder)
    kind = "logits" if artifact is None else artifact.output_kind
    return Finished(folder, storage.load(folder / str(name)), stored.frame(dict(model), folder), kind, artifact)


def _generated(folder: Path) -> dict[str, Any]:
    generated = stages.stored(folder, "generate", HINT)
    if not isinstance(generated, dict):
        raise QapError(f"{folder}: what stage 'generate' stored is no object", HINT)
    return generated
