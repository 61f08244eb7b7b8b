# SPDX-License-Identifier: Apache-2.0
"""Traces equal those of whole Hessians, and the bits that are chosen are the best that there are."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor, nn

from qap2fpga.qap import Sensitivity, choose_bits, sensitivity
from qap2fpga.qap.sensitivity import quantized
from qap2fpga.system.errors import QapError
from tests.support.brevitas_modules import module

X = torch.randn(20, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
Y = torch.arange(20) % 2


def small() -> nn.Sequential:
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()


def traces(network: nn.Sequential) -> dict[str, float]:
    """The traces of the Hessians, formed whole."""
    result = {}
    for name in ("0", "2"):
        weight = network.get_submodule(name).get_parameter("weight")

        def loss(values: Tensor, name: str = name) -> Tensor:
            return nn.functional.cross_entropy(torch.func.functional_call(network, {f"{name}.weight": values}, X), Y)

        hessian = torch.autograd.functional.hessian(loss, weight)
        assert isinstance(hessian, Tensor)
        result[name] = float(hessian.reshape(weight.numel(), weight.numel()).trace())
    return result


def test_a_trace_is_that_of_the_whole_hessian_within_its_error() -> None:
    network = small()
    before = {name: one.clone() for name, one in network.state_dict().items()}
    found = sensitivity(network, lambda: nn.functional.cross_entropy(network(X), Y), probes=300)
    for name, exact in traces(network).items():
        assert abs(found[name].trace - exact) < 4 * found[name].error < 0.4 * abs(exact)
    assert all((one == before[name]).all() for name, one in network.state_dict().items())
    assert all(one.grad is None for one in network.parameters())


def test_a_diagonal_hessian_is_exact_with_few_probes() -> None:
    layer = nn.Linear(3, 1, bias=False).double()
    scale = torch.tensor([1.0, 2.0, 5.0], dtype=torch.float64)
    found = sensitivity(layer, lambda: (scale * layer.weight.square()).sum(), probes=2)
    assert found[""].trace == pytest.approx(16.0) and found[""].error == pytest.approx(0.0)
    # Exactly what the loss rises by, less the slope's part: the loss is a parabola.
    change = layer.weight.detach() - quantized(layer.weight.detach(), 3)
    assert found[""].cost(3) == pytest.approx(16.0 / 2 / 3 * float(change.square().sum()))


def test_modules_with_quantizers_and_branches_have_traces() -> None:
    network, inputs = module("residual image")
    found = sensitivity(network, lambda: network(inputs).square().mean(), probes=4)
    assert len(found) == 3 and all(math.isfinite(one.trace) for one in found.values())


def test_the_bits_are_the_best_of_all_combinations() -> None:
    random = torch.Generator().manual_seed(5)
    found = {
        name: Sensitivity(trace, 0.0, torch.randn(size, generator=random))
        for name, trace, size in (("a", 30.0, 8), ("b", 0.5, 40), ("c", 4.0, 16))
    }
    for budget in (140.0, 200.0, 260.0, 333.0, 512.0):
        chosen = choose_bits(found, budget)
        fits = [
            combination
            for combination in itertools.product(range(2, 9), repeat=3)
            if sum(bits * one.weights.numel() for bits, one in zip(combination, found.values(), strict=True)) <= budget
        ]
        rise = {
            combination: sum(one.cost(bits) for bits, one in zip(combination, found.values(), strict=True))
            for combination in fits
        }
        assert rise[tuple(chosen.values())] == pytest.approx(min(rise.values()))
    assert choose_bits(found, 64 * 8) == dict.fromkeys("abc", 8)
    # Where a bit of the most sensitive layer is dear, it gets fewer.
    dear = choose_bits(found, 2000.0, costs={"a": 400.0, "b": 1.0, "c": 1.0}, bits=(2, 4, 8))
    assert dear == {"a": 4, "b": 8, "c": 8}


def test_quantized_weights_are_on_a_grid_that_the_largest_fits() -> None:
    values = torch.tensor([0.7, -0.3, 0.04, 0.0])
    assert quantized(values, 4).tolist() == pytest.approx([0.7, -0.3, 0.0, 0.0])
    assert quantized(torch.zeros(3), 4).tolist() == [0.0] * 3
    errors = [float((values - quantized(values, bits)).abs().max()) for bits in (2, 3, 6, 12)]
    assert errors == sorted(errors, reverse=True) and errors[-1] < 1e-3


@pytest.mark.parametrize(
    "loss, said",
    [
        (lambda network: network(X), "no finite number: a tensor of shape (20, 2)"),
        (lambda network: network(X).sum() * math.nan, "no finite number: nan"),
        (lambda network: network(X).sum().detach(), "no derivative by the weights"),
        (lambda network: network[0](X).sum(), "no derivative by the weight of 2"),
        # Of a constant second derivative there is none to take: the loss is linear in the last weights alone.
        (lambda network: network[2].weight.sum() + network[0].weight.sum(), "no second derivative by the weights"),
    ],
)
def test_a_loss_that_has_no_curvature_to_measure_is_refused(loss, said: str) -> None:
    network = small()
    with pytest.raises(QapError) as caught:
        sensitivity(network, lambda: loss(network))
    assert said in str(caught.value)


def test_what_does_not_fit_is_refused() -> None:
    network = small()
    for call, said in (
        (lambda: sensitivity(network, lambda: network(X).sum(), probes=1), "probes is 1"),
        (lambda: sensitivity(network, lambda: network(X).sum(), layers=["1"]), "unknown layer '1'"),
        (lambda: sensitivity(nn.ReLU(), lambda: network(X).sum()), "no dense layer and no convolution"),
    ):
        with pytest.raises(QapError, match=said):
            call()
    one = {"a": Sensitivity(1.0, 0.0, torch.ones(4))}
    for call, said in (
        (lambda: choose_bits(one, 7.0), "a budget of 7 is below 8, 2 bits everywhere"),
        (lambda: choose_bits(one, 80.0, costs={"b": 1.0}), r"costs of \['b'\]"),
        (lambda: choose_bits(one, 80.0, costs={"a": 0.0}), r"costs of \['a'\]"),
        (lambda: choose_bits({}, 80.0), "costs of"),
        (lambda: choose_bits(one, 80.0, bits=(1, 4)), r"bits \(1, 4\)"),
        (lambda: choose_bits(one, 80.0, bits=()), r"bits \(\)"),
    ):
        with pytest.raises(QapError, match=said):
            call()


def test_a_negative_trace_costs_nothing() -> None:
    assert Sensitivity(-3.0, 1.0, torch.tensor([0.3, 1.0])).cost(2) == 0.0
