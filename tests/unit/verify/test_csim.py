# SPDX-License-Identifier: Apache-2.0
"""The arrays of a C simulation compared with the nodes that they are of."""

from __future__ import annotations

import numpy as np
import pytest

from qap2fpga.hw.design import Trace
from qap2fpga.ir.vectors import random_vectors
from qap2fpga.system.errors import QapError
from qap2fpga.verify import csim
from qap2fpga.verify.compare import Mismatch
from tests.support.graphs import random_graph

GRAPH = random_graph(3)
VECTORS = random_vectors(GRAPH, 20, 1)
# In another order than the graph's, under names of the HLS tool's own.
TRACES = [Trace(f"array{number}", node.name, 0) for number, node in enumerate(reversed(GRAPH.nodes[1:]))]


def arrays() -> dict[str, np.ndarray]:
    results = GRAPH.trace(VECTORS)
    return {trace.name: results[trace.node].copy() for trace in TRACES}


def test_equal_arrays_pass_in_any_order() -> None:
    csim.require_layers(TRACES, arrays(), GRAPH, VECTORS)


@pytest.mark.parametrize("trace", TRACES, ids=lambda trace: trace.node)
def test_an_array_that_differs_names_its_layer_and_what_it_holds(trace: Trace) -> None:
    found = arrays()
    found[trace.name][7, 1] += 1
    layer = GRAPH.unit(trace.node)
    what = f"layer {layer.name}, {layer.word(trace.node)} \\(channel {layer.channel_name(1)} of the model\\)"
    with pytest.raises(Mismatch, match=f"{what}: 1 of 20 vectors differ; first vector 7, channel 1"):
        csim.require_layers(TRACES, found, GRAPH, VECTORS)


def test_a_node_that_the_network_has_not_is_refused() -> None:
    with pytest.raises(QapError, match="the network has no layer with a node 'fc9'"):
        csim.require_layers([Trace("array", "fc9", 1)], {}, GRAPH, VECTORS)
