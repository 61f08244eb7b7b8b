# SPDX-License-Identifier: Apache-2.0
"""From graph to integers: compared with plain rational arithmetic, and every fold against what it replaces."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qap2fpga.exact.thresholds import Affine, Levels, inverse_sqrt, thresholds
from qap2fpga.frontend.checkpoint.spec import Model, Op
from qap2fpga.frontend.graph import read
from qap2fpga.frontend.integer import fit_logits, lower
from qap2fpga.frontend.values import Stored
from qap2fpga.ir import storage
from qap2fpga.ir.functions import Logits, Step
from qap2fpga.ir.graph import Graph, chain
from qap2fpga.ir.quantizer import InputQuantizer
from qap2fpga.ir.units import dense
from qap2fpga.ir.vectors import extremes, random_vectors
from qap2fpga.passes.compaction import compact
from qap2fpga.passes.exactness import exact_argmax
from qap2fpga.system.errors import ConstantNetwork, QapError
from tests.support.graphs import layer_results
from tests.support.networks import exact_outputs, qonnx_graph, random_model


def lowered(model: Model) -> Graph:
    graph = read(qonnx_graph(model))
    network = lower(graph)
    assert model.example is not None
    return fit_logits(network, graph, network.input.quantize(model.example))


def assert_exact(model: Model, rows: int = 12) -> Graph:
    """Every activation and the order of the outputs equal those of plain rational arithmetic."""
    network = lowered(model)
    assert model.example is not None
    integers = network.input.quantize(model.example[:rows])
    trace = layer_results(network, integers)
    quantizers = [op.quantizer for op in model.ops if op.quantizer is not None and op.kind != "dense"]
    last = network.layers[-1].activation
    for index, row in enumerate(model.example[:rows]):
        activations, outputs = exact_outputs(model, row)
        found = [integers[index], *(values[index] for values in trace)]
        for values, wanted, quantizer in zip(found, activations, quantizers, strict=False):
            scale = Fraction(float(quantizer.scale))
            assert [int(value) * scale for value in values] == wanted
        assert isinstance(last, Logits)
        for logit, wanted in zip(trace[-1][index], outputs, strict=True):
            assert abs(int(logit) * Fraction(2) ** -last.fraction - wanted) <= Fraction(2) ** -last.fraction
        assert outputs[int(trace[-1][index].argmax())] == max(outputs)
    return network


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    bits=st.sampled_from([1, 2, 3, 4, 6, 8]),
    sparsity=st.sampled_from([0.0, 0.5, 0.8, 0.95]),
    power_of_two=st.booleans(),
    per_channel=st.booleans(),
    last_batch_norm=st.booleans(),
    scale=st.sampled_from([1.0, 1e-6, 1e4]),
)
def test_network_equals_rational_arithmetic(seed, bits, sparsity, power_of_two, per_channel, last_batch_norm, scale):
    model = random_model(
        seed,
        bits=bits,
        sparsity=sparsity,
        power_of_two=power_of_two,
        per_channel=per_channel,
        last_batch_norm=last_batch_norm,
        scale=scale,
    )
    network = assert_exact(model, rows=6)
    vectors = np.concatenate([extremes(network), random_vectors(network, 200, seed)])
    try:
        small = compact(network)
    except ConstantNetwork:
        return
    assert (small.run(vectors) == network.run(vectors)).all()
    for layer in small.layers[:-1]:
        assert isinstance(layer.activation, Step)
        assert (layer.activation.base, layer.activation.step) == (0, 1)
        assert (np.diff(layer.activation.thresholds, axis=1) >= 0).all()


@pytest.mark.parametrize("rounding", ["ROUND", "FLOOR", "CEIL", "ROUND_TO_ZERO"])
@pytest.mark.parametrize("zero_point", [0, 3])
def test_thresholds_equal_enumeration(rounding, zero_point):
    """On whole numbers, halves and arbitrary values: ties must fall as the rounding rule says."""
    rules = {"ROUND": round, "FLOOR": lambda x: x.__floor__(), "CEIL": lambda x: x.__ceil__(), "ROUND_TO_ZERO": int}
    for slope, intercept in [("1/2", "0"), ("1", "1/2"), ("3/7", "-5/3"), ("1/1000", "0"), ("0", "5/2"), ("0", "0")]:
        affine = Affine.scaled([Fraction(slope)], [Fraction(intercept)]).clip(Fraction(-5), Fraction(4))
        levels = Levels(-3, 6, (Fraction(1),), zero_point, rounding)
        row = thresholds(affine, 0, levels, -40, 40)
        for n in range(-40, 41):
            wanted = min(max(rules[rounding](affine.value(0, n) + zero_point), -3), 6)
            assert -3 + sum(n >= threshold for threshold in row) == wanted, (slope, intercept, n)


def test_thresholds_equal_bisection_on_a_wide_range():
    """Reachable ranges go to 10^12, where only bisection or a division finds the thresholds."""
    slope, intercept = Fraction(float(np.float32(3.7e-9))), Fraction(float(np.float32(-0.4)))
    affine, levels = Affine.scaled([slope], [intercept]), Levels(0, 255, (Fraction(float(np.float32(0.0137))),))
    low, high = -(10**12), 10**12
    for level, threshold in enumerate(thresholds(affine, 0, levels, low, high), start=1):
        first, last = low, high + 1
        while first < last:
            middle = (first + last) // 2
            reached = round((slope * middle + intercept) / levels.scale[0]) >= level
            first, last = (first, middle) if reached else (middle + 1, last)
        assert threshold == first


def test_inverse_sqrt_is_exact_for_squares_and_close_otherwise():
    for square, wanted in ((Fraction(9, 4), Fraction(2, 3)), (Fraction(4, 9), Fraction(3, 2))):
        assert inverse_sqrt(square) == wanted
    found = inverse_sqrt(Fraction(2))
    assert abs(found * found * 2 - 1) < Fraction(1, 2**1000)


def test_affine_folds_nested_clips():
    affine = Affine.scaled([Fraction(1)]).clip(Fraction(-3), Fraction(5)).then([Fraction(-2)], [Fraction(1)])
    affine = affine.clip(Fraction(0), None).then([Fraction(1, 3)], [Fraction(-1)]).clip(Fraction(-10), Fraction(1))
    for n in range(-9, 10):
        inner = max(-2 * min(max(n, -3), 5) + 1, 0)
        assert affine.value(0, n) == min(max(Fraction(inner, 3) - 1, -10), 1)
    empty = Affine.scaled([Fraction(1)]).clip(Fraction(0), Fraction(1)).clip(Fraction(2), Fraction(3))
    assert {empty.value(0, n) for n in range(-5, 9)} == {2}


def test_negative_gamma_reverses_and_gamma_zero_is_a_constant():
    model = random_model(3, bits=6, sparsity=0.0)
    network = assert_exact(model)
    outputs = network.ranges[0].outputs
    dead = next(op for op in model.ops if op.name == "bn1").tensors["weight"] == 0
    assert (outputs[0][dead] == outputs[1][dead]).all()
    small = compact(network)
    assert small.layers[0].outputs < network.layers[0].outputs
    assert any("compaction" in note for note in small.notes)


@pytest.mark.parametrize("what", ["weight", "threshold", "bit"])
def test_a_planted_fault_changes_the_output(what):
    network = compact(lowered(random_model(11, bits=4, sparsity=0.5)))
    vectors = np.concatenate([extremes(network), random_vectors(network, 2000, 1)])
    layer = network.layers[0]
    row, column = (int(index[0]) for index in np.nonzero(layer.weights))
    weights, activation = layer.weights.copy(), layer.activation
    assert isinstance(activation, Step)
    rows = activation.thresholds.copy()
    if what == "weight":
        weights[row, column] *= -1
    elif what == "bit":
        weights[row, column] ^= 1
    else:
        rows[column] += 3
    mutated = layer.changed(weights=weights, activation=replace(activation, thresholds=rows))
    broken = network.with_layers((mutated, *network.layers[1:]))
    assert (broken.run(vectors) != network.run(vectors)).any()


def test_a_network_is_saved_and_loaded_whole(tmp_path: Path):
    network = compact(lowered(random_model(5)))
    storage.save(network, tmp_path / "a.npz")
    storage.save(network, tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    again = storage.load(tmp_path / "a.npz")
    vectors = random_vectors(network, 100, 0)
    assert (again.run(vectors) == network.run(vectors)).all()
    assert (again.input, again.output_scale, again.notes) == (network.input, network.output_scale, network.notes)
    (tmp_path / "a.npz").write_bytes(b"not a network")
    with pytest.raises(QapError, match="cannot be read"):
        storage.load(tmp_path / "a.npz")


def test_logits_have_the_exact_argmax_where_accumulators_have_not():
    model = random_model(7, bits=6, sparsity=0.5, per_channel=True, last_batch_norm=True, rows=3000)
    network = lowered(model)
    graph = read(qonnx_graph(model))
    assert model.example is not None
    integers = network.input.quantize(model.example)
    last = network.layers[-1]
    accumulators = network.trace(integers)[last.name]
    exact = exact_argmax(graph.output.affine, accumulators)
    assert (network.run(integers).argmax(axis=1) == exact).all()
    assert (accumulators.argmax(axis=1) != exact).any()


def test_a_layer_that_is_pruned_away_is_named():
    model = random_model(1, bits=4)
    ops = [
        replace(op, tensors={**op.tensors, "weight": op.tensors["weight"] * 0}) if op.name == "fc2" else op
        for op in model.ops
    ]
    with pytest.raises(QapError, match="layer fc2 is pruned away"):
        lowered(replace(model, ops=tuple(ops)))


@pytest.mark.parametrize(
    ("dead", "threshold", "read", "message"),
    [
        ((0, 0), 1, (1, 1), "layer fc1 is pruned away: every weight"),
        ((1, 1), 999, (1, 1), "layer fc1 is a constant: none of its neurons reaches a second level"),
        ((0, 1), 1, (1, 0), "layer fc2 reads nothing of layer fc1: every weight"),
    ],
)
def test_a_network_that_is_a_constant_says_why(dead, threshold, read, message):
    """Weights of 0, values that reach no second level, or a neuron of 0 that alone is read."""
    first = dense("fc1", np.array([dead]), Step(np.full((2, 1), threshold)), 4, 4)
    last = dense("fc2", np.array([read]).T, Logits(np.array([1]), np.array([0]), 0, 0), 4, 4)
    with pytest.raises(ConstantNetwork, match=message):
        compact(chain((first, last), InputQuantizer(-8, 7, (1.0,)), Fraction(1)))


def test_a_graph_without_an_input_quantizer_is_refused():
    graph = read(qonnx_graph(random_model(1)))
    graph.input = None
    with pytest.raises(QapError, match="the network has no input quantizer") as caught:
        lower(graph)
    assert "--input-range" in caught.value.hint


def test_weights_that_are_zero_by_their_quantizer_alone_are_not_said_to_be_pruned():
    graph = read(qonnx_graph(random_model(1)))
    raw = graph.layers[1]
    empty = replace(raw.node, weights=raw.weights * 0)
    graph.nodes[raw.name] = replace(raw, node=empty, stored=Stored(7))
    with pytest.raises(ConstantNetwork, match="layer fc2: its quantizer makes 0 of each of the 7 weights"):
        lower(graph)


def test_a_clip_after_the_last_layer_is_refused():
    model = random_model(1)
    end = Op("end", "relu")
    with pytest.raises(QapError, match="layer fc3: a Relu or Clip ends the network"):
        lower(read(qonnx_graph(replace(model, ops=(*model.ops, end)))))


def test_range_of_240000_rows():
    """The size that the paper evaluates on runs through the reference (timed in benchmarks/)."""
    network = lowered(random_model(2, widths=(16, 64, 32, 32, 5), bits=6, sparsity=0.8))
    assert network.run(random_vectors(network, 240_000, 0)).shape == (240_000, 5)
