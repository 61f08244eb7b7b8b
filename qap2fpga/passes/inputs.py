# SPDX-License-Identifier: Apache-2.0
"""Features of the input that are 0 always, since their quantizer has lost all its bits, are not multiplied.

Frames come whole, so such a feature stays in the input; only its weights become 0.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from qap2fpga.ir.channelwise import Depthwise
from qap2fpga.ir.graph import Graph
from qap2fpga.ir.linear import Linear


def ignore_zero_inputs(graph: Graph) -> Graph:
    """Return the graph without weights of input features that are 0 for every frame."""
    span = graph.node_ranges[graph.source.name]
    zero = span.constant & (span.low == 0)
    if not zero.any():
        return graph
    changed = []
    for node in graph.readers(graph.source.name):
        if isinstance(node, Linear | Depthwise) and node.padded_with <= {0}:
            rows = zero[None, :] if isinstance(node, Depthwise) else np.tile(zero, node.geometry.taps)[:, None]
            changed.append(replace(node, weights=np.where(rows, 0, node.weights)))
    return graph.with_nodes(*changed)
