# SPDX-License-Identifier: Apache-2.0
"""How much each layer's loss suffers from few bits, by the trace of its Hessian, and bits that fit a budget.

The rule of HAWQ-V2 (Dong et al. 2020): near a minimum, a change of a layer's weights costs about half of its mean
eigenvalue times the square of the change. The trace is estimated from products of the Hessian with random signs
(Hutchinson): no Hessian is ever formed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from qap2fpga.qap.layers import layers_of
from qap2fpga.system.errors import QapError

# Widths that are chosen from.
BITS = (2, 3, 4, 5, 6, 7, 8)


@dataclass(frozen=True)
class Sensitivity:
    """What `sensitivity` found of a layer, at the weights that it had then.

    Attributes:
        trace: of the Hessian of the loss by the layer's weights.
        error: the trace's standard error over the probes.
        weights: a copy, of the weight's own shape.
    """

    trace: float
    error: float
    weights: Tensor

    def cost(self, bits: int) -> float:
        """Return about how much the loss rises when the weights get `bits`, by one symmetric scale for all."""
        change = self.weights - quantized(self.weights, bits)
        return 0.5 * max(self.trace, 0.0) / self.weights.numel() * float(change.square().sum())


def sensitivity(
    module: nn.Module, loss: Callable[[], Tensor], *, probes: int = 64, seed: int = 1,
    layers: Sequence[str] | None = None,
) -> dict[str, Sensitivity]:  # fmt: skip
    """Return how sensitive the loss is to each layer's weights, by name. Nothing in the module changes.

    Args:
        module: a trained module, in the mode in which the loss is to be taken; usually `module.eval()`.
        loss: computes the loss, a scalar, from the module: `lambda: criterion(module(X), y)`. Always of the same data.
        probes: random vectors. The errors fall with their square root.
        seed: of the random signs.
        layers: names of the layers; by default all dense layers and convolutions whose weights learn.

    Raises:
        QapError: no such layer, or a loss that is no finite scalar, or has no second derivative by a layer's weights.
    """
    if probes < 2:
        raise QapError(f"probes is {probes}", "2 or more; 64 are enough to order layers")
    chosen = layers_of(module, layers, "there is nothing to measure")
    weights = [layer.get_parameter("weight") for layer in chosen.values()]
    value = loss()
    if value.numel() != 1 or not torch.isfinite(value).all():
        raise QapError(f"the loss is no finite number: {_text(value)}", "return the mean over a batch of finite losses")
    slopes = _derivatives(value, weights, chosen, "no derivative by")
    random = torch.Generator().manual_seed(seed)
    samples = torch.zeros(probes, len(weights), dtype=torch.float64)
    for probe in range(probes):
        signs = [_signs(one, random) for one in weights]
        # Of all layers at once: what layers share has mean zero, since their signs are independent.
        product = sum((slope * sign).sum() for slope, sign in zip(slopes, signs, strict=True))
        assert isinstance(product, Tensor)
        curves = _derivatives(product, weights, chosen, "no second derivative by", again=False)
        for place, (curve, sign) in enumerate(zip(curves, signs, strict=True)):
            samples[probe, place] = float((curve * sign).sum())
    if not torch.isfinite(samples).all():
        raise QapError("the loss has derivatives that are not finite", "measure a module that has not diverged")
    means, errors = samples.mean(dim=0).tolist(), (samples.std(dim=0) / math.sqrt(probes)).tolist()
    return {
        name: Sensitivity(mean, error, weight.detach().clone())
        for name, mean, error, weight in zip(chosen, means, errors, weights, strict=True)
    }


def choose_bits(
    layers: Mapping[str, Sensitivity], budget: float, *, costs: Mapping[str, float] | None = None,
    bits: Sequence[int] = BITS,
) -> dict[str, int]:  # fmt: skip
    """Return the bits of each layer that raise the loss least while their costs add up to at most `budget`.

    The least of all combinations is found, not only a good one.

    Args:
        layers: of `sensitivity`.
        budget: of the sum over layers of cost times bits.
        costs: of one bit in each layer, as the products of a frame times the bits of its inputs, for bit operations.
            By default its number of weights: the budget is bits of memory then.
        bits: widths to choose from, 2 to 16.

    Raises:
        QapError: no layers, widths out of range, or a budget that the narrowest do not meet.
    """
    widths = sorted(set(bits))
    if not widths or not all(2 <= one <= 16 for one in widths):
        raise QapError(f"bits {tuple(bits)}", "widths of 2 to 16 bits")
    prices = {name: float(one.weights.numel()) for name, one in layers.items()} if costs is None else dict(costs)
    if not layers or set(prices) != set(layers) or not all(price > 0 for price in prices.values()):
        what = f"costs of {sorted(prices)}, sensitivities of {sorted(layers)}"
        raise QapError(what, "a positive cost for each layer")
    least = widths[0] * sum(prices.values())
    if least > budget:
        raise QapError(f"a budget of {budget:g} is below {least:g}, {widths[0]} bits everywhere", "raise the budget")
    # Layer by layer, all combinations that no other one beats in both cost and loss.
    front: list[tuple[float, float, tuple[int, ...]]] = [(0.0, 0.0, ())]
    for name, one in layers.items():
        rises = {width: one.cost(width) for width in widths}
        every = sorted(
            (price + width * prices[name], rise + rises[width], (*chosen, width))
            for price, rise, chosen in front
            for width in widths
            if price + width * prices[name] <= budget
        )
        front, best = [], math.inf
        for combination in every:
            if combination[1] < best:
                front.append(combination)
                best = combination[1]
    return dict(zip(layers, front[-1][2], strict=True))


def quantized(weights: Tensor, bits: int) -> Tensor:
    """Return `weights` rounded to `bits`, symmetrically, with the scale at which the largest fits."""
    levels = (1 << bits - 1) - 1
    largest = weights.abs().max()
    if not largest:
        return weights.clone()
    scale = largest / levels
    return torch.round(weights / scale).clamp(-levels, levels) * scale


def _signs(weight: Tensor, random: torch.Generator) -> Tensor:
    return (torch.randint(0, 2, weight.shape, generator=random) * 2 - 1).to(weight)


def _derivatives(
    value: Tensor, weights: Sequence[Tensor], names: Mapping[str, nn.Module], what: str, *, again: bool = True
) -> tuple[Tensor, ...]:  # fmt: skip
    """The derivatives of `value` by each of `weights`; `again`: those of the derivatives may be asked for."""
    if not value.requires_grad:
        raise QapError(f"the loss has {what} the weights", "compute it from the module, with gradients")
    slopes = torch.autograd.grad(value, list(weights), create_graph=again, retain_graph=True, allow_unused=True)
    for name, slope in zip(names, slopes, strict=True):
        if slope is None:
            raise QapError(f"the loss has {what} the weight of {name}", "leave it out of layers, or use it in the loss")
    return slopes


def _text(value: Tensor) -> str:
    return f"{value.item():g}" if value.numel() == 1 else f"a tensor of shape {tuple(value.shape)}"
