# SPDX-License-Identifier: Apache-2.0
"""From a chain of layers to a cleaned QONNX graph; and all that qonnx does with graphs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from onnx import helper

from qap2fpga.system.quiet import quiet

with quiet():
    from qonnx.core.datatype import DataType
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.core.onnx_exec import execute_onnx
    from qonnx.transformation.change_batchsize import ChangeBatchSize
    from qonnx.transformation.fold_constants import FoldConstants
    from qonnx.transformation.general import (
        GiveReadableTensorNames,
        GiveUniqueNodeNames,
        GiveUniqueParameterTensors,
        RemoveStaticGraphInputs,
        RemoveUnusedTensors,
    )
    from qonnx.transformation.infer_shapes import InferShapes

from qap2fpga.frontend import chain
from qap2fpga.frontend.checkpoint.spec import Model
from qap2fpga.frontend.external import first_line
from qap2fpga.frontend.operators import QUANTIZERS
from qap2fpga.frontend.uniform import narrow
from qap2fpga.system.errors import QapError
from qap2fpga.system.files import write_atomically

# qonnx has another name for what Brevitas calls ROUND_TO_ZERO.
ROUNDING_NAMES = {"ROUND_TO_ZERO": b"DOWN"}


def export(model: Model) -> ModelWrapper:
    """Return the cleaned QONNX graph of `model` (batch 1); its layers' names are the labels of the graph's layers."""
    return clean(ModelWrapper(chain.graph(model)))


def clean(graph: ModelWrapper) -> ModelWrapper:
    """Return the graph, cleaned by qonnx, which gives all names anew; labels stay."""
    for node in graph.graph.node:
        for item in node.attribute:
            if item.name == "rounding_mode":
                item.s = ROUNDING_NAMES.get(item.s.decode(errors="replace").upper(), item.s)
    with _qonnx("the graph does not fit together"):
        for step in _cleaning():
            graph = graph.transform(step)
    return graph


def _cleaning() -> list[Any]:
    """The steps of qonnx's `cleanup_model`, but for one: it moves a transpose into a weight's quantizer and forgets a
    scale of fewer dimensions than the weight, which then belongs to other channels.
    """
    return [
        InferShapes(),
        GiveUniqueParameterTensors(),
        FoldConstants(exclude_op_types=list(QUANTIZERS)),
        RemoveUnusedTensors(),
        RemoveStaticGraphInputs(),
        GiveUniqueNodeNames(),
        GiveReadableTensorNames(),
    ]


@contextlib.contextmanager
def _qonnx(what: str) -> Iterator[None]:
    """Everything of qonnx that executes or rewrites a graph runs in here: whatever it, onnx and onnxruntime raise
    becomes a `QapError`.
    """
    try:
        with quiet():
            yield
    except Exception as error:
        raise QapError(f"{what}: {first_line(error)}", "export the model again") from error


def copy(graph: ModelWrapper) -> ModelWrapper:
    """Return a graph of its own with the same content."""
    return ModelWrapper(graph.model, make_deepcopy=True)


def add_input_quantizer(graph: ModelWrapper, bits: int, scale: float, signed: bool) -> ModelWrapper:
    """Return the graph with a quantizer of one `scale` on its input; one bit is the sign."""
    name = graph.graph.input[0].name
    graph.set_tensor_datatype(name, DataType["FLOAT32"])
    quantized = f"{name}_quantized"
    for node in graph.graph.node:
        for index, tensor in enumerate(node.input):
            if tensor == name:
                node.input[index] = quantized
    values = {f"{quantized}_scale": scale}
    options: dict[str, Any] = {}
    if bits > 1:
        values |= {f"{quantized}_zero_point": 0.0, f"{quantized}_bits": float(bits)}
        options = {"signed": int(signed), "narrow": 0, "rounding_mode": "ROUND"}
    for key, value in values.items():
        graph.set_initializer(key, np.float32(value).reshape(()))
    node = helper.make_node(
        "Quant" if bits > 1 else "BipolarQuant",
        [name, *values],
        [quantized],
        "input_quantizer",
        domain="qonnx.custom_op.general",
        **options,
    )
    graph.graph.node.insert(0, node)
    graph.set_tensor_shape(quantized, graph.get_tensor_shape(name))
    return clean(graph)


def declared_input(graph: ModelWrapper) -> tuple[int, bool] | None:
    """(bits, signed) of the integers that the graph says it is fed, if it says so; BIPOLAR is one bit."""
    with _qonnx("the graph declares its input as a type that qonnx does not know"):
        declared = graph.get_tensor_datatype(graph.graph.input[0].name)
    if declared == DataType["BIPOLAR"]:
        return 1, True
    return (declared.bitwidth(), declared.signed()) if declared.is_integer() else None


def undeclared(graph: ModelWrapper) -> ModelWrapper:
    """Return the graph, which no longer says that integers come in."""
    graph = copy(graph)
    graph.set_tensor_datatype(graph.graph.input[0].name, DataType["FLOAT32"])
    return graph


def execute(
    graph: ModelWrapper, rows: np.ndarray, known: Mapping[str, np.ndarray] | None = None
) -> dict[str, np.ndarray]:
    """Return every tensor of the graph executed by qonnx on real `rows` (n, ...), in one batch.

    Nodes whose results are `known` are not executed: what follows from them follows from these. Raises `QapError`
    where qonnx cannot execute it, or where its floats overflow.
    """
    name = graph.graph.input[0].name
    with _qonnx("qonnx cannot execute the graph"):
        batched = narrow(graph.transform(ChangeBatchSize(len(rows)))).transform(InferShapes())
        shape = [len(rows), *graph.get_tensor_shape(name)[1:]]
        entering = {name: rows.reshape(shape).astype(np.float32), **_cut(batched, known or {})}
        context: dict[str, Any] = execute_onnx(batched, entering, True)
    for key, value in context.items():
        if value is not None and value.dtype.kind == "f" and not np.isfinite(value).all():
            raise QapError(
                f"executed by qonnx, the graph's numbers overflow: {key} is not finite",
                "its parameters are out of range",
            )
    return {key: value for key, value in context.items() if value is not None}


def _cut(graph: ModelWrapper, known: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
    """Make inputs of the graph of what is `known`, in place, but for its outputs; return what is now fed to it."""
    outputs = {value.name for value in graph.graph.output}
    for place in reversed(range(len(graph.graph.node))):
        if known.keys() & set(graph.graph.node[place].output) - outputs:
            del graph.graph.node[place]
    fed = {tensor: values for tensor, values in known.items() if tensor not in outputs}
    for place in reversed(range(len(graph.graph.value_info))):
        if graph.graph.value_info[place].name in fed:
            graph.graph.input.append(graph.graph.value_info.pop(place))
    return fed


def write(graph: ModelWrapper, path: Path) -> None:
    """Save the graph in one step, as it is executed."""
    write_atomically(path, narrow(copy(graph)).model.SerializeToString(deterministic=True))
