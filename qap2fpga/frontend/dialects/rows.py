# SPDX-License-Identifier: Apache-2.0
"""Graphs that take one row without a dimension that counts rows, as those that have one."""

from __future__ import annotations

from onnx import ModelProto

from qap2fpga.frontend.operators import QUANTIZERS
from qap2fpga.frontend.survey import read_inputs

# What computes the same of (1, features) as of (features): element by element, or over the last dimension.
ANY_RANK = (
    *QUANTIZERS, "MatMul", "Add", "Sub", "Mul", "Div", "Relu", "Clip", "Identity", "Dropout", "LeakyRelu",
    "HardSigmoid", "Sigmoid", "Tanh",
)  # fmt: skip


def counted(model: ModelProto) -> ModelProto:
    """Return `model` with one row of its features as the input, if it takes them alone and nothing minds."""
    inputs = read_inputs(model.graph)
    if len(inputs) != 1 or len(inputs[0].type.tensor_type.shape.dim) != 1:
        return model
    reached = {inputs[0].name}
    for node in model.graph.node:
        if not reached.intersection(node.input):
            continue
        if node.op_type not in ANY_RANK or (node.op_type == "MatMul" and node.input[0] not in reached):
            return model
        reached.update(node.output)
    copy = ModelProto()
    copy.CopyFrom(model)
    dims = next(value for value in copy.graph.input if value.name == inputs[0].name).type.tensor_type.shape.dim
    dims.insert(0, type(dims[0])(dim_value=1))
    return copy
