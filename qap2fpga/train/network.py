# SPDX-License-Identifier: Apache-2.0
"""The dense networks to train: quantized with Brevitas as in the paper, and the float baseline of that shape.

Quantizers as in Hawks et al. 2021, section 3 ("Ps and Qs", arXiv:2102.11289): weights are symmetric
integers, without the lowest code, scaled so that the largest |weight| of a layer is the largest integer;
activations are unsigned integers whose range is learned in the log domain from 6.0. New here is the input
quantizer: the paper feeds floats, hardware gets integers, and the network is trained with these.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import brevitas.nn as qnn
import numpy as np
import torch
from brevitas.core.restrict_val import RestrictValueType
from brevitas.core.scaling import ScalingImplType
from brevitas.quant import Int8ActPerTensorFloat, Int8WeightPerTensorFloat, Uint8ActPerTensorFloat
from numpy.typing import NDArray
from torch import nn
from torch.nn.utils.prune import BasePruningMethod

# Where the learned range of an activation starts, the 6 of ReLU6.
ACTIVATION_RANGE = 6.0


def float_network(sizes: Sequence[int], batch_norm: bool) -> nn.Sequential:
    """The baseline: `sizes` = (inputs, hidden..., outputs), the same layers and names, nothing quantized."""
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for i, (fan_in, fan_out) in enumerate(pairwise(sizes), 1):
        layers[f"fc{i}"] = nn.Linear(fan_in, fan_out)
        if i < len(sizes) - 1:
            if batch_norm:
                layers[f"bn{i}"] = nn.BatchNorm1d(fan_out)
            layers[f"act{i}"] = nn.ReLU()
    return nn.Sequential(layers)


def quantized_network(
    sizes: Sequence[int],
    weight_bits: int,
    activation_bits: int,
    input_bits: int,
    input_scale: float,
    batch_norm: bool,
) -> nn.Sequential:
    """`input`, then `fc1`, `bn1`, `act1`, ... and a last `fcN` that gives logits.

    Args:
        sizes: (inputs, hidden..., outputs).
        input_scale: value of one step of the signed input integers, see `qap2fpga.data.power_of_two_scale`.
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    layers["input"] = _input_quantizer(input_bits, input_scale)
    for i, (fan_in, fan_out) in enumerate(pairwise(sizes), 1):
        layers[f"fc{i}"] = qnn.QuantLinear(
            fan_in, fan_out, bias=True, weight_quant=Int8WeightPerTensorFloat, weight_bit_width=weight_bits
        )
        if i < len(sizes) - 1:
            if batch_norm:
                layers[f"bn{i}"] = nn.BatchNorm1d(fan_out)
            layers[f"act{i}"] = qnn.QuantReLU(
                act_quant=Uint8ActPerTensorFloat,
                bit_width=activation_bits,
                scaling_impl_type=ScalingImplType.PARAMETER,
                scaling_init=ACTIVATION_RANGE,
                restrict_scaling_type=RestrictValueType.LOG_FP,
            )
    return nn.Sequential(layers)


def dense_layers(network: nn.Module) -> Iterator[tuple[str, nn.Linear]]:
    """Name and module of each dense layer, quantized or not, in order."""
    return ((name, layer) for name, layer in network.named_modules() if isinstance(layer, nn.Linear))


@torch.no_grad()
def integer_weights(layer: nn.Linear) -> NDArray[np.int64]:
    """The integers, (outputs, inputs), that a quantized dense layer really multiplies with."""
    # Under torch.nn.utils.prune `weight` is what the last forward pass computed: compute it anew.
    for hook in layer._forward_pre_hooks.values():
        if isinstance(hook, BasePruningMethod):
            hook(layer, ())
    quantized: Any = layer.quant_weight()  # type: ignore[operator]
    return np.asarray(quantized.int(float_datatype=False).numpy(), np.int64)


def _input_quantizer(bits: int, scale: float) -> nn.Module:
    """Signed integers of a fixed power-of-two scale: on hardware, a shift.

    Constant, not a frozen parameter: Brevitas makes parameters anew, free to learn, when a state is loaded.
    """
    quantizer: nn.Module = qnn.QuantIdentity(
        act_quant=Int8ActPerTensorFloat,
        bit_width=bits,
        scaling_impl_type=ScalingImplType.CONST,
        scaling_init=scale * (1 << bits - 1),
        restrict_scaling_type=RestrictValueType.POWER_OF_TWO,
    )
    return quantizer
