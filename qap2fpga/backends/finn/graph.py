# SPDX-License-Identifier: Apache-2.0
"""The integer network as a QONNX graph of MatMul and MultiThreshold, all integers, every tensor annotated.

Nothing in it is left for FINN's streamlining to guess: no scale, no bias, no float.
"""

from __future__ import annotations

import numpy as np
from onnx import TensorProto, helper
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.util.basic import qonnx_make_model

from qap2fpga.backends.finn.plan import LayerPlan, Plan
from qap2fpga.exact.integers import width

INPUT = "in0"
OUTPUT = "out0"


def write(plan: Plan) -> ModelWrapper:
    """The graph of `plan`: input `in0` (1, inputs), output `out0` (1, outputs), opset of QONNX's default domain."""
    nodes, values = [], []
    tensor = INPUT
    for index, layer in enumerate(plan.layers):
        last = index == len(plan.layers) - 1
        sums = OUTPUT if last and layer.thresholds is None else f"sums{index}"
        nodes.append(helper.make_node("MatMul", [tensor, f"weights{index}"], [sums], name=f"MatMul_{index}"))
        values.append(_value(sums, layer.mh))
        tensor = sums
        if layer.thresholds is not None:
            tensor = OUTPUT if last else f"activations{index}"
            nodes.append(_multi_threshold(index, layer, sums, tensor))
            values.append(_value(tensor, layer.mh))
    graph = helper.make_graph(nodes, "network", [_value(INPUT, plan.layers[0].mw)], [values.pop()], value_info=values)
    model = ModelWrapper(qonnx_make_model(graph, producer_name="qap2fpga"))
    _fill(model, plan)
    return model


def integer_type(bits: int, signed: bool) -> DataType:
    """FINN's name for an integer of `bits`."""
    if bits == 1 and not signed:
        return DataType["BINARY"]
    return DataType[f"{'INT' if signed else 'UINT'}{bits}"]


def _value(name: str, channels: int) -> object:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, channels])


def _multi_threshold(index: int, layer: LayerPlan, source: str, target: str) -> object:
    return helper.make_node(
        "MultiThreshold", [source, f"thresholds{index}"], [target], name=f"MultiThreshold_{index}",
        domain="qonnx.custom_op.general",
        out_dtype=integer_type(layer.activation_bits, False).name, out_scale=1.0, out_bias=0.0,
    )  # fmt: skip


def _fill(model: ModelWrapper, plan: Plan) -> None:
    first = plan.layers[0]
    model.set_tensor_datatype(INPUT, integer_type(first.input_bits, first.input_signed))
    for index, layer in enumerate(plan.layers):
        model.set_initializer(f"weights{index}", layer.weights.astype(np.float32))
        model.set_tensor_datatype(f"weights{index}", integer_type(layer.weight_bits, True))
        output = model.get_node_from_name(f"MatMul_{index}").output[0]
        model.set_tensor_datatype(output, integer_type(layer.accumulator_bits, True))
        if layer.thresholds is None:
            continue
        model.set_initializer(f"thresholds{index}", layer.thresholds.astype(np.float32))
        low, high = int(layer.thresholds.min()), int(layer.thresholds.max())
        model.set_tensor_datatype(f"thresholds{index}", integer_type(width(min(low, -1), high), True))
        output = model.get_node_from_name(f"MultiThreshold_{index}").output[0]
        model.set_tensor_datatype(output, integer_type(layer.activation_bits, False))
