# SPDX-License-Identifier: Apache-2.0
"""What learned bits cost in LUTs, unrolled, with gradients: the price that training weighs against the loss.

A weight is a sum of signed digits. Each digit but the first of an output is an adder, as wide as the input and what
sums have grown by, and so is a bias; adders that outputs have in common are shared, the more the larger a layer is. The
number of digits is exact; its gradient is that of the mean number of digits of so many bits. The price is a sum of
`FEATURES`, whose coefficients are fitted to networks that Yosys has counted: `flows/rtl/price.yaml`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import torch
import yaml
from torch import Tensor, nn

from qap2fpga.qap.bits.layers import Learned, further
from qap2fpga.system.errors import QapError
from qap2fpga.system.files import shipped

# What the price is a sum of: bits of adders' inputs and what sums grow by, each of a layer to the power `SHARING`, and
# bits of requantizers.
FEATURES = ("adder_bits", "growth_bits", "requantizer_bits")
SHARING = 0.9
# Signed digits per bit, and of the first bit.
PER_BIT, FIRST = 1 / 3, 1.0


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
    parts = layers(module).values()
    adders = torch.stack([torch.stack(sums(one)) for one in parts]).clamp(min=1.0).pow(SHARING).sum(dim=0)
    quantizers = {id(one.input_quant): one.input_quant for one in parts if not one.input_quant.of_input}
    bits = torch.stack([one.bits.sum() for one in quantizers.values()] or [adders.new_zeros(())]).sum()
    return torch.stack([*adders, bits])


def sums(layer: Learned) -> tuple[Tensor, Tensor]:
    """Return the bits of the inputs of all adders of a layer, and what its sums grow by, with gradients."""
    inputs = layer.input_bits.flatten(1)
    with torch.no_grad():
        integers = layer.integers
        exact, bits = digits(integers).flatten(1), torch.frexp(integers.abs()).exponent.flatten(1)
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
    wide = (learned * inputs).sum() + (biased * mean).sum()
    return wide, (learned * (growth * used)).sum() + (biased * growth).sum()


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
