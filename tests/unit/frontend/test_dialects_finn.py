# SPDX-License-Identifier: Apache-2.0
"""FINN's integer form: it computes what qonnx computes of the same file, and what is not exact is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto, helper, numpy_helper

from qap2fpga.frontend import onnxfile
from qap2fpga.frontend.dialects import normalised
from qap2fpga.system.errors import QapError
from tests.support.onnx_graphs import BITS, LAST, by_qonnx, model, prepared, streamlined, thresholds, values

RANDOM = np.random.default_rng(8)
ROWS = RANDOM.uniform(-1.2, 1.2, (80, 5)).astype(np.float32)


def test_signs_that_are_counted(tmp_path: Path) -> None:
    done = prepared(streamlined(), tmp_path)
    assert (values(done, ROWS) == by_qonnx(streamlined(), ROWS)).all()
    assert [layer.weight_bits for layer in done.lowered.layers] == [1, 2]
    assert (done.lowered.layers[0].weights == 2 * BITS - 1).all()


@pytest.mark.parametrize("domain", ["finn", "finn.custom_op.general", "onnx.brevitas", ""])
def test_the_domains_of_all_years(domain: str, tmp_path: Path) -> None:
    assert (values(prepared(streamlined(domain=domain), tmp_path), ROWS) == by_qonnx(streamlined(), ROWS)).all()


@pytest.mark.parametrize(
    ("kind", "weights", "bits"),
    [("BINARY", BITS, 1), ("BIPOLAR", 2 * BITS - 1, 1), ("TERNARY", BITS - 1, 2), ("UINT3", 7 * BITS, 3),
     ("INT3", -4 * BITS, 3)],
)  # fmt: skip
def test_weights_are_integers_by_their_annotation(kind: str, weights: np.ndarray, bits: int, tmp_path: Path) -> None:
    one = streamlined("MatMul", bits=weights)
    one.graph.quantization_annotation[0].quant_parameter_tensor_names[0].value = kind
    done = prepared(one, tmp_path)
    assert (values(done, ROWS) == by_qonnx(one, ROWS)).all()
    assert done.lowered.layers[0].weight_bits == bits
    assert (done.lowered.layers[0].weights == weights).all()


def test_weights_that_two_layers_share(tmp_path: Path) -> None:
    square = np.array([[1, -1], [0, 1]])
    nodes = [
        thresholds("x", "zero", "b", out_dtype="BINARY"),
        helper.make_node("MatMul", ["b", "w"], ["h"], "first"),
        thresholds("h", "zero", "a", out_dtype="BINARY"),
        helper.make_node("MatMul", ["a", "w"], ["y"], "second"),
    ]
    one = model(nodes, {"zero": np.float32([[1]]), "w": np.float32(square)}, [1, 2], types={"w": "INT2"})
    rows = 2 * ROWS[:, :2]
    assert (values(prepared(one, tmp_path), rows) == by_qonnx(one, rows)).all()
    assert sum(node.op_type == "Quant" for node in normalised(one).graph.node) == 1


def test_stored_inputs_of_old_files(tmp_path: Path) -> None:
    """Before 2020's end stored tensors were inputs of the graph too."""
    one = streamlined()
    for tensor in one.graph.initializer:
        one.graph.input.append(helper.make_tensor_value_info(tensor.name, 1, list(tensor.dims)))
    assert (values(prepared(one, tmp_path), ROWS) == by_qonnx(streamlined(), ROWS)).all()


def test_integers_that_come_in_and_are_quantized_at_once(tmp_path: Path) -> None:
    one = streamlined(zero=[[128.0]], bias=[128.2, 127.9, 128.1])
    note = one.graph.quantization_annotation.add(tensor_name="x")
    note.quant_parameter_tensor_names.add(key="finn_datatype", value="UINT8")
    rows = RANDOM.integers(0, 256, (40, 5)).astype(np.float32)
    done = prepared(one, tmp_path)
    assert (values(done, rows) == by_qonnx(one, rows)).all()
    assert done.facts.network.input_bits == 1


def test_a_type_is_never_executed(tmp_path: Path) -> None:
    one = streamlined("MatMul")
    one.graph.quantization_annotation[0].quant_parameter_tensor_names[0].value = "__import__('os').abort()"
    with pytest.raises(QapError, match=r"node product .MatMul..*\n.*weights are floats"):
        prepared(one, tmp_path)


def stored_elsewhere(one: ModelProto) -> ModelProto:
    one.graph.node[1].input[1] = "x"
    return one


REFUSED: dict[str, tuple[Callable[[], ModelProto], str]] = {
    "other numbers": (lambda: streamlined(last=LAST + 0.5), r"dense .MatMul..*\n.*annotated as TERNARY, but hold"),
    "too large": (lambda: streamlined(last=LAST * 2), r"dense .MatMul..*\n.*annotated as TERNARY, but hold"),
    "no bits": (lambda: streamlined(bits=BITS * 2), r"product .*\n.*must be a stored matrix of 0 and 1"),
    "no matrix": (lambda: streamlined(bits=BITS[0]), r"product .*\n.*must be a stored matrix of 0 and 1"),
    "not stored": (lambda: stored_elsewhere(streamlined()), r"product .*\n.*must be a stored matrix of 0 and 1"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name: str, tmp_path: Path) -> None:
    make, message = REFUSED[name]
    (tmp_path / "net.onnx").write_bytes(make().SerializeToString())
    with pytest.raises(QapError, match=message):
        onnxfile.load(tmp_path / "net.onnx")


def test_the_model_that_is_given_stays_as_it_is() -> None:
    one = streamlined()
    before = one.SerializeToString(deterministic=True)
    new = normalised(one)
    assert one.SerializeToString(deterministic=True) == before
    assert {node.op_type for node in new.graph.node} == {
        "MultiThreshold",
        "BipolarQuant",
        "Quant",
        "MatMul",
        "Add",
        "Mul",
    }
    stored = [numpy_helper.to_array(tensor).shape for tensor in new.graph.initializer]
    assert (5, 4) in stored
    assert not new.graph.quantization_annotation
