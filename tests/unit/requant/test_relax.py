# SPDX-License-Identifier: Apache-2.0
"""Relaxed networks: never further off than allowed, by enumeration, never dearer, and references like any other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qap2fpga.backends.rtl.reading import readings
from qap2fpga.ir import outputs as reference
from qap2fpga.ir.functions import Step
from qap2fpga.ir.graph import Graph
from qap2fpga.ir.nodes import Requantizer
from qap2fpga.ir.vectors import extremes, random_vectors
from qap2fpga.ir.windowed import Weighted
from qap2fpga.passes.compaction import compact
from qap2fpga.requant import prices, requantize
from qap2fpga.requant import relax as module
from qap2fpga.requant.implementations import Search, Table, Target
from qap2fpga.requant.relax import Reading, accumulators, difference, relax, thresholds_of
from qap2fpga.system.errors import CheckFailed, QapError
from qap2fpga.verify import rtl
from tests.support.branches import branching
from tests.support.graphs import residual, small_cnn
from tests.unit.backends.test_rtl import generated, network
from tests.unit.requant.test_requantize import STEPS

COST = prices.load().luts
# The rtl backend's requantizers and those of hls4ml: what they cost, and what they get.
BACKENDS = [pytest.param(COST, readings, id="rtl"), pytest.param(COST, accumulators, id="hls4ml")]


def differences(exact: Graph, other: Graph) -> list[list[np.ndarray]]:
    """Steps between the two in every channel of every hidden layer, for every accumulator that can occur there."""
    results = []
    for layer, changed, ranges in zip(exact.layers, other.layers, exact.ranges, strict=True):
        if not isinstance(layer.activation, Step):
            continue
        channels = []
        for channel, (low, high) in enumerate(zip(*ranges.accumulators, strict=True)):
            factor = max(1, int(np.gcd.reduce(layer.weights[:, channel])))
            values = np.arange(low, high + 1, factor)[:, None]
            rows = (one.activation.thresholds[channel] for one in (layer, changed))
            channels.append(np.diff([(values >= row).sum(axis=1) for row in rows], axis=0)[0])
        results.append(channels)
    return results


@pytest.mark.parametrize("tolerance", [1, 2])
@pytest.mark.parametrize(("price", "read"), BACKENDS)
def test_what_is_said_of_a_relaxed_network_is_true_of_every_accumulator(price, read, tolerance):
    exact = network(7, widths=(6, 10, 8, 4), bits=6)
    relaxed = relax(exact, tolerance, price, read)
    assert relaxed.exact is exact and relaxed.network is not exact
    for change, channels in zip(relaxed.layers, differences(exact, relaxed.network), strict=True):
        largest = [int(np.abs(steps).max()) for steps in channels]
        assert change.largest == max(largest) <= tolerance
        assert (change.changed, change.channels) == (sum(one > 0 for one in largest), len(largest))
        assert change.mean == pytest.approx(np.mean([np.abs(steps).mean() for steps in channels]))
        assert change.cost_after <= change.cost_before
        assert all(steps[0] == steps[-1] == 0 for steps in channels)
    assert sum(change.cost_after for change in relaxed.layers) < 0.9 * sum(one.cost_before for one in relaxed.layers)
    for layer, before, after in zip(relaxed.network.layers, exact.ranges, relaxed.network.ranges, strict=True):
        assert np.array_equal(before.outputs, after.outputs) and np.array_equal(before.accumulators, after.accumulators)
        if isinstance(layer.activation, Step):
            assert (np.diff(layer.activation.thresholds, axis=1) >= 0).all()
    assert relaxed.network.layers[-1].activation is exact.layers[-1].activation
    assert f"may differ by {tolerance} output steps" in relaxed.network.notes[-1]


def test_without_tolerance_it_is_the_same_network():
    exact = network(7, bits=6)
    relaxed = relax(exact, 0, COST, readings)
    assert relaxed.network is exact and relaxed.layers == ()


@pytest.mark.parametrize("dear", [(), (Table, Search)])
def test_where_nothing_is_cheaper_it_is_the_same_network(dear):
    """The implementations within the tolerance are others, but cost the same."""
    exact = network(7, (5, 6, 4), bits=6)
    relaxed = relax(exact, 1, lambda implementation, target: 2.0 if isinstance(implementation, dear) else 1.0)
    assert relaxed.network is exact and not any(change.changed for change in relaxed.layers)


def test_a_negative_tolerance_is_refused():
    with pytest.raises(QapError, match=r"--requant-tolerance is -1") as caught:
        relax(network(7), -1, COST)
    assert caught.value.exit_code == 2


def test_relaxing_twice_changes_nothing_that_is_not_cheaper_again():
    """The relaxed network's exact implementations are the cheap ones: the price that was promised is what it costs."""
    relaxed = relax(network(7, bits=6), 1, COST, readings)
    again = relax(relaxed.network, 1, COST, readings)
    assert [one.cost_before for one in again.layers] == [one.cost_after for one in relaxed.layers]


@settings(max_examples=40, deadline=None)
@given(STEPS, st.integers(1, 3))
def test_thresholds_of_a_loose_implementation_are_its_own(wanted, tolerance):
    """By enumeration: it rises, its ends are exact, and its thresholds give its results."""
    implementation = requantize.cheapest(wanted, COST, "channel 0", tolerance)
    values = np.arange(wanted.low, wanted.high + 1)
    result = implementation.apply(values)
    assert (np.diff(result) >= 0).all()
    rises = thresholds_of(implementation, wanted)
    assert (wanted.base + (values[:, None] >= rises[None, :]).sum(axis=1) == result).all()
    worst, mean = difference(wanted.thresholds, rises, wanted.low, wanted.high)
    apart = np.abs(result - wanted.apply(values))
    assert worst == apart.max() <= tolerance and mean == pytest.approx(apart.mean())


@settings(max_examples=60, deadline=None)
@given(STEPS, st.integers(1, 7), st.integers(-1, 0))
def test_a_reading_is_the_same_function(wanted, unit, offset):
    row = np.concatenate([np.full(wanted.base, wanted.low), wanted.thresholds]) * unit - np.arange(unit)[-1]
    low, high = wanted.low * unit, wanted.high * unit
    read = Reading(unit, offset).target(row, low, high)
    assert (read.low, read.high) == (wanted.low + offset, wanted.high + offset)
    values = np.arange(wanted.low, wanted.high + 1)
    assert (read.apply(values + offset) == (values[:, None] * unit >= row[None, :]).sum(axis=1)).all()


def test_an_implementation_beyond_the_tolerance_is_found(monkeypatch):
    """Whatever the search does, the rows of thresholds are compared."""
    right = requantize.cheapest

    def wrong(target: Target, cost, name: str, tolerance: int = 0):
        if not tolerance or len(target.thresholds) < 4:
            return right(target, cost, name)
        results = target.apply(np.arange(target.low, target.high + 1))
        return Table(target.low, tuple(np.where(results == target.base + 1, target.base + 3, results).tolist()))

    monkeypatch.setattr(module, "cheapest", wrong)
    prices = iter(range(10**6, 0, -1))
    with pytest.raises(CheckFailed, match=r"layer fc1, channel \d+: the relaxed requantizer differs by 2 steps, 1 are"):
        relax(network(7, bits=6), 1, lambda implementation, target: next(prices))


def test_facts_have_both_accuracies():
    exact = network(7, bits=6)
    relaxed = relax(exact, 2, COST, readings)
    recorded = random_vectors(exact, 500, 1)
    facts = relaxed.facts(recorded, exact.run(recorded).argmax(axis=1))
    assert facts.accuracy_exact == 1.0 and facts.accuracy is not None and 0.8 < facts.accuracy < 1.0
    assert facts.tolerance == 2 and [one.layer for one in facts.layers] == ["fc1", "fc2"]


@pytest.mark.slow
def test_hardware_equals_the_relaxed_network_and_not_the_exact_one(tmp_path):
    exact = network(7, bits=6)
    one = relax(exact, 1, COST, readings).network
    vectors = np.concatenate([random_vectors(one, 600, 5), extremes(one)])
    expected = reference.outputs(one, "logits", vectors)
    assert (expected != reference.outputs(exact, "logits", vectors)).any()
    design, before = generated(one, tmp_path / "relaxed"), generated(exact, tmp_path / "exact")
    assert design.estimate["lut"] < before.estimate["lut"]
    simulation = rtl.Rtl(design, tmp_path / "simulate", threads=1).simulate(vectors, expected)
    assert sum(run.mismatches for run in simulation) == 0


def test_levels_of_an_output_are_relaxed_in_steps():
    one = network(4, bits=6, step_end=Step(np.zeros((1, 40), np.int64), base=-4, step=3))
    result = relax(one, 1, COST, readings)
    assert result.layers[-1].largest <= 1 and result.layers[-1].layer == one.layers[-1].name
    last = result.network.layers[-1].activation
    assert isinstance(last, Step) and (last.base, last.step) == (-4, 3)


def test_an_implementation_that_reaches_other_outputs_is_found(monkeypatch):
    """Within the tolerance, but the highest level is not reached any more: the next layer would see another range."""

    def lower(row, low, high, *others):
        changed = row.copy()
        changed[np.searchsorted(row, high, side="right") - 1] = high + 1
        return changed, 2.0, 1.0

    monkeypatch.setattr(module, "_cheaper", lower)
    with pytest.raises(CheckFailed, match="layer fc1: relaxed requantizers reach other outputs"):
        relax(network(7, (5, 6, 4), bits=3), 1, COST)


@pytest.mark.parametrize("graph", [small_cnn(), residual(), *(branching(seed, nodes=8) for seed in (3,))])
@pytest.mark.parametrize("read", [readings, accumulators])
def test_requantizers_of_graphs_are_relaxed_each_by_itself(graph, read):
    """Each node alone on everything that can come, whatever it comes from."""
    if read is readings:
        graph = compact(graph)
    relaxed = relax(graph, 1, COST, read)
    steps = [node for node in graph.nodes if isinstance(node, Requantizer) and isinstance(node.function, Step)]
    assert len(relaxed.layers) == len(steps)
    for node, change in zip(steps, relaxed.layers, strict=True):
        other, source = relaxed.network[node.name], graph[node.sources[0]]
        assert isinstance(other, Requantizer)
        for channel, (low, high) in enumerate(graph.node_ranges[source.name].ends):
            factor = max(1, int(np.gcd.reduce(source.weights[:, channel]))) if isinstance(source, Weighted) else 1
            values = np.arange(low, high + 1, factor)[:, None]
            counts = [(values >= one.function.thresholds[channel]).sum(axis=1) for one in (node, other)]
            assert np.abs(counts[0] - counts[1]).max() <= change.largest <= 1
    untouched = [node.name for node in graph.nodes if node not in steps]
    assert all(relaxed.network[name] is graph[name] for name in untouched)


def test_a_requantizer_that_shares_its_source_is_known_by_its_own_name():
    relaxed = relax(residual(), 1, COST)
    assert [one.layer for one in relaxed.layers] == ["conv", "b"]


@pytest.mark.slow
def test_hardware_of_images_equals_the_relaxed_network(tmp_path):
    exact = wide_cnn()
    one = relax(exact, 1, COST, readings).network
    vectors = random_vectors(one, 40, 5)
    expected = one.run(vectors)
    assert one is not exact and (expected != exact.run(vectors)).any()
    design = generated(one, tmp_path / "relaxed")
    simulation = rtl.Rtl(design, tmp_path / "simulate", threads=1).simulate(vectors, expected)
    assert sum(run.mismatches for run in simulation) == 0


def wide_cnn() -> Graph:
    """A small CNN whose first requantizer has many thresholds in a straight line, so that some may move."""
    graph = small_cnn()
    end = graph["conv1/step"]
    assert isinstance(end, Requantizer)
    low, high = graph.node_ranges["conv1"].low, graph.node_ranges["conv1"].high
    rows = [np.linspace(bottom, top, 64)[1:].astype(np.int64) for bottom, top in zip(low, high, strict=True)]
    return compact(graph.with_nodes(replace(end, function=Step(np.array(rows)), bits=6)))
