# SPDX-License-Identifier: Apache-2.0
"""A chain of layers as a QONNX graph: node for node what Brevitas exports of the same layers, without importing it."""

from __future__ import annotations

import itertools

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from qap2fpga.frontend.checkpoint.spec import Model, Op, QuantSpec

# As Brevitas has them.
QUANTIZERS_DOMAIN, QUANTIZERS_VERSION, OPSET, IR_VERSION = "qonnx.custom_op.general", 2, 20, 9
MOMENTUM = 0.9
# In the order of the operator's inputs.
STATISTICS = ("weight", "bias", "running_mean", "running_var")


def graph(model: Model) -> ModelProto:
    """Return the graph of one row through `model`; the labels of its dense layers are their names there."""
    writer = _Writer()
    value = "input"
    for op in model.ops:
        value = writer.layer(op, value)
    last = next(op for op in reversed(model.ops) if op.kind == "dense")
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, size])
        for name, size in (("input", model.inputs), (value, len(last.tensors["weight"])))
    ]
    whole = helper.make_graph(writer.nodes, "chain", ends[:1], ends[1:], writer.constants)
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(QUANTIZERS_DOMAIN, QUANTIZERS_VERSION)]
    return helper.make_model(whole, opset_imports=opsets, ir_version=IR_VERSION, producer_name="qap2fpga")


class _Writer:
    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []
        self.names = (f"t{number}" for number in itertools.count())

    def layer(self, op: Op, value: str) -> str:
        """Write an operation on `value`, and return what it gives."""
        if op.kind == "dense":
            return self.dense(op, value)
        if op.kind == "batch_norm":
            statistics = [self.constant(op.tensors[name]) for name in STATISTICS]
            return self.node(
                "BatchNormalization", value, *statistics, epsilon=op.epsilon, momentum=MOMENTUM, training_mode=0
            )
        if op.kind == "relu":
            value = self.node("Relu", value)
        if op.kind == "hard_tanh" and op.quantizer is None:
            value = self.node("Clip", value, self.constant(-1.0), self.constant(1.0))
        return value if op.quantizer is None else self.quantized(op.quantizer, value, op.quantizer.scale)

    def dense(self, op: Op, value: str) -> str:
        """Write a layer: its weights (outputs, inputs) are quantized in the graph."""
        spec = op.quantizer
        assert spec is not None
        scale = spec.scale.reshape(-1, 1) if spec.scale.ndim else spec.scale
        weights = self.quantized(spec, self.constant(op.tensors["weight"]), scale)
        if "bias" in op.tensors:
            bias = self.constant(op.tensors["bias"])
            return self.node("Gemm", value, weights, bias, label=op.name, alpha=1.0, beta=1.0, transB=1)
        return self.node("MatMul", value, self.node("Transpose", weights, perm=[1, 0]), label=op.name)

    def quantized(self, spec: QuantSpec, value: str, scale: np.ndarray) -> str:
        """Write a quantizer; one bit is the sign."""
        if spec.bits == 1:
            sign = self.constant(scale if scale.ndim else scale.reshape(1))
            return self.node("BipolarQuant", value, sign, domain=QUANTIZERS_DOMAIN)
        numbers = [self.constant(one) for one in (scale, float(spec.zero_point), float(spec.bits))]
        return self.node(
            "Quant", value, *numbers, domain=QUANTIZERS_DOMAIN, narrow=int(spec.narrow), rounding_mode=spec.rounding,
            signed=int(spec.signed),
        )  # fmt: skip

    def constant(self, values: np.ndarray | float) -> str:
        """Write a constant, and return its name."""
        name = next(self.names)
        self.constants.append(numpy_helper.from_array(np.asarray(values, np.float32), name))
        return name

    def node(self, kind: str, *inputs: str, label: str = "", domain: str = "", **attributes: object) -> str:
        """Write a node, and return what it gives."""
        name = next(self.names)
        node = helper.make_node(kind, inputs, [name], name, domain=domain, **attributes)
        node.doc_string = label
        self.nodes.append(node)
        return name
