# SPDX-License-Identifier: Apache-2.0
"""How fast positions of a frame may come in: one per cycle, unless something gives more positions than it takes."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from qap2fpga.backends.rtl.dataflow import repeat
from qap2fpga.backends.rtl.dataflow.timing import Timing
from qap2fpga.backends.rtl.dataflow.window import Sweep
from qap2fpga.ir.channelwise import Repeat
from qap2fpga.ir.graph import Graph
from qap2fpga.ir.windowed import Windowed


@lru_cache(maxsize=4)
def pace(graph: Graph) -> int:
    """Return the fewest cycles from one input position to the next with which everything keeps up."""
    repeats = [node for node in graph.nodes if isinstance(node, Repeat)]
    # With a cycle for each position that comes of an input position there is always enough time.
    most = math.prod(one.rows * one.columns for one in repeats)
    for cycles in range(1, most):
        came = timings(graph, cycles)
        if all(repeat.rows(came[one.sources[0]], graph.shapes[one.sources[0]], one).keeps_up for one in repeats):
            return cycles
    return most


def timings(graph: Graph, cycles: int) -> dict[str, Timing]:
    """Return when the results of all nodes would pass by if datapaths took no time, a position every `cycles`."""
    came: dict[str, Timing] = {}
    for node in graph.nodes:
        sources = [came[source] for source in node.sources]
        if not sources:
            came[node.name] = Timing.of_input(graph.source.size.positions, cycles)
        elif isinstance(node, Windowed):
            sweep = Sweep(node.geometry, graph.shapes[node.sources[0]])
            came[node.name] = sources[0].at(sweep.places).later(1)
        elif isinstance(node, Repeat):
            came[node.name] = repeat.timing(sources[0], graph.shapes[node.sources[0]], node)
        else:
            first = sources[0]
            latest = [np.max([getattr(one, key) for one in sources], axis=0) for key in ("cycles", "needs")]
            came[node.name] = Timing(latest[0], latest[1], first.period, first.pace)
    return came
