# SPDX-License-Identifier: Apache-2.0
"""The dense network that is trained: dense layers, batch norm, activations, with forward and backward pass by hand.

All parameters lie in one flat vector, and so do their gradients, masks and Adam's moments: a step of training is a
few operations on whole vectors, a copy of the network is a copy of two tensors. Values and gradients are bit for bit
those of the same network of Brevitas modules under autograd (`tests/unit/train/test_network.py`), at a quarter of the
time.

Inputs come quantized: the input quantizer is constant, so the data pass it once, before the training.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from qap2fpga.train.quantizers import (
    ACTIVATION_RANGE,
    ActivationQuantizer,
    GridQuantizer,
    PowerOfTwoActivationQuantizer,
    PowerOfTwoWeightQuantizer,
    Relu,
    WeightQuantizer,
)

MOMENTUM, EPSILON = 0.1, 1e-5
# Rows a pass when nothing is learned.
EVALUATION_BATCH = 8192
_norm, _norm_backward = torch.ops.aten.native_batch_norm, torch.ops.aten.native_batch_norm_backward


@dataclass(frozen=True)
class Shape:
    """What a network is made of; nothing of it is learned.

    sizes: (inputs, hidden..., outputs).
    weight_bits, activation_bits: one per layer; None in a float network.
    bias_bits: None leaves biases floats, or, with power-of-two scales, on the accumulators' grid.
    input_bits, input_scale: of the signed input integers; None in a float network.
    activation_scales: the constant power-of-two scale of each activation; empty: scales are learned. With them
        weights have power-of-two scales, too.
    """

    sizes: tuple[int, ...]
    weight_bits: tuple[int, ...] | None
    activation_bits: tuple[int, ...] | None
    bias_bits: int | None
    input_bits: int | None
    input_scale: float | None
    batch_norm: bool
    activation_scales: tuple[float, ...] = ()

    @property
    def power_of_two(self) -> bool:
        """Whether all scales are powers of two."""
        return bool(self.activation_scales)

    @property
    def layers(self) -> int:
        """How many dense layers there are."""
        return len(self.sizes) - 1


@dataclass
class Layer:
    """One dense layer with what follows it. Tensors are views of the network's flat ones; `d_` are gradients.

    gamma, beta, mean, variance: of batch norm, None without.
    activation: None after the last layer.
    """

    weight: Tensor
    bias: Tensor
    d_weight: Tensor
    d_bias: Tensor
    quantizer: WeightQuantizer | PowerOfTwoWeightQuantizer | None = None
    bias_quantizer: WeightQuantizer | GridQuantizer | None = None
    gamma: Tensor | None = None
    beta: Tensor | None = None
    d_gamma: Tensor | None = None
    d_beta: Tensor | None = None
    mean: Tensor | None = None
    variance: Tensor | None = None
    activation: ActivationQuantizer | PowerOfTwoActivationQuantizer | Relu | None = None
    kept: dict[str, Any] = field(default_factory=dict)

    def values(self) -> tuple[Tensor, Tensor]:
        """Weights (outputs, inputs) and biases (outputs,) as the layer uses them: quantized, if they are."""
        weight = self.weight if self.quantizer is None else self.quantizer.forward(self.weight)
        if isinstance(self.bias_quantizer, GridQuantizer):
            assert isinstance(self.quantizer, PowerOfTwoWeightQuantizer)
            return weight, self.bias_quantizer.forward(self.bias, self.quantizer.scale.flatten())
        return weight, self.bias if self.bias_quantizer is None else self.bias_quantizer.forward(self.bias)

    def forward(self, x: Tensor, training: bool) -> Tensor:
        """Return what leaves the layer for inputs (rows, inputs)."""
        weight, bias = self.values()
        dense = normed = torch.addmm(bias, x, weight.t())
        self.kept = {"x": x, "weight": weight, "dense": dense}
        if self.gamma is not None:
            normed, *statistics = _norm(
                dense, self.gamma, self.beta, self.mean, self.variance, training, MOMENTUM, EPSILON
            )
            self.kept["statistics"] = statistics
        self.kept["state"] = normed
        return normed if self.activation is None else self.activation.forward(normed)

    def backward(self, gradient: Tensor, first: bool) -> Tensor | None:
        """Add to the parameters' gradients; the gradient of the inputs, which nobody needs of the first layer."""
        if self.activation is not None:
            gradient = self.activation.backward(gradient)
        if self.gamma is not None:
            assert self.d_gamma is not None
            assert self.d_beta is not None
            gradient, d_gamma, d_beta = _norm_backward(
                gradient, self.kept["dense"], self.gamma, self.mean, self.variance, *self.kept["statistics"], True,
                EPSILON, [True, True, True],
            )  # fmt: skip
            self.d_gamma.add_(d_gamma)
            self.d_beta.add_(d_beta)
        d_bias = gradient.sum(0)
        if isinstance(self.bias_quantizer, WeightQuantizer):
            self.bias_quantizer.backward(self.bias, d_bias, self.d_bias)
        else:
            self.d_bias.add_(d_bias)
        d_weight = gradient.t() @ self.kept["x"]
        if self.quantizer is None:
            self.d_weight.add_(d_weight)
        else:
            self.quantizer.backward(self.weight, d_weight, self.d_weight)
        return None if first else gradient @ self.kept["weight"]


class Network:
    """A chain of `Layer`s over flat tensors.

    parameters: all weights first, then everything else that is learned; `gradient` has the same layout.
    statistics: running means and variances of batch norm.
    mask: ones where a weight is in use, over the weights; None while nothing is pruned.
    late_mask: the mistake of the paper's code that masks after the forward pass.
    """

    def __init__(self, shape: Shape, device: str = "cpu") -> None:
        self.shape = shape
        sizes = list(pairwise(shape.sizes))
        self.weight_count = sum(n * m for n, m in sizes)
        hidden = sum(shape.sizes[1:-1])
        learned_scales = shape.layers - 1 if shape.activation_bits is not None and not shape.power_of_two else 0
        count = self.weight_count + sum(shape.sizes[1:]) + (2 * hidden if shape.batch_norm else 0) + learned_scales
        self.parameters = torch.zeros(count, device=device)
        self.gradient = torch.zeros(count, device=device)
        self.statistics = torch.zeros(2 * hidden if shape.batch_norm else 0, device=device)
        self.mask: Tensor | None = None
        self.late_mask = False
        self.layers: list[Layer] = []
        self._lay_out(sizes)

    def _lay_out(self, sizes: list[tuple[int, int]]) -> None:
        """Make the layers' views."""
        shape, parameters, statistics = self.shape, _Cutter(self.parameters, self.gradient), _Cutter(self.statistics)
        weights = [parameters.cut(m, n) for n, m in sizes]
        for index, ((_, outputs), (weight, d_weight)) in enumerate(zip(sizes, weights, strict=True)):
            bias, d_bias = parameters.cut(outputs)
            layer = Layer(weight, bias, d_weight, d_bias)
            last = index == len(sizes) - 1
            if shape.batch_norm and not last:
                layer.gamma, layer.d_gamma = parameters.cut(outputs)
                layer.beta, layer.d_beta = parameters.cut(outputs)
                (layer.mean,), (layer.variance,) = statistics.cut(outputs), statistics.cut(outputs)
            self._quantize(layer, index)
            if not last:
                layer.activation = self._activation(index, parameters)
            self.layers.append(layer)

    def _quantize(self, layer: Layer, index: int) -> None:
        shape = self.shape
        if shape.weight_bits is None:
            return
        bits = shape.weight_bits[index]
        if not shape.power_of_two:
            layer.quantizer = WeightQuantizer(bits)
            layer.bias_quantizer = None if shape.bias_bits is None else WeightQuantizer(shape.bias_bits)
            return
        assert shape.input_scale is not None
        layer.quantizer = PowerOfTwoWeightQuantizer(bits)
        entering = (shape.input_scale, *shape.activation_scales)[index]
        layer.bias_quantizer = GridQuantizer(shape.bias_bits, entering)

    def _activation(
        self, index: int, parameters: _Cutter
    ) -> ActivationQuantizer | PowerOfTwoActivationQuantizer | Relu:
        shape = self.shape
        if shape.activation_bits is None:
            return Relu()
        bits = shape.activation_bits[index]
        if shape.power_of_two:
            scale = torch.tensor(shape.activation_scales[index], device=self.parameters.device)
            return PowerOfTwoActivationQuantizer(bits, scale)
        exponent, d_exponent = parameters.cut(1)
        return ActivationQuantizer(bits, exponent.view(()), d_exponent.view(()))

    def initialise(self) -> None:
        """Fill the parameters as `torch.nn.Linear` and `BatchNorm1d` do, with torch's own random numbers."""
        for layer, (inputs, outputs) in zip(self.layers, pairwise(self.shape.sizes), strict=True):
            drawn = nn.Linear(inputs, outputs)
            layer.weight.copy_(drawn.weight.detach())
            layer.bias.copy_(drawn.bias.detach())
            if layer.gamma is not None:
                layer.gamma.fill_(1.0)
            if layer.variance is not None:
                layer.variance.fill_(1.0)
            if isinstance(layer.activation, ActivationQuantizer):
                layer.activation.exponent.copy_(torch.log2(torch.tensor(ACTIVATION_RANGE)))

    @property
    def weights(self) -> Tensor:
        """All weights, flat: a view."""
        return self.parameters[: self.weight_count]

    def apply_mask(self) -> None:
        """Set every pruned weight to zero."""
        if self.mask is not None:
            # The sum makes a zero of every negative zero, as a user who looks at the weights expects.
            self.weights.mul_(self.mask).add_(0.0)

    def forward(self, x: Tensor, training: bool) -> Tensor:
        """Logits (rows, classes) of quantized inputs (rows, features)."""
        if not self.late_mask:
            self.apply_mask()
        for layer in self.layers:
            x = layer.forward(x, training)
        if self.late_mask:
            self.apply_mask()
        return x

    def backward(self, gradient: Tensor | None) -> None:
        """Add the gradient of every parameter, given that of the last forward pass's logits, to `gradient`."""
        for index, layer in reversed(list(enumerate(self.layers))):
            assert gradient is not None
            gradient = layer.backward(gradient, first=index == 0)
        if self.mask is not None and not self.late_mask:
            self.gradient[: self.weight_count].mul_(self.mask)

    def batches(self, *rows: Tensor) -> Iterator[tuple[Tensor, ...]]:
        """Logits of the first of the tensors `rows`, nothing learned, with the same rows of the others, in parts."""
        for x, *others in zip(*(torch.split(part, EVALUATION_BATCH) for part in rows), strict=True):
            yield self.forward(x, training=False), *others

    def logits(self, x: Tensor) -> Tensor:
        """Logits of any number of rows, nothing learned."""
        return torch.cat([logits for (logits,) in self.batches(x)])

    def states(self, x: Tensor) -> dict[str, Tensor]:
        """Which neurons are on, (rows, neurons) booleans by layer: what enters the activation, or the logit, is > 0."""
        names = [*(f"act{number}" for number in range(1, len(self.layers))), f"fc{len(self.layers)}"]
        batches: dict[str, list[Tensor]] = {name: [] for name in names}
        for part in torch.split(x, EVALUATION_BATCH):
            self.forward(part, training=False)
            for name, layer in zip(names, self.layers, strict=True):
                batches[name].append(layer.kept["state"] > 0)
        return {name: torch.cat(parts) for name, parts in batches.items()}

    def on_cpu(self) -> Network:
        """This network if it is on the CPU, else a copy there."""
        if self.parameters.device.type == "cpu":
            return self
        copy = Network(self.shape)
        copy.restore(self.save())
        copy.mask = None if self.mask is None else self.mask.cpu()
        return copy

    def save(self) -> dict[str, Tensor]:
        """Return a true copy of all that is learned and counted."""
        return {"parameters": self.parameters.clone(), "statistics": self.statistics.clone()}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Take back what `save` gave."""
        self.parameters.copy_(state["parameters"])
        self.statistics.copy_(state["statistics"])


class _Cutter:
    """Hands out views of flat tensors of one layout, one after the other."""

    def __init__(self, *flat: Tensor) -> None:
        self.flat = flat
        self.at = 0

    def cut(self, *sizes: int) -> tuple[Tensor, ...]:
        """Return the next view of that shape of each tensor."""
        start = self.at
        self.at += torch.Size(sizes).numel()
        return tuple(one[start : self.at].view(sizes) for one in self.flat)
