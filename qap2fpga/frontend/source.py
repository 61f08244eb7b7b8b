# SPDX-License-Identifier: Apache-2.0
"""What is to be read; imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from qap2fpga.frontend.checkpoint.widths import Widths


@dataclass(frozen=True)
class Source:
    """What the user gave: the model file and what it does not say itself. `range` is (low, high) of the inputs.

    `compare`: compare torch and QONNX with the integer network; an estimate does without. `output_kind`: what leaves
    the chip; of 'values' the scale is as fine as the accumulators, not just fine enough for the class. `output`: where
    the graph ends, by the name of an output, a tensor or a node.
    """

    path: Path
    widths: Widths
    data: Path | None = None
    range: tuple[float, float] | None = None
    classes: tuple[str, ...] = ()
    compare: bool = True
    output_kind: str = "logits"
    output: str = ""
