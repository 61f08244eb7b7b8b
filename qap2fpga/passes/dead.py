# SPDX-License-Identifier: Apache-2.0
"""Hidden channels whose value cannot change, or that nothing reads, are taken out.

A constant one (all weights pruned, gamma 0, thresholds out of range) moves into the thresholds after the next sums. A
channel can only go from all nodes at once through which it passes unmixed: a residual's sum keeps it for all branches.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from qap2fpga.ir.functions import Step
from qap2fpga.ir.graph import Graph
from qap2fpga.ir.linear import Linear
from qap2fpga.ir.nodes import Node, Requantizer
from qap2fpga.ir.tensors import Code
from qap2fpga.system.errors import ConstantNetwork

Masks = Mapping[str, np.ndarray]
Foldable = Mapping[str, Sequence[np.ndarray]]


def _hidden(graph: Graph) -> list[tuple[Requantizer, Step]]:
    """Return the steps whose result does not leave the network, each with its node."""
    return [
        (node, node.function)
        for node in graph.nodes
        if isinstance(node, Requantizer) and isinstance(node.function, Step) and node.name != graph.output
    ]


def drop_dead(graph: Graph) -> Graph:
    """Return the graph without hidden channels that are constant or unread.

    Raises `ConstantNetwork` if the network is one.
    """
    foldable = {node.name: _foldable(graph, node) for node in graph.nodes}
    kept = {node.name: np.zeros(graph.shapes[node.name].channels, bool) for node in graph.nodes}
    kept[graph.output][:] = kept[graph.source.name][:] = True
    _keep_wanted(graph, kept, foldable)
    _require_some(graph, kept)
    while _feed(graph, kept, foldable):
        _keep_wanted(graph, kept, foldable)
    steps = [(kept[node.name], graph.node_ranges[node.name].constant) for node, _ in _hidden(graph)]
    constant = sum(int((~kept & fixed).sum()) for kept, fixed in steps)
    unread = sum(int((~kept & ~fixed).sum()) for kept, fixed in steps)
    if all(mask.all() for mask in kept.values()):
        return graph
    neurons = sum(len(kept) for kept, _ in steps)
    note = (
        f"compaction: of {neurons} hidden neurons {constant} constant ones were folded into the next layer and "
        f"{unread} unread ones dropped"
    )
    return _without(graph, kept).with_notes(note)


def _keep_wanted(graph: Graph, kept: Masks, foldable: Foldable) -> None:
    """Keep all channels that those which are `kept`, (channels,) bool a node, are made of."""
    before = -1
    while (count := sum(int(mask.sum()) for mask in kept.values())) != before:
        before = count
        for node in reversed(graph.nodes):
            for source, needs in zip(node.sources, node.wants(kept[node.name], foldable[node.name]), strict=True):
                kept[source][needs] = True
        for node in graph.nodes:
            tied = node.tied([kept[source] for source in node.sources], foldable[node.name])
            if tied is not None and kept[node.name].any():
                kept[node.name][tied] = True


def _feed(graph: Graph, kept: Masks, foldable: dict[str, Sequence[np.ndarray]]) -> bool:
    """Keep a source of the nodes that stay and want nothing; return whether there was one.

    Such a node is a constant that its reader cannot fold, since it is not what is padded beside it.
    """
    fed = False
    for node in graph.nodes:
        stays = kept[node.name]
        if not node.sources or not stays.any() or any(one.any() for one in node.wants(stays, foldable[node.name])):
            continue
        first = kept[node.sources[0]]
        if any(one.any() for one in foldable[node.name]):
            foldable[node.name], fed = [np.zeros_like(one) for one in foldable[node.name]], True
        elif not first.any():
            first[0] = fed = True
    return fed


def _foldable(graph: Graph, node: Node) -> Sequence[np.ndarray]:
    """The channels of each source whose one value `node` may fold: what its readers then miss, they can absorb.

    Beyond the borders stands the pad, so that a constant must be that to be folded.
    """
    ranges = [graph.node_ranges[source] for source in node.sources]
    readers = graph.readers(node.name)
    if not readers or not all(reader.absorbs for reader in readers):
        return [np.zeros(len(one.low), bool) for one in ranges]
    pads = node.padded_with
    return [one.constant & np.all([one.low == pad for pad in pads], axis=0) for one in ranges]


def _without(graph: Graph, kept: Masks) -> Graph:
    """The graph with the channels that are `kept`, without nodes of which nothing is."""
    nodes: list[Node] = []
    missing: dict[str, np.ndarray] = {}
    for node in graph.nodes:
        if not kept[node.name].any():
            continue
        values = [graph.node_ranges[source].low for source in node.sources]
        fewer, less = node.narrowed(kept[node.name], [kept[source] for source in node.sources], values)
        absent = [missing[source] for source in fewer.sources if source in missing]
        if absent:
            fewer, _ = fewer.recoded([Code.shifted(one) for one in absent])
        if less is not None and less.any():
            missing[node.name] = less
        nodes.append(fewer)
    return replace(graph, nodes=tuple(nodes))


def _require_some(graph: Graph, kept: Masks) -> None:
    """Raise `ConstantNetwork` that names the layer by which the network became a constant."""
    names = [node.name for node, _ in _hidden(graph)]
    if not graph.node_ranges[graph.output].constant.all() or not names:
        return
    for name in names:
        if graph.node_ranges[name].constant.all():
            raise _constant(graph, graph[name].sources[0])
    for name in reversed(names):
        if not kept[name].any():
            before, after = graph[name].sources[0], ", ".join(reader.name for reader in graph.readers(name))
            raise ConstantNetwork(
                f"layer {after} reads nothing of layer {before}: every weight between neurons that change and are read "
                "is zero",
                "prune it less, and check batch norm and scales around it; the network's output would be a constant",
            )


def _constant(graph: Graph, name: str) -> ConstantNetwork:
    """The error for a layer none of whose neurons changes: by pruning, or by what follows its sums."""
    node = graph[name]
    if not isinstance(node, Linear) or node.weights.any():
        return ConstantNetwork(
            f"layer {name} is a constant: none of its neurons reaches a second level, though not all of its "
            "weights are 0",
            "check its quantizer's scale and its batch norm",
        )
    return ConstantNetwork(
        f"layer {name} is pruned away: every weight of a neuron that changes is zero",
        "prune it less; the network's output would be a constant",
    )
