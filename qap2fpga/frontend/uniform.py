# SPDX-License-Identifier: Apache-2.0
"""Graphs of any opset and float type in one form, so that everything later reads one: opset 13 or later.

Domains that mean the same get one name. Parameters keep their exact values as they are read: float16 and bfloat16 widen
to float32, and float64 stays. Only what is executed for comparison is rounded to float32, as everything else in there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import count
from typing import TYPE_CHECKING

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper, version_converter

from qap2fpga.frontend.channelslast import to_channels_first
from qap2fpga.frontend.external import first_line
from qap2fpga.frontend.granular import to_one_width
from qap2fpga.frontend.operators import OF_QONNX, ONNX_DOMAINS, QONNX_DOMAIN
from qap2fpga.frontend.survey import FLOATS, wanted_tensors
from qap2fpga.system.errors import QapError

if TYPE_CHECKING:
    from qonnx.core.modelwrapper import ModelWrapper

OPSET = 13


def bring_to_one_opset(model: ModelProto, opset: int) -> None:
    """Give `model`, whose ONNX operators are of `opset`, the domains and at least the `OPSET` that are read later."""
    to_channels_first(model)
    _use_one_domain(model, opset)
    to_one_width(model)
    _leave_out_unread(model)
    if opset < OPSET:
        _convert(model)
    separate_repeated_inputs(model)
    _name_nodes(model)


def _use_one_domain(model: ModelProto, opset: int) -> None:
    qonnx = max((entry.version for entry in model.opset_import if entry.domain == QONNX_DOMAIN), default=1)
    del model.opset_import[:]
    # ONNX's own comes first: qonnx takes the first for folding constants.
    model.opset_import.extend([helper.make_opsetid("", opset), helper.make_opsetid(QONNX_DOMAIN, qonnx)])
    for node in model.graph.node:
        if node.op_type in OF_QONNX:
            node.domain = QONNX_DOMAIN
        elif node.domain in ONNX_DOMAINS:
            node.domain = ""


def _leave_out_unread(model: ModelProto) -> None:
    """Drop inputs that no node reads and outputs at a node's end that nobody wants, as a Dropout's mask."""
    graph = model.graph
    wanted, stored = wanted_tensors(graph), {tensor.name for tensor in graph.initializer}
    for place in reversed(range(len(graph.input))):
        if graph.input[place].name not in wanted | stored:
            del graph.input[place]
    for node in graph.node:
        while len(node.output) > 1 and node.output[-1] not in wanted:
            del node.output[-1]


def leave_out_shapes(model: ModelProto) -> None:
    """Drop what `model` says of the shapes of results, which is not always true: they are inferred."""
    del model.graph.value_info[:]
    for value in model.graph.output:
        value.type.tensor_type.ClearField("shape")


def _convert(model: ModelProto) -> None:
    """Bring `model` to `OPSET`, in place. Raises `QapError` where onnx cannot, or where it would change a quantizer."""
    try:
        converted = version_converter.convert_version(model, OPSET)
    except Exception as error:  # the converter raises what its C++ raises
        raise QapError(
            f"the graph cannot be brought to opset {OPSET}: {first_line(error)}",
            f"export it with opset {OPSET} or later",
        ) from error
    if _unchangeable(converted) != _unchangeable(model):
        raise QapError(
            f"bringing the graph to opset {OPSET} would change its quantizers or tensors",
            f"export it with opset {OPSET} or later",
        )
    annotations = list(model.graph.quantization_annotation)  # the converter forgets these
    model.CopyFrom(converted)
    del model.graph.quantization_annotation[:]
    model.graph.quantization_annotation.extend(annotations)


def _unchangeable(model: ModelProto) -> tuple[list[bytes], dict[str, bytes]]:
    """What no conversion may touch: the quantizers in their order, and the stored values by name."""
    quantizers = [
        node.SerializeToString(deterministic=True) for node in model.graph.node if node.domain == QONNX_DOMAIN
    ]
    return quantizers, {tensor.name: numpy_helper.to_array(tensor).tobytes() for tensor in model.graph.initializer}


def separate_repeated_inputs(model: ModelProto) -> None:
    """Let no node read a tensor twice, in place: qonnx renames only the first of the two."""
    numbers, nodes = count(), []
    for node in model.graph.node:
        for place, name in enumerate(node.input):
            if name and name in list(node.input)[:place]:
                twin = f"{name}/again{next(numbers)}"
                nodes.append(helper.make_node("Identity", [name], [twin], twin))
                node.input[place] = twin
        nodes.append(node)
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _name_nodes(model: ModelProto) -> None:
    """Give each node that has no name one of its own."""
    used = {node.name for node in model.graph.node}
    numbers: dict[str, Iterator[int]] = defaultdict(count)
    for node in model.graph.node:
        if not node.name:
            names = (f"{node.op_type}_{number}" for number in numbers[node.op_type])
            node.name = next(name for name in names if name not in used)


def widen(graph: ModelWrapper) -> ModelWrapper:
    """The cleaned `graph`, changed in place: what flows is float32, what is stored is float32 or the float64 it was."""
    for tensor in graph.graph.initializer:
        if tensor.data_type in (TensorProto.FLOAT16, TensorProto.BFLOAT16):
            _to_float32(tensor)
    return _declared(graph)


def narrow(graph: ModelWrapper) -> ModelWrapper:
    """A graph of `widen`, changed in place so that it can be executed: float64 is left only where a Quant reads it,
    since qonnx divides in float64 there and gives float32. Of a BipolarQuant it would give float64.
    """
    read = {name for node in graph.graph.node if node.op_type != "Quant" for name in node.input}
    for tensor in graph.graph.initializer:
        if tensor.data_type == TensorProto.DOUBLE and tensor.name in read:
            _to_float32(tensor)
    return _declared(graph)


def _declared(graph: ModelWrapper) -> ModelWrapper:
    """The `graph`, changed in place to say of what is stored what it is, and of what flows that it is float32."""
    stored = {tensor.name: tensor.data_type for tensor in graph.graph.initializer}
    for value in (*graph.graph.input, *graph.graph.output, *graph.graph.value_info):
        if value.type.tensor_type.elem_type in FLOATS:
            value.type.tensor_type.elem_type = stored.get(value.name, TensorProto.FLOAT)
    return graph


def _to_float32(tensor: TensorProto) -> None:
    array = np.asarray(numpy_helper.to_array(tensor)).astype(np.float32)
    tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
