# SPDX-License-Identifier: Apache-2.0
"""Spreads are what counting one by one gives, whatever the size of the parts that are counted."""

from __future__ import annotations

import statistics

import numpy as np
import pytest

from qap2fpga.ir import profile as profiles
from qap2fpga.ir.graph import Graph
from qap2fpga.ir.profile import profile
from qap2fpga.ir.spread import INPUTS, LEVELS, SUMS, WEIGHTS, Spread
from tests.support.graphs import residual, small_chain, small_cnn

CHAIN = small_chain([[[3, 0], [-2, 5]], [[1], [-7]]], [[[-4, 0, 6], [40, 50, 60]]])


def spread(graph: Graph, frames: np.ndarray, node: str, kind: str) -> Spread:
    (one,) = (each for each in profile(graph, frames, "given").spreads if (each.node, each.kind) == (node, kind))
    return one


def frames(graph: Graph, count: int) -> np.ndarray:
    quantizer = graph.input
    return np.random.default_rng(3).integers(quantizer.low, quantizer.high + 1, (count, graph.inputs))


def test_sums_are_as_python_counts_them() -> None:
    rows = frames(CHAIN, 101)
    sums = [value for a, b in rows.tolist() for value in (3 * a - 2 * b, 5 * b)]
    one = spread(CHAIN, rows, "fc1", SUMS)
    assert (one.least, one.largest, one.used) == (min(sums), max(sums), len(set(sums)))
    assert one.median == statistics.median_low(sums)
    assert one.at_zero == pytest.approx(sums.count(0) / len(sums))
    assert (one.low, one.high) == (-20, 17) and one.levels == 38


def test_levels_that_are_never_reached_and_channels_that_never_change() -> None:
    one = spread(CHAIN, frames(CHAIN, 200), "fc1/requantize", LEVELS)
    assert (one.low, one.high, one.levels, one.channels, one.idle) == (0, 3, 4, 2, 1)
    assert one.at_low > 0.5


def test_weights_and_inputs_are_against_their_quantizers() -> None:
    rows = frames(CHAIN, 50)
    weights, inputs = spread(CHAIN, rows, "fc1", WEIGHTS), spread(CHAIN, rows, CHAIN.source.name, INPUTS)
    assert (weights.low, weights.high, weights.levels, weights.used, weights.at_zero) == (-8, 7, 16, 4, 0.25)
    assert (inputs.low, inputs.high, inputs.levels) == (-4, 3, 8)


@pytest.mark.parametrize("graph", [residual(), small_cnn()], ids=["residual", "cnn"])
def test_counting_in_parts_gives_the_same(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = frames(graph, 12)
    whole = profile(graph, rows, "given")
    monkeypatch.setattr(profiles, "MOST_VALUES", 1)
    assert profile(graph, rows, "given") == whole
    assert {one.node for one in whole.spreads} == {node.name for node in graph.nodes}
    assert all(one.low <= one.least <= one.quarter <= one.median <= one.three_quarters <= one.largest <= one.high
               for one in whole.spreads)  # fmt: skip


def test_without_vectors_there_are_weights_alone() -> None:
    result = profile(CHAIN, np.zeros((0, 2), np.int64), "recorded")
    assert {one.kind for one in result.spreads} == {WEIGHTS} and result.vectors == 0
