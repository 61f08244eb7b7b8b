# SPDX-License-Identifier: Apache-2.0
"""Among which weights the smallest are looked for.

- global: all layers' weights together (Hawks et al. 2021, section 3). A layer that would be emptied keeps its largest.
- layer: each layer's weights alone.
- channel: the weights of each output channel, or neuron, alone, so all keep the same number.
- whole_channel: whole output channels of each layer, by their mean square. Name the layers: the last one's outputs
  are the network's results.
- n_of_m: `size` = M consecutive inputs of an output channel; each such group keeps the same number N.
- balanced: a folded layer reads `size` inputs at a time, one per lane; what one lane reads for one output keeps the
  same number of weights in all lanes, so that none waits for another.

Inputs of a convolution are ordered as hardware reads them: position by position of the kernel, all channels of each.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import torch
from torch import Tensor

from qap2fpga.qap.ranking import all_but_smallest, all_but_smallest_of_layers, count_of
from qap2fpga.system.errors import QapError

SIZED = {"n_of_m": "weights in a group, M", "balanced": "inputs that are read at a time, lanes"}
SCOPES = ("global", "layer", "channel", "whole_channel", *SIZED)


def check(scope: str, size: int | None, fractions: tuple[float, ...], shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Raise `QapError` where a fraction does not fit a layer, before anything is trained."""
    largest = max(fractions)
    if scope == "global":
        total = sum(torch.Size(shape).numel() for shape in shapes.values())
        if count_of(largest, total) > total - len(shapes):
            raise QapError(f"fraction {largest} leaves less than one weight per layer", "end on a smaller fraction")
        return
    for name, shape in shapes.items():
        inputs = torch.Size(shape[1:]).numel()
        if size is not None and inputs % size:
            raise QapError(
                f"{name} has {inputs} inputs, which {size} does not divide", "choose another size, or layers"
            )
        weights, part = {
            "layer": (shape[0] * inputs, "the layer"),
            "channel": (inputs, "each channel"),
            "whole_channel": (shape[0], "the layer"),
            "n_of_m": (size or 1, "each group"),
            "balanced": (inputs // (size or 1), "each lane"),
        }[scope]
        if count_of(largest, weights) >= weights:
            raise QapError(f"fraction {largest} leaves {part} of {name} empty", "end on a smaller fraction")
        for fraction in fractions if scope == "n_of_m" else ():
            if abs(fraction * weights - round(fraction * weights)) > 1e-6:
                raise QapError(f"fraction {fraction} of groups of {weights} is no whole number of weights")


def kept_weights(
    weights: Mapping[str, Tensor], kept: Mapping[str, Tensor], scope: str, size: int | None, fraction: float
) -> dict[str, Tensor]:
    """Return which weights stay, boolean, of the weights' shapes, when `fraction` of them are masked.

    What is not in `kept` today is not in the result. Raises `QapError` for weights that are not finite.
    """
    magnitudes = {}
    for name, weight in weights.items():
        if not torch.isfinite(weight).all():
            raise QapError(f"{name} has weights that are not finite", "pruning stopped before it changed anything")
        # Below zero: what is masked is smaller than any weight, also one that happens to be zero.
        magnitudes[name] = torch.where(kept[name].cpu(), weight.detach().cpu().float().abs(), -1.0)
    if scope == "global":
        total = sum(one.numel() for one in magnitudes.values())
        flat = [one.flatten() for one in magnitudes.values()]
        parts, emptied = all_but_smallest_of_layers(flat, count_of(fraction, total))
        for place in emptied:
            name = list(weights)[place]
            warnings.warn(f"{name} would have lost all its weights: its largest one is kept", stacklevel=3)
        return {name: part.bool().view_as(one) for (name, one), part in zip(magnitudes.items(), parts, strict=True)}
    return {name: _kept(one, scope, size, fraction) for name, one in magnitudes.items()}


def _kept(magnitudes: Tensor, scope: str, size: int | None, fraction: float) -> Tensor:
    """Which of one layer's weights stay."""
    ordered = magnitudes.movedim(1, -1)  # (outputs, kernel ..., inputs)
    rows = ordered.flatten(1)
    if scope == "whole_channel":
        # Masked ones are -1: a channel that is gone has the least.
        level = torch.where(rows < 0, 0, rows).square().mean(1) - (rows < 0).all(1).float()
        kept = all_but_smallest(level, count_of(fraction, len(rows))).bool()[:, None] & (rows >= 0)
        return kept.view(ordered.shape).movedim(-1, 1).contiguous()
    if scope == "balanced":
        lanes = rows.reshape(len(rows), -1, size or 1).transpose(1, 2)  # (outputs, lanes, steps)
        kept = _of_parts(lanes.flatten(0, 1), fraction).view_as(lanes).transpose(1, 2).flatten(1)
    else:
        width = {"layer": rows.numel(), "channel": rows.shape[1], "n_of_m": size or 1}[scope]
        kept = _of_parts(rows.reshape(-1, width), fraction)
    return kept.reshape(ordered.shape).movedim(-1, 1).contiguous()


def _of_parts(parts: Tensor, fraction: float) -> Tensor:
    """What each row of `parts`, (parts, weights), keeps when it loses `fraction`."""
    count = count_of(fraction, parts.shape[1])
    kept = torch.ones_like(parts, dtype=torch.bool)
    return kept.scatter_(1, torch.argsort(parts, dim=1, stable=True)[:, :count], value=False)
