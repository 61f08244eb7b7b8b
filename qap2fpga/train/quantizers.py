# SPDX-License-Identifier: Apache-2.0
"""Quantizers with their gradients by hand: the training spends its time here.

`WeightQuantizer` and `ActivationQuantizer` are those of Hawks et al. 2021, section 3. Their values and gradients
are, bit for bit, those of Brevitas' `Int8WeightPerTensorFloat` and `Uint8ActPerTensorFloat` with a range that is
learned in the log domain (the tests compare them): the same float32 operations in the same order,
without the hundred small modules around them. Rounding passes gradients straight through.

The `PowerOfTwo` ones are for hardware: scales are powers of two and activations round down, so that what stands
between two layers is a shift.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

# Where the learned range of an activation starts, the 6 of ReLU6.
ACTIVATION_RANGE = 6.0
# Below this a largest weight is taken for this, so that a scale is never 0.
TINY = 2.0**-30


@dataclass
class WeightQuantizer:
    """Signed integers without the lowest code; the largest |weight| of the layer is the largest integer.

    `forward` keeps what `backward` needs; `scale` is then that of the last forward pass, shape ().
    """

    bits: int
    scale: Tensor = field(default_factory=lambda: torch.ones(()))

    @property
    def limit(self) -> int:
        """The largest integer."""
        return int(2 ** (self.bits - 1)) - 1

    def forward(self, weight: Tensor) -> Tensor:
        """Quantized values of `weight` (outputs, inputs)."""
        self.magnitude = weight.abs()
        self.largest = self.magnitude.max()
        self.scale = self.largest.clamp_min(TINY) / self.limit
        self.ratio = weight / self.scale
        # No need to clamp: nothing is larger than the largest.
        self.integers = self.ratio.round()
        return self.integers * self.scale

    def backward(self, weight: Tensor, gradient: Tensor, into: Tensor) -> None:
        """Add the gradient of `weight`, given that of the quantized values, to `into`.

        Through the scale a part of it reaches the weight that the scale was made of.
        """
        of_scale = (gradient * self.integers).sum()
        passed = gradient * self.scale
        of_scale = of_scale - self.ratio.div_(self.scale).mul_(passed).sum()
        holders = self.magnitude == self.largest
        share = (of_scale / self.limit) / holders.sum()
        into.add_(passed.div_(self.scale).add_(weight.sgn().mul_(holders).mul_(share)))


@dataclass
class PowerOfTwoWeightQuantizer:
    """Signed integers without the lowest code; each output's scale is the least power of two that holds its weights."""

    bits: int
    scale: Tensor = field(default_factory=lambda: torch.ones((1, 1)))

    @property
    def limit(self) -> int:
        """The largest integer."""
        return int(2 ** (self.bits - 1)) - 1

    def forward(self, weight: Tensor) -> Tensor:
        """Quantized values of `weight` (outputs, inputs); `scale` is (outputs, 1)."""
        largest = weight.abs().amax(dim=1, keepdim=True)
        # An output without weights takes the coarsest grid of its layer.
        largest = torch.where(largest > 0, largest, largest.max()).clamp_min(TINY)
        self.scale = torch.exp2(torch.ceil(torch.log2(largest / self.limit)))
        return (weight / self.scale).round_().clamp_(-self.limit, self.limit) * self.scale

    def backward(self, weight: Tensor, gradient: Tensor, into: Tensor) -> None:
        """Add the gradient of `weight` to `into`: it passes straight through."""
        into.add_(gradient)


@dataclass
class GridQuantizer:
    """Biases on the grid of their accumulators, where weights and inputs have power-of-two scales.

    bits: the most bits that the integers may have; None: any.
    input_scale: value of one step of the layer's inputs.
    """

    bits: int | None
    input_scale: float

    def forward(self, bias: Tensor, weight_scales: Tensor) -> Tensor:
        """Quantized `bias` (outputs,), given the weights' scale of each output (outputs,); gradients pass through."""
        grid = weight_scales * self.input_scale
        integers = (bias / grid).round_()
        if self.bits is not None:
            limit = 2 ** (self.bits - 1)
            integers.clamp_(-limit, limit - 1)
        return integers * grid


@dataclass
class ActivationQuantizer:
    """ReLU and unsigned integers; `2**exponent` is the largest value, and is learned.

    exponent, gradient: shape (), views of the network's parameters and their gradient.
    """

    bits: int
    exponent: Tensor
    gradient: Tensor

    @property
    def limit(self) -> int:
        """The largest integer."""
        return int(2**self.bits) - 1

    def __post_init__(self) -> None:
        # Brevitas takes the largest integer through the log domain too, which in float32 changes it a little.
        self.divisor = torch.exp2(torch.log2(torch.tensor(float(self.limit)))).to(self.exponent.device)

    @property
    def scale(self) -> Tensor:
        """Value of one step, shape ()."""
        return torch.exp2(self.exponent) / self.divisor

    def forward(self, x: Tensor) -> Tensor:
        """Quantized values of `x` (rows, neurons)."""
        self.step = self.scale
        self.ratio = x / self.step
        self.integers = self.ratio.round().clamp_(0, self.limit)
        return self.integers * self.step

    def backward(self, gradient: Tensor) -> Tensor:
        """The gradient of x, given that of the quantized values, which it overwrites; that of the range is added."""
        of_step = (gradient * self.integers).sum()
        # The largest integer is odd, so a ratio half a step above it rounds out of range: there the gradient ends.
        passed = torch.ops.aten.hardtanh_backward(gradient.mul_(self.step), self.ratio, 0, self.limit + 0.5)
        of_step = of_step - self.ratio.div_(self.step).mul_(passed).sum()
        self.gradient.add_((of_step / self.divisor) * (torch.exp2(self.exponent) * math.log(2)))
        return passed.div_(self.step)


@dataclass
class PowerOfTwoActivationQuantizer:
    """ReLU and unsigned integers, rounded down; the scale is a constant power of two, shape ()."""

    bits: int
    scale: Tensor

    @property
    def limit(self) -> int:
        """The largest integer."""
        return int(2**self.bits) - 1

    def forward(self, x: Tensor) -> Tensor:
        """Quantized values of `x` (rows, neurons)."""
        self.ratio = x / self.scale
        return self.ratio.floor().clamp_(0, self.limit) * self.scale

    def backward(self, gradient: Tensor) -> Tensor:
        """Return the gradient of x: straight through where x is in range."""
        return gradient.masked_fill_((self.ratio < 0) | (self.ratio >= self.limit + 1), 0.0)


class Relu:
    """No quantizer, for float networks."""

    def forward(self, x: Tensor) -> Tensor:
        """`x` where it is positive, else 0."""
        self.rectified = x.relu()
        return self.rectified

    def backward(self, gradient: Tensor) -> Tensor:
        """Return the gradient of x."""
        return torch.ops.aten.threshold_backward(gradient, self.rectified, 0)
