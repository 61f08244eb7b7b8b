# SPDX-License-Identifier: Apache-2.0
"""A QONNX graph, read into integer nodes with exact real meaning: walked once in order, each node by its handler."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from onnx import NodeProto

from qap2fpga.frontend import (
    activations,
    elementwise,
    functions,
    heads,
    joins,
    linear,
    moves,
    multithreshold,
    operators,
    pools,
    shapes,
)
from qap2fpga.frontend.operators import ENDS, QUANTIZERS, RISING_ENDS, SHAPE_ONLY, SUPPORTED, WEIGHTED
from qap2fpga.frontend.values import RawGraph, Signal, Tensor, refused
from qap2fpga.frontend.walk import Walk
from qap2fpga.system.errors import QapError

if TYPE_CHECKING:
    from qonnx.core.modelwrapper import ModelWrapper

SEE_PADS = ("Conv", "MaxPool", "AveragePool", "Identity")


def read(model: ModelWrapper) -> RawGraph:
    """Read a cleaned QONNX `ModelWrapper`.

    Raises `QapError` that names the first node that cannot be lowered.
    """
    walk = Walk(model)
    for node in model.graph.node:
        _visit(walk, node)
    output = walk.output or walk.tensors.get(model.graph.output[0].name)
    if not isinstance(output, Signal):
        raise QapError("the graph's output does not depend on its input", "export the network again")
    walk.graph.heads = heads.of_graph(model)
    activations.finish(walk, output)
    return walk.graph


def input_is_quantized(model: ModelWrapper) -> bool:
    """Return whether a quantizer that the host can be stands between the graph's input and the first weights."""
    reached = {model.graph.input[0].name}
    for node in model.graph.node:
        if reached.intersection(node.input):
            if node.op_type == "MultiThreshold":
                rows = model.get_initializer(node.input[1])
                return rows is None or multithreshold.is_even(rows)
            if node.op_type in QUANTIZERS:
                return True
            if node.op_type in WEIGHTED:
                return False
            reached.update(node.output)
    return False


def _visit(walk: Walk, node: NodeProto) -> None:
    if not operators.is_handled(node):
        raise refused(node, SUPPORTED)
    operators.check(node, walk.opset, walk.wanted)
    if walk.ended.intersection(node.input):
        if node.op_type not in SHAPE_ONLY:
            assert walk.ended_by is not None
            raise refused(node, f"it comes after {walk.ended_by.op_type}")
        walk.ended.update(node.output)
        return
    if node.op_type in ENDS or (node.op_type in RISING_ENDS and _is_last(walk, node)):
        _end(walk, node)
        return
    _refuse_pads(walk, node)
    result = HANDLERS[node.op_type](walk, node)
    if isinstance(result, Signal) and not moves.has_shape(result, walk.shape(node.output[0])):
        shape = walk.model.get_tensor_shape(node.output[0])
        raise refused(node, f"its output has shape {shape}, which is not one row of {result.shape.size} values")
    walk.tensors[node.output[0]] = result


def _refuse_pads(walk: Walk, node: NodeProto) -> None:
    """Raise `QapError` where something else than a kernel reads a tensor with zeros around it."""
    signals = [walk.tensors.get(name) for name in node.input]
    if node.op_type not in SEE_PADS and any(isinstance(one, Signal) and any(one.pads) for one in signals):
        raise refused(node, "zeros were padded before it, which only a convolution or a pool can see")


def _is_last(walk: Walk, node: NodeProto) -> bool:
    """Whether nothing comes after `node` but what leaves values as they are."""
    results = set(node.output)
    for one in walk.model.graph.node:
        if results.intersection(one.input):
            if one.op_type not in SHAPE_ONLY:
                return False
            results.update(one.output)
    return True


def _end(walk: Walk, node: NodeProto) -> None:
    """A node that leaves the class, or the order of values, as it is, and stays on the host."""
    signal, shape = walk.signal(node), walk.shape(node.input[0])
    walk.ended_by, walk.ended, walk.output = node, set(node.output), signal
    if node.op_type in RISING_ENDS:
        walk.graph.notes.append(f"the {node.op_type} at the end stays on the host: it takes each output by itself")
        return
    fault = shapes.class_axis_fault(walk.option(node, "axis", int), shape, signal.shape.size)
    if fault:
        raise refused(node, fault)
    if node.op_type == "TopK" and walk.whole(node, 1) != [1]:
        raise refused(node, "it asks for several classes; take them from the logits, on the host")
    walk.graph.notes.append(f"the {node.op_type} at the end stays on the host; it does not change the largest")


HANDLERS: dict[str, Callable[[Walk, NodeProto], Tensor]] = {
    "MatMul": linear.dense,
    "Gemm": linear.dense,
    "Conv": linear.convolution,
    "MaxPool": pools.largest,
    "GlobalMaxPool": pools.global_largest,
    "AveragePool": pools.mean,
    "GlobalAveragePool": pools.global_mean,
    "ReduceMean": pools.mean_over_axes,
    "Concat": joins.concatenated,
    "Add": elementwise.arithmetic,
    "Sub": elementwise.arithmetic,
    "Mul": elementwise.arithmetic,
    "Div": elementwise.arithmetic,
    "BatchNormalization": elementwise.batch_norm,
    "Relu": elementwise.relu,
    "Clip": elementwise.clip,
    **dict.fromkeys(("Max", "Min"), elementwise.bounded),
    "LeakyRelu": functions.leaky_relu,
    "PRelu": functions.parametric_relu,
    "HardSigmoid": functions.hard_sigmoid,
    "Sigmoid": functions.curve,
    "Tanh": functions.curve,
    "Transpose": moves.transpose,
    "Resize": moves.repeated,
    "Pad": moves.zeros_around,
    "Quant": activations.quant,
    "BipolarQuant": activations.quant,
    "MultiThreshold": activations.multi_threshold,
    "Trunc": activations.truncate,
    "Dropout": elementwise.dropout,
    **dict.fromkeys(SHAPE_ONLY, moves.reshaped),
}
