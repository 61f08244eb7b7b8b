# SPDX-License-Identifier: Apache-2.0
"""FINN's integer form: weights that are integers by their annotation, and products of signs that are counted.

MultiThreshold nodes stay: their thresholds are read as they are.
"""

from __future__ import annotations

import numpy as np
from onnx import GraphProto, ModelProto, NodeProto

from qap2fpga.frontend.dialects import datatypes
from qap2fpga.frontend.dialects.datatypes import DATATYPE
from qap2fpga.frontend.dialects.rewriting import Rewriting
from qap2fpga.frontend.operators import ONNX_DOMAINS, QONNX_DOMAIN
from qap2fpga.frontend.values import refused

WEIGHTED = ("MatMul", "Gemm", "Conv")
ONE = np.ones((), np.float32)


def as_quantizers(model: ModelProto) -> ModelProto:
    """Return `model` with a quantizer of scale 1 on each weight that is annotated with an integer type."""
    types = _annotations(model.graph)
    counted = any(node.op_type == "XnorPopcountMatMul" for node in model.graph.node)
    if not types and not counted:
        return model
    rewriting = Rewriting(model)
    quantized: dict[str, str] = {}
    for node in rewriting.nodes:
        if node.op_type == "XnorPopcountMatMul" and node.domain == QONNX_DOMAIN:
            _write_product_of_signs(rewriting, node)
        elif node.op_type in WEIGHTED and node.domain in ONNX_DOMAINS and len(node.input) > 1:
            rewriting.keep(node, _with_quantized_weight(rewriting, node, types, quantized))
        else:
            rewriting.keep(node)
    return rewriting.finished()


def without_types(model: ModelProto) -> ModelProto:
    """Return `model` with no type stated but the input's: qonnx would round to the others what it executes."""
    inputs = {value.name for value in model.graph.input}
    kept = [tensor for tensor in model.graph.quantization_annotation if tensor.tensor_name in inputs]
    if len(kept) == len(model.graph.quantization_annotation):
        return model
    copy = ModelProto()
    copy.CopyFrom(model)
    del copy.graph.quantization_annotation[:]
    copy.graph.quantization_annotation.extend(kept)
    return copy


def _annotations(graph: GraphProto) -> dict[str, str]:
    return {
        tensor.tensor_name: pair.value
        for tensor in graph.quantization_annotation
        for pair in tensor.quant_parameter_tensor_names
        if pair.key == DATATYPE
    }


def _with_quantized_weight(
    rewriting: Rewriting, node: NodeProto, types: dict[str, str], quantized: dict[str, str]
) -> dict[int, str]:
    """Which input of `node` becomes what, after a quantizer of its weight is written where it needs one."""
    weight = node.input[1]
    kind, values = datatypes.parse(types.get(weight, "")), rewriting.constant(weight)
    if kind is None or values is None:
        return {}
    if not kind.holds(values):
        raise refused(node, f"its weights are annotated as {types[weight]}, but hold other numbers")
    if weight not in quantized:
        quantized[weight] = rewriting.fresh(weight)
        source = rewriting.store(weight, values.astype(np.float32))
        rewriting.quantize(source, quantized[weight], ONE, kind, node)
    return {1: quantized[weight]}


def _write_product_of_signs(rewriting: Rewriting, node: NodeProto) -> None:
    """Write the product with signs w = 2 b - 1 instead of bits b: of n inputs a, the count is sum(a w) + n - sum(b)."""
    bits = rewriting.constant(node.input[1]) if len(node.input) == 2 else None
    if bits is None or bits.ndim != 2 or not np.isin(bits, (0, 1)).all():
        raise refused(node, "its second input must be a stored matrix of 0 and 1")
    signs = rewriting.store(node.input[1], (2 * bits - 1).astype(np.float32))
    weight, product = rewriting.fresh(signs), rewriting.fresh(node.output[0])
    rewriting.quantize(signs, weight, ONE, datatypes.IntegerType(1, -1, 1), node)
    rewriting.write("MatMul", [node.input[0], weight], product, node)
    addend = rewriting.store(product, (len(bits) - bits.sum(axis=0)).astype(np.float32))
    rewriting.write("Add", [product, addend], node.output[0], node)
