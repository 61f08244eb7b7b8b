# SPDX-License-Identifier: Apache-2.0
"""What pruning left over is taken out, and hidden activations become counts from 0.

- `count_from_zero`: an activation `base + step * count` becomes its count; what reads it absorbs base and step. So
  signs, signed and shifted quantizers all end as unsigned integers with as many levels as can be reached.
- `drop_dead`: a hidden channel whose value cannot change (all weights pruned, gamma 0, thresholds out of range) moves
  into the thresholds after it, and one that no weight reads goes.
- `trim_thresholds`: thresholds lie within the range of what they are compared with, and no level is left that no
  channel reaches.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from qap2fpga.ir.functions import Step
from qap2fpga.ir.graph import Graph
from qap2fpga.ir.nodes import Linear, Requantizer
from qap2fpga.ir.tensors import Range
from qap2fpga.passes.pipeline import Pass, run
from qap2fpga.system.errors import CheckFailed, ConstantNetwork


def count_from_zero(graph: Graph) -> Graph:
    """Return the graph whose hidden steps give counts; the steps after their readers take up the difference."""
    for name in [node.name for node, step in _hidden(graph) if not step.counts]:
        node = graph[name]
        assert isinstance(node, Requantizer) and isinstance(node.function, Step)
        step = node.function
        for reader in graph.readers(name):
            assert isinstance(reader, Linear)
            graph = _absorb(graph, reader, step.step, reader.of(step.base))
        graph = graph.with_nodes(replace(node, function=Step(step.thresholds)))
    return graph


def drop_dead(graph: Graph) -> Graph:
    """Return the graph without hidden channels that are constant or unread.

    Raises `ConstantNetwork` if a layer has no other.
    """
    before = sum(step.channels for _, step in _hidden(graph))
    constant = unread = 0
    while True:
        graph, folded = _fold_constants(graph)
        graph, dropped = _drop_unread(graph)
        constant, unread = constant + folded, unread + dropped
        if not folded and not dropped:
            break
    if not constant and not unread:
        return graph
    return graph.with_notes(
        f"compaction: of {before} hidden neurons {constant} constant ones were folded into the "
        f"next layer and {unread} unread ones dropped"
    )


def _fold_constants(graph: Graph) -> tuple[Graph, int]:
    """The graph without hidden channels of one reachable value, and how many there were."""
    folded = 0
    for name in [node.name for node, _ in _hidden(graph)]:
        ends = graph.node_ranges[name]
        if ends.constant.all():
            before = graph[graph[name].sources[0]]
            assert isinstance(before, Linear)
            raise _constant(before)
        if ends.constant.any():
            folded += int(ends.constant.sum())
            graph = _without(graph, name, ~ends.constant, ends.low)
    return graph, folded


def _drop_unread(graph: Graph) -> tuple[Graph, int]:
    """The graph without hidden channels that nothing reads, and how many there were."""
    dropped = 0
    for node, step in reversed(_hidden(graph)):
        read = np.zeros(step.channels, bool)
        for reader in graph.readers(node.name):
            mask = reader.reads(node.name)
            read |= True if mask is None else mask
        if not read.any():
            before, after = node.sources[0], ", ".join(reader.name for reader in graph.readers(node.name))
            raise ConstantNetwork(
                f"layer {after} reads nothing of layer {before}: every weight between neurons that change and are read "
                "is zero",
                "prune it less, and check batch norm and scales around it; the network's output would be a constant",
            )
        if not read.all():
            dropped += int((~read).sum())
            graph = _without(graph, node.name, read, np.zeros(len(read), np.int64))
    return graph, dropped


def trim_thresholds(graph: Graph) -> Graph:
    """Return the graph whose thresholds can all be reached, or stand just above the range."""
    steps = [
        replace(node, function=_trimmed(node.function, graph.node_ranges[node.sources[0]]))
        for node in graph.nodes
        if isinstance(node, Requantizer) and isinstance(node.function, Step)
    ]
    return graph.with_nodes(*steps)


def _trimmed(step: Step, source: Range) -> Step:
    inside = np.clip(step.thresholds, source.low[:, None], source.high[:, None] + 1)
    levels = max(1, int((inside <= source.high[:, None]).sum(axis=1).max()))
    if not step.counts:
        levels = inside.shape[1]  # the network's own output keeps its quantizer's levels
    return replace(step, thresholds=inside[:, :levels])


def _hidden(graph: Graph) -> list[tuple[Requantizer, Step]]:
    """The steps whose result does not leave the network, each with its node."""
    return [
        (node, node.function)
        for node in graph.nodes
        if isinstance(node, Requantizer) and isinstance(node.function, Step) and node.name != graph.output
    ]


def _absorb(graph: Graph, linear: Linear, step: int, constant: np.ndarray) -> Graph:
    """The graph in which the sums of `linear` come as x instead of `step * x + constant` (outputs,)."""
    changed = []
    for reader in graph.readers(linear.name):
        if not isinstance(reader, Requantizer):
            raise CheckFailed(f"node {reader.name} ({reader.kind}) cannot absorb a constant", "please report this bug")
        changed.append(reader.fed(step, constant))
    return graph.with_nodes(*changed)


def _without(graph: Graph, name: str, kept: np.ndarray, constant: np.ndarray) -> Graph:
    """The graph without those channels of the step `name` that are not `kept`; their values were `constant`.

    At least one is kept.
    """
    node = graph[name]
    before = graph[node.sources[0]]
    assert isinstance(before, Linear) and isinstance(node, Requantizer)
    for reader in graph.readers(name):
        assert isinstance(reader, Linear)
        fewer, missing = reader.without_inputs(kept, constant)
        graph = _absorb(graph.with_nodes(fewer), fewer, 1, missing)
    return graph.with_nodes(before.select(kept), node.select(kept))


def _constant(linear: Linear) -> ConstantNetwork:
    """The error for a layer none of whose neurons changes: by pruning, or by what follows its sums."""
    if linear.weights.any():
        return ConstantNetwork(
            f"layer {linear.name} is a constant: none of its neurons reaches a second level, though not all of its "
            "weights are 0",
            "check its quantizer's scale and its batch norm",
        )
    return ConstantNetwork(
        f"layer {linear.name} is pruned away: every weight of a neuron that changes is zero",
        "prune it less; the network's output would be a constant",
    )


COMPACTION = (
    Pass("counts from zero", count_from_zero),
    Pass("dead channels", drop_dead),
    Pass("thresholds within range", trim_thresholds),
)


def compact(graph: Graph, frames: np.ndarray | None = None) -> Graph:
    """Return the smallest equal graph, compared on `frames` (n, inputs) after each pass.

    Raises `ConstantNetwork` if a layer vanishes whole.
    """
    nothing = np.zeros((0, graph.inputs), np.int64)
    return run(graph, COMPACTION, nothing if frames is None else frames)
