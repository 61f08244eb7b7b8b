# SPDX-License-Identifier: Apache-2.0
"""The arrays of a C simulation compared with the nodes that they are of."""

from __future__ import annotations

import numpy as np
import pytest

from qap2fpga.hw.design import Trace
from qap2fpga.ir.vectors import random_vectors
from qap2fpga.system.errors import QapError
from qap2fpga.verify.engine import Shown, first_wrong
from tests.support.graphs import random_graph

GRAPH = random_graph(3)
VECTORS = random_vectors(GRAPH, 20, 1)
# In another order than the graph's, under names of the HLS tool's own.
TRACES = [Trace(f"array{number}", node.name, 0) for number, node in enumerate(reversed(GRAPH.nodes[1:]))]


def arrays() -> dict[str, np.ndarray]:
    results = GRAPH.trace(VECTORS)
    return {trace.name: results[trace.node].copy() for trace in TRACES}


def shown(values: dict[str, np.ndarray]) -> list[Shown]:
    return [Shown(trace.node, values[trace.name]) for trace in TRACES]


def test_equal_arrays_pass_in_any_order() -> None:
    assert first_wrong(GRAPH, shown(arrays()), VECTORS) is None


@pytest.mark.parametrize("trace", TRACES, ids=lambda trace: trace.node)
def test_an_array_that_differs_names_its_layer_and_what_it_holds(trace: Trace) -> None:
    values = arrays()
    values[trace.name][7, 1] += 1
    layer = GRAPH.unit(trace.node)
    said = first_wrong(GRAPH, shown(values), VECTORS)
    assert said is not None
    assert f"layer {layer.name} is wrong first: its {layer.word(trace.node)} in vector 7, channel 1" in said
    assert f"(channel {layer.channel_name(1)} of the model)" in said


def test_a_node_that_the_network_has_not_is_refused() -> None:
    with pytest.raises(QapError, match="the network has no layer with a node 'fc9'"):
        first_wrong(GRAPH, [Shown("fc9", VECTORS)], VECTORS)
