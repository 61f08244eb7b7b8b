# SPDX-License-Identifier: Apache-2.0
"""Magnitude pruning of the dense weights: which go, and what is left.

'global' ranks all layers' weights together (Hawks et al. 2021, section 3), 'layer' each layer's alone, 'neuron'
whole hidden neurons, with all that enters and leaves them, 'balanced' the weights of each neuron that one lane of a
folded layer reads, so that all lanes keep the same number (`qap2fpga.qap.scopes`). What is masked stays masked, and no
layer is emptied: with it would go all the network's knowledge of its input.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from qap2fpga.qap import scopes
from qap2fpga.qap.ranking import all_but_smallest, all_but_smallest_of_layers, count_of
from qap2fpga.system.errors import QapError
from qap2fpga.train.network import Network
from qap2fpga.train.settings import PruningConfig


def check_lanes(network: Network, pruning: PruningConfig) -> None:
    """Raise `QapError` where the layers of `network` cannot be read by so many lanes."""
    for number, inputs in enumerate(network.shape.sizes[:-1], 1):
        if inputs % (pruning.lanes or 1):
            raise QapError(
                f"pruning.lanes = {pruning.lanes} does not divide the {inputs} inputs of fc{number}",
                "choose lanes that divide the inputs of every layer, or other widths",
            )


def prune_to(network: Network, sparsity: float, pruning: PruningConfig) -> list[str]:
    """Mask the smallest weights until at least `sparsity` of all dense weights are masked; messages for people.

    A message tells of a layer that would have been emptied and was protected, or of a sparsity out of reach.
    """
    if network.mask is None:
        network.mask = torch.ones_like(network.weights)
    if pruning.scope == "balanced":
        messages = _balanced(network, sparsity, pruning.lanes or 1)
    else:
        messages = {"global": _globally, "layer": _by_layer, "neuron": _by_neuron}[pruning.scope](network, sparsity)
    network.apply_mask()
    return messages


def mask_sparsity(network: Network) -> float:
    """Share of the dense weights that are masked."""
    return 0.0 if network.mask is None else int((network.mask == 0).sum()) / network.mask.numel()


def layers_of(network: Network, flat: Tensor) -> Iterator[tuple[str, Tensor]]:
    """Name and view of each dense layer's part, (outputs, inputs), of a tensor over all weights."""
    start = 0
    for number, layer in enumerate(network.layers, 1):
        end = start + layer.weight.numel()
        yield f"fc{number}", flat[start:end].view_as(layer.weight)
        start = end


def _globally(network: Network, sparsity: float) -> list[str]:
    assert network.mask is not None
    magnitudes = (network.weights.abs() * network.mask).cpu()
    names, parts = zip(*layers_of(network, magnitudes), strict=True)
    kept, emptied = all_but_smallest_of_layers([part.flatten() for part in parts], count_of(sparsity, len(magnitudes)))
    network.mask.copy_(torch.cat(kept))
    return [_protected(names[place]) for place in emptied]


def _by_layer(network: Network, sparsity: float) -> list[str]:
    assert network.mask is not None
    messages = []
    for (name, weights), (_, mask) in zip(
        layers_of(network, network.weights), layers_of(network, network.mask), strict=True
    ):
        magnitudes = (weights.abs() * mask).flatten().cpu()
        count = count_of(sparsity, len(magnitudes))
        if count >= len(magnitudes):
            messages.append(_protected(name))
            count = len(magnitudes) - 1
        mask.copy_(all_but_smallest(magnitudes, count).view_as(mask))
    return messages


def _by_neuron(network: Network, sparsity: float) -> list[str]:
    """Hidden neurons go by the mean square of the weights that enter them, as a part of their layer's.

    Without the layer's, one whose weights are small by nature would go first, whole.
    """
    assert network.mask is not None
    masks = [mask for _, mask in layers_of(network, network.mask)]
    weights = [part.cpu() for _, part in layers_of(network, network.weights)]
    ranked = sorted(
        (float(row.square().mean() / part.square().mean()), layer, neuron)
        for layer, part in enumerate(weights[:-1])
        for neuron, row in enumerate(part)
    )
    count = count_of(sparsity, network.mask.numel())
    messages: list[str] = []
    for _, layer, neuron in ranked:
        if int((network.mask == 0).sum()) >= count:
            return messages
        alive = masks[layer].any(dim=1) & masks[layer + 1].any(dim=0)
        if not alive[neuron]:
            continue
        if int(alive.sum()) == 1:
            messages.append(f"fc{layer + 1} would have lost its last neuron: it is kept")
            continue
        masks[layer][neuron] = 0
        masks[layer + 1][:, neuron] = 0
    if int((network.mask == 0).sum()) < count:
        messages.append(f"a sparsity of {sparsity:.3f} is out of reach: every hidden layer has one neuron left")
    return messages


def _balanced(network: Network, sparsity: float, lanes: int) -> list[str]:
    """Of what a lane reads of a neuron's weights at least one stays."""
    assert network.mask is not None
    messages = []
    for (name, weights), (_, mask) in zip(
        layers_of(network, network.weights), layers_of(network, network.mask), strict=True
    ):
        read = weights.shape[1] // lanes
        fraction = min(sparsity, (read - 1) / read)
        if count_of(sparsity, read) >= read:
            messages.append(f"{name} keeps one of the {read} weights of each lane, {1 - fraction:.1%} of all")
        kept = scopes.kept_weights({name: weights}, {name: mask.bool()}, "balanced", lanes, fraction)
        mask.copy_(kept[name])
    return messages


def _protected(name: str) -> str:
    return f"{name} would have lost all its weights: its largest one is kept"
