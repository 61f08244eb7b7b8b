# SPDX-License-Identifier: Apache-2.0
"""ONNX files as others write them: looked over first, in one opset, with exact parameters, in their folder only."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from qonnx.core.modelwrapper import ModelWrapper

from qap2fpga.frontend import export, onnxfile, uniform
from qap2fpga.frontend.graph import input_is_quantized, read
from qap2fpga.frontend.modelfiles import model_digest
from qap2fpga.frontend.operators import CHANNELS_LAST, NEWEST_OPSET, QONNX_DOMAIN
from qap2fpga.frontend.survey import survey
from qap2fpga.system.errors import ConstantNetwork, QapError
from tests.support.networks import qonnx_graph, random_model
from tests.support.onnx_graphs import prepared
from tests.support.qonnx_builder import Builder
from tests.unit.frontend.test_operators import network, node


def exact(model: Any, folder: Path) -> list[Fraction]:
    """The exact real outputs, before the logits' scale, for an input of ones: 4 quarters each."""
    (folder / "net.onnx").write_bytes(model.SerializeToString())
    affine = read(onnxfile.load(folder / "net.onnx")).output.affine
    accumulators = (np.array([[1, -2, 3], [0, 1, -1], [2, 2, 0], [-3, 1, 1]]) * 4).sum(axis=0)
    return [affine.value(channel, int(value)) for channel, value in enumerate(accumulators)]


PLAIN = [Fraction(0), Fraction(2, 4), Fraction(3, 4)]


def two_inputs(model: Any) -> Any:
    model.graph.input.append(helper.make_tensor_value_info("x2", TensorProto.FLOAT, [1, 3]))
    return model


# ---- one opset, one type


def test_the_bounds_of_an_old_clip_are_read(tmp_path: Path) -> None:
    model = network(node("Clip", min=0.25, max=0.5), opset=9)
    assert exact(model, tmp_path) == [Fraction(1, 4), Fraction(1, 2), Fraction(1, 2)]


@pytest.mark.parametrize(
    ("last", "opset"),
    [
        (node("Dropout", ratio=0.5), 9),
        (node("Dropout", ratio=0.5, is_test=1), 6),
        (helper.make_node("Dropout", ["h"], ["y", "mask"], "my_node"), 13),
        (node("Flatten", axis=-1), 11),
        (node("Unsqueeze", axes=[1]), 11),
        (node("Softmax"), 9),
        (node("ArgMax", axis=1), 9),
        (helper.make_node("Softmax", ["h"], ["y"], "my_node", domain="ai.onnx"), 13),
        (node("Softmax"), onnx.defs.onnx_opset_version() - 2),
    ],
)
def test_what_leaves_the_outputs_as_they_are(last: Any, opset: int, tmp_path: Path) -> None:
    assert exact(network(last, opset=opset), tmp_path) == PLAIN


def test_the_domain_of_onnx_has_two_names(tmp_path: Path) -> None:
    model = network(node("Relu"))
    for entry in model.opset_import:
        entry.domain = entry.domain or "ai.onnx"
    assert exact(model, tmp_path) == PLAIN


QUARTERS = np.array([1, 2, 4], np.float32)
CONSTANT_FIRST = {name: helper.make_node(name, ["c", "h"], ["y"], "my_node") for name in ("Add", "Sub", "Mul")}


@pytest.mark.parametrize(
    ("last", "wanted"),
    [
        (node("Add", "c"), [1, Fraction(5, 2), Fraction(19, 4)]),
        (CONSTANT_FIRST["Add"], [1, Fraction(5, 2), Fraction(19, 4)]),
        (node("Sub", "c"), [-1, Fraction(-3, 2), Fraction(-13, 4)]),
        (CONSTANT_FIRST["Sub"], [1, Fraction(3, 2), Fraction(13, 4)]),
        (node("Mul", "c"), [0, 1, 3]), (CONSTANT_FIRST["Mul"], [0, 1, 3]),
        (node("Div", "c"), [0, Fraction(1, 4), Fraction(3, 16)]),
        (node("Clip", "quarter", "quarter"), [Fraction(1, 4)] * 3),
    ],
)  # fmt: skip
def test_arithmetic_with_constants_is_exact(last: Any, wanted: list[Fraction], tmp_path: Path) -> None:
    assert exact(network(last, c=QUARTERS, quarter=np.float32(0.25)), tmp_path) == wanted


def test_what_scales_the_last_quantizer_is_the_outputs_scale(tmp_path: Path) -> None:
    model = network(
        helper.make_node("Quant", ["h", "scale", "zero", "bits"], ["a"], signed=1, narrow=0, domain=QONNX_DOMAIN),
        helper.make_node("Mul", ["a", "two"], ["y"], "my_node"),
        two=np.float32(2),
    )
    (tmp_path / "net.onnx").write_bytes(model.SerializeToString())
    assert read(onnxfile.load(tmp_path / "net.onnx")).output_scale == Fraction(1, 2)


def test_an_input_without_quantizer_or_dense_layer_is_not_quantized() -> None:
    model = network(node("Relu"))
    assert input_is_quantized(ModelWrapper(model))
    del model.graph.node[:3]
    model.graph.node[0].input[0] = "x"
    assert not input_is_quantized(ModelWrapper(model))


@pytest.mark.parametrize("kind", [np.float16, np.float64, "bfloat16"])
def test_parameters_of_other_float_types_are_exact(kind: Any, tmp_path: Path) -> None:
    values = [0.1, -0.3, 1 / 3]
    if kind == "bfloat16":
        stored = helper.make_tensor("c", TensorProto.BFLOAT16, [3], values)
    else:
        stored = numpy_helper.from_array(np.array(values, kind), "c")
    model = network(node("Add", "c"))
    model.graph.initializer.append(stored)
    held = [Fraction(float(value)) for value in numpy_helper.to_array(stored).astype(np.float64)]
    assert exact(model, tmp_path) == [one + other for one, other in zip(PLAIN, held, strict=True)]
    assert sum(run.vectors for run in prepared(model, tmp_path).simulations) > 0


def test_a_graph_of_float64_scales_gets_an_input_quantizer(tmp_path: Path) -> None:
    """What is stored keeps its type however often the graph is cleaned."""
    one = Builder((1, 5))
    dense = one.add("MatMul", "x", one.weights(np.arange(10).reshape(5, 2) / 4 - 1, 0.25))
    model = one.model(one.quant(dense, 0.3, 6))
    scales = {node.input[1] for node in model.graph.node if node.op_type == "Quant"}
    for tensor in model.graph.initializer:
        if tensor.name in scales:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float64), tensor.name))
    assert prepared(model, tmp_path, range=(-1.0, 1.0)).lowered.input.scale == (2.0**-6,)


def test_float64_weights_are_divided_in_float64(tmp_path: Path) -> None:
    """3.5 quarters and a little: float32 rounds it to the half, and that to even."""
    model = network(node("Relu"))
    weights = next(one for one in model.graph.initializer if one.name == "weights")
    values = numpy_helper.to_array(weights).astype(np.float64)
    values[0, 0] = (2.5 + 1e-12) / 4
    weights.CopyFrom(numpy_helper.from_array(values, "weights"))
    layer = read(_loaded(model, tmp_path)).layers[0]
    assert layer.weights[0, 0] == 3


@pytest.mark.parametrize("operator", ["Quant", "BipolarQuant"])
@pytest.mark.parametrize("stored", ["weights", "scale"])
def test_signs_of_float64_are_executed(operator: str, stored: str, tmp_path: Path) -> None:
    """qonnx gives what it was given, and onnxruntime multiplies no float32 by a float64."""
    model = network(node("Identity"), bits=np.float32(1))
    tensor = next(one for one in model.graph.initializer if one.name == stored)
    tensor.CopyFrom(numpy_helper.from_array(np.asarray(numpy_helper.to_array(tensor), np.float64), stored))
    for quantizer in model.graph.node[:2] if operator == "BipolarQuant" else ():
        del quantizer.input[2:], quantizer.attribute[:]
        quantizer.op_type = operator
    result = prepared(model, tmp_path)
    assert set(result.lowered.layers[0].weights.reshape(-1).tolist()) == {-1, 1}


def _loaded(model: Any, folder: Path) -> Any:
    (folder / "net.onnx").write_bytes(model.SerializeToString())
    return onnxfile.load(folder / "net.onnx")


@pytest.mark.parametrize("rounding", ["ROUND_TO_ZERO", "DOWN", "HALF_EVEN", "FLOOR", "CEIL", "ROUND"])
def test_rounding_rules_are_executed_and_lowered_alike(rounding: str, tmp_path: Path) -> None:
    model = network(node("Identity"))
    for one in model.graph.node[:2]:
        one.attribute.append(helper.make_attribute("rounding_mode", rounding))
    result = prepared(model, tmp_path)
    assert [run.engine for run in result.simulations] == ["compacted network (numpy)", "qonnx"]
    shorter = {"DOWN": "ROUND_TO_ZERO", "HALF_EVEN": "ROUND"}
    assert result.network.input.rounding == shorter.get(rounding, rounding)


def test_a_signed_quantizer_of_one_bit_is_a_sign(tmp_path: Path) -> None:
    """As qonnx executes it; two levels at 0 and -1 are what its bounds would say."""
    model = network(node("Identity"), bits=np.float32(1))
    result = prepared(model, tmp_path)
    assert (result.network.input.rounding, result.network.input.low, result.network.input.high) == ("SIGN", -1, 1)
    assert (result.lowered.layers[0].input_bits, result.lowered.layers[0].weight_bits) == (1, 1)
    assert set(result.lowered.layers[0].weights.reshape(-1).tolist()) == {-1, 1}


def test_a_scale_stays_with_its_channels_through_a_transpose(tmp_path: Path) -> None:
    """qonnx moves the transpose into the quantizer, and would leave a scale of one dimension where it was."""
    model = network(node("Relu"), tall=np.eye(4, dtype=np.float32), steps=np.array([1, 3, 5, 7], np.float32))
    nodes = model.graph.node
    nodes[1].input[:2] = ["tall", "steps"]
    nodes[1].output[0] = "upright"
    nodes.insert(2, helper.make_node("Transpose", ["upright"], ["w"], "turn"))
    with pytest.raises(QapError, match="node dense") as caught:
        read(_loaded(model, tmp_path))
    assert "its weight scale varies over the inputs" in caught.value.hint


def test_a_conversion_that_would_change_a_quantizer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    convert = onnx.version_converter.convert_version

    def forgetful(model: Any, opset: int) -> Any:
        converted = convert(model, opset)
        del converted.graph.node[0].attribute[:]
        return converted

    monkeypatch.setattr(uniform.version_converter, "convert_version", forgetful)
    with pytest.raises(QapError, match="would change its quantizers"):
        _loaded(network(node("Relu"), opset=9), tmp_path)


def test_a_conversion_that_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def failing(model: Any, opset: int) -> Any:
        raise RuntimeError("unordered_map::at")

    monkeypatch.setattr(uniform.version_converter, "convert_version", failing)
    with pytest.raises(QapError, match="cannot be brought to opset 13: unordered_map::at"):
        _loaded(network(node("Relu"), opset=9), tmp_path)


# ---- the first look


def residual() -> Any:
    return network(helper.make_node("Add", ["h", "h2"], ["y"], "sum"), helper.make_node("Relu", ["h"], ["h2"], "side"))


def changed(change: Callable[[Any], Any]) -> Any:
    model = network(node("Relu"))
    change(model)
    return model


def other(output: str, name: str) -> Any:
    return helper.make_node("Relu", ["h"], [output], name)


FUNCTION = helper.make_function("", "Relu", ["X"], ["Y"], [helper.make_node("Neg", ["X"], ["Y"])], [])
SURVEYED: dict[str, tuple[Any, str]] = {
    "FINN's hardware": (network(node("MVAU_hls", domain="finn.custom_op.fpgadataflow.hls")), "FINN's form of hardware"),
    "FINN's partition": (network(node("GenericPartition", domain=QONNX_DOMAIN)), "FINN's form of hardware"),
    "FINN's hardware of 2020": (network(node("StreamingFCLayer_Batch", domain="finn")), "FINN's form of hardware"),
    "QCDQ": (network(node("QuantizeLinear", "scale")), "does not stand for a quantizer"),
    "all that is not supported": (
        network(
            helper.make_node("LSTM", ["h", "c"], ["a"], "my_lstm"), helper.make_node("Erf", ["a"], ["y"]), c=np.ones(1)
        ),
        r"my_lstm \(LSTM\)[^\n]*\n[^\n]*; not supported either: Erf",
    ),
    "another domain": (network(node("Relu", domain="my.own")), r"my_node \(Relu of my.own\)"),
    "a constant without bounds": (
        network(helper.make_node("ConstantOfShape", ["big"], ["c"], "large"), node("Add", "c"), big=np.array([10**9])),
        r"large \(ConstantOfShape\)[^\n]*\n[^\n]*let the exporter fold constants",
    ),
    "a product of two signals": (network(node("MatMul", "h")), "my_node[^\n]*\n[^\n]*as attention does"),
    "a Softmax inside": (
        network(
            helper.make_node("Softmax", ["h"], ["s"], "soft"), helper.make_node("MatMul", ["s", "w"], ["y"], "my_node")
        ),
        "my_node[^\n]*\n[^\n]*it comes after Softmax",
    ),
    "float weights": (
        network(helper.make_node("MatMul", ["h", "c"], ["y"], "my_node"), c=np.ones((3, 1), np.float32)),
        "my_node[^\n]*\n[^\n]*weights are floats",
    ),
    "a stride of nothing": (
        network(node("MaxPool", kernel_shape=[1], strides=[0])), "my_node[^\n]*\n[^\n]*none may be below 1",
    ),
    "nothing reads it": (network(other("z", "lost"), node("Relu")), "lost .Relu. leads nowhere"),
    "not in order": (residual(), "sum[^\n]*\n[^\n]*reads h2, which nothing before it gives"),
    "written twice": (network(other("q", "again"), node("Relu")), "writes q, which is there"),
    "stored twice": (changed(lambda m: m.graph.initializer.append(m.graph.initializer[0])), "two stored tensors"),
    "no outputs": (changed(lambda m: m.graph.node[-1].ClearField("output")), "it has no output"),
    "sparse": (changed(lambda m: m.graph.sparse_initializer.add()), "sparse tensors"),
    "no batch": (network(node("Relu"), rows=(4,)), r"no batch dimension: its shape is \(4\)"),
    "no features": (network(node("Relu"), rows=(1, 0)), "no fixed shape"),
    "an endless input": (network(node("Relu"), rows=(1, 2**40)), "1048576 at most"),
    "an input of integers": (
        changed(lambda m: setattr(m.graph.input[0].type.tensor_type, "elem_type", TensorProto.INT8)),
        "not a tensor of floats",
    ),
    "no fixed shape at all": (
        changed(lambda m: m.graph.input[0].type.tensor_type.ClearField("shape")), "no fixed shape",
    ),
    "two inputs": (two_inputs(network(node("Add", "x2"))), "the graph has 2 inputs"),
    "a strange node on the way": (network(node("Erf")), r"my_node[^\n]*\n[^\n]*supported: dense"),
    "a strange node beside it": (
        network(helper.make_node("Erf", ["c"], ["t"], "aside"), node("Add", "t"), c=np.ones(3, np.float32)),
        r"aside[^\n]*\n[^\n]*let the exporter fold constants",
    ),
    "an opset of the future": (network(node("Relu"), opset=999), "opset 999"),
    "no opset": (changed(lambda m: m.opset_import.pop(0)), "0 versions of ONNX's operators"),
    "an operator of its own": (changed(lambda m: m.functions.append(FUNCTION)), "an operator Relu of its own"),
    "after the output": (changed(lambda m: setattr(m.graph.output[0], "name", "h")), "my_node .Relu. leads nowhere"),
}  # fmt: skip


def test_channels_last_of_an_unknown_rank(tmp_path: Path) -> None:
    normal = helper.make_node("BatchNormalization", ["s", *"cccc"], ["z"], "my_node", domain=CHANNELS_LAST)
    shaped = helper.make_node("Reshape", ["h", "shape"], ["s"], "shaped")
    end = helper.make_node("Flatten", ["z"], ["y"], "last")
    model = network(shaped, normal, end, c=np.ones(3, np.float32), shape=np.array([1, 1, 1, 3]))
    with pytest.raises(QapError, match="my_node") as caught:
        _loaded(model, tmp_path)
    assert caught.value.hint == "the file does not say how many dimensions its input has"


def test_the_newest_opset_is_known_and_no_newer_one() -> None:
    assert survey(network(node("Relu"), opset=NEWEST_OPSET)) == NEWEST_OPSET
    with pytest.raises(QapError, match=f"opset {NEWEST_OPSET + 1}; 1 to {NEWEST_OPSET} are known"):
        survey(network(node("Relu"), opset=NEWEST_OPSET + 1))


@pytest.mark.parametrize("name", SURVEYED)
def test_the_first_look_names_it(name: str) -> None:
    model, message = SURVEYED[name]
    with pytest.raises(QapError, match=message):
        survey(model)


def test_nothing_is_executed_before_the_first_look(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def never(*_: Any) -> Any:
        raise AssertionError("it was executed")

    monkeypatch.setattr(export, "clean", never)
    monkeypatch.setattr(uniform, "bring_to_one_opset", never)
    with pytest.raises(QapError, match=r"Upsample of qonnx.custom_op.channels_last"):
        _loaded(network(node("Upsample", domain="qonnx.custom_op.channels_last")), tmp_path)


# ---- tensors in other files


def with_tensors_beside(folder: Path) -> Path:
    folder.mkdir()
    model = qonnx_graph(random_model(1)).model
    for tensor in model.graph.initializer:
        if tensor.raw_data and len(tensor.raw_data) > 40:
            onnx.external_data_helper.set_external_data(tensor, location=f"{tensor.name}.bin")
            (folder / f"{tensor.name}.bin").write_bytes(tensor.raw_data)
            tensor.ClearField("raw_data")
    (folder / "net.onnx").write_bytes(model.SerializeToString())
    return folder / "net.onnx"


def test_tensors_in_other_files_are_read_and_are_in_the_key(tmp_path: Path) -> None:
    path = with_tensors_beside(tmp_path / "model")
    plain = tmp_path / "plain.onnx"
    plain.write_bytes(qonnx_graph(random_model(1)).model.SerializeToString())
    found, wanted = (read(onnxfile.load(one)).layers for one in (path, plain))
    assert all((one.weights == other.weights).all() for one, other in zip(found, wanted, strict=True))
    before = model_digest(path)
    tensors = path.parent / "fc1.weight.bin"
    content = tensors.read_bytes()
    tensors.write_bytes(content[:-1] + b"\0")
    assert model_digest(path) != before
    tensors.write_bytes(content)
    assert model_digest(path) == before
    tensors.unlink()
    assert model_digest(path) != before


def test_a_model_in_one_file_has_its_own_digest(tmp_path: Path) -> None:
    for name, content in (("net.onnx", b"nonsense"), ("net.pt", b"other")):
        (tmp_path / name).write_bytes(content)
        assert model_digest(tmp_path / name) == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("location", ["../secret.bin", "/etc/hostname", "", "x" * 5000, "sub/../../secret.bin", "a\0b"])
def test_tensors_outside_of_the_folder_are_not_read(location: str, tmp_path: Path) -> None:
    path = with_tensors_beside(tmp_path / "model")
    (tmp_path / "secret.bin").write_bytes(b"\0" * 4096)
    model = onnx.load(str(path), load_external_data=False)
    tensor = next(one for one in model.graph.initializer if one.name == "fc1.weight")
    next(entry for entry in tensor.external_data if entry.key == "location").value = location
    path.write_bytes(model.SerializeToString())
    with pytest.raises(QapError, match=r"the tensor fc1.weight is kept in"):
        onnxfile.load(path)
    model_digest(path)  # reads no more than the load does


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    path = with_tensors_beside(tmp_path / "model")
    beside = path.parent / "fc1.weight.bin"
    shutil.move(beside, tmp_path / "secret.bin")
    os.symlink(tmp_path / "secret.bin", beside)
    with pytest.raises(QapError, match=r"the tensor fc1.weight is kept in"):
        onnxfile.load(path)


# ---- what the libraries raise, and what nobody can have meant


@pytest.mark.parametrize("error", [IndexError("too many indices"), AssertionError(), RuntimeError("line 1\nline 2")])
def test_whatever_qonnx_raises_is_one_message(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(export, "execute_onnx", fail)
    with pytest.raises(QapError, match=r"qonnx cannot execute the graph: [^\n]+\n  export the model again$"):
        prepared(network(node("Identity")), tmp_path)


def test_an_execution_that_overflows_is_named(tmp_path: Path) -> None:
    huge = np.full(3, 3e38, np.float32)
    model = network(
        helper.make_node("Mul", ["h", "c"], ["m"], "first"),
        helper.make_node("Mul", ["m", "c"], ["y"], "second"),
        c=huge,
    )
    with pytest.raises(QapError, match="numbers overflow"):
        prepared(model, tmp_path)


def test_an_unknown_declared_type_of_the_input(tmp_path: Path) -> None:
    note = onnx.TensorAnnotation(tensor_name="x")
    note.quant_parameter_tensor_names.add(key="finn_datatype", value="INT_MANY")
    model = network(node("Relu"))
    model.graph.quantization_annotation.append(note)
    with pytest.raises(QapError, match=r"qonnx does not know|cannot execute|does not fit"):
        prepared(model, tmp_path)


@pytest.mark.parametrize("place", ["domain", "tensor", "file"])
def test_a_name_that_is_no_text(place: str, tmp_path: Path) -> None:
    """protobuf hands over such names as bytes, which no later step would expect."""
    model = network(node("Relu"))
    if place == "domain":
        model.graph.node[0].domain = "NAME"
    if place == "tensor":
        model.graph.initializer[0].name = "NAME"
    if place == "file":
        tensor = model.graph.initializer[0]
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="NAME")
    path = tmp_path / "net.onnx"
    path.write_bytes(model.SerializeToString().replace(b"NAME", b"N\xff\xfeE"))
    assert model_digest(path) == hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(QapError, match="no UTF-8"):
        onnxfile.load(path)


def test_a_tensor_of_an_unknown_type(tmp_path: Path) -> None:
    for data_type, words in ((99, "of no known type"), (TensorProto.STRING, "of type STRING")):
        model = network(node("Relu"))
        model.graph.initializer[0].data_type = data_type
        with pytest.raises(QapError, match=words):
            _loaded(model, tmp_path)


def test_weights_that_their_own_quantizer_makes_0(tmp_path: Path) -> None:
    model = network(node("Identity"), wide=np.float32(100))
    model.graph.node[1].input[1] = "wide"
    with pytest.raises(ConstantNetwork, match="its quantizer makes 0 of each of the 10 weights that are not 0"):
        prepared(model, tmp_path)
    model.graph.node[1].input[1] = "coarse"
    model.graph.initializer.append(numpy_helper.from_array(np.float32(1.1), "coarse"))
    assert any("makes 0 of 8 of 10 weights" in note for note in prepared(model, tmp_path).facts.notes)


def test_data_that_the_input_quantizer_hardly_tells_apart(tmp_path: Path) -> None:
    model = network(node("Identity"))
    random = np.random.default_rng(1)
    for rows, words in [
        (random.uniform(0, 0.05, (50, 4)), "on 1 of the input quantizer's 16 levels"),
        (random.uniform(-9, 9, (50, 4)), "lie outside of the input quantizer's range"),
        (random.uniform(-2, 2, (50, 4)), ""),
    ]:
        np.savez(tmp_path / "data.npz", X=rows.astype(np.float32))
        notes = [note for note in prepared(model, tmp_path, data=tmp_path / "data.npz").facts.notes if "input" in note]
        assert any(words in note for note in notes) if words else not notes
