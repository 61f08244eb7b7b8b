# SPDX-License-Identifier: Apache-2.0
"""The layers of a module whose weights are dealt with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from qap2fpga.system.errors import QapError, nearest

LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


def one_of(what: str, name: str, legal: Sequence[str] | Mapping[str, object]) -> str:
    """Return `name`, one of `legal`. Raises `QapError` with the nearest for another one."""
    if name not in legal:
        raise QapError(f"unknown {what} '{name}'", nearest(name, legal))
    return name


def layers_of(module: nn.Module, names: Sequence[str] | None, hint: str) -> dict[str, nn.Module]:
    """Return the layers called `names`, or all dense layers and convolutions whose weights learn.

    Raises `QapError` for a name that is none of a layer, no layer at all, weights that two share, that are frozen, have
    no shape yet or are not finite.
    """
    known = {name: one for name, one in module.named_modules() if isinstance(one, LAYERS)}
    if names is None:
        layers: dict[str, nn.Module] = {name: one for name, one in known.items() if one.weight.requires_grad}
    else:
        layers = {one_of("layer", name, known): known[name] for name in names}
    if not layers:
        raise QapError("the module has no dense layer and no convolution that learns", hint)
    owners: dict[int, str] = {}
    for name, layer in known.items():
        owner = owners.setdefault(id(layer.weight), name)
        if owner != name and {owner, name} & set(layers):
            raise QapError(f"{owner} and {name} share one weight", "leave both out of layers")
    for name, part in layers.items():
        weight = part.get_parameter("weight")
        if nn.parameter.is_lazy(weight):
            raise QapError(f"{name} has no shape yet", "run the module on an example once")
        if not weight.requires_grad:
            raise QapError(f"the weight of {name} is frozen", "leave it out of layers, or let it learn")
        if not torch.isfinite(weight).all():
            raise QapError(f"{name} has weights that are not finite", "take a module that has not diverged")
    return layers
