# SPDX-License-Identifier: Apache-2.0
"""What learned bits cost in LUTs, unrolled, with gradients: the price that training weighs against the loss.

A weight is a sum of signed digits. Each digit but the first of an output is an adder, as wide as the input and what
sums have grown by, and so is a bias; adders that outputs have in common are shared, the more the larger a layer is. The
number of digits is exact; its gradient is that of the mean number of digits of so many bits. A requantizer costs more
where sums may be larger than what it hands on. What nothing reads takes no LUTs, as hardware leaves it out, but keeps
its gradients: it is to lose its bits, too. The price is a sum of `FEATURES`, whose coefficients are fitted to networks
that Yosys has counted: `flows/rtl/price.yaml`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import pairwise

import torch
import yaml
from torch import Tensor, nn

from qap2fpga.qap.bits.layers import Learned, further
from qap2fpga.qap.bits.quantizer import LearnedQuantizer
from qap2fpga.system.errors import QapError
from qap2fpga.system.files import shipped

# What the price is a sum of: bits of adders' inputs and what sums grow by, each of a layer to the power `SHARING`; bits
# of requantizers, and those of them that are bounded from above, as sums may be larger.
FEATURES = ("adder_bits", "growth_bits", "requantizer_bits", "bounded_bits")
SHARING = 0.95
# A channel learns to do without a bound where its sums are at most so many bits too large.
NEAR = 2.0
# Signed digits per bit, and of the first bit.
PER_BIT, FIRST = 1 / 3, 1.0
# What hands each channel on by itself, and what makes none larger.
NO_LARGER = (nn.Identity, nn.ReLU, nn.MaxPool1d, nn.MaxPool2d, nn.AvgPool1d, nn.AvgPool2d)
BETWEEN = (*NO_LARGER, nn.Dropout, nn.BatchNorm1d, nn.BatchNorm2d)


@cache
def fitted() -> Mapping[str, float]:
    """Return the fitted coefficients, LUTs per unit of each feature."""
    values = yaml.safe_load((shipped("flows") / "rtl" / "price.yaml").read_text())["coefficients"]
    return {name: float(values[name]) for name in FEATURES}


def layers(module: nn.Module) -> dict[str, Learned]:
    """Return the layers of `module` that learn bits, by name. Raises `QapError` where there is none."""
    known = {name: part for name, part in module.named_modules() if isinstance(part, Learned)}
    if not known:
        kinds = "use LearnedLinear, LearnedConv1d and LearnedConv2d"
        raise QapError("the module has no layer that learns its bits", kinds)
    return known


def price(module: nn.Module, coefficients: Mapping[str, float] | None = None) -> Tensor:
    """Return the LUTs of `module`, a scalar with gradients by the bits of its weights and activations.

    `coefficients`: LUTs per unit of each of the `FEATURES`; by default the shipped ones. A convolution is priced as one
    copy of its kernel, which every position passes.
    """
    counted = features(module)
    return counted @ weights(coefficients).to(counted)


def weights(coefficients: Mapping[str, float] | None = None) -> Tensor:
    """Return the LUTs per unit of each of the `FEATURES` (features,)."""
    chosen = fitted() if coefficients is None else coefficients
    return torch.tensor([chosen[name] for name in FEATURES])


def features(module: nn.Module) -> Tensor:
    """Return the `FEATURES` of `module`, with gradients."""
    parts = list(layers(module).values())
    exact = [digits(one.integers) for one in parts]
    outputs, channels = _read(module, parts, exact)
    adders = torch.stack([torch.stack(sums(*one)) for one in zip(parts, exact, outputs, strict=True)])
    quantizers = {id(one.input_quant): one.input_quant for one in parts if not one.input_quant.of_input}
    taken = {key: _only(one.bits, channels[key]) for key, one in quantizers.items()}
    sources = sources_of(module, parts)
    bounds = [_bounded(bits, quantizers[key], sources.get(key)) for key, bits in taken.items()]
    none = adders.new_zeros(())
    requantizers, bounded = sum((one.sum() for one in taken.values()), none), sum(bounds, none)
    return torch.stack([*adders.clamp(min=1.0).pow(SHARING).sum(dim=0), requantizers, bounded])


def _only(values: Tensor, used: Tensor) -> Tensor:
    """The values where they are `used`, 0 elsewhere, with all their gradients."""
    return values - values.detach() * ~used


def _bounded(bits: Tensor, quantizer: LearnedQuantizer, source: Learned | None) -> Tensor:
    """The bits of a quantizer's channels whose largest sum is above their bound; of all where no `source` is known.

    The gradient by the bound says what it saves to have it beyond the sum, where that is not far.
    """
    if source is None:
        return bits.sum()
    with torch.no_grad():
        above = torch.log2(source.largest.clamp(min=1e-30)) - torch.round(quantizer.integer)
        is_bounded, is_near = above >= 0, (above >= 0) & (above < NEAR)
        saved = -bits * is_near / NEAR
    return (bits * is_bounded).sum() + (saved * further(quantizer.integer)).sum()


@torch.no_grad()
def _read(
    module: nn.Module, parts: Sequence[Learned], exact: Sequence[Tensor]
) -> tuple[list[Tensor], dict[int, Tensor]]:
    """What weights of `exact` digits read: of each layer's outputs, and of the channels of each quantizer by its id.

    Outputs are known where one layer follows another in a `Sequential` and the quantizer between them is of later
    layers alone; all others are taken to be read.
    """
    after = followers(module, BETWEEN)
    outputs = [one.weight.new_ones(len(one.weight), dtype=torch.bool) for one in parts]
    channels: dict[int, Tensor] = {}
    for place in reversed(range(len(parts))):
        layer = parts[place]
        next_one = after.get(id(layer))
        if next_one is not None:
            quantizer = next_one.input_quant
            later = all(one.input_quant is not quantizer for one in parts[: place + 1])
            if later and quantizer.channels == len(layer.weight):
                outputs[place] = channels[id(quantizer)]
        size = (-1, *(1,) * (layer.weight.ndim - 1))
        used = layer.by_channel((exact[place] > 0) & (layer.input_bits > 0) & outputs[place].reshape(size))
        key = id(layer.input_quant)
        channels[key] = channels[key] | used if key in channels else used
    return outputs, channels


def sources_of(module: nn.Module, parts: Sequence[Learned]) -> dict[int, Learned]:
    """Return the layer whose sums a quantizer takes, by the quantizer's id, where that is known and it is one."""
    named = {id(one): one for one in parts}
    pairs = [(following.input_quant, named[key]) for key, following in followers(module, NO_LARGER).items()]
    fitting = [(id(one), layer) for one, layer in pairs if one.channels == len(layer.weight) and not one.signed]
    uses = Counter(id(one.input_quant) for one in parts)
    return {key: layer for key, layer in fitting if uses[key] == 1}


def followers(module: nn.Module, between: tuple[type[nn.Module], ...]) -> dict[int, Learned]:
    """Return the layer that alone takes what another gives, by the other's id: next to it in a `Sequential`.

    Parts of the kinds `between` may lie between the two.
    """
    chains = [[part for part in one if not isinstance(part, between)] for one in module.modules()
              if type(one) is nn.Sequential]  # fmt: skip
    uses = Counter(id(part) for chain in chains for part in chain)
    pairs = [pair for chain in chains for pair in pairwise(chain)]
    return {
        id(one): following
        for one, following in pairs
        if isinstance(one, Learned) and isinstance(following, Learned) and uses[id(one)] == 1
    }


def sums(layer: Learned, exact: Tensor, read: Tensor) -> tuple[Tensor, Tensor]:
    """Return the bits of the inputs of all adders of a layer, and what its sums grow by, with gradients.

    `exact`: the signed digits of its weights, in their shape. `read`: whether something reads an output (outputs,).
    """
    inputs, exact = layer.input_bits.flatten(1), exact.flatten(1)
    with torch.no_grad():
        bits = torch.frexp(layer.integers.abs()).exponent.flatten(1)
        slope = torch.where(bits > 1, PER_BIT, FIRST) * layer.is_priced.flatten(1)
        used = inputs > 0
        kept = (exact * used).sum(dim=1, keepdim=True)
        biases = layer.bias_bits[:, None]
        # A bias is one digit more, as wide as the others are on average; the first digit of an output is no adder.
        adders = (kept + (biases > 0) - 1).clamp(min=0) / kept.clamp(min=1)
        growth = torch.log2((kept + (biases > 0)).clamp(min=1))
        mean = (exact * inputs).sum(dim=1, keepdim=True) / kept.clamp(min=1)
    learned = exact * adders + (slope * adders) * further(layer.fraction).expand_as(layer.weight).flatten(1)
    biased = PER_BIT * (layer.bias_bits[:, None] - biases)
    rows = read[:, None]
    wide = _only(learned * inputs, rows).sum() + (biased * mean).sum()
    return wide, _only(learned * (growth * used), rows).sum() + (biased * growth).sum()


def digits(values: Tensor) -> Tensor:
    """Return the signed digits of whole numbers, the fewest that there are (non-adjacent form)."""
    size = values.detach().abs().clamp(max=1 << 28).to(torch.int32)
    return _ones(size ^ (3 * size))


def _ones(values: Tensor) -> Tensor:
    """The ones of int32 numbers that are not negative."""
    values = values - ((values >> 1) & 0x55555555)
    values = (values & 0x33333333) + ((values >> 2) & 0x33333333)
    values = (values + (values >> 4)) & 0x0F0F0F0F
    values = values + (values >> 8)
    return (values + (values >> 16)) & 0x3F
