# SPDX-License-Identifier: Apache-2.0
"""Passes keep every output; a pass that does not, or leaves a graph that is not well formed, is named."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from qap2fpga.ir.functions import Step
from qap2fpga.ir.graph import Graph
from qap2fpga.ir.linear import Linear
from qap2fpga.ir.nodes import Requantizer
from qap2fpga.passes import pipeline
from qap2fpga.passes.codes import count_from_zero
from qap2fpga.passes.compaction import COMPACTION, trim_thresholds
from qap2fpga.passes.dead import drop_dead
from qap2fpga.passes.pipeline import Pass
from qap2fpga.system.errors import CheckFailed, ConstantNetwork
from tests.support.graphs import all_frames, random_graph, small_chain


def step_of(graph: Graph) -> Step:
    """The step function of the first layer."""
    function = graph.layers[0].activation
    assert isinstance(function, Step)
    return function


@pytest.mark.parametrize("seed", range(40))
def test_compaction_changes_no_output(seed: int) -> None:
    graph = random_graph(seed, dead=seed % 3 == 0)
    frames = all_frames(graph, 400, seed)
    compact = pipeline.run(graph, COMPACTION, frames)
    assert np.array_equal(compact.run(frames), graph.run(frames))
    for node in compact.nodes:
        if isinstance(node, Requantizer) and node.name != compact.output:
            assert isinstance(node.function, Step) and node.function.counts
            assert not compact.node_ranges[node.name].constant.any()
            (reader,) = compact.readers(node.name)
            assert isinstance(reader, Linear) and reader.weights.any(axis=1).all()


def test_signs_become_counts() -> None:
    graph = small_chain([[[1, 1]], [[2], [-1]]], [[[0], [3]]], base=-1, step=2)
    frames = all_frames(graph, 0, 0)
    assert np.array_equal(count_from_zero(graph).run(frames), graph.run(frames))
    assert step_of(count_from_zero(graph)).counts


def test_constant_and_unread_channels_go_and_are_counted() -> None:
    graph = small_chain([[[1, 0, 2]], [[1], [1], [0]]], [[[0], [0], [0]]])
    small = drop_dead(graph)
    linear = small["fc1"]
    assert isinstance(linear, Linear) and linear.weights.tolist() == [[1]] and linear.channels == (0,)
    assert small.notes == (
        "compaction: of 3 hidden neurons 1 constant ones were folded into the next layer and 1 unread ones dropped",
    )
    frames = all_frames(graph, 0, 0)
    assert np.array_equal(small.run(frames), graph.run(frames))


def test_nothing_left_is_refused_with_the_layer() -> None:
    graph = small_chain([[[0, 0]], [[1], [1]]], [[[0], [0]]])
    with pytest.raises(ConstantNetwork, match="layer fc1"):
        drop_dead(graph)


def test_thresholds_end_within_range_and_unreachable_levels_go() -> None:
    graph = small_chain([[[1, 1]], [[1], [1]]], [[[-100, 0, 50], [0, 60, 70]]])
    high = graph.input.high
    assert step_of(trim_thresholds(graph)).thresholds.tolist() == [[graph.input.low, 0], [0, high + 1]]


def test_one_reachable_level_is_one() -> None:
    graph = small_chain([[[1], [1]], [[1]]], [[[0, 50, 90]]])
    assert step_of(trim_thresholds(graph)).thresholds.tolist() == [[0]]


def test_a_pass_that_changes_the_network_is_named() -> None:
    def wrong(graph: Graph) -> Graph:
        node = graph["fc1/requantize"]
        assert isinstance(node, Requantizer)
        return graph.with_nodes(replace(node, function=Step(step_of(graph).thresholds + 1)))

    graph = random_graph(1)
    with pytest.raises(CheckFailed, match=r"pass 'wrong' changed the network: node .*, output \d+, vector \d+"):
        pipeline.run(graph, [Pass("wrong", wrong)], all_frames(graph, 300, 1))


def test_the_first_difference_is_the_one_that_is_named() -> None:
    graph = random_graph(1)
    frames = all_frames(graph, 10, 1)
    expected = graph.run(frames)
    assert expected.shape[1] > 2
    other = expected.copy()
    other[3, 2] += 5
    other[7, 0] += 1
    message = rf"output 2, vector 3: {expected[3, 2]} instead of {other[3, 2]}"
    with pytest.raises(CheckFailed, match=message):
        pipeline.require_equal("odd", graph, frames, other)


def test_a_pass_that_leaves_no_graph_is_named() -> None:
    def wrong(graph: Graph) -> Graph:
        return replace(graph, nodes=graph.nodes[:1] + graph.nodes[2:])

    graph = random_graph(1)
    with pytest.raises(CheckFailed, match="pass 'wrong'"):
        pipeline.run(graph, [Pass("wrong", wrong)], all_frames(graph, 10, 1))


def test_a_pass_with_other_outputs_is_named() -> None:
    graph = random_graph(1)
    frames = all_frames(graph, 10, 1)
    with pytest.raises(CheckFailed, match="outputs instead of"):
        pipeline.require_equal("odd", graph, frames, graph.run(frames)[:, :-1])
