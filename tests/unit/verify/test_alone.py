# SPDX-License-Identifier: Apache-2.0
"""Which inputs a node is run on by itself, and what they show; here it is numpy that runs it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from qap2fpga.hw.design import Alone
from qap2fpga.ir.graph import Graph
from qap2fpga.ir.nodes import Requantizer
from qap2fpga.ir.tensors import Range, Shape
from qap2fpga.ir.windowed import Weighted
from qap2fpga.verify import alone
from qap2fpga.verify.compare import Mismatch
from tests.support.graphs import small_cnn


def nodes(graph: Graph) -> tuple[Alone, ...]:
    chosen = [node for node in graph.nodes if isinstance(node, (Weighted, Requantizer))]
    return tuple(Alone(one.name, graph.shapes[one.sources[0]].size, graph.shapes[one.name].size) for one in chosen)


def runner(graph: Graph) -> alone.Run:
    def run(number: int, one: Alone, frames: np.ndarray) -> np.ndarray:
        node = graph[one.node]
        return node.evaluate([graph.shapes[node.sources[0]].tensor(frames)]).reshape(len(frames), one.outputs)

    return run


def test_every_integer_of_every_channel_is_run() -> None:
    values = Range(np.array([-3, 0]), np.array([4, 2]))
    frames = alone.every(Shape(2, 1, 3), values)
    assert frames.shape == (3, 6)
    channels = frames.reshape(-1, 2)
    assert set(channels[:, 0]) == set(range(-3, 5)) and set(channels[:, 1]) == {0, 1, 2}


def test_each_input_is_at_both_ends_while_the_others_stand_still() -> None:
    values = Range(np.array([1, -2]), np.array([4, 5]))
    frames = alone.basis(Shape(2, 2, 1), values)
    assert frames.tolist() == [
        [1, 0, 1, 0],
        [1, 0, 1, 0], [4, 0, 1, 0],
        [1, -2, 1, 0], [1, 5, 1, 0],
        [1, 0, 1, 0], [1, 0, 4, 0],
        [1, 0, 1, -2], [1, 0, 1, 5],
    ]  # fmt: skip


def test_all_nodes_are_run_and_counted() -> None:
    graph = small_cnn()
    settled = alone.settle(graph, nodes(graph), runner(graph))
    assert set(settled.products) == {one.name for one in graph.weighted} and not settled.left
    assert set(settled.requantizers) == {one.name for one in graph.nodes if isinstance(one, Requantizer)}
    products = sum(1 + 2 * graph.shapes[one.sources[0]].size for one in graph.weighted)
    assert settled.frames > products


def test_a_wrong_weight_and_a_wrong_step_are_named_with_their_input() -> None:
    graph = small_cnn()
    for kind, pattern in ((Weighted, r"input 7 = -?\d+: vector"), (Requantizer, r"its source = -?\d+: vector")):
        node = next(one for one in graph.nodes if isinstance(one, kind))
        right = runner(graph)

        def wrong(number: int, one: Alone, frames: np.ndarray, node=node, right=right) -> np.ndarray:
            results = right(number, one, frames)
            if one.node != node.name:
                return results
            # A product of one input, or one integer of the range.
            where = frames[:, 7] != frames[0, 7] if isinstance(node, Weighted) else frames[:, 7] == frames[:, 7].max()
            results[where, -1] += 1
            return results

        with pytest.raises(Mismatch, match=rf"node {node.name} by itself, {pattern}"):
            alone.settle(graph, nodes(graph), wrong)


def test_what_is_too_large_is_left_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = small_cnn()
    monkeypatch.setattr(alone, "MOST_PRODUCTS", 1)
    settled = alone.settle(graph, nodes(graph), runner(graph))
    assert settled.left == tuple(one.name for one in graph.weighted) and not settled.products
    assert settled.compared.endswith(f"; too large for it: {', '.join(settled.left)}")
    monkeypatch.setattr(alone, "MOST_VALUES", 1)
    nothing = alone.settle(graph, nodes(graph), runner(graph))
    assert nothing.frames == 0 and len(nothing.left) == len(nodes(graph))
    assert replace(nothing, left=()).compared == "C++ of each node by itself: "
