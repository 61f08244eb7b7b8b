# SPDX-License-Identifier: Apache-2.0
"""Several outputs of a graph side by side, and one that is chosen by its name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qap2fpga.frontend import heads, onnxfile
from qap2fpga.frontend.checkpoint.widths import Widths
from qap2fpga.frontend.graph import read
from qap2fpga.frontend.prepare import Source, prepare
from qap2fpga.ir.shown import Head
from qap2fpga.system.errors import QapError
from tests.support.onnx_graphs import by_qonnx, prepared, values
from tests.support.qonnx_builder import Builder

RANDOM = np.random.default_rng(2)
FIRST, LEFT, RIGHT = (RANDOM.integers(-7, 8, size) / 4 for size in ((5, 6), (6, 3), (6, 1)))


def two(*, ends: tuple[str, ...] = ("", ""), quantized: bool = False) -> Any:
    """A common layer and two dense heads with biases, each followed by an operator of `ends`, or by a quantizer."""
    one = Builder((1, 5))
    trunk = one.quant(one.add("MatMul", one.quant("x", 0.25), one.weights(FIRST, 0.25)), 0.5, signed=False)
    outputs = []
    for weights, end, scale in zip((LEFT, RIGHT), ends, (0.25, 0.5), strict=True):
        head = one.add("MatMul", trunk, one.weights(weights, 0.25))
        head = one.add("Add", head, one.constant(np.linspace(-1, 1, weights.shape[1])))
        head = one.quant(head, scale, 5) if quantized else head
        outputs.append(one.add(end, head) if end else head)
    return one.model(*outputs)


def rows(count: int = 20) -> np.ndarray:
    """Some inputs."""
    return np.random.default_rng(1).normal(0, 1, (count, 5)).astype(np.float32)


@pytest.mark.parametrize("quantized", [False, True])
def test_two_heads_leave_the_chip_as_one_vector(quantized: bool, tmp_path: Path) -> None:
    model = two(quantized=quantized)
    result = prepared(model, tmp_path)
    names = [value.name for value in model.graph.output]
    assert result.facts.network.heads == (Head(names[0], 0, 3), Head(names[1], 3, 1))
    assert result.facts.network.record()["heads"] == [
        {"name": names[0], "first": 0, "size": 3}, {"name": names[1], "first": 3, "size": 1},
    ]  # fmt: skip
    assert f"output 0 to 2 of the chip: {names[0]}" in result.facts.notes
    assert f"output 3 of the chip: {names[1]}" in result.facts.notes
    assert [one.mismatches for one in result.simulations] == [0, 0]
    mine = values(result, rows())
    for name, part in zip(names, np.split(mine, [3], axis=1), strict=True):
        alone = two(quantized=quantized)
        kept = next(value for value in alone.graph.output if value.name == name)
        kept.name, renamed = "y", name
        for node in alone.graph.node:
            node.output[:] = ["y" if tensor == renamed else tensor for tensor in node.output]
        del alone.graph.output[:]
        alone.graph.output.append(kept)
        assert np.abs(by_qonnx(alone, rows()) - part).max() < float(result.lowered.output_scale)


def test_the_end_of_a_head_stays_on_the_host(tmp_path: Path) -> None:
    """A Softmax over one, a Sigmoid over the other: what enters them leaves the chip."""
    (tmp_path / "net.onnx").write_bytes(two(ends=("Softmax", "Sigmoid")).SerializeToString())
    (tmp_path / "plain.onnx").write_bytes(two().SerializeToString())
    ended, plain = (read(onnxfile.load(tmp_path / name)) for name in ("net.onnx", "plain.onnx"))
    assert ended.output.affine == plain.output.affine
    assert [head.size for head in ended.heads] == [3, 1]


@pytest.mark.parametrize("which", [0, 1])
def test_one_of_the_outputs_is_chosen_by_name(which: int, tmp_path: Path) -> None:
    model = two()
    name = model.graph.output[which].name
    result = prepared(model, tmp_path, output=name)
    assert (result.lowered.outputs, result.facts.network.heads) == ((3, 1)[which], ())


def test_a_graph_ends_in_a_node_that_is_chosen(tmp_path: Path) -> None:
    """Also where what comes after it could not be lowered."""
    one = Builder((1, 5))
    dense = one.add("MatMul", one.quant("x", 0.25), one.weights(FIRST, 0.25))
    square = one.add("Mul", dense, one.add("Identity", dense))
    model = one.model(square)
    with pytest.raises(QapError, match=r"node mul\d+ \(Mul\) cannot be lowered"):
        prepared(model, tmp_path)
    assert prepared(model, tmp_path, output="matmul2").lowered.outputs == 6
    with pytest.raises(QapError, match="no output, tensor or node 'matmul3'") as caught:
        prepared(model, tmp_path, output="matmul3")
    assert "did you mean 'matmul2'" in caught.value.hint


def test_outputs_that_are_no_vectors_are_refused_by_name(tmp_path: Path) -> None:
    one = Builder((1, 2, 4, 4))
    sums = one.add("Conv", one.quant("x", 0.25), one.weights(np.ones((3, 2, 3, 3)), 0.25))
    dense = one.add("MatMul", one.add("Flatten", one.quant(sums, 0.5)), one.weights(np.ones((12, 2)), 0.25))
    with pytest.raises(QapError, match=r"2 outputs, of which conv\d+.y has shape \[1, 3, 2, 2\]") as caught:
        prepared(one.model(dense, sums), tmp_path)
    assert f"--model-output NAME: {dense}, {sums}" in caught.value.hint


def test_an_output_that_no_node_makes_or_that_is_listed_twice_is_refused() -> None:
    graph = two().graph
    heads.check(graph)
    graph.output.append(graph.input[0])
    with pytest.raises(QapError, match="is the input as it is"):
        heads.check(graph)
    graph.output[-1].CopyFrom(graph.output[0])
    with pytest.raises(QapError, match="is listed twice"):
        heads.check(graph)


def test_labels_of_several_outputs_are_not_used(tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", X=rows(), y=np.arange(20) % 3)
    facts = prepared(two(), tmp_path, data=tmp_path / "data.npz").facts
    assert facts.accuracy is None
    assert any("labels are not used: the model has several outputs" in note for note in facts.notes)


def test_a_state_dict_has_no_outputs_to_choose_from(tmp_path: Path) -> None:
    (tmp_path / "net.pt").write_bytes(b"")
    with pytest.raises(QapError, match=r"--model-output was given, but the model is no \.onnx file"):
        prepare(Source(tmp_path / "net.pt", Widths(), output="dense"), lambda text: None)


def test_the_class_of_several_outputs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(QapError, match="--output-kind class: the network has 2 outputs") as caught:
        prepared(two(), tmp_path, output_kind="class")
    assert "--model-output" in caught.value.hint


def test_what_enters_a_sigmoid_at_the_end_leaves_the_chip(tmp_path: Path) -> None:
    one = Builder((1, 5))
    dense = one.add("MatMul", one.quant("x", 0.25), one.weights(FIRST, 0.25))
    result = prepared(one.model(one.add("Sigmoid", dense)), tmp_path, output_kind="values")
    assert any("Sigmoid at the end stays on the host" in note for note in result.facts.notes)
    mine = values(result, rows())
    quantized = np.clip(np.rint(rows() / 0.25), -8, 7) * 0.25
    assert np.array_equal(mine, quantized @ np.rint(FIRST / 0.25).clip(-8, 7) * 0.25)
