# SPDX-License-Identifier: Apache-2.0
"""Quantizers with a bit width per channel or weight, and bounds per channel, beside rational arithmetic."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from qap2fpga.frontend import facts, granular
from qap2fpga.frontend.granular import common_grid
from qap2fpga.frontend.graph import read
from qap2fpga.frontend.prepare import Prepared
from qap2fpga.ir.bops import equation
from qap2fpga.ir.nodes import Node
from qap2fpga.ir.vectors import extremes, random_vectors
from qap2fpga.system.errors import QapError
from tests.support.onnx_graphs import prepared
from tests.support.qonnx_builder import Builder
from tests.support.rational import execute, fractions

INPUT_BITS = [4, 2, 5, 1 + 2]
HIDDEN_BITS = [3, 1, 4]


def network(rounding: str = "ROUND", *, zero: float = 0.0, narrow: bool = False, hidden: Any = HIDDEN_BITS) -> Any:
    """Widths per input feature, per weight and per activation; scales are powers of two, but for the activations'."""
    random = np.random.default_rng(4)
    one = Builder((1, 4))
    start = one.quant("x", np.array([0.25, 0.5, 0.125, 0.25]), INPUT_BITS, rounding=rounding, narrow=narrow)  # type: ignore[arg-type]
    widths = random.integers(2, 6, (4, 3))
    weights = one.quant(one.constant(random.normal(0, 0.6, (4, 3))), 2.0 ** -random.integers(2, 5, (4, 3)), widths)
    sums = one.add("Add", one.add("MatMul", start, weights), one.constant([0.1, -0.2, 0.3]))
    options = {"signed": False, "rounding": rounding, "zero": zero}
    activations = one.quant(sums, np.array([0.3, 0.15, 0.6]), hidden, **options)
    return one.model(one.add("MatMul", activations, one.weights(random.integers(-3, 4, (3, 2)) / 4, 0.25)))


def exact(result: Prepared, model: onnx.ModelProto) -> None:
    """The integer network gives what rational arithmetic gives: each activation exactly, outputs within one step."""
    quantizer = result.lowered.input
    rows = (_vectors(result) * np.asarray(quantizer.scale)).astype(np.float32)
    tensors = execute(model, fractions(rows))
    integers = quantizer.quantize(rows)
    unit, outputs = result.lowered.output_scale, tensors[model.graph.output[0].name]
    assert (abs(result.lowered.run(integers) * unit - outputs) <= unit).all()
    hidden = _requantizer(result)
    quant = [node for node in model.graph.node if node.op_type == "Quant"][2]
    stored = {one.name: numpy_helper.to_array(one) for one in model.graph.initializer}
    levels = result.lowered.result(hidden.name, integers)
    assert (levels * fractions(stored[quant.input[1]]) == tensors[quant.output[0]]).all()


def _requantizer(result: Prepared) -> Node:
    return next(node for node in result.lowered.nodes if node.kind == "requantizer")


def _vectors(result: Prepared) -> np.ndarray:
    return np.concatenate([random_vectors(result.lowered, 300, 1), extremes(result.lowered)])


@pytest.mark.parametrize("rounding", ["ROUND", "FLOOR", "CEIL", "ROUND_TO_ZERO"])
def test_widths_that_differ_are_exact_under_every_rounding(rounding: str, tmp_path: Path) -> None:
    model = network(rounding)
    result = prepared(model, tmp_path)
    exact(result, model)
    quantizer = result.lowered.input
    assert quantizer.ends == tuple((-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) for bits in INPUT_BITS)
    assert {one.mismatches for one in result.simulations} == {0}
    hidden = _requantizer(result)
    highs = [high for _, high in result.lowered.node_ranges[hidden.name].ends]
    assert all(1 <= high <= 2**bits - 1 for high, bits in zip(highs, HIDDEN_BITS, strict=True)) and max(highs) > 3


def test_a_zero_point_and_narrow_levels(tmp_path: Path) -> None:
    model = network(zero=1.0, narrow=True)
    result = prepared(model, tmp_path)
    exact(result, model)
    assert result.lowered.input.ends[1] == (-1, 1)


def test_equal_widths_in_a_tensor_need_no_bounds(tmp_path: Path) -> None:
    model = network(hidden=[3, 3, 3])
    exact(prepared(model, tmp_path), model)
    granular.to_one_width(model)
    assert [node.op_type for node in model.graph.node].count("Min") == 2


@pytest.mark.parametrize(
    ("hidden", "what"),
    [([3, 0, 2], "whole numbers from 1"), ([3, 2.5, 2], "whole numbers from 1"), ([3, np.nan, 2], "NaN or infinite"),
     ([3, 99, 2], "whole numbers from 1"), ([3, 2], "do not fit")],
)  # fmt: skip
def test_widths_that_no_quantizer_has(hidden: Any, what: str, tmp_path: Path) -> None:
    with pytest.raises(QapError) as refusal:
        prepared(network(hidden=hidden), tmp_path)
    assert what in f"{refusal.value.message} {refusal.value.hint}"


def test_a_sign_beside_wider_ones_is_refused(tmp_path: Path) -> None:
    one = Builder((1, 2))
    start = one.quant("x", 0.5, np.array([1, 3]))  # type: ignore[arg-type]
    model = one.model(one.add("MatMul", start, one.weights(np.ones((2, 2)) / 4, 0.25)))
    with pytest.raises(QapError, match="Quant") as refusal:
        prepared(model, tmp_path)
    assert "which is the sign" in (refusal.value.hint or "")


def test_every_weight_counts_with_its_own_bits(tmp_path: Path) -> None:
    """Of weights 3, 1 and 2 units of their own: 3, 2 and 3 bits with the sign; inputs of 4, 2 and 5."""
    one = Builder((1, 3))
    start = one.quant("x", np.array([0.25, 0.5, 0.125]), np.array([4, 2, 5]))  # type: ignore[arg-type]
    weights = one.quant(one.constant([[0.75], [0.5], [0.0]]), np.array([[0.25], [0.5], [0.125]]), 4)
    result = prepared(one.model(one.add("MatMul", start, weights)), tmp_path)
    graph = read(result.qonnx)
    (layer,) = graph.layers
    assert layer.sizes is not None and layer.sizes.tolist() == [[3], [2], [1]]
    assert layer.weights.tolist() == [[3 * 2], [2 * 4], [0]]
    counted = facts.count(graph, result.lowered)[layer.name]
    assert counted.nonzero_products == 4 * 3 + 2 * 2
    mean = (4 + 2 + 5) / 3
    assert counted.paper == pytest.approx(equation(3, 1, 2 / 3, mean, 16 / (2 * mean)))


def test_a_grid_of_weights() -> None:
    integers, scale = np.array([[3, 1], [1, 0], [0, -2]]), np.array([[0.25, 1.0], [2.0, 1.0], [2.0**-20, 0.5]])
    grid = common_grid(integers, scale, 1 << 16)
    assert grid is not None
    lifted, steps = grid
    assert (lifted * steps == integers * scale).all() and steps.tolist() == [0.25, 0.5]
    assert common_grid(np.array([[1], [1]]), np.array([[1.0], [2.0**-20]]), 1 << 16) is None
    assert common_grid(np.array([[1], [1]]), np.array([[1.0], [3.0]]), 1 << 16) is None
    nothing = common_grid(np.zeros((2, 1), np.int64), np.array([[1.0], [4.0]]), 1 << 16)
    assert nothing is not None and not nothing[0].any()


def bounded(operator: str, *more: str) -> Any:
    one = Builder((1, 2))
    start = one.quant("x", 0.25)
    sums = one.add("MatMul", start, one.weights(np.array([[1, -2], [3, 1]]) / 4, 0.25))
    limits = one.add(operator, one.constant([0.4, -0.3]), sums, *more)
    return one.model(one.add("MatMul", one.quant(limits, 0.125, 5), one.weights(np.eye(2) / 4, 0.25)))


@pytest.mark.parametrize("operator", ["Max", "Min"])
def test_a_bound_of_each_channel(operator: str, tmp_path: Path) -> None:
    model = bounded(operator)
    result = prepared(model, tmp_path)
    rows = (_vectors(result) * 0.25).astype(np.float32)
    tensors = execute(model, fractions(rows))
    values = result.lowered.run(result.lowered.input.quantize(rows)) * result.lowered.output_scale
    assert (values == tensors[model.graph.output[0].name]).all()


@pytest.mark.parametrize(("more", "what"), [(("x",), "takes 3 tensors"), ((), None)])
def test_bounds_of_other_tensors_are_refused(more: tuple[str, ...], what: str | None, tmp_path: Path) -> None:
    if what is None:
        one = Builder((1, 2))
        start = one.quant("x", 0.25)
        both = [one.add("MatMul", start, one.weights(np.eye(2) / 4, 0.25)) for _ in range(2)]
        model, what = one.model(one.quant(one.add("Min", *both), 0.1)), "chooses between two tensors"
    else:
        model = bounded("Max", *more)
    with pytest.raises(QapError) as refusal:
        prepared(model, tmp_path)
    assert what in (refusal.value.hint or "")
