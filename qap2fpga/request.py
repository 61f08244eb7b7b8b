# SPDX-License-Identifier: Apache-2.0
"""What a build is asked for, as every stage sees it; imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from qap2fpga.board import Board
from qap2fpga.checkpoint.widths import Widths
from qap2fpga.errors import QapError, nearest

OUTPUT_KINDS = ("logits", "values", "class", "accumulators")
# Those whose integers are worth the network's output scale.
IN_SCALE = ("logits", "values")
STAGES = ("model", "generate", "simulate", "synthesize", "route")
CROSS_CHECKS = ("ecp5",)
# Bytes; most file systems allow 255, and files that are being written have a longer name.
LONGEST_NAME = 200


@dataclass(frozen=True)
class Request:
    """What to build. `options` is the backend's own options object; `until` is one of `STAGES`.

    `vendor` are the steps that AMD's tools are to run; None: those of `VENDOR_STEPS` whose tool is installed.
    `cross_check` is one of `CROSS_CHECKS`, another device that the design is placed on too; empty: none.
    """

    model: Path
    board: Board
    backend: str
    options: Any
    output: Path
    widths: Widths
    data: Path | None = None
    input_range: tuple[float, float] | None = None
    classes: tuple[str, ...] = ()
    until: str = STAGES[-1]
    vendor: tuple[str, ...] | None = None
    cross_check: str = ""

    @property
    def output_kind(self) -> str:
        """What leaves the chip, one of `OUTPUT_KINDS`."""
        return str(self.options.output_kind)

    @property
    def tolerance(self) -> int:
        """Output steps that a requantizer may differ by; 0 is exact, and so is a backend without that choice."""
        return int(getattr(self.options, "requant_tolerance", 0))

    def reaches(self, stage: str) -> bool:
        """Whether `stage` is to run."""
        return STAGES.index(self.until) >= STAGES.index(stage)


def check_output_kind(kind: str) -> None:
    """Raise `QapError` with the known ones for a `kind` that there is not."""
    if kind not in OUTPUT_KINDS:
        raise QapError(f"unknown output kind '{kind}'", nearest(kind, OUTPUT_KINDS))


def require_classes(kind: str, outputs: int) -> None:
    """Raise `QapError` if the number of a class is to leave the chip of a network that has none."""
    if kind == "class" and outputs == 1:
        raise QapError(
            "--output-kind class: the network has one output, so its class would always be 0",
            "leave --output-kind out: the output's sign is exact, and it decides between two classes",
        )


def default_output(model: Path, backend: str, board: Board) -> Path:
    """Where a build goes when the user does not say."""
    name = f"{model.stem}-{backend}-{board.name}"
    if len(name.encode(errors="replace")) > LONGEST_NAME:
        name = f"{sha256(name.encode(errors='replace')).hexdigest()[:16]}-{backend}"
    return Path("builds") / name
