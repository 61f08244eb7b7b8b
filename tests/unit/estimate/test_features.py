# SPDX-License-Identifier: Apache-2.0
"""Measures of layers, counted by hand on small ones."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qap2fpga.estimate.features import HLS4ML, Hls4mlLayer, ebops, hls4ml, of_layer, of_network
from qap2fpga.ir.functions import Step
from qap2fpga.ir.units import Ranges, Unit, dense
from tests.support.graphs import residual


def layer_of(weights: list[list[int]], input_range: tuple[int, int]) -> tuple[Unit, Ranges]:
    matrix = np.array(weights)
    step = Step(np.zeros((matrix.shape[1], 1), np.int64))
    layer = dense("l", matrix, step, weight_bits=4, input_bits=3)
    inputs = tuple(np.full(len(matrix), end) for end in input_range)
    accumulators = layer.range(*inputs)
    return layer, Ranges(inputs, accumulators, step.range(*accumulators))


def test_a_layer_counted_by_hand() -> None:
    """7 = 8 - 1 and 3 = 4 - 1 have two signed digits; 6 is 11 in binary between its ends, -4 a single one."""
    layer, ranges = layer_of([[7, 0], [-4, 0], [0, 6]], (0, 7))
    result = of_layer(layer, ranges)
    assert (result.inputs, result.outputs, result.nonzeros) == (3, 2, 3)
    assert (result.fan_in, result.fan_out) == (2, 1)
    assert result.ebops == 3 * (3 + 1 + 2)
    assert result.signed_digits == 2 + 1 + 2
    assert result.adders == 2 + 1
    # Accumulators reach -28..49 and 0..42: both need 7 bits with the sign.
    assert result.accumulator_bits == 7
    assert result.adder_bits == 3 * 7
    assert result.nonzero_products == 3 * 3 * 4
    assert result.bops == pytest.approx(6 * (0.5 * 12 + 3 + 4 + np.log2(3)))


def test_a_layer_without_weights_costs_nothing_but_bops() -> None:
    layer, ranges = layer_of([[0, 0], [0, 0]], (0, 7))
    result = of_layer(layer, ranges)
    assert (result.fan_in, result.fan_out, result.ebops, result.signed_digits, result.adders) == (0, 0, 0, 0, 0)
    assert result.bops > 0


@pytest.mark.parametrize(("weight", "span"), [(0, 0), (1, 1), (-1, 1), (8, 1), (12, 2), (-9, 4), (0b10110000, 4)])
def test_effective_bits_of_a_weight(weight: int, span: int) -> None:
    assert ebops(np.array([[weight]]), np.array([5])) == 5 * span


def test_effective_bits_of_each_input_count_with_its_own_width() -> None:
    assert ebops(np.array([[3, 1], [1, 0]]), np.array([2, 7])) == 2 * (2 + 1) + 7 * 1


@given(st.integers(-(2**40), 2**40), st.integers(0, 10))
def test_effective_bits_by_the_digits(weight: int, shift: int) -> None:
    by_text = len(f"{abs(weight):b}".strip("0"))
    assert ebops(np.array([[weight]]), np.array([1])) == by_text
    assert ebops(np.array([[weight << shift]]), np.array([1])) == by_text, "a shift is only wires"


def test_features_of_an_hls4ml_layer() -> None:
    result = hls4ml(Hls4mlLayer(96, 160, 6, 960, "resource"))
    assert result["multipliers"] == 16 and result["weight_word_bits"] == 96
    assert result["accumulator_growth_bits"] == 160 * 7
    assert result["accumulator_ways"] == 16 * 256 and result["input_ways"] == 16 * 128
    assert result["weight_memories"] == 6, "96 bits at 1024 words are six of 18 bits"
    assert result["multipliers_in_dsp"] == 16
    assert result["latency_products_over_8_bits"] == 0
    assert set(result) == set(HLS4ML)


@given(st.floats(2, 14))
def test_products_are_shared_among_the_widths_around(bits: float) -> None:
    result = hls4ml(Hls4mlLayer(8, 4, bits, 1, "latency"))  # type: ignore[arg-type]
    assert sum(value for name, value in result.items() if name.startswith("products_near")) == pytest.approx(32)


@pytest.mark.parametrize(("bits", "like"), [(1, 2), (16, 14), (40, 14)])
def test_weights_beyond_all_widths_that_were_fitted_count_as_the_last_of_them(bits: int, like: int) -> None:
    result, other = (hls4ml(Hls4mlLayer(8, 4, one, 1, "latency")) for one in (bits, like))
    near = [name for name in result if name.startswith("products_near")]
    assert [result[name] for name in near] == [other[name] for name in near] and result[
        f"products_near_{like}_bits"
    ] == 32


def test_the_layers_of_a_graph_with_branches() -> None:
    graph = residual()
    measures = of_network(graph)
    assert list(measures) == ["conv", "mean", "dense"]
    mean = measures["mean"]
    assert (mean.inputs, mean.outputs, mean.nonzeros, mean.adders) == (4, 2, 8, 6)
    assert {name: one.positions for name, one in measures.items()} == {"conv": 20, "mean": 4, "dense": 1}
    for name, one in measures.items():
        assert one.bops == pytest.approx(graph.bops()[name].paper)
        assert one.nonzero_products == graph.bops()[name].nonzero_products
