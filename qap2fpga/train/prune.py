# SPDX-License-Identifier: Apache-2.0
"""Magnitude pruning of the dense weights, all layers ranked together (Hawks et al. 2021, section 3).

Masks are those of `torch.nn.utils.prune`: they are applied before every forward pass, so a pruned weight
takes part in none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import nn
from torch.nn.utils import prune

from qap2fpga.train.network import dense_layers, integer_weights


def steps(sparsity: float, count: int) -> Sequence[float]:
    """Sparsities to go through, `sparsity` last: each step takes the same share of the weights left."""
    if sparsity == 0:
        return []
    return [*(1 - (1 - sparsity) ** (i / count) for i in range(1, count)), sparsity]


@torch.no_grad()
def prune_to(network: nn.Module, sparsity: float, report: Callable[[str], None]) -> None:
    """Mask the smallest weights until at least `sparsity` of all dense weights are masked.

    What is masked stays masked. The largest weight of a layer is never taken: with it would go the layer, and
    all the network's knowledge of its input. `report` hears of a layer that was protected so.
    """
    layers = list(dense_layers(network))
    magnitudes = [_weight(layer).abs() * _mask(layer) for _, layer in layers]
    total = sum(m.numel() for m in magnitudes)
    # The small guard keeps 0.8 * 5 from becoming 5 weights when it is 4.000000001.
    wanted = int(-(-(sparsity * total - 1e-6) // 1))
    plain = torch.cat([m.flatten() for m in magnitudes])
    guarded = torch.cat([_guarded(m) for m in magnitudes])
    wanted = min(wanted, total - len(layers))
    # A stable sort: equal magnitudes fall in the same order on every run.
    doomed = torch.argsort(guarded, stable=True)[:wanted]
    keep = torch.ones(total, dtype=torch.bool)
    keep[doomed] = False
    plainly_doomed = torch.zeros(total, dtype=torch.bool)
    plainly_doomed[torch.argsort(plain, stable=True)[:wanted]] = True
    start = 0
    for (name, layer), magnitude in zip(layers, magnitudes, strict=True):
        end = start + magnitude.numel()
        if plainly_doomed[start:end].all():
            report(f"{name} would have lost all its weights: its largest one is kept")
        _apply(layer, keep[start:end].view_as(magnitude))
        start = end


def mask_sparsity(network: nn.Module) -> float:
    """Share of the dense weights that are masked."""
    masks = [_mask(layer) for _, layer in dense_layers(network)]
    return 1 - sum(float(mask.sum()) for mask in masks) / sum(mask.numel() for mask in masks)


def integer_sparsity(network: nn.Module) -> tuple[float, dict[str, float]]:
    """Share of the integer weights that are zero, overall and by layer: masked, or rounded to nothing."""
    weights = {name: integer_weights(layer) for name, layer in dense_layers(network)}
    zeros = {name: int((values == 0).sum()) for name, values in weights.items()}
    overall = sum(zeros.values()) / sum(values.size for values in weights.values())
    return overall, {name: zeros[name] / values.size for name, values in weights.items()}


def _apply(layer: nn.Linear, keep: torch.Tensor) -> None:
    prune.custom_from_mask(layer, "weight", keep.to(torch.float32))  # type: ignore[no-untyped-call]
    # What is hidden is also forgotten: the stored weight could otherwise outgrow those in use.
    _weight(layer).mul_(_mask(layer))


def _guarded(magnitude: torch.Tensor) -> torch.Tensor:
    """Flat magnitudes, the largest of the layer made infinite."""
    flat = magnitude.flatten().clone()
    flat[flat.argmax()] = torch.inf
    return flat


def _weight(layer: nn.Linear) -> torch.Tensor:
    """The stored weights, of a layer that is pruned or not."""
    stored = layer.weight_orig if prune.is_pruned(layer) else layer.weight
    assert isinstance(stored, torch.Tensor)
    return stored


def _mask(layer: nn.Linear) -> torch.Tensor:
    """Ones where a weight is in use."""
    mask = layer.weight_mask if prune.is_pruned(layer) else torch.ones_like(layer.weight)
    assert isinstance(mask, torch.Tensor)
    return mask
