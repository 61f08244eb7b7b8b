# SPDX-License-Identifier: Apache-2.0
"""How fast positions of a frame may come in: one per cycle, unless something gives more positions than it takes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from qap2fpga.backends.rtl.dataflow import pad, repeat
from qap2fpga.backends.rtl.dataflow.timing import Timing
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
    # With a cycle for each position that comes of an input position there is always enough time.
    most = math.prod(_grows(graph, node) for node in graph.nodes)
    return next((cycles for cycles in range(1, most) if not late(graph, cycles)), most)


def _grows(graph: Graph, node: Node) -> int:
    """How many positions at most come of one in what `node` gives, or moves over."""
    if isinstance(node, Repeat):
        return node.rows * node.columns
    frame = _padded(graph, node)
    return 1 if frame is None else -(-frame.shape.positions // frame.source.positions)


def _padded(graph: Graph, node: Node) -> pad.Frame | None:
    """The padded frame that the kernel of `node` moves over, if it needs one."""
    return pad.before(node.geometry, graph.shapes[node.sources[0]]) if isinstance(node, Windowed) else None


def late(graph: Graph, cycles: int) -> list[Node]:
    """Return the nodes that give more positions than there is time for, where one comes in every `cycles`."""
    came = timings(graph, cycles)
    return [node for node in graph.nodes if node.sources and not _keeps_up(graph, node, came[node.sources[0]])]


def _keeps_up(graph: Graph, node: Node, source: Timing) -> bool:
    if isinstance(node, Repeat):
        return repeat.rows(source, graph.shapes[node.sources[0]], node).keeps_up
    frame = _padded(graph, node)
    return frame is None or frame.keeps_up(source)


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
        return pad.timing(first, node.geometry, graph.shapes[node.sources[0]])
    if isinstance(node, Repeat):
        return repeat.timing(first, graph.shapes[node.sources[0]], node)
    latest = [np.max([getattr(one, key) for one in sources], axis=0) for key in ("cycles", "needs")]
    return Timing(latest[0], latest[1], first.period, first.pace)
