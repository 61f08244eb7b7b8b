# SPDX-License-Identifier: Apache-2.0
"""A first look at an ONNX graph as it stands in the file, before a shape is inferred or a node executed.

It takes milliseconds and says what decides whether the graph can be lowered at all: whose form it is in, which
operators are not supported, what is missing. Only nodes that depend on the network's input, or that
stand after a weight's quantizer, have to be supported; what computes constants is folded later, if it is harmless.
"""

from __future__ import annotations

import math
from collections import Counter

from onnx import GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto

from qap2fpga.frontend import operators
from qap2fpga.frontend.operators import (
    ENDS,
    MOVING,
    NEWEST_OPSET,
    ONNX_DOMAINS,
    QUANT_DOMAINS,
    QUANTIZERS,
    SUPPORTED,
    WEIGHTED,
)
from qap2fpga.frontend.values import label, refused
from qap2fpga.system.errors import QapError

FINN_OPERATORS = ("GenericPartition", "StreamingDataflowPartition")
FINN_FORM = "this is FINN's form of hardware; give the model from before the conversion to hardware layers"
QCDQ = ("QuantizeLinear", "DequantizeLinear", "QLinearMatMul", "QLinearConv", "QGemm", "DynamicQuantizeLinear",
        "MatMulInteger", "ConvInteger")  # fmt: skip
# What qonnx executes where all inputs are constants: without loops, and no larger than what the file holds.
FOLDED = frozenset((
    "Abs", "Add", "BatchNormalization", "Cast", "Ceil", "Clip", "Concat", "Constant", "Div", "Exp", "Flatten", "Floor",
    "Gather", "Identity", "Log", "MatMul", "Max", "Min", "Mul", "Neg", "Pow", "Reciprocal", "Relu", "Reshape", "Round",
    "Shape", "Sign", "Slice", "Sqrt", "Squeeze", "Sub", "Transpose", "Unsqueeze",
))  # fmt: skip
FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE)
MAX_INPUTS = 1 << 20
EXPORT_AGAIN = "export the model again"


def survey(model: ModelProto) -> int:
    """The opset of the graph's ONNX operators. Raises `QapError` for the first reason why it cannot be lowered."""
    graph = model.graph
    check_links(graph)
    inputs = read_inputs(graph)
    carriers = _carriers(graph, {value.name for value in inputs})
    _check_form(graph)
    _check_functions(model)
    _check_operators(graph, carriers)
    opset = _opset(model)
    wanted = wanted_tensors(graph)
    for node in carriers:
        operators.check(node, opset, wanted)
    _check_weights(graph, carriers, {value.name for value in inputs})
    _check_after_ends(carriers)
    if len(inputs) != 1:
        raise QapError(f"the graph has {len(inputs)} inputs", "networks with one input are supported")
    _check_ends(graph, inputs[0].name, wanted)
    _check_input(inputs[0])
    return opset


def read_inputs(graph: GraphProto) -> list[ValueInfoProto]:
    """Return the graph's inputs that some node reads and that have no stored value."""
    stored = {tensor.name for tensor in graph.initializer}
    read = {name for node in graph.node for name in node.input}
    return [value for value in graph.input if value.name in read and value.name not in stored]


def wanted_tensors(graph: GraphProto) -> set[str]:
    """Return the names of all tensors that some node reads or that leave the graph."""
    return {name for node in graph.node for name in node.input} | {value.name for value in graph.output}


def check_links(graph: GraphProto) -> None:
    """Raise `QapError` unless each tensor has one name and one origin, and stands before those who read it."""
    if graph.sparse_initializer:
        raise QapError("the graph has sparse tensors", "export the model with dense tensors")
    stored = Counter(tensor.name for tensor in graph.initializer)
    twice = next((name for name, count in stored.items() if count > 1), None)
    if twice is not None:
        raise QapError(f"two stored tensors are called {twice}", EXPORT_AGAIN)
    known = set(stored) | {value.name for value in graph.input} | {""}
    for node in graph.node:
        if not any(node.output):
            raise refused(node, "it has no output")
        for name in node.input:
            if name not in known:
                raise refused(node, f"it reads {name}, which nothing before it gives")
        for name in filter(None, node.output):
            if name in known:
                raise refused(node, f"it writes {name}, which is there already")
            known.add(name)


def _carriers(graph: GraphProto, sources: set[str]) -> list[NodeProto]:
    """The nodes that depend on the graph's input or stand at or after a quantizer; the others compute constants."""
    reached, carriers = set(sources), []
    for node in graph.node:
        if (reached.intersection(node.input) and node.op_type != "Shape") or node.op_type in QUANTIZERS:
            carriers.append(node)
            reached.update(filter(None, node.output))
    return carriers


def _check_form(graph: GraphProto) -> None:
    for node in graph.node:
        hardware = "fpgadataflow" in node.domain or node.domain.split(".")[0] == "finn"
        if node.op_type in FINN_OPERATORS or (hardware and node.op_type not in QUANTIZERS):
            raise refused(node, FINN_FORM)
    for node in graph.node:
        if node.op_type in QCDQ:
            raise QapError(
                f"node {label(node)} is {node.op_type}, which does not stand for a quantizer",
                "of QCDQ, QuantizeLinear, Clip and DequantizeLinear are read, one after the other; or export QONNX",
            )


def _check_functions(model: ModelProto) -> None:
    """A function of the file must not take the place of an operator that is known by its name."""
    for function in model.functions:
        if function.domain in (*ONNX_DOMAINS, *QUANT_DOMAINS):
            raise QapError(f"the file has an operator {function.name} of its own", "export it without functions")


def _check_operators(graph: GraphProto, carriers: list[NodeProto]) -> None:
    """Name the first node that is not supported, and what else the graph has of that sort."""
    must_be_handled = {id(node) for node in carriers}
    strange = [
        node
        for node in graph.node
        if not (
            operators.is_handled(node)
            if id(node) in must_be_handled
            else node.op_type in FOLDED and node.domain in ONNX_DOMAINS
        )
    ]
    if not strange:
        return
    first, kinds = strange[0], list(dict.fromkeys(_kind(node) for node in strange))
    more = f"; not supported either: {', '.join(kinds[1:])}" if kinds[1:] else ""
    what = f"node {label(first)} ({kinds[0]}) cannot be lowered"
    if id(first) in must_be_handled:
        raise QapError(what, SUPPORTED + more)
    raise QapError(what, f"it computes a constant: let the exporter fold constants{more}")


def _kind(node: NodeProto) -> str:
    return node.op_type if node.domain in (*ONNX_DOMAINS, *QUANT_DOMAINS) else f"{node.op_type} of {node.domain}"


def _opset(model: ModelProto) -> int:
    versions = {entry.version for entry in model.opset_import if entry.domain in ONNX_DOMAINS}
    if len(versions) != 1:
        raise QapError(f"the file names {len(versions)} versions of ONNX's operators, not one", EXPORT_AGAIN)
    opset = int(versions.pop())
    if not 1 <= opset <= NEWEST_OPSET:
        raise QapError(
            f"the file is of ONNX opset {opset}; 1 to {NEWEST_OPSET} are known", "export it with a known one"
        )
    return opset


def _check_weights(graph: GraphProto, carriers: list[NodeProto], sources: set[str]) -> None:
    """Weights must be quantized constants; what stands between a quantizer and its node only moves them."""
    origin = {name: node for node in graph.node for name in node.output}
    typed = {note.tensor_name for note in graph.quantization_annotation}
    signals = set(sources)
    for node in carriers:
        if signals.intersection(node.input):
            signals.update(node.output)
        if node.op_type not in WEIGHTED or not signals.intersection(node.input):
            continue
        weights = node.input[1]
        if weights in signals and node.input[0] in signals:
            raise refused(node, "it multiplies two tensors that depend on the network's input, as attention does")
        while weights in origin and origin[weights].op_type in MOVING:
            weights = origin[weights].input[0]
        if weights not in typed and (weights not in origin or origin[weights].op_type == "Constant"):
            raise refused(node, "its weights are floats: a Quant or BipolarQuant node must stand on them")


def _check_after_ends(carriers: list[NodeProto]) -> None:
    """A Softmax and the like end a network; inside of one they are something else."""
    ended: dict[str, NodeProto] = {}
    for node in carriers:
        before = next((ended[name] for name in node.input if name in ended), None)
        if before is not None and node.op_type not in (*MOVING, *ENDS):
            raise refused(node, f"it comes after {before.op_type}, which is supported at the end alone")
        if before is not None or node.op_type in ENDS:
            ended.update(dict.fromkeys(node.output, before or node))


def _check_ends(graph: GraphProto, source: str, wanted: set[str]) -> None:
    """What the input becomes must lead to the output, whatever branches there are."""
    reached = {source}
    for node in graph.node:
        if node.op_type == "Shape" or not reached.intersection(node.input):
            continue
        if not wanted.intersection(node.output):
            raise QapError(f"node {label(node)} ({node.op_type}) leads nowhere", "export the network without it")
        reached.update(filter(None, node.output))


def _check_input(value: ValueInfoProto) -> None:
    """The input must be float, with a batch dimension and a fixed number of features."""
    tensor = value.type.tensor_type
    if not value.type.HasField("tensor_type") or tensor.elem_type not in FLOATS:
        raise QapError(f"the input {value.name} is not a tensor of floats", "export it with a float input")
    if not tensor.HasField("shape"):
        raise QapError(f"the input {value.name} has no fixed shape", "export it with a fixed number of features")
    shape = [dim.dim_value for dim in tensor.shape.dim]
    if len(shape) < 2:
        raise QapError(
            f"the input {value.name} has no batch dimension: its shape is ({', '.join(map(str, shape))})",
            "export it with an example of shape (1, features)",
        )
    if min(shape[1:]) < 1:
        raise QapError(f"the input {value.name} has no fixed shape", "export it with a fixed number of features")
    if math.prod(shape[1:]) > MAX_INPUTS:
        raise QapError(f"the input has {math.prod(shape[1:])} features", f"networks have {MAX_INPUTS} at most")
