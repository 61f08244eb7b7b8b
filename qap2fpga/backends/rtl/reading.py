# SPDX-License-Identifier: Apache-2.0
"""What the requantizers of the rtl backend get: a node of the adder graph, not always the accumulator itself."""

from __future__ import annotations

from qap2fpga.backends.rtl import solver
from qap2fpga.backends.rtl.layer import falls
from qap2fpga.ir.units import Ranges, Unit
from qap2fpga.requant.relax import Reading


def readings(layer: Unit, ranges: Ranges) -> list[Reading]:
    """One a channel. A factor that all weights share is not in the node; a negative node is read as its complement."""
    graph = solver.solve(layer.weights, *ranges.inputs, layer.name)
    return [
        Reading(max(1, output.factor) << max(output.shift, 0), -int(falls(layer, channel, output)))
        for channel, output in enumerate(graph.outputs)
    ]
