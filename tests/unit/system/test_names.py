# SPDX-License-Identifier: Apache-2.0
"""Names in a file are data: nothing is called by them, nothing of them runs, and they are shown as escapes."""

from __future__ import annotations

import io
import json
import unicodedata
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper

import qap2fpga
from qap2fpga import backends
from qap2fpga.frontend import export, onnxfile
from qap2fpga.frontend.checkpoint import model_file as file
from qap2fpga.frontend.checkpoint.modules import build as module_of
from qap2fpga.frontend.checkpoint.spec import Model, check
from qap2fpga.frontend.checkpoint.widths import Widths
from qap2fpga.frontend.graph import read
from qap2fpga.frontend.integer import lower
from qap2fpga.frontend.prepare import Source, prepare
from qap2fpga.hw import boards
from qap2fpga.ir.vectors import random_vectors
from qap2fpga.passes.compaction import compact
from qap2fpga.system import names
from qap2fpga.system.errors import QapError
from qap2fpga.system.terminal import Terminal
from tests.support.command import run
from tests.support.hostile import FOLDER, MARK, NAMES, not_in_source, without_effect
from tests.support.networks import qonnx_graph, random_model

HIDDEN = "\x1b\x9b\x07\x00\r\u202e\u2066\u2069"


def renamed(model: Model, given: tuple[str, ...]) -> Model:
    """The model, its operations after the input's called as `given`."""
    assert len(model.ops) == len(given) + 1
    called = dict(zip([op.name for op in model.ops[1:]], given, strict=True))
    ops = tuple(replace(op, name=called.get(op.name, op.name)) for op in model.ops)
    return replace(model, ops=ops, masks={called[name]: mask for name, mask in model.masks.items()})


@pytest.fixture(scope="session")
def hostile_model() -> Model:
    """A network with one of the names for each of its 40 operations."""
    return renamed(random_model(2, (3,) * 15, sparsity=0.0, rows=32), NAMES)


# ---- text to show


@given(st.text())
def test_a_label_is_short_visible_text_on_one_line_and_stays_itself(name: str) -> None:
    label = names.shown(name)
    assert label.strip() and len(label) <= names.LONGEST and names.shown(label) == label
    assert not [letter for letter in label if unicodedata.category(letter) in names.HIDDEN]


@given(st.lists(st.text(alphabet="a\n\\n (2)", max_size=6), max_size=8))
def test_labels_differ(given_names: list[str]) -> None:
    labels = names.labels(given_names)
    assert len(set(labels)) == len(labels) == len(given_names) and names.labels(labels) == labels


def test_names_that_would_look_the_same_are_numbered() -> None:
    long = ["x" * 40 + middle * 30 + "y" * 40 for middle in "ab"]
    assert names.labels(["\n", "\\n", *long, ""])[:2] == ("\\n", "\\n (2)")
    assert len({*names.labels(long)}) == 2 and "(110 characters)" in names.labels(long)[0]
    assert names.shown("") == "''"


def test_an_ordinary_name_is_shown_as_it_is() -> None:
    for name in ("fc1", "encoder.0.act_quant", "größe/層", "a b"):
        assert names.shown(name) == name


@given(st.text())
def test_an_identifier_is_one_everywhere(text: str) -> None:
    identifier = names.identifier(text)
    assert (
        identifier.isascii()
        and identifier.isidentifier()
        and len(identifier) <= 44
        and identifier == identifier.lower()
    )


@pytest.mark.parametrize("text", [*NAMES, " =1", "\n+1"])
def test_a_cell_is_never_a_formula(text: str) -> None:
    cell = names.cell(text)
    assert not cell.startswith(names.FORMULA) and cell.removeprefix("'") == names.printable(text)
    assert names.cell("-0.5") == "-0.5" and names.cell(-2) == -2 and names.cell(None) is None


def test_an_error_says_hidden_characters_and_cannot_forge_a_second_message() -> None:
    error = QapError(f"layer {HIDDEN}\nqap2fpga: all is well {'x' * 5000}", "hint \x1b")
    assert not set(HIDDEN) & set(str(error)) and len(str(error)) < 1100
    assert "\nqap2fpga" not in names.indented(f"qap2fpga: {error}")


@pytest.mark.parametrize("markup", [True, False])
def test_a_terminal_shows_hidden_characters_but_keeps_its_own_colours(markup: bool) -> None:
    stream = io.StringIO()
    console = Terminal(file=stream, force_terminal=True, color_system="standard", width=200)
    console.print(f"[red]{HIDDEN[:2]}\u202e:bomb:[/]", markup=markup)
    shown = stream.getvalue()
    assert "\\x1b\\x9b\\u202e" in shown and ":bomb:" in shown and ("\x1b[31m" in shown) is markup


# ---- files


def test_a_network_with_hostile_names_is_built_and_shown(
    hostile_model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read, lower, generate Verilog and a driver, estimate, report in all forms; the file's name is hostile too."""
    monkeypatch.chdir(tmp_path)
    model, out = tmp_path / f"{FOLDER}.onnx", tmp_path / "out"
    onnx.save(qonnx_graph(hostile_model).model, model)
    with_driver = ("--board", "pynq-z2", "--backend", "rtl", "--until", "generate", "--output", out)
    results = [
        run("build", model, *with_driver),
        run("report", out, "--html", out / "page.html", "--csv", out / "rows.csv"),
        run("report", out, "--json"),
        run("report", out),
        run("estimate", model, "--board", "pynq-z2", "--backend", "finn"),
    ]
    assert [each.code for each in results] == [0] * 5, [each.err for each in results]
    without_effect(tmp_path)
    not_in_source(out)
    for each in results:
        assert not set(HIDDEN) & set(each.out + each.err)
    page = (out / "page.html").read_text()
    assert "<script>document" not in page and "<img" not in page and not set(HIDDEN) & set(page)
    dense = [names.shown(op.name) for op in hostile_model.ops if op.kind == "dense"]
    assert [layer["name"] for layer in json.loads(results[2].out)["model"]["layers"]] == dense
    for each in (results[3], results[4]):
        assert all(label in each.out for label in dense if len(label) < 30)
    assert [path.name for path in (out / "rtl").glob("l1.v")] == ["l1.v"]


def test_a_saved_module_may_have_any_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    model = random_model(2, (3,) * 15, sparsity=0.0, rows=16)
    plain = module_of(model)
    given_names = [name.replace(".", ",") for name in ("first", *NAMES)]
    qap2fpga.save(torch.nn.Sequential(OrderedDict(zip(given_names, plain, strict=True))), model.example, "model.pt")
    again = file.read(Path("model.pt"), Widths((), (), None))
    assert [op.name for op in again.ops] == list(names.labels(given_names))
    export.export(again)
    without_effect(tmp_path)


def test_the_keys_of_a_state_dict_are_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    scale = "act1.act_quant.fused_activation_quant_proxy.tensor_quant.scaling_impl.value"
    state = {
        f"{NAMES[0]}.weight": torch.randn(6, 5),
        f"{NAMES[11]}.weight": torch.randn(3, 6),
        scale: torch.tensor(1.0),
    }
    torch.save(state, tmp_path / "key.pth")
    prepared = prepare(Source(tmp_path / "key.pth", Widths((4,), (4,), 4), range=(-4.0, 4.0)), lambda text: None)
    assert prepared.network.layers[1].name == names.shown(NAMES[11])
    without_effect(tmp_path)


def test_the_names_in_an_onnx_file_are_data(
    hostile_model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    graph = qonnx_graph(hostile_model)
    graph.graph.name = graph.model.producer_name = NAMES[0]
    graph.model.metadata_props.add(key=NAMES[0], value=_python())
    onnx.save(graph.model, tmp_path / "model.onnx")
    loaded = onnxfile.load(tmp_path / "model.onnx")
    layers = read(loaded).layers
    used = [name for name in (*NAMES,) if any(names.shown(name) == layer.name for layer in layers)]
    assert len(layers) == 14 == len(used)
    kept = [*(node.name for node in loaded.graph.node), *(value.name for value in loaded.graph.value_info)]
    assert all(name.isidentifier() for name in kept)
    without_effect(tmp_path)


def _python() -> str:
    return f"__import__('pathlib').Path('{MARK}').touch() or ['N', 'C']"


@pytest.mark.parametrize("key", ["tensor_layout", "tensor_sparsity"])
def test_annotations_that_qonnx_evaluates_do_not_get_there(
    key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    graph = qonnx_graph(random_model(3, (4, 5, 3)))
    tensors = {name for node in graph.graph.node for name in (*node.input, *node.output)}
    for name in tensors:
        annotation = graph.graph.quantization_annotation.add(tensor_name=name)
        annotation.quant_parameter_tensor_names.add(key=key, value=_python())
    onnx.save(graph.model, tmp_path / "model.onnx")
    loaded = onnxfile.load(tmp_path / "model.onnx")
    for name in {name for node in loaded.graph.node for name in (*node.input, *node.output)}:
        assert loaded.get_tensor_layout(name) is None and loaded.get_tensor_sparsity(name) is None
    without_effect(tmp_path)


def test_a_domain_is_not_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """qonnx takes the domain of an operator for the name of a Python module."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "evil.py").write_text(f"import pathlib\npathlib.Path('{MARK}').touch()\n")
    node = helper.make_node("Own", ["x"], ["y"], "\x1b[31m", domain="evil")
    shape = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, 2]) for name in "xy"]
    opsets = [helper.make_opsetid("", 13), helper.make_opsetid("evil", 1)]
    onnx.save(
        helper.make_model(helper.make_graph([node], "g", shape[:1], shape[1:]), opset_imports=opsets), "model.onnx"
    )
    with pytest.raises(QapError, match=r"node \\x1b\[31m \(Own of evil\) cannot be lowered"):
        onnxfile.load(tmp_path / "model.onnx")
    without_effect(tmp_path)


def test_two_layers_of_one_name_are_refused_and_of_names_alike_are_not() -> None:
    model = random_model(3, (4, 5, 3))
    first, second = (op for op in model.ops if op.kind == "dense")
    twice = tuple(replace(op, name=first.name) if op is second else op for op in model.ops)
    with pytest.raises(QapError, match="two layers are called fc1"):
        check(replace(model, ops=twice))
    alike = tuple(replace(op, name="fc.1" if op is first else "fc_1") if op.kind == "dense" else op for op in model.ops)
    assert [op.name for op in check(replace(model, ops=alike, masks={})).ops if op.kind == "dense"] == ["fc.1", "fc_1"]


@pytest.mark.parametrize("key", ["part", "board_part"])
@pytest.mark.parametrize("value", ['xc7"; exec touch X; "', "[exec touch X]", "$env(HOME)", "xc7 z", "xc\n7"])
def test_the_part_of_a_board_is_a_name_that_tools_can_be_given(key: str, value: str, tmp_path: Path) -> None:
    content: dict[str, Any] = {
        "title": "t", "part": "xc7z020clg400-1", "family": "xc7", "clock_ns": 10.0, "lut": 1, "ff": 1, "dsp": 1,
        "bram18": 1, "source": "s", "board_part": "tul.com.tw:pynq-z2:part0",
    }  # fmt: skip
    (tmp_path / "good.yaml").write_text(json.dumps(content))
    assert boards.load(str(tmp_path / "good.yaml")).part == content["part"]
    (tmp_path / "bad.yaml").write_text(json.dumps({**content, key: value}))
    with pytest.raises(QapError, match=f"{key} is .*"):
        boards.load(str(tmp_path / "bad.yaml"))


# ---- backends


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["finn", "hls4ml"])
def test_what_a_backend_generates_has_no_name_of_the_users(
    backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    model = random_model(1, (5,) * 11, sparsity=0.0, rows=32)
    chosen = [*NAMES[:8], NAMES[11], NAMES[15]]
    qonnx = export.clean(qonnx_graph(model))
    products = [node for node in qonnx.graph.node if node.op_type in ("MatMul", "Gemm")]
    for node, name in zip(products, names.labels(chosen), strict=True):
        node.doc_string = name
    network = compact(lower(read(qonnx)))
    assert {one.name for one in network.weighted} == set(names.labels(chosen))
    target, result = boards.load("pynq-z2"), backends.get(backend)
    options = result.make_options(allow_oversize=True)
    vectors = random_vectors(network, 8, 1)
    result.generate(network, target, tmp_path / "made", options, np.asarray(vectors))
    without_effect(tmp_path)
    not_in_source(tmp_path / "made")


@pytest.mark.parametrize(
    ("given", "shared", "left"),
    [
        (["b/jets-4b-rtl-pynq-z2", "b/jets-6b-rtl-pynq-z2"], "b/jets-…-rtl-pynq-z2", ("4b", "6b")),
        (["builds/a", "builds/b"], "builds/…", ("a", "b")),
        (["a", "b"], "", ("a", "b")),
        (["one"], "", ("one",)),
        ([], "", ()),
        (["x-a", "x-a"], "", ("x-a", "x-a")),
        (["net-rtl", "net-a-rtl"], "", ("net-rtl", "net-a-rtl")),
        (["alpha1", "alpha2"], "", ("alpha1", "alpha2")),
    ],
)
def test_what_names_have_in_common_and_apart(given: list[str], shared: str, left: tuple[str, ...]) -> None:
    assert names.apart(given) == (shared, left)
