# SPDX-License-Identifier: Apache-2.0
"""What a build is asked for, as every stage sees it; imports nothing heavy."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path

from qap2fpga.backends.api import Options
from qap2fpga.frontend.checkpoint.widths import Widths
from qap2fpga.hw.boards import Board

STAGES = ("model", "generate", "simulate", "synthesize", "route")
CROSS_CHECKS = ("ecp5",)
# Bytes; most file systems allow 255, and files that are being written have a longer name.
LONGEST_NAME = 200


@dataclass(frozen=True)
class Request:
    """What to build. `options` is the backend's own options object; `until` is one of `STAGES`.

    `vendor` are the steps that AMD's tools are to run; None: those of `VENDOR_STEPS` whose tool is installed.
    `prove`: whether hardware is proven to be the network; None: where that is expected to be quick.
    `cross_check` is one of `CROSS_CHECKS`, another device that the design is placed on too; empty: none.
    `command` is the command line that asked for it, which is only shown.
    `model_output` names where the model's graph ends, if not in its outputs.
    `cache`: take what other builds have done, and leave them what this one does.
    """

    model: Path
    board: Board
    backend: str
    options: Options
    output: Path
    widths: Widths
    data: Path | None = None
    input_range: tuple[float, float] | None = None
    classes: tuple[str, ...] = ()
    until: str = STAGES[-1]
    vendor: tuple[str, ...] | None = None
    cross_check: str = ""
    command: str = ""
    model_output: str = ""
    prove: bool | None = None
    cache: bool = True

    @property
    def output_kind(self) -> str:
        """What leaves the chip, one of `ir.outputs.OUTPUT_KINDS`."""
        return self.options.output_kind

    @property
    def tolerance(self) -> int:
        """Output steps that a requantizer may differ by; 0 is exact."""
        return self.options.tolerance

    @property
    def asked(self) -> dict[str, object]:
        """What is asked for, by the names of the options of `qap2fpga build`."""
        own = {name: value for name, value in asdict(self.options).items() if value is not None}
        known = {
            "model": self.model, "board": self.board.name, "backend": self.backend, "output": self.output,
            "weight_bits": self.widths.weight, "activation_bits": self.widths.activation,
            "input_bits": self.widths.input, "input_data": self.data, "input_range": self.input_range,
            "classes": self.classes, "until": self.until, "vendor": self.vendor, "cross_check": self.cross_check,
        }  # fmt: skip
        return {name.replace("_", "-"): value for name, value in (known | own).items()}

    def reaches(self, stage: str) -> bool:
        """Whether `stage` is to run."""
        return STAGES.index(self.until) >= STAGES.index(stage)


def default_output(model: Path, backend: str, board: Board) -> Path:
    """Where a build goes when the user does not say."""
    name = f"{model.stem}-{backend}-{board.name}"
    if len(name.encode(errors="replace")) > LONGEST_NAME:
        name = f"{sha256(name.encode(errors='replace')).hexdigest()[:16]}-{backend}"
    return Path("builds") / name
