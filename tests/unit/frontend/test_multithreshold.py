# SPDX-License-Identifier: Apache-2.0
"""Thresholds that a file stores one by one: as the input's quantizer, and as those of layers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, helper

from qap2fpga.frontend import onnxfile
from qap2fpga.frontend.graph import read
from qap2fpga.ir.functions import Step
from qap2fpga.system.errors import QapError
from tests.support.onnx_graphs import by_qonnx, model, prepared, thresholds, values

EVEN = (np.arange(15)[None] - 7.5) / 8
WEIGHTS = np.array([[1, -2, 3], [0, 1, -1], [2, 2, 0], [-3, 1, 1]], np.float32)


def network(
    at_input: np.ndarray = EVEN, at_end: np.ndarray | None = None, first: dict[str, Any] | None = None,
    last: dict[str, Any] | None = None, scale: float = 0.125,
) -> ModelProto:  # fmt: skip
    """4 inputs, thresholds, a dense layer of 4 to 3 with a scale of 1/4 each, and thresholds."""
    end = np.array([[-2.1, -0.3, 1.9], [-1, 0.5, 0.5], [-7, 0, 3.2]]) if at_end is None else at_end
    nodes = [
        thresholds("x", "even", "q", **({"out_dtype": "INT4", "out_bias": -8.0} if first is None else first)),
        helper.make_node("Mul", ["q", "s"], ["a"], "scale"),
        helper.make_node("MatMul", ["a", "w"], ["h"], "dense"),
        thresholds("h", "end", "y", **({"out_dtype": "UINT2"} if last is None else last)),
    ]
    constants = {"even": at_input, "w": WEIGHTS, "end": end, "s": scale}
    stored = {name: np.asarray(value, np.float32) for name, value in constants.items()}
    return model(nodes, stored, [1, 4], types={"w": "INT4"})


ROWS = np.random.default_rng(3).uniform(-1.3, 1.3, (60, 4)).astype(np.float32)
ON_EDGES = np.random.default_rng(4).choice(EVEN[0], (20, 4)).astype(np.float32)


def test_it_computes_what_qonnx_does(tmp_path: Path) -> None:
    rows = np.concatenate([ROWS, ON_EDGES, np.nextafter(ON_EDGES, np.float32(-9))])
    done = prepared(network(), tmp_path)
    assert (values(done, rows) == by_qonnx(network(), rows)).all()
    assert done.facts.network.input_bits == 4
    assert done.facts.network.layers[0].output_bits == 2
    function = done.lowered.layers[0].activation
    assert isinstance(function, Step)
    # The real accumulator is n / 8: of each channel the first whole n at or above 8 t, and of the range at least; equal
    # thresholds are two steps.
    assert function.thresholds.tolist() == [[-16, -2, 16], [-8, 4, 4], [-39, 0, 26]]


def test_the_order_of_thresholds_does_not_matter(tmp_path: Path) -> None:
    shuffled = network(EVEN[:, ::-1])
    assert (values(prepared(shuffled, tmp_path), ROWS) == by_qonnx(network(), ROWS)).all()


@pytest.mark.parametrize(
    ("last", "at_end"),
    [
        ({"out_dtype": "BIPOLAR", "out_scale": 2.0, "out_bias": -1.0}, [[0.4]]),
        ({"out_dtype": "UINT3", "out_scale": 0.375, "out_bias": 0.75}, [[-1, 0.4, 0.4, 2]]),
        ({"out_dtype": "UINT8", "out_scale": 0.5, "out_bias": -0.25}, [[-1, 2.0]]),
        ({"out_dtype": "BINARY", "data_layout": "NC"}, [[-1], [0], [1]]),
    ],
)
def test_the_values_that_it_gives(last: dict[str, Any], at_end: Any, tmp_path: Path) -> None:
    one = network(at_end=np.array(at_end), last=last)
    assert (values(prepared(one, tmp_path), ROWS) == by_qonnx(one, ROWS)).all()


def test_one_threshold_of_the_input_is_a_sign(tmp_path: Path) -> None:
    one = network(np.array([[0.3]]), first={"out_dtype": "BIPOLAR", "out_scale": 2.0, "out_bias": -1.0})
    rows = np.concatenate([ROWS, np.full((1, 4), 0.3, np.float32)])
    done = prepared(one, tmp_path)
    assert (values(done, rows) == by_qonnx(one, rows)).all()
    assert done.lowered.input.rounding == "SIGN"


def test_thresholds_per_feature_of_the_input(tmp_path: Path) -> None:
    rows = np.array([[-0.5, 0.5], [0, 1], [0.25, 0.5], [3, 4]])
    one = network(rows, first={"out_dtype": "UINT2"})
    assert (values(prepared(one, tmp_path), 4 * ROWS) == by_qonnx(one, 4 * ROWS)).all()


BIPOLAR = {"out_dtype": "BIPOLAR", "out_scale": 2.0, "out_bias": -1.0}
REFUSED = {
    "two steps at the input": (network(np.array([[0, 1]]), first=BIPOLAR | {"out_dtype": "INT2"}), "not evenly spaced"),
    "falling": (network(last={"out_dtype": "UINT2", "out_scale": -1.0}), "out_scale is -1; it must be above 0"),
    "no whole bias": (network(last={"out_dtype": "UINT2", "out_bias": 0.3}), "no whole number of halves"),
    "infinite": (network(last={"out_dtype": "UINT2", "out_bias": float("inf")}), "out_bias is inf"),
    "no type": (network(last={"out_dtype": "FLOAT32"}), "an out_dtype that is no integer type"),
    "a narrow type": (network(last={"out_dtype": "BINARY"}), "3 thresholds, and an out_dtype"),
    "channels": (network(at_end=np.ones((2, 3))), r"thresholds of 2 channels"),
    "layout": (network(last={"out_dtype": "UINT2", "data_layout": "NHWC"}), "layout 'NHWC'"),
    "a row": (network(at_end=np.ones(3)), r"its thresholds have shape \(3,\)"),
    "none": (network(at_end=np.ones((1, 0))), r"its thresholds have shape \(1, 0\)"),
    "many": (network(at_end=np.ones((1, 1 << 16)), last={"out_dtype": "UINT32"}), "65536 thresholds, more than"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name: str, tmp_path: Path) -> None:
    one, message = REFUSED[name]
    with pytest.raises(QapError, match=rf"node (q|y) \(MultiThreshold\) cannot be lowered\n.*{message}"):
        prepared(one, tmp_path)


UNEVEN = [np.array([[0, 0.1, 0.3]]), np.array([[0.1, 0.1]]), np.array([[-0.5, 0.5, 0.7]] * 3 + [[0, 0.5, 1]])]


@pytest.mark.parametrize("rows", UNEVEN, ids=str)
def test_uneven_thresholds_of_the_input_are_reached_by_what_is_quantized_before(
    rows: np.ndarray, tmp_path: Path
) -> None:
    one = network(rows, first={"out_dtype": "UINT2"})
    with pytest.raises(QapError, match="no input quantizer"):
        prepared(one, tmp_path)
    with pytest.raises(QapError, match=r"node q .MultiThreshold.*\n.*not evenly spaced"):
        read(onnxfile.load(tmp_path / "net.onnx"))
    done = prepared(one, tmp_path, range=(-1.0, 1.0))
    exact = np.rint(ROWS * 64) / 64
    inside = np.clip(exact, -1, 127 / 64)
    assert (values(done, inside) == by_qonnx(one, inside)).all()
    assert done.facts.network.input_bits == 8


def test_a_tensor_of_three_dimensions_must_say_which_are_the_channels(tmp_path: Path) -> None:
    one = network()
    reshape = helper.make_node("Reshape", ["h", "shape"], ["r"], "reshape")
    one.graph.node.insert(3, reshape)
    one.graph.node[4].input[0] = "r"
    one.graph.initializer.append(helper.make_tensor("shape", 7, [3], [1, 3, 1]))
    (tmp_path / "net.onnx").write_bytes(one.SerializeToString())
    with pytest.raises(QapError, match="does not say which"):
        read(onnxfile.load(tmp_path / "net.onnx"))


def test_what_stands_before_the_inputs_thresholds(tmp_path: Path) -> None:
    one = network()
    for place, (kind, taken) in enumerate((("Mul", True), ("Relu", False))):
        changed = ModelProto.FromString(one.SerializeToString())
        inputs = ["x", "half"] if taken else ["x"]
        changed.graph.node.insert(0, helper.make_node(kind, inputs, ["scaled"], f"before{place}"))
        changed.graph.node[1].input[0] = "scaled"
        changed.graph.initializer.append(helper.make_tensor("half", 1, [], [0.5]))
        if taken:
            assert (values(prepared(changed, tmp_path), 2 * ROWS) == by_qonnx(changed, 2 * ROWS)).all()
        else:
            with pytest.raises(QapError, match="only scaling and shifting"):
                prepared(changed, tmp_path)
