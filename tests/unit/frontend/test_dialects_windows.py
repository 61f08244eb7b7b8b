# SPDX-License-Identifier: Apache-2.0
"""FINN's convolutions and pools: what qonnx computes of the file, and of the integer network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from qap2fpga.frontend import onnxfile
from qap2fpga.frontend.dialects import normalised
from qap2fpga.system.errors import QapError
from tests.support.onnx_graphs import QONNX, by_qonnx, model, prepared, thresholds, values

RANDOM = np.random.default_rng(11)
ROWS = RANDOM.uniform(-1.2, 1.2, (12, 5 * 6 * 2)).astype(np.float32)
WEIGHTS = RANDOM.integers(-4, 4, (12, 3))
SPARSE = np.zeros((6, 2))
SPARSE[::2, 0], SPARSE[1::2, 1] = (1, -2, 3), (2, 0, -1)


def network(
    weights: np.ndarray = WEIGHTS, *, kernel: tuple[int, int] = (3, 2), count: str = "MatMul", kind: str = "INT3",
    stride: tuple[int, int] = (1, 1), pads: tuple[int, int, int, int] = (0, 0, 0, 0),
    dilations: tuple[int, int] = (1, 1),
    **options: Any,
) -> ModelProto:  # fmt: skip
    """5x6 with 2 channels, which come last: thresholds, a convolution, thresholds per channel, a pool, and a sign."""
    options |= {
        "stride": stride, "kernel_size": kernel, "pad_amount": pads, "dilations": dilations, "input_shape": "(1,5,6,2)",
    }  # fmt: skip
    rows, columns = (
        (extent + pads[place] + pads[place + 2] - dilations[place] * (kernel[place] - 1) - 1) // stride[place] + 1
        for place, extent in enumerate((5, 6))
    )
    size = ((rows - 2) // 2 + 1) * (columns - 1) * weights.shape[1]
    pool = {"kernel_shape": [2, 2], "strides": [2, 1], "pads": [0, 0, 0, 0]}
    nodes = [
        thresholds("x", "even", "q", out_dtype="BINARY", data_layout="NHWC"),
        helper.make_node("Im2Col", ["q"], ["columns"], "windows", domain=QONNX, **options),
        helper.make_node(count, ["columns", "w"], ["sums"], "conv", domain=QONNX if count[0] == "X" else ""),
        thresholds("sums", "table", "a", out_dtype="UINT2", data_layout="NHWC"),
        helper.make_node("MaxPoolNHWC", ["a"], ["p"], "pool", domain=QONNX, **pool),
        helper.make_node("Flatten", ["p"], ["f"], "flat"),
        helper.make_node("MatMul", ["f", "v"], ["h"], "dense"),
        thresholds("h", "end", "y", out_dtype="BIPOLAR", out_scale=2.0, out_bias=-1.0),
    ]
    random = np.random.default_rng(5)
    table = np.sort(random.integers(-6, 7, (weights.shape[1], 3)), axis=1)
    stored = {
        "even": [[0.0]], "w": weights, "end": [[0.5]], "table": table, "v": random.integers(-4, 4, (size, 4)),
    }  # fmt: skip
    types = {"w": kind, "v": "INT3", "q": "BINARY"}
    one = model(nodes, {name: np.float32(value) for name, value in stored.items()}, [1, 5, 6, 2], types=types)
    # What a MaxPoolNHWC takes must be known before qonnx can infer its result.
    shape = [1, rows, columns, weights.shape[1]]
    one.graph.value_info.append(helper.make_tensor_value_info("a", TensorProto.FLOAT, shape))
    return one


def stored(value: Any, name: str) -> TensorProto:
    return numpy_helper.from_array(np.asarray(value, np.float32), name)


BITS = RANDOM.integers(0, 2, (12, 3))
SIGNS: dict[str, Any] = {"count": "XnorPopcountMatMul", "kind": "BINARY"}
GEOMETRIES: dict[str, ModelProto] = {
    "plain": network(),
    "padded": network(pads=(1, 0, 2, 1)),
    "stride and dilation": network(stride=(2, 1), dilations=(1, 2), depthwise=0, pad_value=0),
    "depthwise": network(SPARSE, kernel=(3, 1), depthwise=1),
    "signs": network(BITS, **SIGNS),
    "signs, padded": network(BITS, pads=(1, 1, 1, 1), **SIGNS),
}


@pytest.mark.parametrize("name", GEOMETRIES)
def test_it_computes_what_qonnx_does(name: str, tmp_path: Path) -> None:
    one = GEOMETRIES[name]
    assert (values(prepared(one, tmp_path), ROWS) == by_qonnx(one, ROWS)).all()


def test_one_number_for_both_dimensions(tmp_path: Path) -> None:
    """Files of 2020 have it so; qonnx no longer executes them."""
    weights = RANDOM.integers(-4, 4, (8, 3))
    new = network(weights, kernel=(2, 2), stride=(2, 2), pads=(1, 1, 1, 1))
    old = ModelProto.FromString(new.SerializeToString())
    del old.graph.node[1].attribute[:]
    for name, value in {"kernel_size": 2, "stride": 2, "pad_amount": 1, "input_shape": "(1,5,6,2)"}.items():
        old.graph.node[1].attribute.append(helper.make_attribute(name, value))
    assert (values(prepared(old, tmp_path), ROWS) == by_qonnx(new, ROWS)).all()


def scaled(scale: np.ndarray) -> ModelProto:
    """Weights behind a quantizer of their own."""
    one = network()
    one.graph.quantization_annotation.pop(0)
    parameters = {"ws": scale, "wz": np.float32(0), "wb": np.float32(3)}
    for key, value in parameters.items():
        one.graph.initializer.append(stored(value, key))
    options = {"signed": 1, "narrow": 0, "domain": QONNX}
    one.graph.node.insert(0, helper.make_node("Quant", ["w", "ws", "wz", "wb"], ["wq"], "weights", **options))
    one.graph.node[3].input[1] = "wq"
    return one


@pytest.mark.parametrize("scale", [np.float32(0.5), np.float32([[0.5, 1, 2]]), np.float32([1, 0.25, 1])], ids=str)
def test_weights_with_a_quantizer(scale: np.ndarray, tmp_path: Path) -> None:
    one = scaled(scale)
    assert (values(prepared(one, tmp_path), ROWS) == by_qonnx(one, ROWS)).all()


def read_twice() -> ModelProto:
    one = network()
    one.graph.node.append(helper.make_node("Relu", ["columns"], ["z"], "other"))
    return one


def without_types() -> ModelProto:
    one = network()
    del one.graph.quantization_annotation[:]
    return one


def edited(**attributes: Any) -> ModelProto:
    """A network whose Im2Col has other attributes; None: none."""
    one = network()
    node = one.graph.node[1]
    for name, value in attributes.items():
        kept = [item for item in node.attribute if item.name != name]
        del node.attribute[:]
        node.attribute.extend(kept if value is None else [*kept, helper.make_attribute(name, value)])
    return one


def pooled(**attributes: Any) -> ModelProto:
    one = network()
    one.graph.node[4].attribute.extend(helper.make_attribute(name, value) for name, value in attributes.items())
    return one


REFUSED: dict[str, tuple[Callable[[], ModelProto], str]] = {
    "read twice": (read_twice, "windows .Im2Col.*\n.*must be a MatMul whose weights are quantized"),
    "no integers": (without_types, "conv .MatMul.*\n.*its weights are floats: after an Im2Col"),
    "another kernel": (lambda: edited(kernel_size=[5, 1]), r"conv .*\n.*weights of shape \(12, 3\) for windows of"),
    "a kernel of 0": (lambda: edited(kernel_size=[0, 1]), r"windows .*\n.*its attribute kernel_size is \[0, 1\]"),
    "three": (lambda: edited(kernel_size=[1, 1, 1]), r"windows .*\n.*its attribute kernel_size is"),
    "no stride": (lambda: edited(stride=None), r"windows .*\n.*its attribute stride is None"),
    "pads": (lambda: edited(pad_amount=[1, -1, 0, 0]), r"windows .*\n.*its attribute pad_amount is"),
    "two pads": (lambda: edited(pad_amount=[1, 1]), r"windows .*\n.*its attribute pad_amount is"),
    "a pad of 1": (lambda: edited(pad_value=1), r"windows .*\n.*its pad_value is 1; 0 is supported"),
    "surprise": (lambda: edited(surprise=1), r"windows .*\n.*its attribute surprise is not known"),
    "not depthwise": (lambda: edited(depthwise=1), r"conv .*\n.*its Im2Col is depthwise, but its weights join"),
    "scale of inputs": (lambda: scaled(np.ones((12, 1), np.float32)), r"conv .*\n.*a weight scale of shape \(12, 1\)"),
    "half a window": (lambda: pooled(ceil_mode=1), r"pool .*\n.*its ceil_mode is 1"),
    "another pool": (lambda: pooled(surprise=1), r"pool .*\n.*its attribute surprise is not known"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name: str, tmp_path: Path) -> None:
    make, message = REFUSED[name]
    (tmp_path / "net.onnx").write_bytes(make().SerializeToString())
    with pytest.raises(QapError, match=f"node {message}"):
        onnxfile.load(tmp_path / "net.onnx")


def test_what_is_left_is_of_qonnx() -> None:
    kinds = {node.op_type for node in normalised(network()).graph.node}
    assert kinds == {"MultiThreshold", "Quant", "Conv", "MaxPool", "Flatten", "MatMul"}
