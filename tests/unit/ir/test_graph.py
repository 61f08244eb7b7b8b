# SPDX-License-Identifier: Apache-2.0
"""Graphs: what they compute, and that one which is not well formed is refused by the node's name."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

from qap2fpga.ir import graph, windowed
from qap2fpga.ir.bops import Bops
from qap2fpga.ir.functions import Step
from qap2fpga.ir.geometry import Geometry
from qap2fpga.ir.graph import Graph, verify
from qap2fpga.ir.linear import Linear
from qap2fpga.ir.nodes import Node, Requantizer
from qap2fpga.ir.tensors import Shape
from qap2fpga.ir.units import Ranges
from qap2fpga.ir.vectors import random_vectors
from qap2fpga.system.errors import CheckFailed, QapError
from tests.support.branches import branching
from tests.support.graphs import random_graph, residual, small_chain


def test_every_node_is_evaluated_in_order() -> None:
    graph = small_chain([[[1, -1], [2, 0]], [[1], [3]]], [[[0, 2], [-1, 1]]])
    results = graph.trace(np.array([[1, 1], [-1, 0]]))
    assert results["fc1"].tolist() == [[3, -1], [-1, 1]]
    assert results["fc1/requantize"].tolist() == [[2, 1], [0, 2]]
    assert results["fc2"].tolist() == [[5], [6]]
    assert graph.run(np.array([[1, 1]])).tolist() == [[5]]


@pytest.mark.parametrize("seed", range(20))
def test_results_lie_in_their_ranges(seed: int) -> None:
    graph = random_graph(seed)
    low, high = graph.input.low, graph.input.high
    frames = np.random.default_rng(seed).integers(low, high, (200, graph.inputs), endpoint=True)
    for name, values in graph.trace(frames).items():
        assert graph.node_ranges[name].contains(values).all(), name


def test_a_graph_with_branches() -> None:
    graph = residual()
    assert (graph.inputs, graph.outputs) == (40, 3)
    assert str(graph.shapes["large"]) == "2x6x4"
    frames = np.random.default_rng(1).integers(-2, 2, (50, 40))
    results = graph.trace(frames)
    for name, values in results.items():
        assert graph.node_ranges[name].contains(values).all(), name
    image = frames.reshape(-1, 4, 5, 2)
    shown = results["a"].reshape(image.shape)
    assert np.array_equal(results["add"].reshape(image.shape), 3 * shown - 2 * image)
    pooled = results["b"].reshape(image.shape)[:, :4, :4].reshape(-1, 2, 2, 2, 2, 2).max(axis=(2, 4))
    assert np.array_equal(results["both"].reshape(-1, 2, 2, 4)[..., :2], pooled)
    assert graph.bops()["conv"].nonzero_products == 20 * 9 * np.count_nonzero(graph["conv"].weights)  # type: ignore[attr-defined]
    assert graph.bops()["pool"] == Bops()
    with pytest.raises(QapError, match="does not fit a chain"):
        _ = graph.layers


@pytest.mark.parametrize("seed", range(20))
def test_the_result_of_one_node_is_that_of_its_trace_whatever_is_held(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = branching(seed)
    frames = random_vectors(one, 7, seed)
    results = one.trace(frames)
    monkeypatch.setattr(graph, "MOST_VALUES", 2 * max(shape.size for shape in one.shapes.values()))
    monkeypatch.setattr(windowed, "MOST_SEEN", 50)
    for name, expected in results.items():
        assert np.array_equal(one.result(name, frames), expected)
    assert one.run(frames[:0]).shape == (0, one.outputs)


def test_the_requantizer_that_ends_a_network() -> None:
    one = small_chain([[[1, -1], [2, 0]], [[1], [3]]], [[[0, 2], [-1, 1]]])
    assert one.end.name == one.output
    bare = replace(one, nodes=one.nodes[:-1], output=one.nodes[-2].name)
    with pytest.raises(QapError, match=rf"ends in the node {bare.output} \(linear\)"):
        _ = bare.end


def test_the_nodes_that_multiply() -> None:
    one = branching(1)
    expected = [node.name for node in one.nodes if node.kind in ("linear", "depthwise")]
    assert {node.kind for node in one.weighted} == {"linear", "depthwise"}
    assert [node.name for node in one.weighted] == expected


def test_shapes_and_readers() -> None:
    graph = random_graph(1)
    assert graph.shapes[graph.output] == Shape(graph.outputs)
    assert [node.name for node in graph.readers("fc1")] == ["fc1/requantize"]


def broken(change: str) -> Graph:
    graph = small_chain([[[1, -1], [2, 0]], [[1], [3]]], [[[0, 2], [-1, 1]]])
    nodes: list[Node] = list(graph.nodes)
    linear = graph["fc1"]
    assert isinstance(linear, Linear)
    if change == "name":
        nodes[1] = replace(linear, name=nodes[0].name)
    elif change == "order":
        nodes[1], nodes[2] = nodes[2], nodes[1]
    elif change == "shape":
        nodes[1] = replace(linear, weights=linear.weights[:-1])
    elif change == "parameters":
        end = graph["fc1/requantize"]
        assert isinstance(end, Requantizer) and isinstance(end.function, Step)
        nodes[2] = replace(end, function=Step(end.function.thresholds[:, ::-1]))
    elif change == "channels":
        nodes[1] = replace(linear, channels=(1,))
    elif change == "inputs":
        nodes.insert(1, replace(graph.source, name="second"))
    elif change == "input between":
        nodes[1:1] = [replace(graph.source, name="second", sources=(graph.source.name,))]
        nodes[2] = replace(linear, sources=("second",))
    elif change == "no source":
        nodes[1] = replace(linear, sources=())
    elif change == "unread":
        nodes.append(replace(linear, name="spare"))
    elif change == "output":
        return replace(graph, output="nothing")
    return replace(graph, nodes=tuple(nodes))


@pytest.mark.parametrize(
    ("change", "told"),
    [("name", "two nodes"), ("order", "do not come before"), ("shape", "node fc1: it takes"),
     ("parameters", "its thresholds do not rise"),

     ("channels", "1 numbers"), ("inputs", "second"),
     ("input between", "second: a graph has one input"), ("no source", "fc1"),
     ("unread", "spare"), ("output", "nothing")],
)  # fmt: skip
def test_what_is_not_well_formed_is_named(change: str, told: str) -> None:
    with pytest.raises(CheckFailed, match=told):
        verify(broken(change), "a test")


def test_what_is_well_formed_is_returned() -> None:
    graph = random_graph(3)
    assert verify(graph, "a test") is graph


def test_a_chain_as_units() -> None:
    graph = random_graph(4)
    assert [unit.name for unit in graph.layers] == [node.name for node in graph.nodes if isinstance(node, Linear)]
    assert graph.layers[-1].requantizer.name == graph.output
    for before, after in pairwise(graph.ranges):
        assert all(map(np.array_equal, before.outputs, after.inputs))
    again = graph.with_layers(graph.layers)
    assert [node.sources for node in again.nodes] == [node.sources for node in graph.nodes]


def test_widths_hold_both_ends() -> None:
    ends = np.array([-5, -1]), np.array([1, 8])
    rising = np.array([1, 2]), np.array([3, 8])
    assert Ranges(ends, ends, ends).accumulator_bits == Ranges(ends, ends, ends).output_bits == 5
    # Accumulators are signed whatever they hold; outputs of one sign need no bit for it.
    assert (Ranges(rising, rising, rising).accumulator_bits, Ranges(rising, rising, rising).output_bits) == (5, 4)
    falling = np.array([-9, -5]), np.array([0, -3])
    assert Ranges(falling, falling, falling).accumulator_bits == Ranges(falling, falling, falling).output_bits == 5


def test_what_is_no_chain_is_refused_by_name() -> None:
    graph = random_graph(4)
    without_end = replace(graph, nodes=graph.nodes[:-1])
    with pytest.raises(QapError, match=r"node fc\d \(linear\) does not fit a chain: there must be a requantizer of fc"):
        _ = without_end.layers
    twice = replace(graph, nodes=(graph.nodes[0], *graph.nodes[2:]))
    with pytest.raises(QapError, match="there must be a dense linear node of input/"):
        _ = twice.layers
    kernel = replace(graph["fc1"], geometry=Geometry(stride=(2, 2)))  # type: ignore[call-arg]
    with pytest.raises(QapError, match="there must be a dense linear node of input/"):
        _ = graph.with_nodes(kernel).layers
    odd = replace(graph, nodes=(*graph.nodes[:-1], replace(graph.nodes[-1], sources=("fc1/requantize",))))
    with pytest.raises(QapError, match="there must be a requantizer of"):
        _ = odd.layers


def test_the_output_scale_is_kept() -> None:
    assert replace(random_graph(5), output_scale=Fraction(3, 16)).output_scale == Fraction(3, 16)


def test_a_node_knows_what_its_result_is_called() -> None:
    graph = small_chain([[[1, -1], [2, 0]], [[1], [3]]], [[[0, 2], [-1, 1]]])
    assert [node.word for node in graph.nodes[1:]] == [
        "accumulator", "activation", "accumulator", "logit",
    ]  # fmt: skip
    assert graph.source.word == "result"
