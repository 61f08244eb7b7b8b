# SPDX-License-Identifier: Apache-2.0
"""How fast positions of a frame may come in: one per cycle, unless something gives more positions than it takes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from qap2fpga.backends.rtl.dataflow import repeat
from qap2fpga.backends.rtl.dataflow.timing import Timing
from qap2fpga.backends.rtl.dataflow.window import Sweep
from qap2fpga.ir.channelwise import Repeat
from qap2fpga.ir.graph import Graph
from qap2fpga.ir.nodes import Node
from qap2fpga.ir.windowed import Windowed


def pace_for(graph: Graph, interval: int | None) -> int:
    """Return the cycles from one input position to the next, where a frame may take `interval` cycles."""
    return max(pace(graph), (interval or 0) // graph.source.size.positions)


@lru_cache(maxsize=4)
def pace(graph: Graph) -> int:
    """Return the fewest cycles from one input position to the next with which everything keeps up."""
    repeats = [node for node in graph.nodes if isinstance(node, Repeat)]
    # With a cycle for each position that comes of an input position there is always enough time.
    most = math.prod(one.rows * one.columns for one in repeats)
    return next((cycles for cycles in range(1, most) if not late(graph, cycles)), most)


def late(graph: Graph, cycles: int) -> list[Repeat]:
    """Return the nodes to which rows come faster than they are repeated, a position every `cycles`."""
    came = timings(graph, cycles)
    repeats = [node for node in graph.nodes if isinstance(node, Repeat)]
    return [
        one for one in repeats
        if not repeat.rows(came[one.sources[0]], graph.shapes[one.sources[0]], one).keeps_up
    ]  # fmt: skip


def timings(graph: Graph, cycles: int) -> dict[str, Timing]:
    """Return when the results of all nodes would pass by if datapaths took no time, a position every `cycles`."""
    came: dict[str, Timing] = {}
    for node in graph.nodes:
        came[node.name] = passed(graph, node, [came[source] for source in node.sources], cycles)
    return came


def passed(graph: Graph, node: Node, sources: Sequence[Timing], cycles: int) -> Timing:
    """Return when the result of `node` would pass by, from when those of its `sources` do."""
    if not sources:
        return Timing.of_input(graph.source.size.positions, cycles)
    first = sources[0]
    if isinstance(node, Windowed):
        return first.at(Sweep(node.geometry, graph.shapes[node.sources[0]]).places).later(1)
    if isinstance(node, Repeat):
        return repeat.timing(first, graph.shapes[node.sources[0]], node)
    latest = [np.max([getattr(one, key) for one in sources], axis=0) for key in ("cycles", "needs")]
    return Timing(latest[0], latest[1], first.period, first.pace)
