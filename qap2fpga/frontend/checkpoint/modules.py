# SPDX-License-Identifier: Apache-2.0
"""A Brevitas module of a `Model`, with the same integers.

It has constant scales, exactly the stored ones: Brevitas divides a quantizer's threshold by the largest integer to get
its scale, which in float32 does not always give the scale back, so that divisor is 1.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from qap2fpga.system.quiet import quiet

with quiet():
    import brevitas.nn as qnn
    from brevitas.core.utils import SingleArgStatelessBuffer
    from brevitas.core.zero_point import ZeroZeroPoint
    from brevitas.inject.enum import BitWidthImplType, FloatToIntImplType, QuantType, RestrictValueType, ScalingImplType
    from brevitas.quant import SignedBinaryActPerTensorConst, SignedBinaryWeightPerTensorConst
    from brevitas.quant.solver import ActQuantSolver, WeightQuantSolver

from qap2fpga.frontend.checkpoint.spec import Model, Op, QuantSpec
from qap2fpga.system import names

if TYPE_CHECKING:
    from brevitas.inject import ExtendedInjector


class ConstZeroPoint(nn.Module):
    """A zero point that does not depend on the data."""

    value: Tensor

    def __init__(self, value: int) -> None:
        super().__init__()
        self.register_buffer("value", torch.tensor(float(value)), persistent=False)

    def forward(self, _x: Tensor, _scale: Tensor, _bit_width: Tensor) -> Tensor:
        """Return the zero point."""
        return self.value


def build(model: Model) -> nn.Sequential:
    """Return a Brevitas module in eval mode that computes `model`, a layer an operation.

    torch writes the names of layers into source that it executes, so they are our own.
    """
    layers = OrderedDict((names.layer(index), _layer(op)) for index, op in enumerate(model.ops))
    return nn.Sequential(layers).eval()


def _layer(op: Op) -> nn.Module:
    if op.kind == "dense":
        assert op.quantizer is not None
        outputs, inputs = op.tensors["weight"].shape
        layer: nn.Module = qnn.QuantLinear(
            inputs, outputs, bias="bias" in op.tensors, weight_quant=_weight_injector(op.quantizer)
        )
        _fill(layer, op.tensors)
        return layer
    if op.kind == "batch_norm":
        norm = nn.BatchNorm1d(len(op.tensors["weight"]), eps=op.epsilon)
        _fill(norm, op.tensors)
        return norm
    if op.quantizer is None:
        return nn.ReLU() if op.kind == "relu" else nn.Hardtanh()
    kind = {"relu": qnn.QuantReLU, "hard_tanh": qnn.QuantHardTanh}.get(op.kind, qnn.QuantIdentity)
    activation: nn.Module = kind(act_quant=_activation_injector(op.quantizer))
    return activation


def _fill(layer: nn.Module, tensors: dict[str, np.ndarray]) -> None:
    with torch.no_grad():
        for key, values in tensors.items():
            getattr(layer, key).copy_(torch.from_numpy(values))


def _injector(
    base: type[ExtendedInjector], quantizer: QuantSpec, scale: Tensor, **more: float
) -> type[ExtendedInjector]:
    zero_point = ZeroZeroPoint() if quantizer.zero_point == 0 else ConstZeroPoint(quantizer.zero_point)
    return base.let(
        quant_type=QuantType.INT,
        bit_width_impl_type=BitWidthImplType.CONST,
        float_to_int_impl_type=FloatToIntImplType[quantizer.rounding],
        scaling_impl_type=ScalingImplType.CONST,
        restrict_scaling_type=RestrictValueType.FP,
        scaling_per_output_channel=False,
        int_scaling_impl=SingleArgStatelessBuffer(1.0),
        zero_point_impl=zero_point,
        bit_width=quantizer.bits,
        signed=quantizer.signed,
        narrow_range=quantizer.narrow,
        scaling_init=scale,
        **more,
    )


def _weight_injector(quantizer: QuantSpec) -> type[ExtendedInjector]:
    scale = torch.from_numpy(quantizer.scale.reshape(-1, 1) if quantizer.scale.ndim else quantizer.scale)
    if quantizer.bits == 1:
        return SignedBinaryWeightPerTensorConst.let(scaling_impl_type=ScalingImplType.CONST, scaling_init=scale)
    return _injector(WeightQuantSolver, quantizer, scale)


def _activation_injector(quantizer: QuantSpec) -> type[ExtendedInjector]:
    scale = torch.from_numpy(np.asarray(quantizer.scale))
    limit = float(quantizer.scale.max())
    if quantizer.bits == 1:
        return SignedBinaryActPerTensorConst.let(
            scaling_impl_type=ScalingImplType.CONST, scaling_init=scale, min_val=-limit, max_val=limit
        )
    # min_val and max_val only serve to initialise scales, which are constant here.
    return _injector(ActQuantSolver, quantizer, scale, min_val=-limit, max_val=limit)
