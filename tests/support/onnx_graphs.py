# SPDX-License-Identifier: Apache-2.0
"""Small ONNX files in the dialects of others, and what onnxruntime and qonnx compute of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from onnx import ModelProto, NodeProto, TensorAnnotation, TensorProto, helper, numpy_helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.transformation.infer_shapes import InferShapes

from qap2fpga.frontend.checkpoint.widths import Widths
from qap2fpga.frontend.prepare import Prepared, Source, prepare

QONNX = "qonnx.custom_op.general"


def model(
    nodes: Sequence[NodeProto], constants: Mapping[str, Any], shape: Sequence[int], *, opset: int = 13,
    types: Mapping[str, str] | None = None,
) -> ModelProto:  # fmt: skip
    """A graph from 'x' of that shape to 'y', whose tensors are annotated with FINN's `types`."""
    stored = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    ends = (
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
    )
    graph = helper.make_graph(list(nodes), "graph", *ends, stored)
    for tensor, kind in (types or {}).items():
        note = TensorAnnotation(tensor_name=tensor)
        note.quant_parameter_tensor_names.add(key="finn_datatype", value=kind)
        graph.quantization_annotation.append(note)
    imports = [helper.make_opsetid("", opset), helper.make_opsetid(QONNX, 1)]
    return helper.make_model(graph, opset_imports=imports, ir_version=8)


def thresholds(source: str, table: str, target: str, domain: str = QONNX, **options: Any) -> NodeProto:
    """A MultiThreshold node that is called like its result."""
    return helper.make_node("MultiThreshold", [source, table], [target], target, domain=domain, **options)


def prepared(one: ModelProto, folder: Path, **source: Any) -> Prepared:
    """The model, read from a file and compared with qonnx."""
    path = folder / "net.onnx"
    path.write_bytes(one.SerializeToString())
    return prepare(Source(path, Widths(), **source), lambda text: None)


def by_qonnx(one: ModelProto, rows: np.ndarray) -> np.ndarray:
    """What qonnx computes of `rows`, one after the other, of the file as it is."""
    wrapper = ModelWrapper(ModelProto.FromString(one.SerializeToString())).transform(InferShapes())
    shape = [1, *wrapper.get_tensor_shape("x")[1:]]
    values = [execute_onnx(wrapper, {"x": row.reshape(shape).astype(np.float32)})["y"].reshape(-1) for row in rows]
    return np.stack(values)


def by_onnxruntime(one: ModelProto, rows: np.ndarray) -> np.ndarray:
    """What onnxruntime computes of `rows`, one after the other, of the file as it is."""
    session = onnxruntime.InferenceSession(one.SerializeToString(), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return np.stack([session.run(None, {name: row[None].astype(np.float32)})[0].reshape(-1) for row in rows])


def values(network: Prepared, rows: np.ndarray) -> np.ndarray:
    """The real outputs (n, outputs) of the integer network for real `rows`."""
    return network.lowered.run(network.lowered.input.quantize(rows)) * float(network.lowered.output_scale)
