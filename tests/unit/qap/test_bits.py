# SPDX-License-Identifier: Apache-2.0
"""Layers with learned bits: their gradients, and that what is exported computes what they compute."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import qap2fpga
from qap2fpga.qap.bits import LearnedConv2d, LearnedLinear, LearnedQuantizer, price
from qap2fpga.qap.bits.functions import MARGIN, is_gone, pruned, rounded, width
from qap2fpga.qap.bits.quantizer import MOST_BITS
from qap2fpga.system.errors import QapError
from tests.support.learned import MODULES, module


def test_rounding_down_and_to_the_nearest() -> None:
    x, fraction = torch.tensor([0.74, -0.3, 1.0, 0.76]), torch.tensor([1.0, 2.0, 0.0, -1.0])
    assert rounded(x, fraction, 0.0).tolist() == [0.5, -0.5, 1.0, 0.0]
    assert rounded(x, fraction, 0.5).tolist() == [0.5, -0.25, 1.0, 0.0]
    assert pruned(x, fraction).tolist() == [0.5, -0.25, 1.0, 0.0]


@pytest.mark.parametrize("half", [0.0, 0.5])
def test_the_gradient_by_a_bit_is_the_slope_of_what_rounding_loses(half: float) -> None:
    """Of values spread evenly, rounding down loses half a step on average: its slope by bits is known exactly."""
    x = (torch.arange(4096) + 0.5) / 1024
    for bits in (0.0, 2.0, 3.0):
        fraction = torch.tensor([bits], requires_grad=True)
        rounded(x, fraction, half).mean().backward()
        step = 2.0**-bits
        exact = math.log(2) * (step / 2 if half == 0 else 0.0)
        assert fraction.grad is not None
        assert float(fraction.grad) == pytest.approx(exact, abs=1e-3)


def test_values_have_the_gradient_of_what_is_not_rounded_and_bounds_that_of_a_power() -> None:
    quantizer = LearnedQuantizer(2, fraction=3.0, integer=1.0)
    x = torch.tensor([[0.4, 5.0], [-1.0, 1.2]], requires_grad=True)
    values = quantizer(x)
    assert values.tolist() == [[0.375, 1.875], [0.0, 1.125]]
    values.sum().backward()
    assert x.grad is not None and x.grad.tolist() == [[1.0, 0.0], [0.0, 1.0]]
    assert quantizer.integer.grad is not None
    assert quantizer.integer.grad.tolist() == pytest.approx([0.0, 2 * math.log(2)])


def test_a_bit_has_no_gradient_where_only_the_mean_would_move() -> None:
    """Values spread evenly lose half a step, whatever the loss says of their sum: a bias makes up for it."""
    quantizer = LearnedQuantizer(1, fraction=2.0, integer=3.0)
    values = (torch.arange(4096.0)[:, None] + 0.5) / 1024
    quantizer(values).mean().backward()
    assert quantizer.fraction.grad is not None and abs(float(quantizer.fraction.grad)) < 1e-4
    quantizer.fraction.grad = None
    # What is lost above the middle of a step counts, and has the sign of the loss.
    quantizer(torch.tensor([[0.24], [1.49]])).sum().backward()
    assert float(quantizer.fraction.grad or 0) == pytest.approx(2 * (0.24 - 0.125) * math.log(2), rel=1e-4)


def test_a_channel_without_bits_gives_nothing() -> None:
    for signed in (False, True):
        quantizer = LearnedQuantizer(3, signed=signed)
        with torch.no_grad():
            quantizer.fraction.copy_(torch.tensor([-2.0, 2.0, 60.0]))
        assert quantizer.bits.tolist() == [0.0, 4.0 + signed, float(MOST_BITS)]
        values = quantizer(torch.tensor([[3.0, 0.3, 0.123], [-3.0, -0.3, -0.1]]))
        assert not values[:, 0].any() and values[0, 1] == 0.25
        assert len(torch.unique(quantizer(torch.linspace(-9, 9, 9001)[:, None].expand(-1, 3))[:, 2])) <= 2**MOST_BITS


def test_bits_between_two_numbers_have_a_gradient_until_they_are_a_little_below_none() -> None:
    integer = torch.tensor([2.0, 1.6, 1.0, 1.0, 1.0], requires_grad=True)
    fraction = torch.tensor([3.4, -2.0, -1.5 - 0.9 * MARGIN, -1.5 - 1.1 * MARGIN, 9.0], requires_grad=True)
    between = width(fraction, integer, 8.0)
    assert between.tolist() == [5.0, 0.0, 0.0, 0.0, 8.0]
    between.sum().backward()
    assert fraction.grad is not None and integer.grad is not None
    assert fraction.grad.tolist() == integer.grad.tolist() == [1.0, 1.0, 1.0, 0.0, 1.0]


def test_a_weight_of_0_comes_back_by_its_bits_alone() -> None:
    """Its bits have the gradient of what it is worth; but none that takes them down once it is gone."""
    x = torch.tensor([0.6, 0.3, 0.3, -0.3], requires_grad=True)
    fraction = torch.tensor([1.0, 0.4, -1.0, -1.0], requires_grad=True)
    assert is_gone(x, fraction).tolist() == [False, False, True, True]
    values = pruned(x, fraction)
    assert values.tolist() == [0.5, 0.0, 0.0, 0.0]
    values.sum().backward()
    assert x.grad is not None and x.grad.tolist() == [1.0, 0.0, 0.0, 0.0]
    assert fraction.grad is not None
    expected = [0.1 * math.log(2), 0.3 * math.log(2), 0.0, -0.3 * math.log(2)]
    assert fraction.grad.tolist() == pytest.approx(expected)


@pytest.mark.parametrize("per", ["channel", "tensor"])
def test_weights_that_share_bits_learn_at_0_too(per: str) -> None:
    layer = LearnedLinear(3, 1, per=per, fraction=0.0, quantizer=LearnedQuantizer(3))
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[0.2, 1.2, -0.4]]))
    layer.quantized_weight.sum().backward()
    assert layer.weight.grad is not None and layer.weight.grad.tolist() == [[1.0, 1.0, 1.0]]
    assert layer.is_priced.tolist() == [[False, True, False]]


@pytest.mark.parametrize("signed", [False, True])
def test_a_channel_without_bits_comes_back_where_the_loss_asks_for_it(signed: bool) -> None:
    quantizer = LearnedQuantizer(2, signed=signed, fraction=-1.0, integer=1.0)
    x = torch.tensor([[0.9, 5.0], [0.6, 4.0]], requires_grad=True)
    optimizer = torch.optim.SGD(quantizer.parameters(), lr=0.05)
    for _ in range(40):
        (quantizer(x) - x.detach()).square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    assert x.grad is not None and x.grad[:, 0].all()
    assert (quantizer.bits > float(signed)).all() and quantizer.fraction[0] > 0 and quantizer.integer[1] > 1


def test_training_finds_the_few_weights_that_matter() -> None:
    """Of 24 inputs two count: the others' weights go, and stay away, however long the training lasts."""
    torch.manual_seed(1)
    x = torch.randn(256, 24)
    y = (x[:, 3] - 0.5 * x[:, 17])[:, None]
    layer = LearnedLinear(24, 1, quantizer=LearnedQuantizer(24, signed=True, of_input=True, integer=3.0))
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.02)
    for _ in range(600):
        optimizer.zero_grad()
        ((layer(x) - y).square().mean() + 1e-4 * price(layer)).backward()
        optimizer.step()
    used = (layer.integers != 0) & (layer.input_quant.bits > 0)
    assert used[0, 3] and used[0, 17] and int(used.sum()) == 2
    assert (layer(x) - y).square().mean().item() < 0.01


def test_the_bits_of_weights_are_those_of_their_integers() -> None:
    layer = LearnedLinear(4, 1, quantizer=LearnedQuantizer(4))
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[0.75, -0.5, 0.1, 5.0]]))
        layer.fraction.copy_(torch.tensor([[2.0, 3.0, 2.0, 0.0]]))
    assert layer.integers.tolist() == [[3.0, -4.0, 0.0, 5.0]]
    assert layer.quantized_weight.tolist() == [[0.75, -0.5, 0.0, 5.0]]
    assert layer.bits.tolist() == [[2.0, 3.0, 0.0, 3.0]]
    layer.bits.sum().backward()
    assert layer.fraction.grad is not None and layer.fraction.grad.tolist() == [[1.0, 1.0, 0.0, 1.0]]


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.parametrize("seed", [1, 2])
def test_the_exported_network_is_the_trained_one(name: str, seed: int, tmp_path: Path) -> None:
    """Saving compares every quantizer with torch; here the outputs of the integer network, at rows of several sizes."""
    trained, rows = module(name, seed)
    qap2fpga.save(trained, rows, tmp_path / "model.pt")
    network = qap2fpga.load(tmp_path / "model.pt", quiet=True)
    for scale in (0.3, 1.0, 5.0):
        x = scale * torch.randn(200, *rows.shape[1:])
        with torch.no_grad():
            expected = trained(x).numpy()
        outputs = network.run(x) * network.output_scale
        assert np.abs(outputs - expected).max() <= 2 * network.output_scale
    assert not trained.training


def test_a_dead_channel_and_a_dead_weight_are_gone_in_hardware(tmp_path: Path) -> None:
    trained, rows = module("dense")
    assert isinstance(trained, nn.Sequential)
    with torch.no_grad():
        trained[1].input_quant.fraction[2:5] = -9.0
        trained[2].fraction[:, 3] = -9.0
    qap2fpga.save(trained, rows, tmp_path / "model.pt")
    graph = qap2fpga.load(tmp_path / "model.pt", quiet=True).graph
    assert graph.layers[0].outputs <= 5 and graph.layers[1].outputs <= 5


def test_bits_that_went_far_below_none_do_not_matter(tmp_path: Path) -> None:
    """Of the network's inputs, of activations, and of weights: nothing has a step of theirs."""
    trained, rows = module("dense")
    assert isinstance(trained, nn.Sequential)
    with torch.no_grad():
        for quantizer in (trained[0].input_quant, trained[1].input_quant):
            quantizer.fraction[:2], quantizer.integer[:2] = -23.0, 20.0
        trained[1].fraction[:, 3] = -23.0
    expected = trained(rows).detach().numpy()
    qap2fpga.save(trained, rows, tmp_path / "model.pt")
    network = qap2fpga.load(tmp_path / "model.pt", quiet=True)
    assert np.abs(network.run(rows) * network.output_scale - expected).max() <= 2 * network.output_scale


def test_a_layer_is_named_as_in_the_module_and_its_quantizer_is_compared(tmp_path: Path) -> None:
    trained, rows = module("residual")
    qap2fpga.save(trained, rows, tmp_path / "model.pt")
    stored = torch.load(tmp_path / "model.pt", weights_only=True)
    recorded = set(stored["recording"]["levels"]) if "recording" in stored else None
    names = {one.name for one in qap2fpga.load(tmp_path / "model.pt", quiet=True).graph.nodes}
    assert {"first", "left", "right", "middle", "last"} <= names
    assert recorded is None or {"first.input_quant", "middle.input_quant", "last.input_quant"} <= recorded


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda: LearnedQuantizer(0), "of 0 channels"),
        (lambda: LearnedQuantizer(2, per="row"), "per 'row'"),
        (lambda: LearnedLinear(2, 2, per="row"), "bits per 'row'"),
        (lambda: LearnedConv2d(3, 4, 3, groups=2), "in 2 groups"),
        (lambda: LearnedQuantizer(2)(torch.ones(4, 3)), "for 2 channels"),
        (lambda: LearnedLinear(3, 2, quantizer=LearnedQuantizer(2)), "3 inputs of a quantizer of 2"),
        (lambda: LearnedConv2d(4, 2, 3, quantizer=LearnedQuantizer(2)), "4 channels of a quantizer of 2"),
    ],
)
def test_what_does_not_fit_is_refused(make: object, what: str) -> None:
    assert callable(make)
    with pytest.raises(QapError, match=what):
        make()
