# SPDX-License-Identifier: Apache-2.0
"""From a model to a cleaned QONNX graph, through Brevitas; and QONNX files that others exported."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from google.protobuf.message import DecodeError
from onnx import helper, numpy_helper

from qap2fpga.quiet import quiet

with quiet():
    from brevitas.export import export_qonnx
    from qonnx.core.datatype import DataType
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.core.onnx_exec import execute_onnx
    from qonnx.transformation.change_batchsize import ChangeBatchSize
    from qonnx.transformation.infer_shapes import InferShapes
    from qonnx.util.cleanup import cleanup_model

from qap2fpga import names
from qap2fpga.checkpoint.module import build
from qap2fpga.checkpoint.spec import Model
from qap2fpga.errors import QapError
from qap2fpga.files import write_atomically
from qap2fpga.lower.values import FINN_FORM, label

# Of operators: those of ONNX itself, and what qonnx and Brevitas call their own.
DOMAINS = ("", "ai.onnx", "qonnx.custom_op.general", "qonnx.custom_op.channels_last", "onnx.brevitas")
# qonnx' annotation of a tensor with its integer type.
DATATYPE = "finn_datatype"


def export(model: Model) -> tuple[torch.nn.Sequential, ModelWrapper]:
    """The Brevitas module of `model` and its cleaned QONNX graph (batch 1)."""
    with quiet(), tempfile.TemporaryDirectory() as folder:
        module = build(model)
        path = os.path.join(folder, "model.onnx")
        export_qonnx(module, torch.zeros(1, model.inputs), path)
        graph = _clean(ModelWrapper(path))
    return module, graph


def load(path: Path) -> ModelWrapper:
    """Read and clean an `.onnx` file. Raises `QapError` when it is not one."""
    cure = "it is truncated or of another kind; export it again"
    try:
        if path.is_dir():
            raise QapError(f"{path} is a folder", "give the model file in it")
        if path.exists() and not path.stat().st_size:
            raise QapError(f"{path} is empty", "export it again")
        proto = onnx.load(str(path))
    except FileNotFoundError as error:
        raise QapError(f"{path} does not exist", "check the path") from error
    except onnx.checker.ValidationError as error:
        raise QapError(f"{path}: {_first_line(error)}", "put the file with the tensors beside it") from error
    except (DecodeError, OSError, ValueError) as error:
        raise QapError(f"{path} is not an ONNX file: {_first_line(error)}", cure) from error
    if not proto.graph.node:
        raise QapError(f"{path} is not an ONNX file: it has no nodes", cure)
    _take_as_data(proto, path)
    for initializer in proto.graph.initializer:
        try:
            values = numpy_helper.to_array(initializer)
        except (ValueError, TypeError) as error:
            raise QapError(f"{path}: the tensor {names.shown(initializer.name)} is damaged: {error}", cure) from error
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise QapError(
                f"{path}: the tensor {names.shown(initializer.name)} has NaN or infinite values",
                "export the model again",
            )
    if len(proto.graph.output) != 1:
        raise QapError(f"{path}: the graph has {len(proto.graph.output)} outputs", "networks with one are supported")
    try:
        graph = _clean(ModelWrapper(proto))
    except Exception as error:  # qonnx and onnx raise what they like when tensors do not fit together
        raise QapError(f"{path}: the graph does not fit together: {_first_line(error)}", "export it again") from error
    if 0 in (graph.get_tensor_shape(graph.graph.input[0].name) or [0, 0])[1:]:
        raise QapError(f"{path}: its input has no fixed shape", "export it with a fixed number of features")
    used = {graph.graph.output[0].name}.union(*(node.input for node in graph.graph.node))
    reached = {value.name for value in graph.graph.input}
    for node in graph.graph.node:
        if reached.intersection(node.input):
            reached.update(node.output)
            if not used.intersection(node.output):
                raise QapError(
                    f"node {label(node)} ({node.op_type}) leads nowhere", "export the network with one output"
                )
    return graph


def _take_as_data(proto: onnx.ModelProto, path: Path) -> None:
    """Take out of `proto` what qonnx would execute, and keep its names as labels only.

    qonnx imports the Python module that a node's domain names, and evaluates annotations of layout and sparsity.
    """
    for node in proto.graph.node:
        if node.domain not in DOMAINS:
            what = f"{path}: node {names.shown(node.name or node.op_type)} ({names.shown(node.op_type)})"
            if node.domain.startswith("finn"):
                raise QapError(f"{what} cannot be lowered", FINN_FORM)
            raise QapError(
                f"{what} is an operator of the domain {names.shown(node.domain)}",
                f"known domains: {', '.join(filter(None, DOMAINS))}",
            )
    for annotation in proto.graph.quantization_annotation:
        kept = [entry for entry in annotation.quant_parameter_tensor_names if entry.key == DATATYPE]
        del annotation.quant_parameter_tensor_names[:]
        annotation.quant_parameter_tensor_names.extend(kept)
    del proto.metadata_props[:]
    given = [node.name for node in proto.graph.node]
    whole = all(given) and len(set(given)) == len(given)
    for node, text in zip(proto.graph.node, names.labels(given), strict=True):
        node.doc_string = text if whole else ""
        del node.metadata_props[:]
    proto.doc_string, proto.graph.doc_string, proto.graph.name = "", "", "network"


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:160]


def _clean(graph: ModelWrapper) -> ModelWrapper:
    """The graph, cleaned by qonnx, which gives all names anew; labels stay."""
    with quiet():
        return cleanup_model(graph)


def copy(graph: ModelWrapper) -> ModelWrapper:
    """A graph of its own with the same content."""
    return ModelWrapper(graph.model, make_deepcopy=True)


def add_input_quantizer(graph: ModelWrapper, bits: int, scale: float, signed: bool) -> ModelWrapper:
    """The graph with a quantizer of one `scale` on its input; one bit is the sign."""
    name = graph.graph.input[0].name
    graph.set_tensor_datatype(name, DataType["FLOAT32"])
    behind = f"{name}_quantized"
    for node in graph.graph.node:
        for index, tensor in enumerate(node.input):
            if tensor == name:
                node.input[index] = behind
    values = {f"{behind}_scale": scale}
    options: dict[str, Any] = {}
    if bits > 1:
        values |= {f"{behind}_zero_point": 0.0, f"{behind}_bits": float(bits)}
        options = {"signed": int(signed), "narrow": 0, "rounding_mode": "ROUND"}
    for key, value in values.items():
        graph.set_initializer(key, np.float32(value).reshape(()))
    node = helper.make_node(
        "Quant" if bits > 1 else "BipolarQuant",
        [name, *values],
        [behind],
        "input_quantizer",
        domain="qonnx.custom_op.general",
        **options,
    )
    graph.graph.node.insert(0, node)
    graph.set_tensor_shape(behind, graph.get_tensor_shape(name))
    return _clean(graph)


def declared_input(graph: ModelWrapper) -> tuple[int, bool] | None:
    """(bits, signed) of the integers that the graph says it is fed, if it says so; BIPOLAR is one bit."""
    declared = graph.get_tensor_datatype(graph.graph.input[0].name)
    if declared == DataType["BIPOLAR"]:
        return 1, True
    return (declared.bitwidth(), declared.signed()) if declared.is_integer() else None


def execute(graph: ModelWrapper, rows: np.ndarray) -> dict[str, np.ndarray]:
    """Every tensor of the graph executed by qonnx on real `rows` (n, inputs), in one batch."""
    name = graph.graph.input[0].name
    shape = [len(rows), *graph.get_tensor_shape(name)[1:]]
    with quiet():
        batched = graph.transform(ChangeBatchSize(len(rows))).transform(InferShapes())
        context: dict[str, Any] = execute_onnx(batched, {name: rows.reshape(shape).astype(np.float32)}, True)
    return {key: value for key, value in context.items() if value is not None}


def torch_values(module: torch.nn.Sequential, rows: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Real values that enter and leave each dense layer (with its activation) of the module, run on `rows`."""
    entered, left = [], []
    with torch.no_grad():
        value = torch.from_numpy(np.ascontiguousarray(rows, np.float32))
        for layer in module:
            if hasattr(layer, "quant_weight"):
                entered.append(value.numpy())
            value = layer(value)
            value = value.value if hasattr(value, "value") else value
        left = [*entered[1:], value.numpy()]
    return entered, left


def write(graph: ModelWrapper, path: Path) -> None:
    """Save the graph in one step."""
    write_atomically(path, graph.model.SerializeToString(deterministic=True))
