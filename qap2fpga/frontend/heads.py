# SPDX-License-Identifier: Apache-2.0
"""Which of a graph's results leave the chip: one that is chosen by name, or several vectors side by side.

The integer network has one output. Heads of a common trunk are joined in it, and a note says which part is whose.
"""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from onnx import GraphProto, ModelProto, TensorProto, helper

from qap2fpga.frontend.operators import ENDS, RISING_ENDS
from qap2fpga.frontend.values import label
from qap2fpga.ir.shown import Head
from qap2fpga.system.errors import QapError, nearest

if TYPE_CHECKING:
    from qonnx.core.modelwrapper import ModelWrapper

# Where a joined graph keeps the names and sizes of its parts.
HEADS = "heads of a trunk"


def choose(model: ModelProto, name: str) -> None:
    """End `model`, in place, in its output, tensor or node `name`, without what that does not need.

    Raises `QapError` with the nearest names where there is none.
    """
    graph = model.graph
    by_node = {text: node.output[0] for node in graph.node for text in (label(node), node.name) if text}
    tensors = {tensor for node in graph.node for tensor in node.output if tensor}
    tensor = name if name in tensors else by_node.get(name)
    if tensor is None:
        close = difflib.get_close_matches(name, [*tensors, *by_node], n=5)
        known = {*(value.name for value in graph.output), *close}
        raise QapError(f"the graph has no output, tensor or node '{name}'", nearest(name, known))
    types = {value.name: value.type.tensor_type.elem_type for value in (*graph.value_info, *graph.output)}
    _keep_needed(graph, tensor)
    del graph.output[:]
    kind = types.get(tensor) or TensorProto.FLOAT
    graph.output.append(helper.make_tensor_value_info(tensor, kind, None))


def check(graph: GraphProto) -> None:
    """Raise `QapError` for an output of `graph` that no node makes, and for one that is listed twice."""
    tensors = {tensor for node in graph.node for tensor in node.output}
    inputs = {value.name for value in graph.input}
    seen: set[str] = set()
    for value in graph.output:
        if value.name in inputs - tensors:
            raise QapError(f"the output {value.name!r} is the input as it is", "leave it out, or name another one")
        if value.name in seen:
            raise QapError(f"the output {value.name!r} is listed twice", "leave one of them out")
        seen.add(value.name)


def joined(graph: ModelWrapper, names: Sequence[str]) -> None:
    """Let the outputs of a cleaned `graph`, called `names`, leave it as one vector, in place.

    A Softmax and the like at the end of one stays on the host. Raises `QapError` for outputs that are no vectors.
    """
    model = graph.graph
    origin = {tensor: node for node in model.node for tensor in node.output}
    parts, heads = [], []
    for value, name in zip(model.output, names, strict=True):
        tensor = value.name
        while (node := origin.get(tensor)) is not None and node.op_type in (*ENDS, *RISING_ENDS):
            tensor = node.input[0]
        shape = graph.get_tensor_shape(tensor)
        if not shape or math.prod(shape) != max(shape[1:], default=0):
            raise QapError(
                f"the graph has {len(names)} outputs, of which {name} has shape {shape}, which is no vector",
                f"several vectors leave the chip together; choose one with --model-output NAME: {', '.join(names)}",
            )
        flat = f"{name}/head"
        parts.append(helper.make_node("Flatten", [tensor], [flat], flat, axis=1))
        heads.append((name, max(shape[1:])))
        graph.set_tensor_shape(flat, [shape[0], max(shape[1:])])
    join = helper.make_node("Concat", [part.output[0] for part in parts], ["heads"], "heads", axis=1)
    join.doc_string = "heads"
    model.node.extend([*parts, join])
    value = helper.make_tensor_value_info("heads", model.output[0].type.tensor_type.elem_type, None)
    del model.output[:]
    model.output.append(value)
    _keep_needed(model, "heads")
    graph.set_metadata_prop(HEADS, json.dumps(heads))


def _keep_needed(graph: GraphProto, tensor: str) -> None:
    """Drop the nodes of which nothing reaches `tensor`, in place."""
    needed, kept = {tensor}, []
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            needed.update(node.input)
            kept.append(node)
    del graph.node[:]
    graph.node.extend(reversed(kept))


def of_graph(graph: ModelWrapper) -> tuple[Head, ...]:
    """Return the parts of the output of a graph that `joined` has changed; none of any other."""
    heads, first = [], 0
    for name, size in json.loads(graph.get_metadata_prop(HEADS) or "[]"):
        heads.append(Head(name, first, size))
        first += size
    return tuple(heads)
