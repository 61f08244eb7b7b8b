# SPDX-License-Identifier: Apache-2.0
"""What of a graph is one datapath: sums of products with constants at a position, and the function that takes them.

A sum of branches is a product with constants too, and a requantizer of anything else one with the unit matrix.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from qap2fpga.exact import integers as exact
from qap2fpga.ir.channelwise import Depthwise
from qap2fpga.ir.functions import Logits, Step
from qap2fpga.ir.geometry import Geometry
from qap2fpga.ir.graph import Graph
from qap2fpga.ir.joins import Sum
from qap2fpga.ir.linear import Linear
from qap2fpga.ir.nodes import Node, Requantizer
from qap2fpga.ir.tensors import Range
from qap2fpga.ir.units import Ranges, Unit
from qap2fpga.ir.windowed import Windowed


@dataclass(frozen=True, eq=False)
class Datapath:
    """One `unit` per position. `node` is its first node in the graph, `result` the last one's name.

    `bare`: its sums leave it, as no requantizer takes them alone. `counts`: of a step function the number of
    thresholds leaves it, not the level. `serial`: its inputs come one after the other. `totals`: what it takes are sums
    over the whole frame.
    """

    node: Node
    result: str
    unit: Unit
    ranges: Ranges
    bare: bool
    counts: bool
    serial: bool = False
    totals: bool = False

    @property
    def lanes(self) -> tuple[tuple[int, int], ...]:
        """(low, high) of what leaves it."""
        ends = self.ranges.accumulators if self.bare else self.ranges.outputs
        function = self.unit.activation
        if self.counts and isinstance(function, Step):
            ends = Step(function.thresholds).range(*self.ranges.accumulators)
        return tuple(Range(*ends).ends)

    @property
    def levels(self) -> Step | None:
        """The step function whose levels leave it, where they are not counts."""
        function = self.unit.activation
        return function if isinstance(function, Step) and not (self.bare or self.counts or function.counts) else None


def datapaths(graph: Graph, kind: str, serial: frozenset[str] = frozenset()) -> dict[str, Datapath]:
    """Return the datapaths by the node whose result leaves them, in the graph's order, for outputs of `kind`.

    `serial` are the nodes whose inputs come one after the other.
    """
    final = graph.end.sources[0] if kind == "accumulators" else graph.output
    paths: dict[str, Datapath] = {}
    for node in graph.nodes:
        if isinstance(node, Requantizer) and (final == graph.output or node.name != graph.output):
            source = graph[node.sources[0]]
            alone = source.name != final and source.name not in serial and _has_one_reader(graph, source)
            taken = paths.pop(source.name) if alone else None
            paths[node.name] = _of_requantizer(graph, node, taken)
        elif isinstance(node, Linear | Depthwise | Sum):
            paths[node.name] = replace(_of_sums(graph, node), serial=node.name in serial)
    return paths


def _has_one_reader(graph: Graph, source: Node) -> bool:
    """Whether `source` has sums that one node takes, which may be in the same datapath."""
    return isinstance(source, Linear | Depthwise | Sum) and len(graph.readers(source.name)) == 1


def _of_sums(graph: Graph, node: Linear | Depthwise | Sum) -> Datapath:
    channels = graph.shapes[node.name].channels
    nothing = Logits(np.ones(channels, np.int64), np.zeros(channels, np.int64), 0, None)
    end = Requantizer(name=node.name, sources=(node.name,), function=nothing)
    ranges = _ranges(graph, node, node.name)
    totals = isinstance(node, Depthwise) and sums_up_frames(graph, node)
    return Datapath(node, node.name, Unit(_linear(graph, node), end), ranges, True, False, totals=totals)


def _of_requantizer(graph: Graph, node: Requantizer, taken: Datapath | None) -> Datapath:
    """The datapath of `node`, which has `taken`, that of its source's sums, in it, if there is one."""
    counts = node.name == graph.output
    if taken is None:
        unit = Unit(_linear(graph, node), node)
        return Datapath(node, node.name, unit, _ranges(graph, node, node.name), False, counts)
    ranges = _ranges(graph, taken.node, node.name)
    return replace(
        taken, result=node.name, unit=Unit(taken.unit.linear, node), ranges=ranges, bare=False, counts=counts
    )


def _linear(graph: Graph, node: Node) -> Linear:
    """The products of `node` with constants as one matrix."""
    match node:
        case Linear():
            return node
        case Depthwise(weights=weights):
            each = np.eye(weights.shape[1], dtype=np.int64)
            rows = weights[:1] if sums_up_frames(graph, node) else weights
            matrix = np.concatenate([each * row for row in rows])
            bits = node.weight_bits, node.input_bits
        case Sum(multipliers=multipliers):
            each = np.eye(graph.shapes[node.name].channels, dtype=np.int64)
            matrix = np.concatenate([each * one for one in multipliers])
            bits = 1, graph.node_ranges[node.name].bits
        case _:
            matrix = np.eye(graph.shapes[node.name].channels, dtype=np.int64)
            bits = 1, graph.node_ranges[node.sources[0]].bits
    return Linear(
        name=node.name, sources=node.sources, weights=matrix, weight_bits=bits[0], input_bits=bits[1],
        channels=node.channels,
    )  # fmt: skip


def _ranges(graph: Graph, first: Node, result: str) -> Ranges:
    """What can be reached between the window of `first` and the node `result`."""
    sources = [graph.node_ranges[source] for source in first.sources]
    if isinstance(first, Depthwise) and sums_up_frames(graph, first):
        sources = [totals(sources[0], first.geometry.taps)]
    elif isinstance(first, Linear | Depthwise):
        sources = [seen(first.geometry, sources[0])]
    sums = sources[0] if isinstance(first, Requantizer) else graph.node_ranges[first.name]
    return Ranges(_ends(sources), _ends([sums]), _ends([graph.node_ranges[result]]))


def seen(geometry: Geometry, source: Range) -> Range:
    """Return the range of every channel at every tap."""
    one = geometry.seen(source)
    return Range(np.tile(one.low, geometry.taps), np.tile(one.high, geometry.taps))


def sums_up_frames(graph: Graph, node: Depthwise) -> bool:
    """Return whether all positions of a frame have one weight in each channel, and are more than one."""
    source = graph.shapes[node.sources[0]]
    whole = node.geometry.sees_whole(source) and source.positions > 1
    return whole and bool((node.weights == node.weights[0]).all())


def has_window(graph: Graph, node: Windowed, serial: frozenset[str]) -> bool:
    """Return whether positions are held for `node`: neither taken one by one nor summed up as they come."""
    if node.geometry.is_point or (node.name in serial and node.geometry.sees_whole(graph.shapes[node.sources[0]])):
        return False
    return not (isinstance(node, Depthwise) and sums_up_frames(graph, node))


def totals(source: Range, positions: int) -> Range:
    """Return the range of the sum of each channel over so many positions."""
    return Range(*(exact.multiply_add(end, positions, 0, "sums over a frame") for end in (source.low, source.high)))


def _ends(ranges: Sequence[Range]) -> tuple[np.ndarray, np.ndarray]:
    return np.concatenate([one.low for one in ranges]), np.concatenate([one.high for one in ranges])
