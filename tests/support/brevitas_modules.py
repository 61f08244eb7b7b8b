# SPDX-License-Identifier: Apache-2.0
"""Tiny Brevitas modules that are no chains of dense layers: what `save`, the export and `prepare` are tried on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import brevitas.nn as qnn
import torch
from brevitas.quant import (
    Int8ActPerTensorFloat,
    Int8WeightPerChannelFloat,
    Int8WeightPerTensorFloat,
    Uint8ActPerTensorFloat,
)
from torch import Tensor, nn

BITS = 3


def entry(bits: int = BITS, **more: Any) -> nn.Module:
    """Return a signed quantizer."""
    return qnn.QuantIdentity(act_quant=Int8ActPerTensorFloat, bit_width=bits, **more)


def relu(bits: int = BITS, **more: Any) -> nn.Module:
    """Return a ReLU with a quantizer."""
    return qnn.QuantReLU(**{"act_quant": Uint8ActPerTensorFloat, "bit_width": bits, **more})


def dense(inputs: int, outputs: int) -> nn.Module:
    """Return a dense layer with a bias."""
    return qnn.QuantLinear(inputs, outputs, bias=True, weight_quant=Int8WeightPerTensorFloat, weight_bit_width=BITS)


def convolution(inputs: int, outputs: int, kernel: int = 3, *, dimensions: int = 2, **more: Any) -> nn.Module:
    """Return a convolution without a bias, with one weight scale per output channel."""
    kind = qnn.QuantConv1d if dimensions == 1 else qnn.QuantConv2d
    options = {"bias": False, "weight_quant": Int8WeightPerChannelFloat, "weight_bit_width": BITS, **more}
    return kind(inputs, outputs, kernel, **options)


def image_classifier() -> nn.Module:
    """Return convolution, batch norm and pool, twice, before a dense layer: of 5x5 images."""
    return nn.Sequential(
        entry(), convolution(1, 2, padding=1), nn.BatchNorm2d(2), relu(), nn.MaxPool2d(2),
        convolution(2, 3, 2), nn.BatchNorm2d(3), relu(), nn.Flatten(), dense(3, 3),
    )  # fmt: skip


def strided() -> nn.Module:
    """Return a convolution with a stride and unequal pads and dilations."""
    return nn.Sequential(
        entry(), convolution(2, 3, (3, 2), stride=(2, 1), padding=(1, 0), dilation=(1, 2)), relu(),
        nn.Flatten(), dense(27, 2),
    )  # fmt: skip


def depthwise() -> nn.Module:
    """Return a depthwise and a pointwise convolution."""
    return nn.Sequential(
        entry(), convolution(3, 3, groups=3, padding=1), nn.BatchNorm2d(3), relu(), convolution(3, 2, 1), relu(),
        nn.Flatten(), dense(50, 3),
    )  # fmt: skip


def wave_classifier() -> nn.Module:
    """Return a convolution in one dimension, before a dense layer: of two channels of 8 samples."""
    return nn.Sequential(
        entry(), convolution(2, 3, dimensions=1, padding=1), nn.BatchNorm1d(3), relu(), nn.MaxPool1d(2), nn.Flatten(),
        dense(12, 3),
    )  # fmt: skip


class Residual(nn.Module):
    """A dense or convolutional `branch` beside a skip; one quantizer before the sum."""

    def __init__(self, branch: nn.Module, before: nn.Module, after: nn.Module) -> None:
        super().__init__()
        self.before, self.branch, self.join, self.act, self.after = before, branch, entry(), relu(), after

    def forward(self, x: Tensor) -> Tensor:
        """Return the class of what came in and what the branch makes of it."""
        x = self.before(x)
        return self.after(self.act(self.join(self.branch(x)) + self.join(x)))


def residual_image() -> nn.Module:
    """Return a residual block of convolutions."""
    branch = nn.Sequential(convolution(2, 2, padding=1), nn.BatchNorm2d(2))
    before = nn.Sequential(entry(), convolution(1, 2, padding=1), relu())
    return Residual(branch, before, nn.Sequential(nn.Flatten(), dense(50, 3)))


def residual_dense() -> nn.Module:
    """Return a residual block of dense layers."""
    return Residual(dense(5, 5), nn.Sequential(entry(), dense(5, 5), relu()), dense(5, 3))


class Heads(nn.Module):
    """Two dense heads of one input, joined by a concatenation."""

    def __init__(self) -> None:
        super().__init__()
        self.quant, self.join = entry(), relu(return_quant_tensor=False)
        self.one, self.two, self.last = dense(5, 4), dense(5, 3), dense(7, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Return what both heads give, seen by one more layer."""
        x = self.quant(x)
        return self.last(torch.cat([self.join(self.one(x)), self.join(self.two(x))], dim=1))


class Twice(nn.Module):
    """One layer that runs twice."""

    def __init__(self) -> None:
        super().__init__()
        self.quant, self.again, self.act, self.last = entry(), dense(5, 5), relu(), dense(5, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Return what two rounds give."""
        for _ in range(2):
            x = self.act(self.again(self.quant(x)))
        return self.last(x)


# How to make each, and the shape of one row of its inputs.
MODULES: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "image classifier": (image_classifier, (1, 5, 5)),
    "strided convolution": (strided, (2, 5, 5)),
    "depthwise": (depthwise, (3, 5, 5)),
    "wave classifier": (wave_classifier, (2, 8)),
    "residual image": (residual_image, (1, 5, 5)),
    "residual dense": (residual_dense, (5,)),
    "heads": (Heads, (5,)),
    "layer twice": (Twice, (5,)),
}


def module(name: str, seed: int = 1) -> tuple[nn.Module, Tensor]:
    """Return one of `MODULES` in eval mode, its scales and statistics collected, and 40 rows of inputs."""
    make, shape = MODULES[name]
    torch.manual_seed(seed)
    network = make()
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.normal_(layer.weight)
            nn.init.normal_(layer.bias)
    with torch.no_grad():
        for _ in range(3):
            network(torch.randn(40, *shape))
    return network.eval(), torch.randn(40, *shape)
