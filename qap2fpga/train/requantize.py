# SPDX-License-Identifier: Apache-2.0
"""One trained network made into another: with power-of-two scales and no batch norm, or quantized after training."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from qap2fpga.ir.quantizer import power_of_two_scale
from qap2fpga.train.network import EPSILON, Layer, Network, Shape
from qap2fpga.train.quantizers import ActivationQuantizer, PowerOfTwoActivationQuantizer, PowerOfTwoWeightQuantizer

# Training rows that ranges of activations are fitted to.
CALIBRATION_ROWS = 20000
# An activation's range is tried from the largest value down in this many steps, each a fourth of a power of two.
RANGES = 24


def merged(network: Network, x: Tensor, bias_bits: int | None) -> Network:
    """Return the network with batch norm merged into weights and biases, and powers of two for scales.

    The scale of each activation is the power of two that loses least on the quantized training rows `x`, with all
    layers before it in their new implementation. Activations round down there, so half a step is added to the biases.
    """
    shape = replace(network.shape, batch_norm=False, bias_bits=bias_bits)
    x = x[:CALIBRATION_ROWS]
    assert shape.weight_bits is not None
    assert shape.activation_bits is not None
    assert shape.input_scale is not None
    scales: list[float] = []
    affine = [_without_norm(layer) for layer in network.layers]
    for index, (weight, bias) in enumerate(affine[:-1]):
        quantized = PowerOfTwoWeightQuantizer(shape.weight_bits[index]).forward(weight)
        bits = shape.activation_bits[index]
        positive = torch.addmm(bias, x, quantized.t()).relu_()
        scales.append(power_of_two_scale(positive.cpu().numpy(), bits, signed=False))
        activation = PowerOfTwoActivationQuantizer(bits, torch.tensor(scales[-1], device=x.device))
        x = activation.forward(positive.add_(scales[-1] / 2))
    result = Network(replace(shape, activation_scales=tuple(scales)), str(network.parameters.device))
    for index, (layer, (weight, bias)) in enumerate(zip(result.layers, affine, strict=True)):
        layer.weight.copy_(weight)
        layer.bias.copy_(bias if index == len(scales) else bias + scales[index] / 2)
    result.mask = network.mask
    result.apply_mask()
    return result


def _without_norm(layer: Layer) -> tuple[Tensor, Tensor]:
    """Weights and biases that do what the layer and its batch norm do."""
    if layer.gamma is None:
        return layer.weight, layer.bias
    assert layer.mean is not None
    assert layer.variance is not None
    assert layer.beta is not None
    factor = layer.gamma / torch.sqrt(layer.variance + EPSILON)
    return layer.weight * factor[:, None], (layer.bias - layer.mean) * factor + layer.beta


def quantized(network: Network, shape: Shape, x: Tensor) -> Network:
    """Return the float `network` with the quantizers of `shape`, nothing learned: post-training quantization.

    The range of each activation is the one of least mean square error on the quantized training rows `x`, with all
    layers before it quantized.
    """
    result = Network(shape, str(network.parameters.device))
    for old, new in zip(network.layers, result.layers, strict=True):
        for name in ("weight", "bias", "gamma", "beta", "mean", "variance"):
            if getattr(old, name) is not None:
                getattr(new, name).copy_(getattr(old, name))
    result.mask = network.mask
    result.apply_mask()
    x = x[:CALIBRATION_ROWS]
    for layer in result.layers[:-1]:
        assert isinstance(layer.activation, ActivationQuantizer)
        layer.forward(x, training=False)
        _fit_range(layer.activation, layer.kept["state"])
        x = layer.forward(x, training=False)
    return result


def _fit_range(activation: ActivationQuantizer, x: Tensor) -> None:
    """Choose the exponent of `activation` for its inputs `x` (rows, neurons)."""
    positive = x.relu()
    top = float(torch.log2(positive.max().clamp_min(1e-6)))
    errors = []
    candidates = [top - step / 4 for step in range(RANGES)]
    for candidate in candidates:
        activation.exponent.fill_(candidate)
        errors.append(float((activation.forward(x) - positive).square().mean()))
    activation.exponent.fill_(candidates[int(np.argmin(errors))])
