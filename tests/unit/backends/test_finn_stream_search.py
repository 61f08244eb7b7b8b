# SPDX-License-Identifier: Apache-2.0
"""The folding of a graph: for a rate, for a board, from a file."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

import qap2fpga
from qap2fpga.backends.finn import chain
from qap2fpga.backends.finn.backend import FinnBackend
from qap2fpga.backends.finn.estimate import used
from qap2fpga.backends.finn.nodes import FinnNode
from qap2fpga.backends.finn.options import FinnOptions
from qap2fpga.backends.finn.stream import way
from qap2fpga.backends.finn.stream.draw import Lanes
from qap2fpga.backends.finn.stream.limits import parallel_possible
from qap2fpga.backends.finn.stream.search import Search, unpadded
from qap2fpga.backends.finn.stream.sparse_folds import sparse_lanes
from qap2fpga.backends.finn.stream.way import SparseNode, content, legal_keys, plan
from qap2fpga.backends.finn.stream.widths import matrix
from qap2fpga.estimate import designs
from qap2fpga.estimate.calibration import IMAGES, SPARSE, VECTORS
from qap2fpga.hw import boards
from qap2fpga.hw.resources import Resources
from qap2fpga.ir.graph import INPUT, Graph
from qap2fpga.ir.linear import Linear
from qap2fpga.ir.tensors import Shape
from qap2fpga.system.errors import QapError
from tests.support.streams import Nodes, cnn, dense_layers, everything, pruned, residual

BOARD = boards.load("pynq-z2")
CLOCK = 1e9 / BOARD.clock_ns


def interval(graph: Graph, **options: Any) -> int:
    return FinnBackend().expect(graph, BOARD, FinnOptions(**options)).interval_cycles


def test_the_fastest_design_that_fits() -> None:
    # The first kernel sees 8x8 positions, one per cycle, and the generator a cycle more.
    assert interval(cnn()) == 65


def test_a_rate_takes_the_cheapest_design_that_reaches_it() -> None:
    fast, slow = (FinnBackend().expect(cnn(), BOARD, FinnOptions(target_fps=CLOCK / cycles)) for cycles in (400, 4000))
    assert fast.interval_cycles <= 400 < slow.interval_cycles <= 4000
    assert slow.total["lut"] < fast.total["lut"]


def test_a_rate_that_no_folding_reaches() -> None:
    with pytest.raises(QapError, match=re.escape("need a frame every 10 cycles at 10 ns; the shortest interval is 65")):
        interval(cnn(), target_fps=CLOCK / 10)


def test_a_board_that_is_too_small() -> None:
    small = replace(BOARD, lut=500)
    with pytest.raises(QapError, match=r"predicted not to fit .*: \d+% of LUT"):
        FinnBackend().expect(cnn(), small, FinnOptions())
    assert FinnBackend().expect(cnn(), small, FinnOptions(allow_oversize=True)).interval_cycles


def test_a_smaller_board_has_a_longer_interval() -> None:
    assert FinnBackend().expect(cnn(), replace(BOARD, lut=2500), FinnOptions()).interval_cycles > interval(cnn())


@pytest.mark.parametrize("make", [cnn, everything, residual])
def test_parallel_windows_are_only_chosen_where_they_are_right(make: Any) -> None:
    graph = make()
    search = Search(graph, BOARD, "logits")
    for node in graph.nodes:
        if isinstance(node, Linear):
            size, bare = unpadded(graph.shapes[node.sources[0]], node.geometry)
            wide = [one.lanes for one in search.choices[node.name] if one.lanes.parallel]
            assert not wide or parallel_possible(size, bare)
    assert not [one for one in Search(cnn(), BOARD, "logits").choices["conv2"] if one.lanes.parallel]  # 3 wide


def test_every_choice_divides() -> None:
    graph = everything()
    for name, choices in Search(graph, BOARD, "logits").choices.items():
        node = graph[name]
        if isinstance(node, Linear):
            assert all(node.inputs % one.lanes.simd == node.outputs % one.lanes.pe == 0 for one in choices)
        assert choices


def test_a_folding_is_written_and_read_again() -> None:
    graph = everything()
    decided = plan(graph, BOARD, FinnOptions())
    again = plan(graph, BOARD, FinnOptions(folding=content(graph, decided.folding)))
    assert again.folding == decided.folding
    assert again.design.cycles == decided.design.cycles
    assert set(content(graph, decided.folding)) == set(legal_keys(graph))


def test_a_node_that_a_folding_leaves_out_has_one_lane() -> None:
    folding = plan(cnn(), BOARD, FinnOptions(folding={"conv1": {"SIMD": 3, "PE": 2}})).folding
    assert folding["conv1"] == Lanes(3, 2)
    assert folding["fc"] == Lanes()
    assert folding[INPUT] == Lanes(pe=3)  # as its reader takes it


@pytest.mark.parametrize(("folding", "message", "hint"), [
    ({"conv9": {}}, "folding: unknown node 'conv9'", "conv"),
    ({"conv1": 3}, "folding: conv1 is 3", "SIMD"),
    ({"pool": {"SIMD": 2}}, "folding: pool has no 'SIMD'", "PE"),
    ({"conv1": {"SIMD": 1.5}}, "folding: conv1 has SIMD 1.5", "whole number"),
    ({"conv1": {"PE": True}}, "folding: conv1 has PE True", "whole number"),
    ({"conv1": {"SIMD": 2}}, "folding: conv1 cannot have {'SIMD': 2}", "'SIMD': [1, 3]"),
    ({"conv2": {"SIMD": 16, "PARALLEL": 1}}, "folding: conv2 cannot have", "'SIMD': [1, 2, 4]"),
    ({"conv1": {"SIMD": 3, "PARALLEL": 3}}, "folding: conv1 cannot have {'SIMD': 3, 'PARALLEL': 3}", "PARALLEL"),
    ({"fc": {"BANKS": 4, "CROSS": 2}}, "folding: fc cannot have {'BANKS': 4, 'CROSS': 2}", "'CROSS': [0, 1]"),
    ({"fc": {"BANKS": -1}}, "folding: fc cannot have {'BANKS': -1}", "'BANKS': [0, 1, 2"),
    ({5: {}}, "folding: unknown node '5'", "conv"),
])  # fmt: skip
def test_a_folding_that_is_wrong(folding: dict[str, Any], message: str, hint: str) -> None:
    with pytest.raises(QapError) as error:
        interval(cnn(), folding=folding)
    assert message in error.value.message
    assert hint in str(error.value)


def kinds(graph: Graph, **options: Any) -> set[str]:
    """The kinds of blocks that multiply."""
    expected = FinnBackend().expect(graph, BOARD, FinnOptions(**options))
    types = {node.op_type for node in expected.nodes if isinstance(node, FinnNode)}
    return types & {"MVAU_rtl", "qap_sparse"}


@pytest.mark.parametrize("graph", [pruned(cnn(), 0.2), pruned(dense_layers(64, 32, 5), 0.2)], ids=["images", "chain"])
def test_zeros_are_skipped_where_that_is_asked_for_or_cheaper(graph: Graph) -> None:
    assert kinds(graph, target_fps=2e5, sparse="never") == {"MVAU_rtl"}
    assert kinds(graph, target_fps=2e5, sparse="always") == {"qap_sparse"}
    assert kinds(graph, target_fps=2e5) == {"qap_sparse"}
    dense, best = (
        Resources(**FinnBackend().expect(graph, BOARD, FinnOptions(target_fps=2e5, sparse=one)).total)
        for one in ("never", "auto")
    )
    assert sum(used(best, BOARD).values()) <= sum(used(dense, BOARD).values())


def one_layer(density: float) -> Graph:
    nodes = Nodes(Shape(32, 1, 1), -128, 127)
    weights = nodes.random.integers(1, 128, (32, 16)) * (nodes.random.random((32, 16)) < density)
    nodes.add(Linear(name="fc", sources=(INPUT,), weights=weights, weight_bits=8, input_bits=8))
    nodes.logits("out", "fc", 16)
    return nodes.graph()


@pytest.mark.parametrize(
    ("density", "dsp", "expected"), [(0.4, BOARD.dsp, True), (0.5, 100_000, False), (1, 10, False)]
)
def test_a_layer_stays_as_it_is_without_zeros_or_where_multipliers_cost_next_to_nothing(
    density: float, dsp: int, expected: bool
) -> None:
    options = FinnOptions(target_fps=CLOCK / 50, sparse="auto", allow_oversize=True)
    found = FinnBackend().expect(one_layer(density), replace(BOARD, dsp=dsp), options).nodes
    assert any(isinstance(node, SparseNode) for node in found) is expected


@pytest.mark.parametrize("over", [VECTORS, IMAGES, SPARSE])
def test_auto_is_never_more_than_two_hundredths_dearer(over: str) -> None:
    for recipe in designs.recipes(over, 8, 3):
        board = replace(BOARD, clock_ns=recipe.clock_ns)
        prices = []
        for sparse in ("never", "auto"):
            rate = 1e9 / (recipe.interval * board.clock_ns)
            options = FinnOptions(target_fps=rate, sparse=sparse, allow_oversize=True)
            expected = FinnBackend().expect(designs.network(recipe), board, options)
            assert expected.interval_cycles <= recipe.interval
            prices.append(sum(used(Resources(**expected.total), board).values()))
        assert prices[1] <= 1.02 * prices[0]


def test_a_folding_of_few_zeros_is_legal_where_it_would_not_be_chosen() -> None:
    graph = one_layer(1)
    stored = content(graph, plan(graph, BOARD, FinnOptions(target_fps=CLOCK / 400, sparse="always")).folding)
    assert stored["fc"]["BANKS"] >= 1
    assert content(graph, plan(graph, BOARD, FinnOptions(folding=stored)).folding) == stored


@pytest.mark.parametrize("make", [cnn, lambda: dense_layers(64, 32, 5)], ids=["images", "chain"])
@pytest.mark.parametrize("density", [0.1, 0.4])
def test_foldings_that_are_left_out_are_never_the_cheapest(make: Any, density: float) -> None:
    graph = pruned(make(), density)
    search = Search(graph, BOARD, "logits", "auto")
    for node in graph.weighted:
        every = [search._choice(node, lanes) for lanes in search._lanes(node)]
        kept = search.choices[node.name]
        assert len(kept) < len(every)
        for limit in {one.cycles for one in every}:
            cheapest, best = (
                min((float(one.cost.sum()) for one in choices if one.cycles <= limit), default=math.inf)
                for choices in (every, kept)
            )
            assert best == cheapest


@pytest.mark.parametrize("density", [0.02, 1])
@pytest.mark.parametrize("entry", [
    {"SIMD": 1, "PE": 16, "BANKS": 1}, {"SIMD": 32, "PE": 1, "BANKS": 2}, {"SIMD": 1, "BANKS": 16, "CROSS": 1},
    {"SIMD": 8, "PE": 4, "BANKS": 2, "CROSS": 1, "QUEUE": 32},
], ids=str)  # fmt: skip
def test_a_folding_by_hand_may_be_any_that_can_be_built(entry: dict[str, int], density: float) -> None:
    graph = one_layer(density)
    decided = plan(graph, BOARD, FinnOptions(folding={"fc": entry}))
    assert content(graph, decided.folding)["fc"].items() >= entry.items()
    assert decided.without_zeros


@pytest.mark.parametrize(("sparse", "entry"), [("never", {"SIMD": 3, "BANKS": 3}), ("always", {"SIMD": 3})])
def test_a_folding_and_a_choice_that_contradict_each_other(sparse: str, entry: dict[str, int]) -> None:
    options = FinnOptions(folding={"conv1": entry}, sparse=sparse)
    with pytest.raises(QapError, match=f"conv1 has .*BANKS, and sparse is '{sparse}'"):
        plan(pruned(cnn(), 0.3), BOARD, options)


def test_a_sparse_folding_is_read_back() -> None:
    graph = pruned(cnn(), 0.2)
    options = FinnOptions(target_fps=2e5, sparse="always")
    decided = plan(graph, BOARD, options)
    stored = content(graph, decided.folding)
    assert stored["fc"]["BANKS"] >= 1
    assert "BANKS" not in content(graph, plan(graph, BOARD, FinnOptions(target_fps=2e5, sparse="never")).folding)["fc"]
    assert plan(graph, BOARD, FinnOptions(folding=stored)).folding == decided.folding
    with pytest.raises(QapError, match="fc cannot have"):
        plan(graph, BOARD, FinnOptions(folding={**stored, "fc": {**stored["fc"], "BANKS": 5}}))


def test_a_chain_without_zeros_goes_finns_own_way() -> None:
    expected = FinnBackend().expect(pruned(dense_layers(64, 32, 5), 1), BOARD, FinnOptions())
    assert "MVAU_rtl_0" in [node.name for node in expected.nodes]
    assert not any(isinstance(node, SparseNode) for node in expected.nodes)


def test_the_fastest_design_is_no_slower_than_one_for_a_rate(example: Path) -> None:
    """Of the example, layers of 7 cycles have converters of 9 between them, and layers of 8 none that is slower."""
    graph = qap2fpga.load(example, compare=False, quiet=True).graph
    fastest, rate = FinnBackend().expect(graph, BOARD, FinnOptions()), 1e9 / BOARD.clock_ns
    for cycles in (fastest.interval_cycles - 1, fastest.interval_cycles - 2):
        with pytest.raises(QapError):
            FinnBackend().expect(graph, BOARD, FinnOptions(target_fps=rate / cycles))
    same = FinnBackend().expect(graph, BOARD, FinnOptions(target_fps=rate / fastest.interval_cycles))
    assert same.interval_cycles == fastest.interval_cycles


def test_each_way_is_planned_once_and_neither_to_refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    ways = {kind: Mock(wraps=kind.plan) for kind in (way, chain)}
    for kind, planned in ways.items():
        monkeypatch.setattr(kind, "plan", planned)
    graph = pruned(dense_layers(64, 32, 5), 0.2)
    assert FinnBackend().refusals(graph, BOARD, FinnOptions()) == ()
    assert [planned.call_count for planned in ways.values()] == [0, 0]
    expected = FinnBackend().expect(graph, BOARD, FinnOptions())
    assert [planned.call_count for planned in ways.values()] == [1, 1]
    assert any(isinstance(node, SparseNode) for node in expected.nodes)


def test_a_folding_that_is_none_is_refused() -> None:
    with pytest.raises(QapError, match="it must be like"):
        FinnBackend().expect(pruned(dense_layers(64, 32, 5), 1), BOARD, FinnOptions(folding={"MVAU_rtl_0": 3}))


def test_ways_to_take_inputs_that_keep_lanes_busy() -> None:
    graph = pruned(dense_layers(64, 32, 5), 0.2)
    found = sparse_lanes(matrix(graph.weighted[0]), 32, [Lanes(simd, pe) for simd in (1, 2, 4, 8) for pe in (1, 32)])
    assert all(lanes.simd % lanes.banks == 0 or (lanes.simd < lanes.banks and lanes.cross) for lanes in found)
    assert {lanes.queue for lanes in found if lanes.pe == 1} == {0}
    # 32 lanes take 13 cycles or more: 8 inputs per cycle come in in 8, 4 in 16, 2 in 32.
    assert {lanes.simd for lanes in found if (lanes.pe, lanes.banks) == (32, 1)} == {4, 8}


def test_a_rate_that_is_no_number() -> None:
    with pytest.raises(QapError, match="target_fps is nan"):
        FinnOptions(target_fps=math.nan)


def test_a_word_that_is_none_of_the_choices() -> None:
    with pytest.raises(QapError, match="sparse is 'sometimes'"):
        FinnOptions(sparse="sometimes")
