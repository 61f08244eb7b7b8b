# SPDX-License-Identifier: Apache-2.0
"""The network's own arithmetic against Brevitas modules under autograd and torch's Adam, bit for bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.nn.utils import prune

from qap2fpga.frontend.checkpoint.modules import build
from qap2fpga.system.errors import CheckFailed
from qap2fpga.train import convert, loss
from qap2fpga.train.adam import Adam
from qap2fpga.train.convert import integer_weights, quantize_inputs, to_model
from qap2fpga.train.loop import Recipe, step
from qap2fpga.train.network import Network, Shape
from qap2fpga.train.quantizers import (
    ActivationQuantizer,
    GridQuantizer,
    PowerOfTwoActivationQuantizer,
    PowerOfTwoWeightQuantizer,
    WeightQuantizer,
)
from qap2fpga.train.run import one_thread
from tests.support.brevitas_networks import float_network, learned, quantized_network

SIZES = (6, 12, 8, 3)
SCALE = 0.0625


def ours(network: Network) -> list[Tensor]:
    """What `learned` gives of the same network in Brevitas."""
    results = []
    for layer in network.layers:
        parts = [layer.weight, layer.bias, layer.gamma, layer.beta, layer.mean, layer.variance]
        parts.append(layer.activation.exponent if isinstance(layer.activation, ActivationQuantizer) else None)
        results += [part for part in parts if part is not None]
    return results


def batches(rows: int, count: int, seed: int = 0) -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(seed)
    return [
        (torch.randn(rows, SIZES[0], generator=generator), torch.randint(0, SIZES[-1], (rows,), generator=generator))
        for _ in range(count)
    ]


def quantized_pair(
    bits: tuple[int, ...], activations: tuple[int, ...], batch_norm: bool, seed: int
) -> tuple[nn.Sequential, Network]:
    """The same initial network twice."""
    torch.manual_seed(seed)
    reference = quantized_network(SIZES, bits, activations, SCALE, batch_norm)
    torch.manual_seed(seed)
    network = Network(Shape(SIZES, bits, activations, None, 8, SCALE, batch_norm))
    network.initialise()
    return reference.train(), network


def learn_both(reference: nn.Sequential, network: Network, l1: float, rows: int, count: int, seed: int) -> None:
    """Train both on the same batches, and demand the same bits of everything learned after every step."""
    recipe = Recipe(1, 1, 3e-3, rows, l1, loss.cross_entropy)
    torchs, own = torch.optim.Adam(reference.parameters(), 3e-3), Adam(network.parameters, network.gradient)
    for x, y in batches(rows, count, seed):
        expected = cross_entropy(reference(x), y)
        dense = [layer for layer in reference if isinstance(layer, nn.Linear)]
        penalty = torch.stack([layer.weight.abs().sum() for layer in dense]).sum()
        torchs.zero_grad()
        (expected + l1 * penalty if l1 else expected).backward()
        torchs.step()
        with torch.no_grad():
            entering = x if network.shape.input_bits is None else quantize_inputs(x, 8, SCALE)
            result = step(network, entering, y, recipe, own, 3e-3)
        assert float(result) == pytest.approx(expected.item(), rel=1e-6)
        for theirs, mine in zip(learned(reference), ours(network), strict=True):
            assert torch.equal(theirs, mine)


@settings(max_examples=8, deadline=None)
@given(
    st.tuples(*[st.integers(2, 16)] * 3),
    st.tuples(*[st.integers(2, 12)] * 2),
    st.booleans(),
    st.sampled_from([0.0, 1e-3]),
    st.integers(0, 1000),
)
def test_training_is_brevitas_and_autograd_bit_for_bit(
    bits: tuple[int, ...], activations: tuple[int, ...], batch_norm: bool, l1: float, seed: int
) -> None:
    with one_thread():
        reference, network = quantized_pair(bits, activations, batch_norm, seed)
        learn_both(reference, network, l1, rows=33, count=8, seed=seed)


def test_pruned_training_is_brevitas_and_autograd_bit_for_bit() -> None:
    with one_thread():
        reference, network = quantized_pair((6, 5, 4), (6, 3), True, 1)
        generator = torch.Generator().manual_seed(2)
        network.mask = (torch.rand(network.weight_count, generator=generator) > 0.6).float()
        start = 0
        for layer in (one for one in reference if isinstance(one, nn.Linear)):
            end = start + layer.weight.numel()
            mask = network.mask[start:end].view_as(layer.weight)
            prune.custom_from_mask(layer, "weight", mask)
            with torch.no_grad():
                layer.weight_orig.mul_(mask)  # type: ignore[operator]
            start = end
        network.apply_mask()
        learn_both(reference, network, 1e-4, rows=64, count=12, seed=3)


@pytest.mark.parametrize("batch_norm", [True, False])
def test_a_float_network_is_torchs_bit_for_bit(batch_norm: bool) -> None:
    with one_thread():
        torch.manual_seed(4)
        reference = float_network(SIZES, batch_norm).train()
        torch.manual_seed(4)
        network = Network(Shape(SIZES, None, None, None, None, None, batch_norm))
        network.initialise()
        learn_both(reference, network, 1e-4, rows=50, count=12, seed=5)


def test_logits_without_learning_are_brevitas() -> None:
    with one_thread(), torch.no_grad():
        reference, network = quantized_pair((6, 5, 4), (6, 3), True, 6)
        for x, _ in batches(64, 3):
            reference(x)
            network.forward(quantize_inputs(x, 8, SCALE), training=True)
        reference.eval()
        x = batches(100, 1, seed=9)[0][0]
        before = network.save()
        assert torch.equal(reference(x), network.logits(quantize_inputs(x, 8, SCALE)))
        after = network.save()
        assert all(torch.equal(before[key], after[key]) for key in before)


def test_the_other_losses_have_autograds_gradient() -> None:
    x, y = batches(20, 1)[0]
    logits = x[:, :3].clone().requires_grad_()
    plain = cross_entropy(logits, y)
    plain.backward()
    value, gradient = loss.cross_entropy(logits.detach(), y)
    assert float(value) == pytest.approx(plain.item(), rel=1e-6)
    assert torch.equal(gradient, logits.grad)
    one_hot = torch.eye(3)[y]
    for name, over_batch in (("binary_cross_entropy", False), ("binary_cross_entropy", True), ("cross_entropy", True)):
        probabilities = torch.softmax(logits.detach(), dim=0 if over_batch else 1)
        entropy = one_hot * probabilities.log()
        if name == "binary_cross_entropy":
            expected = -(entropy + (1 - one_hot) * (1 - probabilities).log()).mean()
        else:
            expected = -entropy.sum(dim=1).mean()
        value, gradient = loss.choose(name, over_batch)(logits.detach(), y)
        assert float(value) == pytest.approx(expected.item(), rel=1e-5)
        assert gradient.shape == logits.shape
    assert loss.choose("cross_entropy", False) is loss.cross_entropy


# ---- quantizers


@given(st.integers(2, 16), st.integers(0, 2**31))
def test_weights_use_their_integers_fully_but_for_the_lowest(bits: int, seed: int) -> None:
    weight = torch.randn((5, 7), generator=torch.Generator().manual_seed(seed))
    quantizer = WeightQuantizer(bits)
    integers = quantizer.forward(weight) / quantizer.scale
    assert float(integers.abs().max()) == pytest.approx(2 ** (bits - 1) - 1)
    # Half a step, and what float32 rounds in the division and in the product back: half a unit each of the last place.
    bound = quantizer.scale.double() / 2 + 2 * weight.double().abs() * 2.0**-24 * 1.01
    assert ((quantizer.forward(weight).double() - weight.double()).abs() <= bound).all()


@given(st.integers(2, 16), st.integers(0, 2**31), st.floats(1e-6, 1e6))
def test_power_of_two_weights_fit_the_least_scale(bits: int, seed: int, size: float) -> None:
    weight = size * torch.randn((5, 7), generator=torch.Generator().manual_seed(seed))
    weight[3] = 0
    quantizer = PowerOfTwoWeightQuantizer(bits)
    values = quantizer.forward(weight)
    mantissas, _ = np.frexp(quantizer.scale.numpy())
    assert (mantissas == 0.5).all()
    largest = (values / quantizer.scale).abs().amax(dim=1)
    limit = 2 ** (bits - 1) - 1
    assert (largest <= limit).all()
    # A scale of half the size would not hold the largest weight.
    assert (weight.abs().amax(dim=1)[:3] > limit * quantizer.scale.flatten()[:3] / 2).all()
    assert (values[3] == 0).all()
    assert not torch.isnan(values).any()


def test_power_of_two_activations_round_down_and_stop_gradients_out_of_range() -> None:
    quantizer = PowerOfTwoActivationQuantizer(2, torch.tensor(0.5))
    x = torch.tensor([[-0.1, 0.0, 0.49, 0.5, 1.99, 2.0, 9.0]])
    assert quantizer.forward(x).tolist() == [[0.0, 0.0, 0.0, 0.5, 1.5, 1.5, 1.5]]
    assert quantizer.backward(torch.ones_like(x)).tolist() == [[0.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0]]


def test_biases_lie_on_the_accumulators_grid() -> None:
    bias, scales = torch.tensor([0.3, -7.0, 0.1]), torch.tensor([0.5, 0.25, 1.0])
    assert GridQuantizer(None, 0.25).forward(bias, scales).tolist() == [0.25, -7.0, 0.0]
    assert GridQuantizer(4, 0.25).forward(bias, scales).tolist() == [0.25, -0.5, 0.0]


# ---- what is saved


def trained(shape: Shape) -> Network:
    torch.manual_seed(3)
    network = Network(shape)
    network.initialise()
    recipe = Recipe(1, 1, 1e-2, 32, 0.0, loss.cross_entropy)
    optimizer = Adam(network.parameters, network.gradient)
    with torch.no_grad():
        for x, y in batches(32, 10):
            step(network, quantize_inputs(x, 8, SCALE), y, recipe, optimizer, 1e-2)
    return network


def test_a_saved_network_computes_the_same() -> None:
    network = trained(Shape(SIZES, (4, 6, 5), (3, 8), 5, 8, SCALE, True))
    x, y = batches(40, 1, seed=8)[0]
    with torch.no_grad():
        model = to_model(network, x.numpy(), y.numpy())
        assert torch.equal(build(model)(x), network.logits(quantize_inputs(x, 8, SCALE)))
    assert [op.name for op in model.ops] == ["input", "fc1", "bn1", "act1", "fc2", "bn2", "act2", "fc3"]
    integers = integer_weights(network)
    for op, bits in zip([op for op in model.ops if op.kind == "dense"], (4, 6, 5), strict=True):
        assert op.quantizer is not None
        assert op.quantizer.bits == bits
        assert np.abs(integers[op.name]).max() == 2 ** (bits - 1) - 1
        np.testing.assert_array_equal(np.rint(op.tensors["weight"] / op.quantizer.scale), integers[op.name])
        assert len(set(np.abs(op.tensors["bias"]).tolist())) <= 16


def test_a_network_that_saves_something_else_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    network = trained(Shape(SIZES, (4, 6, 5), (3, 8), None, 8, SCALE, True))
    x, y = batches(40, 1, seed=8)[0]

    def wrong(model: Any) -> nn.Module:
        module = build(model)
        with torch.no_grad():
            *_, last = (part for part in module.modules() if isinstance(part, nn.Linear))
            last.bias.add_(0.5)
        return module

    monkeypatch.setattr(convert, "build", wrong)
    with pytest.raises(CheckFailed, match="other logits"):
        to_model(network, x.numpy(), y.numpy())
