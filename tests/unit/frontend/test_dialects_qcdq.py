# SPDX-License-Identifier: Apache-2.0
"""QCDQ: it computes what onnxruntime computes of the same file, and what is not exact is refused."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import ModelProto, TensorProto, helper
from torch.ao import quantization

from qap2fpga.frontend import onnxfile
from qap2fpga.frontend.graph import read
from qap2fpga.frontend.integer import lower
from qap2fpga.frontend.operators import NEWEST_OPSET
from qap2fpga.frontend.values import RawNode, RawStep
from qap2fpga.ir.functions import Step
from qap2fpga.system.errors import QapError
from qap2fpga.system.quiet import quiet
from tests.support.onnx_graphs import by_onnxruntime, prepared, values
from tests.support.onnx_graphs import qcdq as network

with quiet():
    import brevitas.nn as qnn
    from brevitas.export import export_onnx_qcdq, export_qonnx
    from brevitas.quant import Int8WeightPerChannelFloat, Int32Bias

RANDOM = np.random.default_rng(6)
ROWS = RANDOM.uniform(-2, 2, (80, 5)).astype(np.float32)


def brevitas_module(bias_quant: Any = Int32Bias) -> torch.nn.Sequential:
    torch.manual_seed(2)
    bits: dict[str, Any] = {"weight_bit_width": 3, "weight_quant": Int8WeightPerChannelFloat, "bias_quant": bias_quant}
    module = torch.nn.Sequential(
        qnn.QuantIdentity(bit_width=6, return_quant_tensor=True),
        qnn.QuantLinear(5, 4, bias=True, **bits),
        torch.nn.BatchNorm1d(4),
        qnn.QuantReLU(bit_width=3, return_quant_tensor=True),
        qnn.QuantLinear(4, 3, bias=True, weight_bit_width=8, bias_quant=bias_quant),
        qnn.QuantIdentity(bit_width=4),
    )
    for _ in range(3):
        module(torch.from_numpy(ROWS))
    return module.eval()


def exported(function: Any, path: Path, **options: Any) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        function(brevitas_module(), torch.from_numpy(ROWS[:1]), str(path), dynamo=False, **options)
    return path


def test_an_export_of_brevitas_by_dynamo(tmp_path: Path) -> None:
    module = brevitas_module(bias_quant=None)
    with warnings.catch_warnings(), quiet():
        warnings.simplefilter("ignore")
        export_onnx_qcdq(module, torch.from_numpy(ROWS[:1]), str(tmp_path / "qcdq.onnx"), dynamo=True)
    one = onnx.load(str(tmp_path / "qcdq.onnx"))
    assert np.allclose(values(prepared(one, tmp_path), ROWS), by_onnxruntime(one, ROWS), rtol=1e-6)


@pytest.mark.parametrize("opset", [13, 17])
def test_an_export_of_brevitas(opset: int, tmp_path: Path) -> None:
    """The integers are those of the QONNX export of the same module."""
    file = exported(export_onnx_qcdq, tmp_path / "qcdq.onnx", opset_version=opset)
    mine = read(onnxfile.load(file))
    qonnx = read(onnxfile.load(exported(export_qonnx, tmp_path / "q.onnx")))
    assert mine.input == qonnx.input
    for one, other in zip(mine.nodes.values(), qonnx.nodes.values(), strict=True):
        if isinstance(one, RawStep) and isinstance(other, RawStep):
            assert (one.levels, one.bits) == (other.levels, other.bits)
        else:
            assert isinstance(one, RawNode)
            assert isinstance(other, RawNode)
            assert (one.weights == other.weights).all()
            assert (one.affine.slope, one.affine.intercept) == (other.affine.slope, other.affine.intercept)
    assert [layer.weight_bits for layer in lower(mine).layers] == [3, 8]
    one = onnx.load(str(file))
    done = prepared(one, tmp_path)
    assert np.allclose(values(done, ROWS), by_onnxruntime(one, ROWS), rtol=1e-6)


def steps_apart(one: ModelProto, folder: Path, scale: float = 0.0937) -> float:
    """The largest difference to onnxruntime in steps of the output's quantizer: float32 sums may tie."""
    return float(np.abs(values(prepared(one, folder), ROWS) - by_onnxruntime(one, ROWS)).max() / scale)


@pytest.mark.parametrize(
    ("ends", "zero", "bits"),
    [((-7, 7), np.int8(0), 4), ((-8, 7), np.int8(0), 4), (None, np.int8(0), 8), ((0, 15), np.uint8(4), 4),
     ((0, 14), np.uint8(4), 4), (None, np.uint8(128), 8),
     (None, np.uint8(53), 8), ((-8, 7), np.int8(3), 4), ((-128, 127), np.int8(-20), 8), ((0, 1), np.uint8(0), 1)],
)  # fmt: skip
def test_bits_are_those_of_the_clip(ends: tuple[int, int] | None, zero: Any, bits: int, tmp_path: Path) -> None:
    one = network(ends=ends, zero=zero)
    done = prepared(one, tmp_path)
    assert steps_apart(one, tmp_path) < 0.01
    assert (done.facts.network.input_bits, done.facts.network.layers[0].output_bits) == (bits, bits)
    function = done.lowered.layers[0].activation
    assert isinstance(function, Step)
    low = np.iinfo(zero.dtype).min if ends is None else ends[0]
    assert function.base == low - int(zero)


def test_stored_integers_with_a_scale_and_a_zero_point_per_channel(tmp_path: Path) -> None:
    weights = np.array([[-128, 127, 0], [3, -5, 1], [4, 0, -1], [-9, 9, 7], [127, -128, 127]], np.int8)
    one = network(weights=weights)
    done = prepared(one, tmp_path)
    assert (done.lowered.layers[0].weights == weights.astype(int) - np.array([3, -5, 0])).all()
    assert done.lowered.layers[0].weight_bits == 9
    assert steps_apart(one, tmp_path) < 0.01


@pytest.mark.parametrize("bits", [4, 16])
def test_integers_of_newer_types(bits: int, tmp_path: Path) -> None:
    weights = RANDOM.integers(-8, 8, (5, 3)).astype(np.float32)
    kind = {4: onnx.TensorProto.INT4, 16: onnx.TensorProto.INT16}[bits]
    one = network(opset=21)
    kept = [tensor for tensor in one.graph.initializer if tensor.name not in ("w", "wz")]
    del one.graph.initializer[:]
    one.graph.initializer.extend(kept)
    for name, dims, numbers in (("w", [5, 3], weights.reshape(-1)), ("wz", [3], [0, 0, 0])):
        one.graph.initializer.append(helper.make_tensor(name, kind, dims, [int(value) for value in numbers]))
    done = prepared(one, tmp_path)
    assert (done.lowered.layers[0].weights == weights).all()
    assert done.lowered.layers[0].weight_bits == bits


def test_weights_without_a_zero_point_are_of_their_stored_type(tmp_path: Path) -> None:
    one = network()
    del one.graph.node[3].input[2:]
    assert prepared(one, tmp_path).lowered.layers[0].weight_bits == 8
    assert steps_apart(one, tmp_path) < 0.01


@pytest.mark.parametrize("zero", [0, 3])
def test_floats_that_are_quantized_in_the_file(zero: int, tmp_path: Path) -> None:
    """With a zero point, halves are rounded before it is added: 0.5 and 1.5 and 2.5 become 0, 2 and 2."""
    one = network(wz=np.int8(zero), ws=np.float32(0.5), w=np.array(RANDOM.integers(-9, 9, (5, 3)), np.float32) / 4)
    one.graph.node[3].input[0] = "wq"
    one.graph.node.insert(3, helper.make_node("QuantizeLinear", ["w", "ws", "wz"], ["wq"], "quantize"))
    done = prepared(one, tmp_path)
    stored = next(onnx.numpy_helper.to_array(tensor) for tensor in one.graph.initializer if tensor.name == "w")
    assert (done.lowered.layers[0].weights == np.rint(stored / 0.5)).all()
    assert steps_apart(one, tmp_path) < 0.01


def test_parameters_that_are_computed_in_the_graph(tmp_path: Path) -> None:
    one = network(half=np.float32(0.05), two=np.float32(2))
    next(tensor for tensor in one.graph.initializer if tensor.name == "s").name = "unused"
    one.graph.node.insert(0, helper.make_node("Mul", ["half", "two"], ["s"], "scale"))
    assert steps_apart(one, tmp_path) < 0.01


def test_clips_of_old_opsets(tmp_path: Path) -> None:
    one = network(ends=None, opset=10)
    del one.graph.node[2].attribute[:]
    for name, numbers in (("ws", [0.3]), ("wz", [3])):
        tensor = next(tensor for tensor in one.graph.initializer if tensor.name == name)
        kind = onnx.TensorProto.FLOAT if name == "ws" else onnx.TensorProto.INT8
        tensor.CopyFrom(helper.make_tensor(name, kind, [], numbers))
    one.graph.node.insert(1, helper.make_node("Clip", ["a_q"], ["a_c"], min=-7.0, max=7.0))
    one.graph.node[2].input[0] = "a_c"
    done = prepared(one, tmp_path)
    assert (done.lowered.input.low, done.lowered.input.high) == (-7, 7)


def test_halves_are_rounded_before_the_zero_point_is_added(tmp_path: Path) -> None:
    """0.5 and 1.5 steps become 0 and 2, whatever the zero point; QONNX would make 1 of both with an odd one."""
    one = network(ends=None, zero=np.int8(3), s=np.float32(0.5))
    network_of = prepared(one, tmp_path).lowered
    assert network_of.input.quantize(np.array([[0.25, 0.75, -0.25, -0.75, 1.25]])).tolist() == [[0, 2, 0, -2, 2]]
    levels = next(
        node.levels for node in read(onnxfile.load(tmp_path / "net.onnx")).nodes.values() if isinstance(node, RawStep)
    )
    boundaries = dict(zip(range(levels.low + 1, levels.high + 1), levels.boundaries(0), strict=True))
    assert boundaries[4] == (1, True)  # above half a step, not at it
    assert boundaries[5] == (3, False)  # at one and a half


def test_an_export_of_torch(tmp_path: Path) -> None:
    """Zero points that are odd, a Cast to the type that is there already, and zero points without a value."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = torch.nn.Sequential(
            quantization.QuantStub(), torch.nn.Linear(5, 4), torch.nn.ReLU(), torch.nn.Linear(4, 3),
            quantization.DeQuantStub(),
        ).eval()  # fmt: skip
        module.qconfig = quantization.get_default_qconfig("x86")
        quantization.prepare(module, inplace=True)
        module(torch.from_numpy(ROWS))
        quantization.convert(module, inplace=True)
        path = tmp_path / "torch.onnx"
        torch.onnx.export(module, (torch.zeros(1, 5),), str(path), opset_version=13, dynamo=False)
    one = onnx.load(str(path))
    assert {"Cast", "ConstantOfShape"} <= {node.op_type for node in one.graph.node}
    done = prepared(one, tmp_path)
    apart = np.abs(values(done, ROWS) - by_onnxruntime(one, ROWS)).max() / float(done.lowered.output_scale)
    assert apart < 0.01


@pytest.mark.parametrize("opset", [9, 10, 11, 15, 19, 21, NEWEST_OPSET])
def test_every_opset(opset: int, tmp_path: Path) -> None:
    """The operators of QCDQ that an opset does not have yet are read as they are later."""
    one = network(opset=opset, ends=None, wz=np.int8(0), ws=np.float32(0.3))
    del one.graph.node[2].attribute[:]
    known = network(ends=None, wz=np.int8(0), ws=np.float32(0.3))
    assert (values(prepared(one, tmp_path), ROWS) == values(prepared(known, tmp_path), ROWS)).all()


def cast(to: int) -> ModelProto:
    one = network(ends=None)
    one.graph.node.insert(1, helper.make_node("Cast", ["a_q"], ["a_t"], "cast", to=to))
    one.graph.node[2].input[0] = "a_t"
    return one


def test_a_cast_that_changes_nothing(tmp_path: Path) -> None:
    assert prepared(cast(TensorProto.INT8), tmp_path).facts.network.input_bits == 8


@pytest.mark.parametrize("to", [TensorProto.UINT8, TensorProto.FLOAT, TensorProto.BOOL])
def test_a_cast_that_may_change_integers(to: int, tmp_path: Path) -> None:
    with pytest.raises(QapError, match=r"node cast .Cast. cannot be lowered\n.*may change them"):
        prepared(cast(to), tmp_path)


def edited(place: int, change: Any, **options: Any) -> ModelProto:
    one = network(**options)
    change(one.graph.node[place])
    return one


def rewired(place: int, index: int, name: str, **options: Any) -> ModelProto:
    return edited(place, lambda node: node.input.__setitem__(index, name), **options)


def attribute(place: int, name: str, value: Any) -> ModelProto:
    return edited(place, lambda node: node.attribute.append(helper.make_attribute(name, value)))


REFUSED = {
    "another scale": (rewired(2, 1, "other", other=np.float32(0.2)), "not that of a_quantize before it"),
    "another zero point": (rewired(2, 2, "other", other=np.int8(2)), "not that of a_quantize before it"),
    "odd bounds": (network(ends=(-5, 6)), "its integers are -5 to 6: no bit width"),
    "one integer": (network(ends=(0, 0)), "its integers are 0 to 0: no bit width"),
    "crossed bounds": (network(ends=(7, -7)), "lower bound is above"),
    "half a bound": (network(a_low=np.float32(-7.5)), "its min must be one whole number"),
    "two bounds": (network(a_high=np.array([7, 7], np.int8)), "its max must be one whole number"),
    "a scale of 0": (network(s=np.float32(0)), "its scale must be above 0"),
    "a scale that flows": (rewired(0, 1, "x"), "must be constants"),
    "a zero point that flows": (rewired(0, 2, "x"), "must be constants"),
    "a scale of integers": (network(s=np.int8(1)), "a scale of int8"),
    "floats as integers": (network(zero=np.float32(0)), "integers of float32"),
    "a matrix of scales": (network(ws=np.ones((5, 3), np.float32)), r"a scale of shape \(5, 3\)"),
    "too few zero points": (network(wz=np.zeros(2, np.int8)), r"zero point of shape \(2,\)"),
    "scales of the wrong length": (network(ws=np.ones(4, np.float32), wz=np.int8(0)), "4 scales along axis 1"),
    "an axis too far": (edited(3, lambda node: setattr(node.attribute[0], "i", 2)), "3 scales along axis 2"),
    "a scale per feature": (network(s=np.full(5, 0.1, np.float32), z=np.int8(0)), "its scale varies over the channels"),
    "blocks": (attribute(0, "block_size", 2), "its attribute block_size is 2"),
    "another attribute": (attribute(0, "surprise", 2), "its attribute surprise is 2"),
    "one input": (edited(0, lambda node: node.input.__delitem__(slice(1, None))), "it has 1 inputs"),
    "no quantizer before it": (rewired(2, 0, "x"), "before it is no QuantizeLinear"),
    "floats that are dequantized": (network(w=np.ones((5, 3), np.float32)), "before it is no QuantizeLinear"),
    "infinite weights": (network(ws=np.full(3, 1e308)), "leave the range of floats"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name: str, tmp_path: Path) -> None:
    one, message = REFUSED[name]
    (tmp_path / "net.onnx").write_bytes(one.SerializeToString())
    with pytest.raises(QapError, match=rf"node [\w ]+ .*cannot be lowered\n.*{message}"):
        onnxfile.load(tmp_path / "net.onnx")


def test_a_quantizer_that_somebody_else_reads_too(tmp_path: Path) -> None:
    one = network()
    one.graph.node.append(helper.make_node("QLinearMatMul", ["a_q"] * 8, ["u"], "other"))
    (tmp_path / "net.onnx").write_bytes(one.SerializeToString())
    with pytest.raises(QapError, match="node a_quantize is QuantizeLinear, which does not stand for a quantizer"):
        onnxfile.load(tmp_path / "net.onnx")
