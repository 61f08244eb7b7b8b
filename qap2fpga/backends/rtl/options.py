# SPDX-License-Identifier: Apache-2.0
"""What the user may choose for the rtl backend."""

from __future__ import annotations

from dataclasses import dataclass

from qap2fpga.ir.outputs import check_output_kind
from qap2fpga.system.errors import QapError


@dataclass(frozen=True)
class RtlOptions:
    """`clock`: nanoseconds that the pipeline is cut for; None is the board's.

    `requant_tolerance`: output steps that a requantizer may be off by where that is cheaper; 0 is exact.
    `allow_oversize`: go on although the estimate does not fit the board.
    """

    clock: float | None = None
    requant_tolerance: int = 0
    output_kind: str = "logits"
    allow_oversize: bool = False

    def __post_init__(self) -> None:
        check_output_kind(self.output_kind)
        if self.requant_tolerance < 0:
            raise QapError(f"--requant-tolerance is {self.requant_tolerance}", "give output steps, 0 is exact")
        if self.clock is not None and not 1 <= self.clock <= 1000:
            raise QapError(f"--clock is {self.clock:g} ns", "give nanoseconds, 1 to 1000")
