# SPDX-License-Identifier: Apache-2.0
"""The networks that `qap2fpga.train` learns, made of Brevitas modules: what its own arithmetic is compared with."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from itertools import pairwise

import brevitas.nn as qnn
import torch
from brevitas.core.restrict_val import RestrictValueType
from brevitas.core.scaling import ScalingImplType
from brevitas.quant import Int8ActPerTensorFloat, Int8WeightPerTensorFloat, Uint8ActPerTensorFloat
from torch import nn


def float_network(sizes: Sequence[int], batch_norm: bool) -> nn.Sequential:
    """`sizes` = (inputs, hidden..., outputs); nothing quantized."""
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
    weight_bits: Sequence[int],
    activation_bits: Sequence[int],
    input_scale: float,
    batch_norm: bool,
) -> nn.Sequential:
    """8-bit `input`, then `fc1`, `bn1`, `act1`, ... and a last `fcN`: the quantizers of Hawks et al. 2021."""
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    layers["input"] = qnn.QuantIdentity(
        act_quant=Int8ActPerTensorFloat,
        bit_width=8,
        scaling_impl_type=ScalingImplType.CONST,
        scaling_init=input_scale * 128,
        restrict_scaling_type=RestrictValueType.POWER_OF_TWO,
    )
    for i, (fan_in, fan_out) in enumerate(pairwise(sizes), 1):
        layers[f"fc{i}"] = qnn.QuantLinear(
            fan_in, fan_out, bias=True, weight_quant=Int8WeightPerTensorFloat, weight_bit_width=weight_bits[i - 1]
        )
        if i < len(sizes) - 1:
            if batch_norm:
                layers[f"bn{i}"] = nn.BatchNorm1d(fan_out)
            layers[f"act{i}"] = qnn.QuantReLU(
                act_quant=Uint8ActPerTensorFloat,
                bit_width=activation_bits[i - 1],
                scaling_impl_type=ScalingImplType.PARAMETER,
                scaling_init=6.0,
                restrict_scaling_type=RestrictValueType.LOG_FP,
            )
    return nn.Sequential(layers)


def learned(network: nn.Sequential) -> list[torch.Tensor]:
    """Parameters and running statistics, layer by layer: weight, bias, then batch norm's, then the learned scale."""
    results: list[torch.Tensor] = []
    for module in network:
        if isinstance(module, nn.Linear):
            results += [module.weight_orig if hasattr(module, "weight_orig") else module.weight, module.bias]
        elif isinstance(module, nn.BatchNorm1d):
            results += [module.weight, module.bias, module.running_mean, module.running_var]
        elif isinstance(module, qnn.QuantReLU):
            results.append(module.act_quant.fused_activation_quant_proxy.tensor_quant.scaling_impl.value)
    return [tensor.detach() for tensor in results]
