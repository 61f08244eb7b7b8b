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
from tests.support.qonnx_builder import QONNX


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


BITS = np.random.default_rng(8).integers(0, 2, (5, 4)).astype(np.float32)
LAST = np.random.default_rng(9).integers(-1, 2, (4, 3)).astype(np.float32)
INTEGERS = np.random.default_rng(6).integers(-128, 128, (5, 3)).astype(np.int8)


def streamlined(kind: str = "XnorPopcountMatMul", domain: str = QONNX, **changed: Any) -> ModelProto:
    """Signs, a count of equal signs, thresholds per neuron, ternary weights with a scale per output, a sign."""
    product = helper.make_node(kind, ["b", "bits"], ["n"], "product", domain=domain if kind.startswith("X") else "")
    nodes = [
        thresholds("x", "zero", "b", domain, out_dtype="BINARY"),
        product,
        thresholds("n", "table", "a", domain, out_dtype="UINT2"),
        helper.make_node("MatMul", ["a", "last"], ["m"], "dense"),
        helper.make_node("Mul", ["m", "scales"], ["h"], "scales"),
        helper.make_node("Add", ["h", "bias"], ["z"], "bias"),
        thresholds("z", "zero", "y", domain, out_dtype="BIPOLAR", out_scale=2.0, out_bias=-1.0),
    ]
    constants = {
        "zero": [[0.0]], "bits": BITS, "table": [[1, 2, 4], [2, 3, 3], [0, 4, 5], [1.5, 2.5, 3]], "last": LAST,
        "scales": [0.3, -0.2, 0.7], "bias": [0.1, 0.05, -0.4],
    }  # fmt: skip
    stored = {name: np.asarray(value, np.float32) for name, value in (constants | changed).items()}
    return model(nodes, stored, [1, 5], types={"bits": "BINARY", "last": "TERNARY"})


ZERO = np.int8(0)


def triple(source: str, target: str, ends: tuple[int, int] | None, scale: str = "s") -> list[NodeProto]:
    """QuantizeLinear, Clip where there are `ends`, DequantizeLinear."""
    clipped = f"{target}_q" if ends is None else f"{target}_c"
    nodes = [helper.make_node("QuantizeLinear", [source, scale, "z"], [f"{target}_q"], f"{target}_quantize")]
    if ends is not None:
        nodes.append(helper.make_node("Clip", [f"{target}_q", f"{target}_low", f"{target}_high"], [clipped]))
    return [*nodes, helper.make_node("DequantizeLinear", [clipped, scale, "z"], [target], target)]


def qcdq(
    *, ends: tuple[int, int] | None = (-7, 7), zero: Any = ZERO, weights: Any = None, opset: int = 13,
    **changed: Any,
) -> ModelProto:  # fmt: skip
    """Activations of one scale, quantized before and after a dense layer whose weights are stored integers."""
    nodes = [
        *triple("x", "a", ends),
        helper.make_node("DequantizeLinear", ["w", "ws", "wz"], ["wd"], "weights", axis=1),
        helper.make_node("MatMul", ["a", "wd"], ["h"], "dense"),
        *triple("h", "y", ends, "ys"),
    ]
    stored: dict[str, Any] = {
        "s": np.float32(0.1), "ys": np.float32(0.0937), "z": zero, "ws": np.array([0.3, 0.007, 1.1], np.float32),
        "w": INTEGERS if weights is None else weights,
        "wz": np.array([3, -5, 0], np.int8),
    }  # fmt: skip
    if ends is not None:
        stored |= {f"{name}_{end}": np.array(value, np.asarray(zero).dtype)
                   for name in "ay" for end, value in zip(("low", "high"), ends, strict=True)}  # fmt: skip
    return model(nodes, stored | changed, [1, 5], opset=opset)


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
