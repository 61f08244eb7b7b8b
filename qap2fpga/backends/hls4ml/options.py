# SPDX-License-Identifier: Apache-2.0
"""What the user may choose for the hls4ml backend."""

from __future__ import annotations

from dataclasses import dataclass

from qap2fpga.backends.api import UnrolledOptions
from qap2fpga.system.errors import QapError, nearest

LATENCY, UNROLLED, DISTRIBUTED = "latency", "resource_unrolled", "distributed_arithmetic"
STRATEGIES = (LATENCY, UNROLLED, DISTRIBUTED)


@dataclass(frozen=True)
class Hls4mlOptions(UnrolledOptions):
    """`strategy` is hls4ml's name for how a dense layer is written:

    'latency': loops over constant weights, which the HLS tool unrolls; products with 0 vanish there.
    'resource_unrolled': one line of C++ a non-zero weight; `reuse_factor` of them share a multiplier.
    'distributed_arithmetic': a shared adder graph without any multiplier; needs the package da4ml.

    `reuse_factor`: cycles between two inputs, so products that share a multiplier; 1 is fully unrolled.
    `clock`: nanoseconds that the HLS tool is asked for; None is the board's.
    `allow_oversize`: unroll even what is over `limits.MAX_PRODUCTS`.
    """

    strategy: str = LATENCY
    reuse_factor: int = 1

    def __post_init__(self) -> None:
        if self.strategy not in STRATEGIES:
            raise QapError(f"unknown strategy '{self.strategy}'", nearest(self.strategy, STRATEGIES))
        super().__post_init__()
        if self.reuse_factor < 1:
            raise QapError(f"reuse factor {self.reuse_factor}", "give a whole number of cycles, 1 is fully unrolled")
        if self.strategy == UNROLLED and self.reuse_factor == 1:
            # hls4ml 1.3.0 would print a line and take strategy 'resource', where zeros cost as much as weights.
            raise QapError(
                "strategy 'resource_unrolled' shares multipliers, with reuse factor 1 there is nothing to share",
                f"--reuse-factor 2 or more, or --strategy {LATENCY}",
            )
        if self.strategy == DISTRIBUTED and self.reuse_factor != 1:
            raise QapError(
                f"strategy 'distributed_arithmetic' with reuse factor {self.reuse_factor}: it has no multiplier to use "
                "again",
                f"--reuse-factor 1, or --strategy {UNROLLED}",
            )
