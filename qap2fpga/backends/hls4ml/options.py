# SPDX-License-Identifier: Apache-2.0
"""What the user may choose for the hls4ml backend."""

from __future__ import annotations

from dataclasses import dataclass

from qap2fpga.backends.api import UnrolledOptions
from qap2fpga.ir.graph import Graph
from qap2fpga.system.errors import QapError, nearest

LATENCY, RESOURCE, UNROLLED, DISTRIBUTED = "latency", "resource", "resource_unrolled", "distributed_arithmetic"
STRATEGIES = (LATENCY, RESOURCE, UNROLLED, DISTRIBUTED)
PARALLEL, STREAM = "parallel", "stream"
IO_TYPES = (PARALLEL, STREAM)


@dataclass(frozen=True)
class Hls4mlOptions(UnrolledOptions):
    """`strategy` is hls4ml's name for how a layer of products is written:

    'latency': loops over constant weights, which the HLS tool unrolls; products with 0 vanish there.
    'resource': one multiplier does the products of `reuse_factor` weights one after the other, zeros among them.
    'resource_unrolled': one line of C++ a non-zero weight; `reuse_factor` of them share a multiplier.
    'distributed_arithmetic': a shared adder graph without any multiplier; needs the package da4ml.

    `io_type`: how tensors pass between layers, 'parallel' as whole arrays or 'stream' position by position; None is
    'parallel' for a network of vectors and 'stream' for one of frames.
    `reuse_factor`: cycles between two inputs, so products that share a multiplier; 1 is fully unrolled.
    `clock`: nanoseconds that the HLS tool is asked for; None is the board's.
    `allow_oversize`: unroll even what is over `limits.MAX_PRODUCTS`.
    """

    strategy: str = LATENCY
    reuse_factor: int = 1
    io_type: str | None = None

    def __post_init__(self) -> None:
        if self.strategy not in STRATEGIES:
            raise QapError(f"unknown strategy '{self.strategy}'", nearest(self.strategy, STRATEGIES))
        if self.io_type is not None and self.io_type not in IO_TYPES:
            raise QapError(f"unknown --io-type '{self.io_type}'", nearest(self.io_type, IO_TYPES))
        super().__post_init__()
        if self.reuse_factor < 1:
            raise QapError(f"reuse factor {self.reuse_factor}", "give a whole number of cycles, 1 is fully unrolled")
        if self.strategy in (RESOURCE, UNROLLED) and self.reuse_factor == 1:
            # hls4ml 1.3.0 would print a line and take strategy 'resource', where zeros cost as much as weights.
            raise QapError(
                f"strategy '{self.strategy}' shares multipliers, with reuse factor 1 there is nothing to share",
                f"--reuse-factor 2 or more, or --strategy {LATENCY}",
            )
        if self.strategy == DISTRIBUTED and self.reuse_factor != 1:
            raise QapError(
                f"strategy 'distributed_arithmetic' with reuse factor {self.reuse_factor}: it has no multiplier to use "
                "again",
                f"--reuse-factor 1, or --strategy {UNROLLED}",
            )

    def streams(self, graph: Graph) -> bool:
        """Return whether the tensors of `graph` pass between layers position by position."""
        if self.io_type is not None:
            return self.io_type == STREAM
        return self.has_frames(graph)

    @staticmethod
    def has_frames(graph: Graph) -> bool:
        """Return whether any tensor of `graph` has several positions."""
        return any(shape.positions > 1 for shape in graph.shapes.values())
