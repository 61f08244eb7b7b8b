# SPDX-License-Identifier: Apache-2.0
"""Whatever is wrong with the input: one clear message with a hint, exit code 2, and nothing half-written."""

from __future__ import annotations

import errno
import io
import os
import pickle
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
import yaml
from onnx import TensorProto, helper, numpy_helper

from qap2fpga.build import run as run_of_builds
from qap2fpga.build import state
from qap2fpga.build.folder import BuildFolder
from qap2fpga.frontend.checkpoint.spec import Model
from qap2fpga.system.files import shipped
from qap2fpga.system.progress import Progress
from tests.support.command import Result, build, run, save
from tests.support.networks import qonnx_graph, random_model

SCALE = "act{}.act_quant.fused_activation_quant_proxy.tensor_quant.scaling_impl.value"


def assert_refused(result: Result, message: str, *outputs: Path) -> str:
    """One message for people with a hint below it, and no trace of the build. Gives the message."""
    assert result.code == 2, result
    assert "Traceback" not in result.err
    lines = [line for line in result.err.splitlines() if not line.startswith("✗ ")]  # the stage that ended
    assert lines[0].startswith("qap2fpga: "), result.err
    assert re.search(message, result.err), result.err
    assert len(lines) >= 2, "no hint"
    assert lines[1].startswith("  "), "no hint"
    assert lines[1].strip()
    assert not any(line.startswith("qap2fpga: ") for line in lines[1:]), "two messages"
    for output in outputs:
        assert not output.exists()
    return result.err


def refused(model: Path, message: str, *more: str | Path) -> str:
    """Building `model` is refused with `message`, and leaves nothing beside it."""
    before = sorted(model.parent.rglob("*"))
    output = model.parent / "deep" / "build"
    text = assert_refused(build(model, output, *more), message, output, output.parent)
    assert sorted(model.parent.rglob("*")) == before
    return text


# ---- files that are no model


class Touch:
    """Unpickled, this would make a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("form", ["pickle", "old pickle", "torch", "torch before 1.6", "beside tensors", "as data"])
def test_a_pickle_that_would_execute_code_does_not(tmp_path: Path, form: str) -> None:
    evil, path = Touch(tmp_path / "executed"), tmp_path / "net.pt"
    if form == "as data":
        save(path)
        (tmp_path / "X.npy").write_bytes(pickle.dumps(evil))
        refused(path, "X.npy cannot be read", "--input-data", tmp_path / "X.npy")
        np.save(tmp_path / "X.npy", np.array([evil, evil], dtype=object), allow_pickle=True)
        refused(path, "X.npy cannot be read", "--input-data", tmp_path / "X.npy")
    else:
        if form == "torch":
            torch.save(evil, path)
        elif form == "torch before 1.6":
            torch.save(evil, path, _use_new_zipfile_serialization=False)
        elif form == "beside tensors":
            torch.save({"fc1.weight": torch.ones(3, 3), "state_dict": {"x": evil}}, path)
        else:
            path.write_bytes(pickle.dumps(evil, protocol=2 if form == "old pickle" else 5))
        text = refused(path, "could run code when loaded", "--bits", "4")
        assert "nothing was executed" in text
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".onnx"])
def test_files_that_are_cut_off_or_something_else(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"net{suffix}"
    if suffix == ".onnx":
        path.write_bytes(qonnx_graph(random_model(1)).model.SerializeToString())
    else:
        save(path)
    whole = path.read_bytes()
    path.write_bytes(b"")
    refused(path, f"net{suffix} is empty")
    for content in (whole[:1], whole[:100], whole[: len(whole) // 2], whole[:-20], b"hello\n", bytes(999)):
        path.write_bytes(content)
        refused(path, "cannot be read|is not an ONNX file")
    path.unlink()
    refused(path, f"net{suffix} does not exist")
    path.mkdir()
    refused(path, f"net{suffix} is a folder")


def test_a_model_that_is_no_state_dict(tmp_path: Path) -> None:
    for content in ([1, 2], torch.ones(3), {}, {"epoch": 3}):
        torch.save(content, tmp_path / "net.pt")
        refused(tmp_path / "net.pt", "not a checkpoint|has no tensors", "--bits", "4")


# ---- model.pt and state dicts


def changed(model: Model, layer: str, **tensors: Any) -> Model:
    """`model` with tensors of one layer computed anew from the old ones."""
    ops = [
        replace(op, tensors={**op.tensors, **{key: change(op.tensors[key]) for key, change in tensors.items()}})
        if op.name == layer
        else op
        for op in model.ops
    ]
    return replace(model, ops=tuple(ops))


def one_value(value: float) -> Callable[[np.ndarray], np.ndarray]:
    def change(values: np.ndarray) -> np.ndarray:
        values = values.copy()
        values.flat[0] = value
        return values

    return change


@pytest.mark.parametrize(
    ("layer", "tensors", "message"),
    [
        ("fc2", {"weight": lambda w: w[:, :-1]}, "layer fc2 takes 6 inputs but the layer before gives 7"),
        ("fc2", {"weight": lambda w: w[0]}, r"layer fc2: its weight has shape \(7,\)"),
        ("fc1", {"bias": lambda b: b[1:]}, r"layer fc1: bias has shape \(6,\), expected \(7,\)"),
        ("bn1", {"running_var": lambda v: v[1:]}, r"layer bn1: running_var has shape \(6,\)"),
        ("fc1", {"weight": one_value(np.nan)}, "layer fc1: weight has NaN or infinite values"),
        ("fc3", {"bias": one_value(np.inf)}, "layer fc3: bias has NaN or infinite values"),
        ("bn2", {"running_mean": one_value(-np.inf)}, "layer bn2: running_mean has NaN or infinite values"),
        ("fc2", {"weight": lambda w: w * 0}, "layer fc2 is pruned away: every weight is zero"),
        ("fc3", {"weight": lambda w: w * 0}, "layer fc3 is pruned away"),
    ],
)
def test_tensors_of_a_model(tmp_path: Path, layer: str, tensors: Any, message: str) -> None:
    model = changed(random_model(3), layer, **tensors)
    refused(save(tmp_path / "net.pt", replace(model, masks={})), message)


def test_a_scale_that_is_missing(tmp_path: Path) -> None:
    path = save(tmp_path / "net.pt")
    content = torch.load(path, weights_only=True)
    del content["quantizers"]["act1"]["scale"]
    torch.save(content, path)
    refused(path, "damaged.*scale")


def test_a_quantize_without_a_quantizer(tmp_path: Path) -> None:
    """Whatever else is odd about it: a batch norm whose kind was changed still has its epsilon."""
    path = save(tmp_path / "net.pt")
    content = torch.load(path, weights_only=True)
    entry = next(entry for entry in content["architecture"] if entry["name"] == "bn1")
    del entry["epsilon"]
    for name in entry["tensors"]:
        del content["state_dict"][f"bn1.{name}"]
    entry |= {"kind": "quantize", "tensors": []}
    torch.save(content, path)
    refused(path, "layer bn1: a quantize without a quantizer")
    entry["epsilon"] = 1e-5
    torch.save(content, path)
    refused(path, "layer bn1: a quantize has no 'epsilon'")


def state_dict() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return {
        "fc1.weight": torch.randn(6, 5),
        "fc2.weight": torch.randn(3, 6),
        SCALE.format(1): torch.tensor(1.0),
    }


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (lambda s: None, (), "bit widths are not in the file"),
        (lambda s: None, ("--weight-bits", "4"), "--activation-bits has 0 numbers for 1 layers"),
        (lambda s: None, ("--weight-bits", "4,4,4", "--activation-bits", "4"), "--weight-bits has 3 numbers for 2"),
        (lambda s: s.pop(SCALE.format(1)), ("--bits", "4"), "0 activation scales for 2 dense layers"),
        (lambda s: None, ("--bits", "4"), "no input quantizer"),
        (
            lambda s: s.update({"fc2.weight": torch.ones(3, 4)}),
            ("--bits", "4"),
            "layer fc2 takes 4 inputs but fc1 gives 6",
        ),
        (
            lambda s: s.update({"fc1.weight": torch.ones(6, 5) * torch.nan}),
            ("--bits", "4"),
            "layer fc1: weight has NaN",
        ),
        (
            lambda s: s.update({"conv.weight": torch.ones(3, 4, 3, 3)}),
            ("--bits", "4"),
            "layer conv has a weight of shape",
        ),
    ],
)
def test_what_a_state_dict_leaves_out(tmp_path: Path, change: Any, options: tuple[str, ...], message: str) -> None:
    state = state_dict()
    change(state)
    torch.save(state, tmp_path / "net.pth")
    refused(tmp_path / "net.pth", message, *options)


# ---- ONNX


def write(path: Path, model: Any) -> Path:
    path.write_bytes(model.SerializeToString())
    return path


def initializer(graph: onnx.GraphProto, name: str) -> onnx.TensorProto:
    return next(one for one in graph.initializer if one.name == name)


def node(graph: onnx.GraphProto, name: str) -> onnx.NodeProto:
    return next(one for one in graph.node if one.name == name)


def put(graph: onnx.GraphProto, name: str, change: Callable[[np.ndarray], Any]) -> None:
    """Compute an initializer anew from its old value."""
    old = initializer(graph, name)
    old.CopyFrom(numpy_helper.from_array(np.asarray(change(numpy_helper.to_array(old)), np.float32), name))


def insert(operation: str, **options: Any) -> Callable[[onnx.GraphProto], None]:
    """Put a node after bn1."""

    def change(graph: onnx.GraphProto) -> None:
        place = [one.name for one in graph.node].index("bn1")
        for later in graph.node:
            for index, name in enumerate(later.input):
                if name == "bn1":
                    later.input[index] = "strange"
        graph.node.insert(place + 1, helper.make_node(operation, ["bn1"], ["strange"], "my_node", **options))

    return change


def float_weight(graph: onnx.GraphProto) -> None:
    node(graph, "fc2").input[1] = "fc2.weight"


def external(graph: onnx.GraphProto) -> None:
    tensor = initializer(graph, "fc1.weight")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="absent.bin")


def cut(graph: onnx.GraphProto) -> None:
    tensor = initializer(graph, "fc1.weight")
    tensor.raw_data = tensor.raw_data[:-8]


def two_outputs(graph: onnx.GraphProto) -> None:
    graph.output.append(helper.make_tensor_value_info(graph.input[0].name, TensorProto.FLOAT, [1, 5]))


def renamed_output(graph: onnx.GraphProto) -> None:
    graph.output[0].name = "other"


def two_inputs(graph: onnx.GraphProto) -> None:
    graph.input.append(helper.make_tensor_value_info("second", TensorProto.FLOAT, [1, 5]))
    node(graph, "fc1").input[2] = "second"


def no_shape(graph: onnx.GraphProto) -> None:
    graph.input[0].type.tensor_type.ClearField("shape")


def no_nodes(graph: onnx.GraphProto) -> None:
    del graph.node[:]


BAD_GRAPHS: dict[str, tuple[Callable[[onnx.GraphProto], Any], str]] = {
    "NaN weight": (lambda g: put(g, "fc1.weight", one_value(np.nan)), "tensor fc1.weight has NaN or infinite"),
    "infinite bias": (lambda g: put(g, "bn1.bias", one_value(np.inf)), "tensor bn1.bias has NaN or infinite"),
    "weight of wrong shape": (lambda g: put(g, "fc2.weight", lambda w: w[:, :-1]), r"node fc2 .*\n.*weights of shape"),
    "bias of wrong shape": (lambda g: put(g, "fc2.bias", lambda b: b[:-1]), r"node fc2 .*\n.*does not fit rows"),
    "batch norm of wrong shape": (
        lambda g: put(g, "bn2.weight", lambda b: b[:-1]),
        r"node bn2 .*\n.*does not fit rows",
    ),
    "zero scale": (lambda g: put(g, "act1.scale", lambda s: 0.0), r"node act1 \(Quant\).*\n.*scale must be above 0"),
    "half a bit": (lambda g: put(g, "act1.bits", lambda s: 2.5), r"node act1 \(Quant\).*\n.*one whole number"),
    "no bits": (lambda g: put(g, "act1.bits", lambda s: 0), r"node act1 \(Quant\).*\n.*one whole number"),
    "40 bits": (lambda g: put(g, "act1.bits", lambda s: 40), "a bit width of 40"),
    "erf": (insert("Erf"), r"node my_node \(Erf\) cannot be lowered"),
    "unknown operation": (insert("Nonsense"), r"node my_node \(Nonsense\) cannot be lowered"),
    "unknown domain": (insert("Nonsense", domain="my.own"), "my_node.*my.own"),
    "FINN form": (insert("MVAU_hls", domain="finn.custom_op.fpgadataflow.hls"), "node my_node .*\n.*of hardware"),
    "float weights": (float_weight, r"node fc2 \(Gemm\).*\n.*weights are floats"),
    "tensors elsewhere": (external, "absent.bin"),
    "tensor cut off": (cut, "tensor fc1.weight is damaged"),
    "two outputs, one of no layer": (two_outputs, "is the input as it is"),
    "output of another name": (renamed_output, r"node fc3 \(Gemm\) leads nowhere"),
    "two inputs": (two_inputs, "2 inputs"),
    "no shape": (no_shape, "no fixed shape"),
    "no nodes": (no_nodes, "no nodes"),
    "pruned away": (lambda g: put(g, "fc2.weight", lambda w: w * 0), "layer fc2 is pruned away"),
}


@pytest.mark.parametrize("name", BAD_GRAPHS)
def test_graphs(tmp_path: Path, name: str) -> None:
    change, message = BAD_GRAPHS[name]
    model = qonnx_graph(random_model(1)).model
    change(model.graph)
    refused(write(tmp_path / "net.onnx", model), message)


def chain(nodes: list[onnx.NodeProto], constants: dict[str, np.ndarray], inputs: list[int], outputs: list[int]) -> Any:
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, inputs)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, outputs)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])


def test_a_convolution_is_named(tmp_path: Path) -> None:
    made = helper.make_node("Conv", ["x", "w"], ["y"], "my_conv")
    model = chain([made], {"w": np.ones((2, 3, 3, 3), np.float32)}, [1, 3, 8, 8], [1, 2, 6, 6])
    refused(write(tmp_path / "net.onnx", model), r"node my_conv \(Conv\) cannot be lowered\n.*weights are floats")


def test_a_float_network_is_told_what_it_lacks(tmp_path: Path) -> None:
    nodes = [helper.make_node("Gemm", ["x", "w"], ["h"], "first"), helper.make_node("Relu", ["h"], ["y"], "relu")]
    model = chain(nodes, {"w": np.ones((5, 4), np.float32)}, [1, 5], [1, 4])
    refused(write(tmp_path / "net.onnx", model), r"node first \(Gemm\).*\n.*a Quant or BipolarQuant node must stand")


def test_float_weights_beside_qcdq(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"], "quantize"),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"], "dequantize"),
        helper.make_node("MatMul", ["d", "w"], ["y"], "product"),
    ]
    constants = {"s": np.float32(0.5), "z": np.int8(0), "w": np.ones((5, 4), np.float32)}
    model = chain(nodes, {key: np.asarray(value) for key, value in constants.items()}, [1, 5], [1, 4])
    refused(write(tmp_path / "net.onnx", model), r"node product \(MatMul\).*\n.*its weights are floats")


# ---- options


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--bits", "4"), "bit widths were given, but a model.pt has its own"),
        (("--input-bits", "4"), "--input-bits was given, but the model has its own"),
        (("--bits", "0"), "a bit width of 0"),
        (("--weight-bits", "4,x"), "--weight-bits is '4,x'"),
        (("--weight-bits", "4,,4"), "--weight-bits is '4,,4'"),
        (("--activation-bits", "4,99999"), "a bit width of 99999"),
        (("--input-bits", "-3"), "a bit width of -3"),
        (("--input-range", "3"), "--input-range is '3'"),
        (("--input-range", "a,b"), "--input-range is 'a,b'"),
        (("--input-range", "3,1"), "--input-range is '3,1'"),
        (("--input-range=-4,-1",), "--input-range is '-4,-1'"),
        (("--input-range", "0,inf"), "--input-range is '0,inf'"),
        (("--input-range", "nan,1"), "--input-range is 'nan,1'"),
        (("--backend", "fin"), "unknown backend 'fin'\n.*did you mean 'finn'"),
        (("--until", "finish"), "unknown stage 'finish'\n.*known: generate, model, route, simulate, synthesize"),
        (("--check", "maybe"), "unknown --check 'maybe'"),
        (("--output-kind", "logit"), "unknown output kind 'logit'\n.*did you mean 'logits'"),
        (("--max-utilization", "70"), "max_utilization is 70"),
        (("--target-fps", "0"), "target_fps is 0"),
        (("--board", "pynq-z3"), "unknown board 'pynq-z3'\n.*did you mean 'pynq-z"),
        (("--classes", "a,b"), "--classes names 2 classes, the network has 3 outputs"),
        (("--classes", "a,b,b"), "--classes names a class twice"),
        (("--input-data", "absent.npz"), "absent.npz does not exist"),
    ],
)
def test_options(tmp_path: Path, options: tuple[str, ...], message: str) -> None:
    refused(save(tmp_path / "net.pt"), message, *options)


def test_options_that_the_command_line_does_not_know(tmp_path: Path) -> None:
    path = save(tmp_path / "net.pt")
    for options in (("--bit", "4"), ("--target-fps", "many"), ("--output",)):
        result = run("build", path, "--board", "pynq-z2", *options)
        assert result.code == 2
        assert "Traceback" not in result.err
    assert run("build", path).code == 2  # no board
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "folding.json is no sound JSON"),
        ("[1]", "folding.json holds a list, not an object"),
        (None, "folding.json does not exist"),
    ],
)
def test_folding_files(tmp_path: Path, content: str | None, message: str) -> None:
    path = save(tmp_path / "net.pt")
    if content is not None:
        (tmp_path / "folding.json").write_text(content)
    refused(path, message, "--folding", tmp_path / "folding.json")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": np.ones((4, 5))}, "has no array 'X'"),
        ({"X": np.ones((4, 6))}, r"X has shape \(4, 6\)\n.*rows of 5 numbers"),
        ({"X": np.full((4, 5), np.nan)}, "X has NaN in row 0, column 0"),
        ({"X": np.ones((4, 5)), "y": np.arange(4)}, "label 3, the network has 3 outputs"),
        ({"X": np.ones((4, 5)), "y": np.arange(3)}, r"y has shape \(3,\)"),
        (
            {"X": np.ones((4, 5)), "y": np.arange(4) - 0.5},
            "labels that are not 0, 1, 2, ..., 1 a row, and the network 3",
        ),
        ({"X": np.ones((4, 5)), "y": np.full((4, 2), 0.7)}, "labels that are not 0, 1, 2, ..., 2 a row, and the net"),
    ],
)
def test_data(tmp_path: Path, arrays: dict[str, np.ndarray], message: str) -> None:
    np.savez(tmp_path / "data.npz", **arrays)
    refused(save(tmp_path / "net.pt"), message, "--input-data", tmp_path / "data.npz")


def test_data_with_other_columns_for_qonnx(tmp_path: Path) -> None:
    path = write(tmp_path / "net.onnx", qonnx_graph(random_model(1)).model)
    np.savez(tmp_path / "data.npz", X=np.ones((4, 6)))
    refused(path, "rows of 5 numbers", "--input-data", tmp_path / "data.npz")
    refused(path, "bit widths were given, but a QONNX file has its own", "--bits", "4")
    refused(path, "--input-bits was given, but the model has its own", "--input-bits", "4")


def test_a_model_without_input_quantizer_and_nothing_to_fit_it_to(tmp_path: Path) -> None:
    model = random_model(5)
    bare = Model(model.ops[1:], model.masks, {})
    for path in (save(tmp_path / "net.pt", bare), write(tmp_path / "net.onnx", qonnx_graph(bare).model)):
        text = refused(path, "the model has no input quantizer")
        assert "--input-data" in text
        assert "--input-range" in text
        refused(path, "1 bit is the sign, but no input is negative", "--input-bits", "1", "--input-range", "0,1")


# ---- boards


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda b: b.update(luts=b.pop("lut")), "unknown key 'luts'\n.*did you mean 'lut'"),
        (lambda b: b.pop("dsp"), "missing dsp"),
        (lambda b: b.update(ff="many"), "ff = 'many'\n.*a whole number above 0"),
        (lambda b: b.update(family="xc8"), "unknown family 'xc8'"),
        (None, "is no sound YAML"),
    ],
)
def test_board_files(tmp_path: Path, change: Any, message: str) -> None:
    path, file = save(tmp_path / "net.pt"), tmp_path / "mine.yaml"
    content = yaml.safe_load((shipped("boards") / "pynq-z2.yaml").read_text())
    if change is None:
        file.write_text("lut: [1,")
    else:
        change(content)
        file.write_text(yaml.safe_dump(content))
    refused(path, message, "--board", file)


# ---- the machine


@pytest.mark.parametrize("missing", ["g++", "perl"])
def test_missing_programs_are_said_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    path, tools = save(tmp_path / "net.pt"), tmp_path / "tools"
    tools.mkdir()
    for program in {"g++", "perl"} - {missing}:
        (tools / program).symlink_to(shutil.which(program))
    monkeypatch.setenv("PATH", str(tools))
    monkeypatch.setattr(run_of_builds, "BuildFolder", None)  # no folder is opened
    output = tmp_path / "build"
    for stage in ("simulate", "synthesize"):
        result = run("build", path, "--board", "pynq-z2", "--until", stage, "--output", output)
        text = assert_refused(result, re.escape(f"'{missing}' was not found on PATH"), output)
        assert f"apt install {missing}" in text
        assert "✗" not in text


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EDQUOT])
@pytest.mark.parametrize("place", ["replace", "write", "elsewhere"])
def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, number: int) -> None:
    path = save(tmp_path / "net.pt")

    def fail(*_: Any, **__: Any) -> Any:
        raise OSError(number, os.strerror(number), str(tmp_path / "somewhere"))

    class Full(io.BytesIO):
        write = fail

    if place == "replace":
        monkeypatch.setattr("os.replace", fail)
    elif place == "write":
        monkeypatch.setattr("os.fdopen", lambda handle, _mode: os.close(handle) or Full())
    else:  # in a library, for example into the folder of temporary files
        monkeypatch.setattr("qap2fpga.frontend.export.execute_onnx", fail)
    refused(path, os.strerror(number))


def test_an_output_that_cannot_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path / "net.pt")
    (tmp_path / "file").write_text("mine")
    assert_refused(build(path, tmp_path / "file"), "file is a file")
    assert_refused(build(path, tmp_path / "file" / "below"), "cannot write .*Not a directory")
    assert (tmp_path / "file").read_text() == "mine"

    def denied(*_: Any, **__: Any) -> Any:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(tmp_path))

    with monkeypatch.context() as patched:
        patched.setattr("pathlib.Path.mkdir", denied)
        assert_refused(build(path, tmp_path / "build"), "cannot write .*Permission denied", tmp_path / "build")
    with monkeypatch.context() as patched:
        patched.setattr(state, "model_digest", denied)  # the model may not be read
        assert_refused(build(path, tmp_path / "build"), "Permission denied", tmp_path / "build")


def test_two_builds_into_one_folder(tmp_path: Path) -> None:
    path, output = save(tmp_path / "net.pt"), tmp_path / "build"
    with BuildFolder(output, Progress(quiet=True)) as first:
        first.stage("other", "Other", "key", lambda say: 1)
        assert_refused(build(path, output), f"another build is writing {output}")
        assert not (output / "network.npz").exists()
    assert build(path, output).code == 0


@pytest.mark.parametrize("name", ["report.json", ".qap2fpga/model.json", "network.npz"])
def test_a_folder_where_a_build_left_a_file(tmp_path: Path, name: str) -> None:
    model, output = save(tmp_path / "net.pt"), tmp_path / "out"
    place = output / name
    assert build(model, output).code == 0
    place.unlink()
    place.mkdir()
    done = build(model, output)
    assert done.code == 2 and f"{name}: Is a directory" in done.err
    place.rmdir()
    assert build(model, output).code == 0


def test_an_output_with_other_things_in_it(tmp_path: Path) -> None:
    path, output = save(tmp_path / "net.pt"), tmp_path / "thesis"
    output.mkdir()
    (output / "thesis.tex").write_text("years")
    text = assert_refused(build(path, output), "thesis holds something else than a build")
    assert "--output" in text
    assert [one.name for one in output.iterdir()] == ["thesis.tex"]


def files(folder: Path) -> dict[str, bytes]:
    """Return what a build left, but for what is dated: the log of its calls, and the page that lists them."""
    dated = ("build.log", "report.html")
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file() and path.name not in dated}


def test_a_refused_model_leaves_an_older_build_as_it_was(tmp_path: Path) -> None:
    good, output = save(tmp_path / "net.pt"), tmp_path / "build"
    assert build(good, output).code == 0
    kept = files(output)
    bad = save(tmp_path / "bad.pt", changed(random_model(3), "fc2", weight=lambda w: w * 0))
    assert build(bad, output).code == 2
    assert files(output) == kept
    assert build(good, output).code == 0
    assert files(output) == kept


@pytest.mark.slow
def test_messages_in_a_process_of_their_own(tmp_path: Path) -> None:
    """Nothing that a library prints when it is imported or fails gets between the user and the message."""
    (tmp_path / "net.pt").write_bytes(b"not a model")
    (tmp_path / "net.onnx").write_bytes(b"not a model")
    for model in ("net.pt", "net.onnx"):
        done = subprocess.run(
            [sys.executable, "-m", "qap2fpga", "build", model, "--board", "pynq-z2", "--until", "model", "--quiet"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith(f"qap2fpga: {model} ")
        assert len(done.stderr.splitlines()) == 2
        assert not (tmp_path / "builds").exists()
