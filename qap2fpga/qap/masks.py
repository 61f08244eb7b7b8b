# SPDX-License-Identifier: Apache-2.0
"""Masks that no forward and no optimizer step gets around: a layer's masked weights are zero whenever they are read.

The weights themselves are set to zero, in place, rather than replaced by a product: Brevitas takes scales from the
parameter, exporters read it, and a state dict keeps its keys.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.optim.optimizer import Optimizer, register_optimizer_step_post_hook


class Mask:
    """Which weights of one layer are kept, `kept`, boolean, of the weight's shape.

    Called before the layer's forward. Part of the layer, so a copy of the layer or a pickle of it keeps its own mask.
    """

    def __init__(self, weight: Tensor) -> None:
        self.kept = torch.ones_like(weight, dtype=torch.bool)

    def __call__(self, layer: nn.Module, inputs: object) -> None:
        """Apply the mask before the layer's forward."""
        # Not into a graph that is being recorded: the weights are right already, unless somebody wrote to them.
        if not (torch.compiler.is_compiling() or torch._C._is_tracing()):
            self.apply(layer)

    def after_loading(self, layer: nn.Module, keys: object) -> None:
        """Apply the mask to a state dict's weights."""
        self.apply(layer)

    def apply(self, layer: nn.Module) -> None:
        """Set the layer's masked weights, and their gradients, to zero."""
        weight = layer.weight
        assert isinstance(weight, Tensor)
        dropped = self._dropped(weight)
        # .data: autograd may still hold the weight for a backward, whose values this does not change.
        weight.data.masked_fill_(dropped, 0)
        self.hold_gradient(weight)

    def hold_gradient(self, weight: Tensor) -> None:
        """Set the gradient of masked weights to zero: neither a norm to clip nor a momentum counts them."""
        if weight.grad is not None:
            weight.grad.masked_fill_(self._dropped(weight), 0)

    def _dropped(self, weight: Tensor) -> Tensor:
        self.kept = self.kept.to(weight.device)
        return ~self.kept


def install(module: nn.Module, layers: Iterable[nn.Module]) -> list[Mask]:
    """Return a mask of ones for each of `layers`, of `module`, applied from now on.

    Before each forward, after each backward, each step of any optimizer and each load of a state dict.
    """
    masks = []
    pairs = []
    for layer in layers:
        weight = layer.weight
        assert isinstance(weight, Tensor)
        mask = Mask(weight)
        layer.register_forward_pre_hook(mask)
        layer.register_load_state_dict_post_hook(mask.after_loading)  # type: ignore[no-untyped-call]
        weight.register_post_accumulate_grad_hook(mask.hold_gradient)  # type: ignore[no-untyped-call]
        masks.append(mask)
        pairs.append((weakref.ref(layer), mask))

    def after_step(optimizer: Optimizer, arguments: object, keywords: object) -> None:
        stepped = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
        for reference, mask in pairs:
            layer = reference()
            if layer is not None and id(layer.weight) in stepped:
                mask.apply(layer)

    weakref.finalize(module, register_optimizer_step_post_hook(after_step).remove)
    return masks
