# SPDX-License-Identifier: Apache-2.0
"""A schedule of pruning for a training loop that is the user's own."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from qap2fpga.qap import scopes
from qap2fpga.qap.layers import layers_of, one_of
from qap2fpga.qap.masks import install
from qap2fpga.system.errors import QapError

KINDS = ("fine_tuning", "lottery_ticket", "learning_rate_rewinding")


class Stateful(Protocol):
    """What can be set back: an optimizer, a scheduler of the learning rate, a scaler of gradients."""

    def state_dict(self) -> dict[str, Any]:
        """Return its state."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> object:
        """Take a state."""


class Schedule:
    """Prunes a module step by step, between the epochs of the user's own loop.

    What is masked is zero whenever it is read: before each forward, after each step of any optimizer (momentum and
    weight decay included), after each load of a state dict. It has no gradient and never comes back.

        schedule = Schedule(module, (0.5, 0.8), "fine_tuning", "global")
        train(module)
        while schedule.remaining:
            schedule.step()
            train(module)

    Without quantizers a module is pruned all the same: nothing here depends on Brevitas. One schedule per module.

    Args:
        module: any torch module with dense layers or convolutions, Brevitas' among them. Lazy layers have to have
            seen an input.
        fractions: share of the weights that is masked after each step, 0 to 1, each larger than the one before.
        kind: 'fine_tuning': what is left learns on. 'lottery_ticket': what is left is set back to the values that all
            parameters and buffers have now, or had at `remember()`. 'learning_rate_rewinding': the weights stay, and
            what is in `rewind` is set back.
        scope: among which weights the smallest go: 'global', 'layer', 'channel' (each output channel or neuron),
            'whole_channel', 'n_of_m' (N of every M consecutive inputs stay) or 'balanced' (each lane of a folded layer
            keeps the same number).
        size: for 'n_of_m' the M, for 'balanced' the number of lanes (FINN's SIMD); for no other scope.
        layers: names of the layers to prune, as in `module.named_modules()`. By default all dense layers and
            convolutions whose weights learn: frozen ones are left as they are.
        rewind: what a step sets back besides: the optimizer first, then the scheduler of its learning rate.

    Raises:
        QapError: if an argument does not fit the module, weights are shared by two layers or not finite, or the last
            fraction would empty a layer, a channel, a group or a lane.
    """

    def __init__(
        self, module: nn.Module, fractions: Sequence[float], kind: str = "fine_tuning", scope: str = "global", *,
        size: int | None = None, layers: Sequence[str] | None = None, rewind: Sequence[Stateful] = (),
    ) -> None:  # fmt: skip
        self.kind = one_of("kind", kind, KINDS)
        self.scope = one_of("scope", scope, scopes.SCOPES)
        self.fractions = _fractions(fractions)
        self.size = _size(scope, size)
        if (kind == "learning_rate_rewinding") > bool(rewind):
            raise QapError("nothing to set back", "give the optimizer and its scheduler: rewind=(optimizer, scheduler)")
        if kind == "fine_tuning" and rewind:
            raise QapError("fine-tuning sets nothing back", "leave out rewind, or choose another kind")
        self._module, self._rewind = module, tuple(rewind)
        self._layers = _layers(module, layers)
        shapes = {name: tuple(weight.shape) for name, weight in self._weights().items()}
        scopes.check(scope, size, self.fractions, shapes)
        self._done = 0
        self._masks = dict(zip(self._layers, install(module, self._layers.values()), strict=True))
        self.remember()

    def __repr__(self) -> str:
        return f"Schedule({self.kind}, {self.scope}: {self._done} of {len(self.fractions)} steps, {self.sparsity:.1%})"

    @property
    def remaining(self) -> int:
        """How many steps are still to be taken."""
        return len(self.fractions) - self._done

    @property
    def sparsity(self) -> float:
        """Share of the weights of all pruned layers that is masked, 0 to 1."""
        masks = [mask.kept for mask in self._masks.values()]
        return 1 - sum(int(one.sum()) for one in masks) / sum(one.numel() for one in masks)

    @property
    def masks(self) -> dict[str, Tensor]:
        """Which weights are kept, by layer: boolean, of the weight's shape; copies."""
        return {name: mask.kept.clone() for name, mask in self._masks.items()}

    def mask(self, layer: str) -> Tensor:
        """Return which weights of `layer` are kept: boolean, of the weight's shape; a copy.

        Raises:
            QapError: if no layer of that name is pruned.
        """
        return self._masks[one_of("layer", layer, self._masks)].kept.clone()

    def remember(self) -> None:
        """Take today's values as those that are set back to: call it after some epochs for late rewinding."""
        self._initial = _values(self._module) if self.kind == "lottery_ticket" else {}
        self._states = [copy.deepcopy(one.state_dict()) for one in self._rewind]

    def step(self) -> float:
        """Mask the smallest weights and set back what `kind` sets back; return the sparsity, 0 to 1.

        Raises:
            QapError: if no step remains, or weights are not finite. Nothing has changed then.
        """
        if not self.remaining:
            raise QapError("no step remains", f"the last fraction, {self.fractions[-1]}, has been reached")
        fraction = self.fractions[self._done]
        kept = scopes.kept_weights(self._weights(), self.masks, self.scope, self.size, fraction)
        _set_back(self._module, self._initial)
        for one, state in zip(self._rewind, self._states, strict=True):
            one.load_state_dict(copy.deepcopy(state))
        self._mask(kept)
        self._done += 1
        return self.sparsity

    def state_dict(self) -> dict[str, Any]:
        """Return all that a resumed run needs besides the module's and the optimizer's: values and tensors."""
        return {
            **self._identity(), "done": self._done, "masks": self.masks, "initial": dict(self._initial),
            "states": copy.deepcopy(self._states),
        }  # fmt: skip

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where `state`, of `state_dict()`, was; its masks are applied to the module at once.

        Raises:
            QapError: if it is of another schedule or another module. Nothing has changed then.
        """
        identity = self._identity()
        if missing := [name for name in (*identity, "done", "masks", "initial", "states") if name not in state]:
            raise QapError(f"this is no state of a schedule: it has no {missing[0]}")
        for name, value in identity.items():
            if state[name] != value:
                raise QapError(f"the state is of another schedule: {name} is {state[name]}, and here {value}")
        masks, initial = state["masks"], state["initial"]
        today = _values(self._module) if self._initial else {}
        if _shapes(masks) != _shapes(self.masks) or _shapes(initial) != _shapes(today):
            raise QapError("the state is of another module", "layers, or shapes of them, differ")
        if not 0 <= state["done"] <= len(self.fractions) or len(state["states"]) != len(self._rewind):
            raise QapError("the state is of another schedule: its steps, or what it sets back, differ")
        self._done = state["done"]
        self._initial = {name: value.clone() for name, value in initial.items()}
        self._states = copy.deepcopy(state["states"])
        self._mask(masks)

    def _identity(self) -> dict[str, object]:
        return {"kind": self.kind, "scope": self.scope, "size": self.size, "fractions": list(self.fractions)}

    def _weights(self) -> dict[str, Tensor]:
        return {name: layer.get_parameter("weight") for name, layer in self._layers.items()}

    def _mask(self, kept: Mapping[str, Tensor]) -> None:
        for name, mask in self._masks.items():
            mask.kept = kept[name].clone()
            mask.apply(self._layers[name])


def _fractions(fractions: Sequence[float]) -> tuple[float, ...]:
    try:
        values = tuple(float(one) for one in fractions)
    except (TypeError, ValueError) as error:
        raise QapError(f"fractions is {fractions!r}", "give the share after each step, as (0.5, 0.8)") from error
    if not values or not all(0 < one < 1 for one in values):
        raise QapError(f"fractions {values} are not above 0 and below 1", "0.8 masks 80 % of the weights")
    if any(later <= one for one, later in pairwise(values)):
        raise QapError(f"fractions {values} do not increase", "each is the share of all weights masked after a step")
    return values


def _size(scope: str, size: int | None) -> int | None:
    if scope in scopes.SIZED and (size is None or size < 1):
        raise QapError(f"scope '{scope}' needs a size, 1 or more", scopes.SIZED[scope])
    if scope not in scopes.SIZED and size is not None:
        raise QapError(f"scope '{scope}' has no size", f"scopes with one: {', '.join(scopes.SIZED)}")
    return size


def _layers(module: nn.Module, names: Sequence[str] | None) -> dict[str, nn.Module]:
    """The layers to prune, by name."""
    layers = layers_of(module, names, "there is nothing to prune")
    for name, part in layers.items():
        if any(hasattr(hook, "kept") for hook in part._forward_pre_hooks.values()):
            raise QapError(f"{name} has a schedule already", "load its state, or make the module anew")
    return layers


def _values(module: nn.Module) -> dict[str, Tensor]:
    """Copies of all parameters and buffers, also those that a state dict leaves out, and Brevitas' count of batches."""
    tensors = {name: one.detach().clone() for name, one in (*module.named_parameters(), *module.named_buffers())}
    counters = {f"{name}.counter": torch.tensor(one.counter) for name, one in _counting(module).items()}
    return tensors | counters


def _set_back(module: nn.Module, values: Mapping[str, Tensor]) -> None:
    if values:
        for name, one in (*module.named_parameters(), *module.named_buffers()):
            one.data.copy_(values[name])
        for name, part in _counting(module).items():
            part.counter = int(values[f"{name}.counter"])


def _counting(module: nn.Module) -> dict[str, Any]:
    """Parts that count the batches from which they take a scale; the count is an integer, no buffer."""
    return {name: one for name, one in module.named_modules() if type(getattr(one, "counter", None)) is int}


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, torch.Size]:
    return {name: one.shape for name, one in tensors.items()}
