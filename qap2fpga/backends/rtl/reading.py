# SPDX-License-Identifier: Apache-2.0
"""What the requantizers of the rtl backend get: a node of the adder graph, not always the accumulator itself."""

from __future__ import annotations

from qap2fpga.backends.rtl import graphs
from qap2fpga.backends.rtl.datapaths import Datapath, datapaths
from qap2fpga.backends.rtl.layer import falls
from qap2fpga.ir.graph import Graph
from qap2fpga.requant.relax import Reading


def readings(graph: Graph) -> dict[str, list[Reading]]:
    """Return what every requantizer of `graph` gets, one per channel.

    A factor that all weights share is not in the node; a negative node is read as its complement.
    """
    return {name: _readings(path) for name, path in datapaths(graph, "logits").items() if not path.bare}


def _readings(path: Datapath) -> list[Reading]:
    outputs = graphs.of_path(path).outputs
    return [
        Reading(max(1, output.factor) << max(output.shift, 0), -int(falls(path.unit, channel, output)))
        for channel, output in enumerate(outputs)
    ]
