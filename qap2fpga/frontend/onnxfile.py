# SPDX-License-Identifier: Apache-2.0
"""An ONNX file to a clean QONNX graph: looked over, complete, and of one opset."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import ModelProto, TensorProto, numpy_helper

from qap2fpga.system import names
from qap2fpga.system.quiet import quiet

with quiet():
    from qonnx.core.modelwrapper import ModelWrapper

from qap2fpga.frontend import dialects, export, external, heads, uniform
from qap2fpga.frontend.dialects.datatypes import DATATYPE
from qap2fpga.frontend.external import first_line
from qap2fpga.frontend.survey import FLOATS, check_links, survey
from qap2fpga.system.errors import QapError

ANOTHER_KIND = "it is truncated or of another kind; export it again"
NUMBERS = (
    *FLOATS,
    TensorProto.BOOL, TensorProto.INT8, TensorProto.INT16, TensorProto.INT32, TensorProto.INT64,
    TensorProto.UINT8, TensorProto.UINT16, TensorProto.UINT32, TensorProto.UINT64, TensorProto.INT4, TensorProto.UINT4,
)  # fmt: skip


def load(path: Path, output: str = "") -> ModelWrapper:
    """Read and clean an `.onnx` file, as far as the `output` of that name if there is one.

    Raises `QapError` when it is not one, or not one that can be lowered.
    """
    return _clean(_parse(path), path, output)


def read(content: bytes, path: Path) -> ModelWrapper:
    """Return the clean graph in the `content` of an ONNX file that stands in the file at `path`, with all its tensors.

    Raises `QapError` like `load`.
    """
    try:
        model = onnx.load_model_from_string(content)
    except (DecodeError, ValueError) as error:
        raise QapError(f"{path}: damaged: its graph is not an ONNX file: {first_line(error)}", ANOTHER_KIND) from error
    _check_parsed(model, f"{path}: damaged: its graph")
    if external.outside(model):
        raise QapError(f"{path}: damaged: its graph has tensors in other files", ANOTHER_KIND)
    return _clean(model, path)


def _clean(model: ModelProto, path: Path, output: str = "") -> ModelWrapper:
    take_as_data(model)
    check_links(model.graph)
    external.load(model, path)
    _check_tensors(model, path)
    if output:
        heads.choose(model, output)
    heads.check(model.graph)
    model = dialects.normalised(model)
    opset = survey(model)
    outputs = names.labels([value.name for value in model.graph.output])
    uniform.bring_to_one_opset(model, opset)
    uniform.leave_out_shapes(model)
    graph = export.clean(ModelWrapper(model))
    if len(outputs) > 1:
        heads.joined(graph, outputs)
        graph = export.clean(graph)
    return uniform.widen(graph)


def take_as_data(model: ModelProto) -> None:
    """Take out of `model` what qonnx would execute, and keep its names as labels only.

    qonnx evaluates the annotations of layout and sparsity, and turns names that it is given into those of sources.
    """
    for annotation in model.graph.quantization_annotation:
        kept = [entry for entry in annotation.quant_parameter_tensor_names if entry.key == DATATYPE]
        del annotation.quant_parameter_tensor_names[:]
        annotation.quant_parameter_tensor_names.extend(kept)
    del model.metadata_props[:]
    given = [node.name for node in model.graph.node]
    whole = all(given) and len(set(given)) == len(given)
    for node, text in zip(model.graph.node, names.labels(given), strict=True):
        node.doc_string = text if whole else ""
        del node.metadata_props[:]
    model.doc_string, model.graph.doc_string, model.graph.name = "", "", "network"


def _parse(path: Path) -> ModelProto:
    if path.is_dir():
        raise QapError(f"{path} is a folder", "give the model file in it")
    try:
        if not path.stat().st_size:
            raise QapError(f"{path} is empty", "export it again")
        model = onnx.load(str(path), load_external_data=False)
    except FileNotFoundError as error:
        raise QapError(f"{path} does not exist", "check the path") from error
    except (DecodeError, OSError, ValueError) as error:
        raise QapError(f"{path} is not an ONNX file: {first_line(error)}", ANOTHER_KIND) from error
    _check_parsed(model, str(path))
    return model


def _check_parsed(model: ModelProto, what: str) -> None:
    if not external.is_text(model):
        raise QapError(f"{what} is not an ONNX file: it has names that are no UTF-8", ANOTHER_KIND)
    if not model.graph.node:
        raise QapError(f"{what} is not an ONNX file: it has no nodes", ANOTHER_KIND)


def _check_tensors(model: ModelProto, path: Path) -> None:
    """Stored tensors must be whole, of a known type, and finite."""
    for tensor in external.tensors(model.graph):
        what = f"{path}: the tensor {names.shown(tensor.name)}"
        if tensor.data_type not in NUMBERS:
            raise QapError(f"{what} is of {_type_name(tensor.data_type)}", "export it with float32 numbers")
        try:
            values = numpy_helper.to_array(tensor)
        except (ValueError, TypeError) as error:
            raise QapError(f"{what} is damaged: {first_line(error)}", ANOTHER_KIND) from error
        if tensor.data_type in FLOATS and not np.isfinite(values.astype(np.float64)).all():
            raise QapError(f"{what} has NaN or infinite values", "export the model again")


def _type_name(data_type: int) -> str:
    return (
        f"type {TensorProto.DataType.Name(data_type)}"
        if data_type in TensorProto.DataType.values()
        else "no known type"
    )
