# SPDX-License-Identifier: Apache-2.0
"""Nodes of an export get the names of the user's layers."""

from __future__ import annotations

from onnx import TensorProto, helper

from qap2fpga.frontend.layernames import name_nodes


def renamed(names: dict[str, str], leaves: set[str]) -> list[str]:
    """The new names of a chain of nodes, whose torch names and operators these are."""
    nodes = [
        helper.make_node(kind, [f"t{index}"], [f"t{index + 1}"], name)
        for index, (name, kind) in enumerate(names.items())
    ]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 2]) for name in ("t0", f"t{len(names)}")]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:])
    inner = [helper.make_tensor_value_info(f"t{index}", TensorProto.FLOAT, [1, 2]) for index in range(1, len(names))]
    graph.value_info.extend(inner)
    name_nodes(graph, frozenset(leaves))
    assert graph.node[0].input[0] == "t0"
    assert graph.node[-1].output[0] == f"t{len(names)}"
    for before, after, value in zip(graph.node, graph.node[1:], graph.value_info, strict=False):
        assert before.output[0] == after.input[0] == value.name
    return [node.name for node in graph.node]


def test_layers_and_quantizers_have_the_paths_of_the_module() -> None:
    names = {
        "/first/act_quant/export_handler/Quant": "Quant",
        "/conv/weight_quant/export_handler/Quant": "Quant",
        "/conv/Conv": "Conv",
        "/act/act_quant/activation_impl/Relu": "Relu",
        "/act/act_quant/export_handler/Quant": "Quant",
        "/act/act_quant/export_handler_1/Quant": "Quant",
        "/fc/input_quant/export_handler/Quant": "Quant",
        "/fc/MatMul": "MatMul",
        "/fc/Add": "Add",
        "/fc_1/MatMul": "MatMul",
        "/Add": "Add",
        "/Add_1": "Add",
    }
    leaves = {"first", "conv", "act", "fc"}
    assert renamed(names, leaves) == [
        "first", "conv.weight_quant", "conv", "act.Relu", "act", "act_1", "fc.input_quant", "fc", "fc.Add", "fc_1",
        "Add", "Add_1",
    ]  # fmt: skip


def test_scopes_of_a_sequential_repeat_what_is_before_them() -> None:
    names = {
        "/0/act_quant/export_handler/Quant": "Quant",
        "/1/1.0/Gemm": "Gemm",
        "/2/seq/seq.1/seq.1.0/output_quant/export_handler/Quant": "Quant",
        "/2/seq/Add": "Add",
    }
    assert renamed(names, {"0", "1.0"}) == ["0", "1.0", "2.seq.1.0.output_quant", "2.seq.Add"]


def test_a_quantizer_alone_and_names_that_are_taken() -> None:
    names = {"/act_quant/export_handler/Quant": "Quant", "/a/b/Mul": "Mul", "/a.b/Mul": "Mul", "": "Neg"}
    assert renamed(names, set()) == ["act_quant", "a.b.Mul", "a.b.Mul_1", "Neg"]
