# SPDX-License-Identifier: Apache-2.0
"""Quantizers whose bit width differs per channel or per weight, as one width after bounds.

QONNX lets a Quant's bit width be a tensor. What it computes is a quantizer of the widest of them, of values that are
bounded first: both never fall, so the result of a bound is the level that bounds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from onnx import ModelProto, NodeProto, helper, numpy_helper

from qap2fpga.frontend.checkpoint.widths import MAX_BITS
from qap2fpga.frontend.values import refused

# How far beyond a level its bound lies, in steps, for the rules that do not round to the nearest: so that a bound whose
# last digits are lost is that level still.
BEYOND = {"FLOOR": (0.5, 0.5), "CEIL": (-0.5, -0.5), "ROUND_TO_ZERO": (-0.5, 0.5), "DOWN": (-0.5, 0.5)}


def to_one_width(model: ModelProto) -> None:
    """Give every Quant of `model` one bit width, in place, with a Max and a Min before it where it has several.

    Raises `QapError` that names the node for widths that no quantizer has.
    """
    constants = _constants(model)
    nodes: list[NodeProto] = []
    for node in model.graph.node:
        if node.op_type == "Quant" and len(node.input) == 4:
            widths = constants.get(node.input[3])
            if widths is not None and widths.size > 1:
                nodes += _bounded(model, node, widths, constants)
        nodes.append(node)
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _constants(model: ModelProto) -> Mapping[str, np.ndarray]:
    """What the graph stores by name, as its initializers and as constants."""
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    for node in model.graph.node:
        for item in node.attribute if node.op_type == "Constant" else ():
            if item.name == "value":
                values[node.output[0]] = numpy_helper.to_array(item.t)
    return values


def _bounded(
    model: ModelProto, node: NodeProto, widths: np.ndarray, constants: Mapping[str, np.ndarray]
) -> list[NodeProto]:
    """The bounds to put before `node`, which then has the widest of its `widths`."""
    widest = widths.max()
    if not np.isfinite(widths).all() or widths.min() < 1 or widest > MAX_BITS or (widths % 1).any():
        raise refused(node, f"bit widths must be whole numbers from 1 to {MAX_BITS}")
    model.graph.initializer.append(numpy_helper.from_array(np.float32(widest).reshape(()), f"{node.output[0]}/bits"))
    node.input[3] = f"{node.output[0]}/bits"
    if widths.min() == widest:
        return []
    options = {item.name: helper.get_attribute_value(item) for item in node.attribute}
    signed, narrow = bool(options.get("signed")), bool(options.get("narrow"))
    if signed and widths.min() == 1:
        raise refused(node, "a width of one bit, which is the sign, beside wider ones")
    scale, zero = (constants.get(node.input[place]) for place in (1, 2))
    if scale is None or zero is None:
        raise refused(node, "its scale or zero point is not a constant, and its bit widths differ")
    low = -(2.0 ** (widths - 1)) + narrow if signed else np.zeros(widths.shape)
    high = 2.0 ** (widths - signed) - 1 - (narrow and not signed)
    below, above = BEYOND.get(str(options.get("rounding_mode", b"ROUND").decode(errors="replace")).upper(), (0.0, 0.0))
    try:
        np.broadcast_shapes(widths.shape, scale.shape, zero.shape)
    except ValueError as error:
        raise refused(node, f"bit widths of shape {widths.shape} do not fit its scale or zero point") from error
    bounds = []
    for name, level, beyond in (("Max", low, below), ("Min", high, above)):
        value = ((level - zero + beyond) * scale.astype(np.float64)).astype(np.float32)
        stored, result = f"{node.output[0]}/{name}", f"{node.output[0]}/{name}/result"
        model.graph.initializer.append(numpy_helper.from_array(value, stored))
        bounds.append(helper.make_node(name, [node.input[0], stored], [result], result, doc_string=node.doc_string))
        node.input[0] = result
    return bounds


def common_grid(integers: np.ndarray, scale: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray] | None:
    """Return integers (inputs, outputs) whose scale varies over the inputs on one grid per output, and its scale.

    None where no grid has integers of at most `most` times the given ones, or where scales of one output are no powers
    of two apart.
    """
    exact = np.frexp(scale.astype(np.float64))
    if (exact[0] != exact[0][:1]).any():
        return None
    finest = np.where(integers != 0, exact[1], math.inf).min(axis=0, initial=math.inf)
    finest = np.where(np.isfinite(finest), finest, exact[1].min(axis=0)).astype(np.int64)
    lifts = np.where(integers != 0, exact[1] - finest, 0)
    if lifts.max(initial=0) > math.log2(most):
        return None
    return integers << lifts, np.ldexp(exact[0][0], finest)
