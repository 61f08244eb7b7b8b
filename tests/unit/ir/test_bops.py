# SPDX-License-Identifier: Apache-2.0
"""Bit operations: the paper's own numbers, its equation by hand, and qonnx's count on the same graph."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from qonnx.util.inference_cost import inference_cost

from qap2fpga.frontend import export, facts
from qap2fpga.frontend.checkpoint.spec import Model
from qap2fpga.frontend.graph import read
from qap2fpga.frontend.integer import lower
from qap2fpga.frontend.values import RawGraph
from qap2fpga.ir import bops
from qap2fpga.ir.bops import Bops
from qap2fpga.system.quiet import quiet
from tests.support.networks import qonnx_graph, random_model

JETS = (16, 64, 32, 32, 5)


def counts(graph: RawGraph) -> list[Bops]:
    """The counts of the layers, in order; all other nodes have none."""
    nodes = facts.count(graph, lower(graph))
    layers = [nodes.pop(layer.name) for layer in graph.layers]
    assert set(nodes.values()) == {Bops()} and len(nodes) == len(layers) + 1
    return layers


def of_model(model: Model) -> list[Bops]:
    return counts(read(qonnx_graph(model)))


def changed(model: Model, name: str, **tensors: Any) -> Model:
    ops = [replace(op, tensors={**op.tensors, **tensors}) if op.name == name else op for op in model.ops]
    return replace(model, ops=tuple(ops))


def test_the_papers_dense_float_network() -> None:
    """Hawks et al. 2021 count 32 bits for every operand of a network that is not quantized."""
    result = sum(bops.equation(inputs, outputs, 1.0, 32, 32) for inputs, outputs in pairwise(JETS))
    assert result == 4_652_832


def test_the_papers_dense_six_bit_network_through_the_graph() -> None:
    model = random_model(1, widths=JETS, bits=6, sparsity=0.0, input_bits=8)
    graph = read(qonnx_graph(model))
    assert all(layer.weights.all() for layer in graph.layers)
    assert [layer.stored.biases for layer in graph.layers] == [64, 32, 32, 5]
    assert [layer.stored.nonzero_biases for layer in graph.layers] == [64, 32, 32, 5]
    total = bops.total(counts(graph))
    assert total.paper_code == 412_960
    assert total.paper_code_rounded == 412_960
    # The same with the 8 bits that the inputs really have.
    assert total.paper == 412_960 - 16 * 64 * (24 * 6 + 24)


def test_the_equation_by_hand() -> None:
    """m n ((1 - f_p) b_a b_w + b_a + b_w + log2 n), one number after the other."""
    assert bops.equation(8, 4, 0.5, 3, 5) == 32 * (0.5 * 15 + 3 + 5 + 3)
    assert bops.equation(16, 1, 0.0, 6, 6) == 16 * (6 + 6 + 4)
    assert bops.equation(1, 7, 1.0, 2, 2) == 7 * (4 + 2 + 2 + 0)


def test_pruned_is_counted_after_rounding_but_as_stored_for_the_papers_code() -> None:
    model = random_model(4, widths=(8, 10, 4), bits=4, sparsity=0.0)
    step = float(model.ops[1].quantizer.scale)
    weight = model.ops[1].tensors["weight"].copy()
    weight[:, 0] = 0.4 * step  # rounds to 0, is not 0 as stored
    weight[:, 1] = 0
    bias = model.ops[1].tensors["bias"].copy()
    bias[:3] = 0
    graph = read(qonnx_graph(changed(model, "fc1", weight=weight, bias=bias)))
    count = counts(graph)[0]
    assert count.paper == bops.equation(8, 10, 60 / 80, 4, 4)
    assert count.paper_code_rounded == bops.equation(8, 10, 60 / 80, 32, 4)
    assert count.paper_code == bops.equation(8, 10, (70 + 7) / (80 + 10), 32, 4)
    assert count.nonzero_products == 60 * 4 * 4
    node = lower(graph)["fc1"]
    assert node.bops(1, first=True, stored_density=graph.layers[0].stored_density) == count
    assert (
        node.bops(1, first=True).paper_code == node.bops(1, first=True).paper_code_rounded == count.paper_code_rounded
    )
    inner = node.bops(1)
    assert inner.paper == inner.paper_code_rounded == count.paper


def test_a_layer_without_bias_counts_none() -> None:
    model = random_model(4, widths=(8, 10, 4), sparsity=0.5)
    ops = [replace(op, tensors={k: v for k, v in op.tensors.items() if k != "bias"}) if op.kind == "dense" else op
           for op in model.ops]  # fmt: skip
    graph = read(qonnx_graph(replace(model, ops=tuple(ops))))
    assert [(layer.stored.biases, layer.stored.nonzero_biases) for layer in graph.layers] == [(0, 0), (0, 0)]
    count = counts(graph)[1]
    assert count.paper_code == count.paper


def test_one_more_zero_is_seen_by_every_count() -> None:
    model = random_model(6, bits=6, sparsity=0.5)
    weight = next(op for op in model.ops if op.name == "fc2").tensors["weight"].copy()
    weight[tuple(index[0] for index in np.nonzero(weight))] = 0
    before, after = (bops.total(of_model(one)) for one in (model, changed(model, "fc2", weight=weight)))
    assert before.nonzero_products - after.nonzero_products == 6 * 6
    assert before.paper - after.paper == pytest.approx(6 * 6)
    assert before.paper_code_rounded - after.paper_code_rounded == pytest.approx(6 * 6)
    assert before.paper_code > after.paper_code


@pytest.mark.parametrize(("seed", "bits", "sparsity"), [(1, 2, 0.5), (2, 4, 0.8), (3, 6, 0.95), (4, 8, 0.0)])
@pytest.mark.parametrize("batch_norm", [False, True])
def test_nonzero_products_are_those_of_qonnx(seed: int, bits: int, sparsity: float, batch_norm: bool) -> None:
    model = random_model(seed, widths=(9, 12, 10, 4), bits=bits, sparsity=sparsity, input_bits=7, batch_norm=batch_norm)
    graph = qonnx_graph(model)
    total = bops.total(counts(read(graph)))
    with quiet():
        cost = inference_cost(export.copy(graph), discount_sparsity=True, cost_breakdown=False)
    assert total.nonzero_products == cost["total_cost"]["total_bops"] > 0


def test_one_bit_products_are_counted_as_one() -> None:
    """By hand, as qonnx's count takes what a BipolarQuant gives for 32 bits."""
    products = [count.nonzero_products for count in of_model(random_model(1, bits=1, sparsity=0.0, input_bits=3))]
    assert products == [5 * 7 * 3, 7 * 6, 6 * 3]


def test_a_total_is_the_sum_of_its_layers() -> None:
    layers = of_model(random_model(8, widths=(4, 5, 6, 7, 3)))
    total = bops.total(layers)
    for name in ("paper", "paper_code", "paper_code_rounded", "nonzero_products"):
        assert getattr(total, name) == pytest.approx(sum(getattr(count, name) for count in layers))
