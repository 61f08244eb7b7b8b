# SPDX-License-Identifier: Apache-2.0
"""Nodes of a graph that Brevitas has exported, called like the layers of the user's module that they come from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import count, pairwise

from onnx import GraphProto

from qap2fpga.frontend.checkpoint.recording import call_name
from qap2fpga.frontend.operators import WEIGHTED

# Where Brevitas' export has a quantizer compute, below the quantizer itself; calls after the first are numbered.
HANDLER = "export_handler"
# Scopes within a layer of Brevitas.
INNER = ("act_quant", "activation_impl")


def name_nodes(graph: GraphProto, leaves: frozenset[str]) -> None:
    """Name every node of `graph` after its layer, and what it gives after the node.

    `leaves` are the paths of the module's layers: the first node of one, or the first with weights if it has some, has
    its path as its name, others of it have their operator after it. A quantizer's name is that of
    `recording.call_name`.
    """
    names: dict[int, str] = {}
    taken: set[str] = set()

    def give(index: int, name: str) -> None:
        free = (f"{name}_{number}" if number else name for number in count())
        names[index] = next(one for one in free if one not in taken)
        taken.add(names[index])

    places = [_path(node.name) for node in graph.node]
    quantizers = {index: call for index, place in enumerate(places) if (call := _call(place)) is not None}
    for index, call in quantizers.items():
        give(index, call)
    owners = [".".join(part for part in _joined(path) if part not in INNER) for *path, _ in places]
    weighted = {owner for owner, node in zip(owners, graph.node, strict=True) if node.op_type in WEIGHTED}
    for index, (node, owner) in enumerate(zip(graph.node, owners, strict=True)):
        if index not in quantizers:
            first = owner not in weighted or node.op_type in WEIGHTED
            of_leaf = re.sub(r"_\d+$", "", owner) in leaves  # torch numbers later calls of a layer
            whole = of_leaf and first and owner not in taken
            give(index, owner if whole else ".".join(filter(None, (owner, node.op_type))))
    _rename(graph, names)


def _path(name: str) -> list[str]:
    """The parts of torch's name for a node, its scopes and then the operator: '/block/block.0/Conv'."""
    return name.strip("/").split("/")


def _joined(parts: list[str]) -> list[str]:
    """The scopes without those that the next one repeats, as it does in a Sequential: block, block.0 is block.0."""
    return [part for part, following in pairwise([*parts, ""]) if not following.startswith(f"{part}.")]


def _call(parts: list[str]) -> str | None:
    """What the quantizer's call that a node is of is called; None of any other node."""
    if len(parts) < 3 or not (parts[-2] == HANDLER or parts[-2].startswith(f"{HANDLER}_")):
        return None
    number = parts[-2].removeprefix(HANDLER).removeprefix("_")
    return call_name(".".join(_joined(parts[:-2])), int(number or 0))


def _rename(graph: GraphProto, names: Mapping[int, str]) -> None:
    """Give the nodes their names, and their results names of their own; the graph's inputs and outputs keep theirs."""
    kept = {value.name for value in (*graph.input, *graph.output, *graph.initializer)}
    results: dict[str, str] = {}
    for index, node in enumerate(graph.node):
        node.name = names[index]
        for place, tensor in enumerate(node.output):
            if tensor and tensor not in kept:
                results[tensor] = f"{names[index]}:{place}"
                node.output[place] = results[tensor]
        for place, tensor in enumerate(node.input):
            node.input[place] = results.get(tensor, tensor)
    for value in graph.value_info:
        value.name = results.get(value.name, value.name)
