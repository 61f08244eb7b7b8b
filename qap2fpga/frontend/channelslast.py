# SPDX-License-Identifier: Apache-2.0
"""Operators that qonnx has for channels in the last dimension, as ONNX has them: between transpositions.

What is read later walks through transpositions, and onnxruntime executes the operators as they are.
"""

from __future__ import annotations

from onnx import ModelProto, NodeProto, helper

from qap2fpga.frontend.operators import CHANNELS_LAST, RESHAPING
from qap2fpga.frontend.values import refused


def to_channels_first(model: ModelProto) -> None:
    """Replace the nodes of qonnx's domain for channels last, in place."""
    ranks = {
        value.name: len(value.type.tensor_type.shape.dim)
        for value in (*model.graph.input, *model.graph.value_info, *model.graph.output)
        if value.type.tensor_type.HasField("shape")
    }
    nodes: list[NodeProto] = []
    for node in model.graph.node:
        kept = next((ranks[name] for name in node.input if name in ranks), None)
        if node.domain == CHANNELS_LAST:
            kept = _rank(node, ranks)
            nodes += _replaced(node, kept)
        else:
            nodes.append(node)
        if kept is not None and node.op_type not in RESHAPING and node.output:
            ranks.setdefault(node.output[0], kept)
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _rank(node: NodeProto, ranks: dict[str, int]) -> int:
    """The number of dimensions of what `node` takes."""
    for item in node.attribute:
        if item.name == "kernel_shape":
            return len(item.ints) + 2
    rank = next((ranks[name] for name in (node.input[0], *node.output) if name in ranks), None)
    if rank is None:
        raise refused(node, "the file does not say how many dimensions its input has")
    return rank


def _replaced(node: NodeProto, rank: int) -> list[NodeProto]:
    """The node of ONNX, with what goes in and comes out transposed."""
    first = [0, rank - 1, *range(1, rank - 1)]
    last = [0, *range(2, rank), 1]
    plain = NodeProto()
    plain.CopyFrom(node)
    plain.domain = ""
    name = node.output[0]
    before = []
    for place in range(2 if node.op_type == "Conv" else 1):  # its weights, too, have their channels last
        plain.input[place] = f"{name}/first{place}"
        before.append(helper.make_node("Transpose", [node.input[place]], [plain.input[place]], perm=first))
    plain.output[0] = f"{name}/first"
    return [*before, plain, helper.make_node("Transpose", [plain.output[0]], [name], perm=last)]
