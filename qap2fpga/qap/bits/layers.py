# SPDX-License-Identifier: Apache-2.0
"""Dense layers and convolutions whose weights learn their bits: 0 bits is a pruned weight.

A layer quantizes what it takes, so that all that its hardware costs is known in it: its inputs' bits, its weights'.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from qap2fpga.qap.bits.functions import constant, is_gone, pruned, rounded
from qap2fpga.qap.bits.quantizer import FARTHEST, ExportHandler, LearnedQuantizer
from qap2fpga.system.errors import QapError

Sizes = int | tuple[int, ...]
KINDS = ("weight", "channel", "tensor")
# Fractional bits of a new layer's weights, and the most that they can come to.
FRACTION, MOST_FRACTION = 6.0, 12.0


class WeightQuantizer(nn.Module):
    """Where a layer's weights are exported, below a name of their own."""

    def __init__(self) -> None:
        super().__init__()
        self.export_handler = ExportHandler()

    def forward(self, weight: Tensor, step: Tensor, bits: int, signed: bool, rounding: str) -> Tensor:
        """Return the weights that the exported quantizer gives."""
        quantized: Tensor = self.export_handler(weight, step, bits, signed, rounding)
        return quantized


class Learned(nn.Module, ABC):
    """What dense layers and convolutions have in common."""

    weight: nn.Parameter
    bias: nn.Parameter | None
    input_quant: LearnedQuantizer

    def _begin(
        self, size: tuple[int, ...], *, bias: bool, per: str, fraction: float, quantizer: LearnedQuantizer
    ) -> None:
        if per not in KINDS:
            raise QapError(f"bits per '{per}'", f"choose one of {', '.join(KINDS)}")
        self.per, self.input_quant, self.weight_quant = per, quantizer, WeightQuantizer()
        shape = {"weight": size, "channel": (size[0], *(1,) * (len(size) - 1)), "tensor": (1,) * len(size)}[per]
        self.weight = nn.Parameter(torch.empty(size))
        nn.init.kaiming_uniform_(self.weight, nonlinearity="relu")
        self.fraction = nn.Parameter(torch.full(shape, float(fraction)))
        if bias:
            self.bias = nn.Parameter(torch.zeros(size[0]))
            self.bias_fraction = nn.Parameter(torch.full((size[0],), float(fraction)))
        else:
            self.bias = None

    @property
    def quantized_weight(self) -> Tensor:
        """The weights as they are computed with, in their shape, with gradients."""
        fraction = _allowed(self.fraction)
        return pruned(self.weight, fraction) if self.per == "weight" else rounded(self.weight, fraction, 0.5)

    @property
    def quantized_bias(self) -> Tensor | None:
        """The bias as it is computed with (outputs,), None without one."""
        if self.bias is None:
            return None
        return rounded(self.bias, _allowed(self.bias_fraction), 0.5)

    @property
    def integers(self) -> Tensor:
        """The weights in units of their last bits, in their shape, without gradients."""
        return integers(self.weight, self.fraction)

    @property
    def bits(self) -> Tensor:
        """The bits of each weight without its sign, in the weights' shape, with gradients; 0 where it is pruned."""
        return _bits(self.integers, self.fraction)

    @property
    def is_priced(self) -> Tensor:
        """Whether a bit of each weight has a price, in the weights' shape.

        It has none where the weight is 0 and would be so with a little more than its bits.
        """
        if self.per != "weight":
            return self.integers != 0
        return ~is_gone(self.weight, _allowed(self.fraction))

    @property
    def bias_bits(self) -> Tensor:
        """The same of the bias (outputs,); zeros without one."""
        if self.bias is None:
            return self.weight.new_zeros(len(self.weight))
        return _bits(integers(self.bias, self.bias_fraction), self.bias_fraction)

    @property
    def input_bits(self) -> Tensor:
        """The bits of what each weight takes, in the weights' shape, with gradients."""
        return self.by_weight(self.input_quant.bits)

    @property
    def largest(self) -> Tensor:
        """The largest sum of each output that inputs can lead to (outputs,), without gradients."""
        with torch.no_grad():
            weight, bias = self.quantized_weight, self.quantized_bias
            low, high = map(self.by_weight, self.input_quant.ends)
            sums = (weight.clamp(min=0.0) * high + weight.clamp(max=0.0) * low).flatten(1).sum(dim=1)
            return sums if bias is None else sums + bias

    @abstractmethod
    def by_weight(self, values: Tensor) -> Tensor:
        """Return what each weight takes of `values` of the channels (channels,), in the weights' shape."""

    @abstractmethod
    def by_channel(self, used: Tensor) -> Tensor:
        """Return whether a weight that is `used`, in the weights' shape, takes each channel (channels,)."""

    def extra_repr(self) -> str:
        """Return what stands in a printed module."""
        return f"{', '.join(map(str, self.weight.shape))}, bits per {self.per}"

    def _operands(self) -> tuple[Tensor, Tensor | None]:
        """The weights and the bias that the layer computes with."""
        weight, bias = self.quantized_weight, self.quantized_bias
        if not torch.onnx.is_in_onnx_export():
            return weight, bias
        step = constant(torch.exp2(-_last(self.fraction)).expand_as(self.weight))
        bits = 1 + max(int(self.bits.max()), 1)
        exported: Tensor = self.weight_quant(constant(weight), step, bits, True, "ROUND")
        return exported, None if bias is None else constant(bias)


class LearnedLinear(Learned):
    """A dense layer with learned bits.

    Args:
        inputs: values that it takes.
        outputs: sums that it gives.
        bias: whether it has one, whose bits are learned, too.
        per: what has bits of its own: each 'weight', the weights of each output 'channel', or the 'tensor'.
        fraction: fractional bits of the weights to begin with.
        quantizer: of what it takes; by default unsigned, per channel, which is also a ReLU. Share one to quantize once
            what several layers take. One of fewer channels takes frames: (rows, channels, ...), flattened after it.

    Shape: (rows, inputs), or (rows, channels, ...) of as many values, to (rows, outputs).
    """

    def __init__(
        self, inputs: int, outputs: int, *, bias: bool = True, per: str = "weight", fraction: float = FRACTION,
        quantizer: LearnedQuantizer | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        given = LearnedQuantizer(inputs) if quantizer is None else quantizer
        if inputs < 1 or outputs < 1 or inputs % given.channels:
            raise QapError(f"{inputs} inputs of a quantizer of {given.channels} channels", "a whole number per channel")
        self._begin((outputs, inputs), bias=bias, per=per, fraction=fraction, quantizer=given)

    def forward(self, x: Tensor) -> Tensor:
        """Return the sums."""
        return functional.linear(self.input_quant(x).flatten(1), *self._operands())

    def by_weight(self, values: Tensor) -> Tensor:
        """Return what each weight takes of `values` of the channels (channels,), in the weights' shape."""
        outputs, inputs = self.weight.shape
        return values.repeat_interleave(inputs // self.input_quant.channels).expand(outputs, inputs)

    def by_channel(self, used: Tensor) -> Tensor:
        """Return whether a weight that is `used`, in the weights' shape, takes each channel (channels,)."""
        return used.any(dim=0).reshape(self.input_quant.channels, -1).any(dim=1)


class _LearnedConv(Learned):
    """A convolution of some dimensions; the arguments of its kernel are torch's."""

    convolve: Callable[..., Tensor]
    dimensions: int

    def __init__(
        self, inputs: int, outputs: int, kernel_size: int | tuple[int, ...], *, stride: Sizes = 1, padding: Sizes = 0,
        dilation: Sizes = 1, groups: int = 1, bias: bool = True, per: str = "weight", fraction: float = FRACTION,
        quantizer: LearnedQuantizer | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        kernel = (kernel_size,) * self.dimensions if isinstance(kernel_size, int) else tuple(kernel_size)
        if groups < 1 or inputs % groups or outputs % groups or len(kernel) != self.dimensions:
            raise QapError(f"{inputs} to {outputs} channels in {groups} groups, kernel {kernel}", "as torch takes them")
        self.options = (stride, padding, dilation, groups)
        given = LearnedQuantizer(inputs) if quantizer is None else quantizer
        if given.channels != inputs:
            raise QapError(f"{inputs} channels of a quantizer of {given.channels}", "as many as the layer takes")
        size = (outputs, inputs // groups, *kernel)
        self._begin(size, bias=bias, per=per, fraction=fraction, quantizer=given)

    def forward(self, x: Tensor) -> Tensor:
        """Return the sums."""
        return type(self).convolve(self.input_quant(x), *self._operands(), *self.options)

    def by_weight(self, values: Tensor) -> Tensor:
        """Return what each weight takes of `values` of the channels (channels,), in the weights' shape."""
        outputs, each, groups = *self.weight.shape[:2], self.options[3]
        grouped = values.reshape(groups, 1, each).expand(groups, outputs // groups, each)
        return grouped.reshape(outputs, each, *(1,) * self.dimensions).expand_as(self.weight)

    def by_channel(self, used: Tensor) -> Tensor:
        """Return whether a weight that is `used`, in the weights' shape, takes each channel (channels,)."""
        outputs, each, groups = *self.weight.shape[:2], self.options[3]
        return used.flatten(2).any(dim=2).reshape(groups, outputs // groups, each).any(dim=1).flatten()


class LearnedConv1d(_LearnedConv):
    """A one-dimensional convolution with learned bits; see `LearnedLinear`, and torch's Conv1d for its kernel."""

    convolve = staticmethod(functional.conv1d)
    dimensions = 1


class LearnedConv2d(_LearnedConv):
    """A two-dimensional convolution with learned bits; see `LearnedLinear`, and torch's Conv2d for its kernel."""

    convolve = staticmethod(functional.conv2d)
    dimensions = 2


def integers(values: Tensor, fraction: Tensor) -> Tensor:
    """Return `values` in units of their last bits, whole numbers without gradients."""
    return torch.floor(values.detach() * torch.exp2(_last(fraction)) + 0.5)


def _bits(values: Tensor, fraction: Tensor) -> Tensor:
    """The bits of whole numbers without the sign, 0 of 0, with the gradient of a further bit by `fraction`."""
    return torch.frexp(values.abs()).exponent + further(fraction) * (values != 0)


def further(fraction: Tensor) -> Tensor:
    """Return zeros in the shape of `fraction`, with the gradient of one further bit by it."""
    return fraction - fraction.detach()


def _allowed(fraction: Tensor) -> Tensor:
    return fraction.clamp(-FARTHEST, MOST_FRACTION)


def _last(fraction: Tensor) -> Tensor:
    return torch.round(_allowed(fraction.detach()))
