# SPDX-License-Identifier: Apache-2.0
"""Networks of growing size: Brevitas modules with drawn weights, pruned output by output, saved as a `model.pt`."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import brevitas.nn as qnn
import torch
from brevitas.core.scaling import ScalingImplType
from brevitas.quant import Int8WeightPerTensorFloat, Uint8ActPerTensorFixedPoint, Uint8ActPerTensorFloat
from torch import Tensor, nn
from torch.nn.utils import prune

import qap2fpga

SEED, ROWS, FRAMES, CLASSES, PIXEL_BITS, CHANNELS = 2021, 1000, 64, 5, 8, 4


def chain(widths: tuple[int, ...], bits: int, zeros: float, path: Path, seed: int = SEED) -> None:
    """Write dense layers of these widths to `path`."""
    torch.manual_seed(seed)
    layers: list[nn.Module] = [pixels()]
    for before, after in pairwise(widths):
        # Without the norms a deep network of drawn weights is soon a constant.
        layers += [weighted(qnn.QuantLinear, before, after, bits), nn.BatchNorm1d(after), relu(bits)]
    _save(nn.Sequential(*layers[:-2]), torch.rand(ROWS, widths[0]), zeros, path)


def images(side: int, bits: int, zeros: float, path: Path) -> None:
    """Write two convolutions over `side` x `side` pixels, pools, and a dense layer to `path`.

    The last pool takes all that is left, so the weights are the same for every size.
    """
    torch.manual_seed(SEED)
    network = nn.Sequential(
        pixels(),
        weighted(qnn.QuantConv2d, 1, CHANNELS, bits, kernel_size=3, padding=1),
        nn.BatchNorm2d(CHANNELS), relu(bits), nn.MaxPool2d(2),
        weighted(qnn.QuantConv2d, CHANNELS, CHANNELS, bits, kernel_size=3, padding=1),
        nn.BatchNorm2d(CHANNELS), relu(bits), nn.MaxPool2d(side // 2), nn.Flatten(),
        weighted(qnn.QuantLinear, CHANNELS, CLASSES, bits),
    )  # fmt: skip
    _save(network, torch.rand(FRAMES, 1, side, side), zeros, path)


def cnv(channels: int, bits: int, path: Path) -> None:
    """Write a network of CNV's shape, whose first convolutions have so many `channels` (64 in CNV), to `path`."""
    torch.manual_seed(SEED)
    layers: list[nn.Module] = [pixels()]
    before = 3
    for factor in (1, 2, 4):
        for _ in range(2):
            after = factor * channels
            layers += [weighted(qnn.QuantConv2d, before, after, bits, kernel_size=3), nn.BatchNorm2d(after), relu(bits)]
            before = after
        layers += [nn.MaxPool2d(2)] if factor < 4 else [nn.Flatten()]
    for after in (8 * channels, 8 * channels):
        layers += [weighted(qnn.QuantLinear, before, after, bits), nn.BatchNorm1d(after), relu(bits)]
        before = after
    network = nn.Sequential(*layers, weighted(qnn.QuantLinear, before, 2 * CLASSES, bits))
    _save(network, torch.rand(FRAMES // 4, 3, 32, 32), 0.0, path)


def pixels() -> nn.Module:
    """Return the quantizer of inputs from 0 to 1."""
    return qnn.QuantIdentity(
        act_quant=Uint8ActPerTensorFixedPoint, bit_width=PIXEL_BITS, scaling_impl_type=ScalingImplType.CONST,
        scaling_init=1.0,
    )  # fmt: skip


def weighted(kind: Any, before: int, after: int, bits: int, **more: int) -> nn.Module:
    """Return a layer with weights of `bits` bits."""
    layer: nn.Module = kind(
        before, after, bias=False, weight_quant=Int8WeightPerTensorFloat, weight_bit_width=bits, **more
    )
    return layer


def relu(bits: int) -> nn.Module:
    """Return a quantizer whose scale is found on what comes first."""
    layer: nn.Module = qnn.QuantReLU(act_quant=Uint8ActPerTensorFloat, bit_width=bits)
    return layer


def _kept(weights: Tensor, zeros: float) -> Tensor:
    """Return 1 at the largest weights of each output: pruned over all of them, a deep network loses its neurons."""
    rows = weights.abs().flatten(1)
    count = max(1, round((1 - zeros) * rows.shape[1]))
    mask = torch.zeros_like(rows).scatter_(1, rows.topk(count, dim=1).indices, 1.0)
    return mask.reshape(weights.shape)


def _save(network: nn.Module, rows: Tensor, zeros: float, path: Path) -> None:
    for layer in network.modules():
        if zeros and isinstance(layer, (qnn.QuantLinear, qnn.QuantConv2d)):
            prune.custom_from_mask(layer, "weight", _kept(layer.weight.detach(), zeros))
    network.train()
    with torch.no_grad():
        for _ in range(20):  # what ReLUs see settles their scales
            network(rows)
    network.eval()
    qap2fpga.save(network, rows, path)
