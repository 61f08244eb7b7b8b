# SPDX-License-Identifier: Apache-2.0
"""A stored graph is the same graph, and nothing else is read."""

from __future__ import annotations

import dataclasses
import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qap2fpga.ir import storage
from qap2fpga.ir.graph import INPUT, Graph
from qap2fpga.ir.linear import Linear
from qap2fpga.ir.nodes import Input
from qap2fpga.ir.quantizer import InputQuantizer
from qap2fpga.ir.tensors import Shape
from qap2fpga.system.errors import QapError
from tests.support.graphs import random_graph, residual


def same(one: Any, other: Any) -> bool:
    """Whether two graphs, nodes or functions are the same, field by field."""
    if isinstance(one, np.ndarray):
        return isinstance(other, np.ndarray) and np.array_equal(one, other)
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if dataclasses.is_dataclass(one):
        fields = [field.name for field in dataclasses.fields(one)]
        return type(one) is type(other) and all(same(getattr(one, name), getattr(other, name)) for name in fields)
    return bool(one == other)


@pytest.mark.parametrize("seed", range(5))
def test_what_is_read_is_what_was_written(seed: int, tmp_path: Path) -> None:
    graph = dataclasses.replace(random_graph(seed), output_scale=Fraction(3, 16), notes=("a note",))
    storage.save(graph, tmp_path / "network.npz")
    assert same(storage.load(tmp_path / "network.npz"), graph)


def test_every_kind_of_node_is_read_back(tmp_path: Path) -> None:
    graph = residual()
    assert {type(node) for node in graph.nodes} == set(storage.KINDS.values())
    storage.save(graph, tmp_path / "network.npz")
    assert same(storage.load(tmp_path / "network.npz"), graph)


def test_the_same_graph_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one.npz", "other.npz"):
        storage.save(random_graph(1), tmp_path / name)
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "other.npz").read_bytes()


def damaged(change: str, folder: Path) -> Path:
    path = folder / "network.npz"
    storage.save(random_graph(1), path)
    with np.load(path) as content:
        arrays = dict(content)
    head: dict[str, Any] = json.loads(arrays["head"].tobytes())
    nodes = head["nodes"]
    if change == "format":
        head["format"] = 1
    elif change == "kind":
        nodes[1]["kind"] = "convolution"
    elif change == "kind of another type":
        nodes[1]["kind"] = ["linear"]
    elif change == "no nodes":
        head["nodes"] = []
    elif change == "nodes of another type":
        head["nodes"] = 3
    elif change == "node of another type":
        head["nodes"] = ["input", *nodes[1:]]
    elif change == "first":
        head["nodes"] = nodes[1:]
    elif change == "function":
        nodes[2]["function"]["kind"] = "sine"
    elif change == "no function":
        nodes[2]["function"] = 3
    elif change == "step":
        nodes[2]["function"]["step"] = 0
    elif change == "missing":
        del nodes[1]["weight_bits"]
    elif change == "type":
        nodes[1]["weight_bits"] = "4"
    elif change == "array":
        del arrays["weights1"]
    elif change == "array type":
        arrays["weights1"] = arrays["weights1"].astype(np.float64)
    elif change == "shape":
        arrays["weights1"] = arrays["weights1"][:-1]
    elif change == "scale":
        head["output_scale"] = "1/0"
    elif change == "quantizer":
        nodes[0]["quantizer"]["scale"] = [0.5, 0.5]
    elif change == "one scale":
        scales = [0.5] * storage.load(path).inputs
        nodes[0]["quantizer"]["scale"] = [0.0, *scales[1:]]
    elif change == "ends":
        nodes[0]["quantizer"]["ends"] = [[0, 1]] * storage.load(path).inputs
    elif change == "ends of some":
        quantizer = nodes[0]["quantizer"]
        quantizer["ends"] = [[quantizer["low"], quantizer["high"]]]
    elif change == "rounding":
        nodes[0]["quantizer"]["rounding"] = "DICE"
    arrays["head"] = np.frombuffer(json.dumps(head).encode(), np.uint8)
    if change == "head":
        arrays["head"] = np.frombuffer(b"\xff{", np.uint8)
    elif change == "no head":
        del arrays["head"]
    np.savez_compressed(path, **arrays)
    return path


@pytest.mark.parametrize(
    "change",
    ["format", "kind", "function", "no function", "step",
     "kind of another type", "no nodes", "nodes of another type",
     "node of another type", "first", "missing", "type", "array", "array type", "shape",
     "scale", "quantizer", "one scale", "ends", "ends of some", "rounding", "head", "no head"],
)  # fmt: skip
def test_what_is_damaged_is_refused(change: str, tmp_path: Path) -> None:
    with pytest.raises(QapError) as refusal:
        storage.load(damaged(change, tmp_path))
    assert "network.npz" in refusal.value.message


def test_an_input_of_one_value_is_read_back(tmp_path: Path) -> None:
    graph = random_graph(1)
    fixed = graph.with_input(dataclasses.replace(graph.input, low=1, high=1))
    storage.save(fixed, tmp_path / "network.npz")
    assert storage.load(tmp_path / "network.npz").input.high == 1


def test_ends_of_features_are_kept(tmp_path: Path) -> None:
    ends = ((-2, 1), (0, 0), (-4, 3))
    quantizer = InputQuantizer(-4, 3, (1.0,), ends=ends)
    source = Input(name=INPUT, size=Shape(3), quantizer=quantizer)
    weights = np.arange(6).reshape(3, 2)
    linear = Linear(name="fc", sources=(INPUT,), weights=weights, weight_bits=4, input_bits=3)
    storage.save(Graph((source, linear), "fc", Fraction(1)), tmp_path / "net.npz")
    loaded = storage.load(tmp_path / "net.npz")
    assert loaded.input == quantizer
    assert loaded.node_ranges[INPUT].ends == list(ends)
