# SPDX-License-Identifier: Apache-2.0
"""Compaction: what pruning left over is taken out, and hidden activations become counts from 0.

- A hidden neuron whose value can not change (all weights pruned, gamma 0, thresholds out of reach) is a
  constant: it moves into the next layer's thresholds.
- A hidden neuron that nobody reads is dropped.
- An activation `base + step * count` becomes its count; the next layer absorbs base and step. So signs,
  signed and shifted quantizers all end as unsigned integers with as many levels as can be reached.

The outputs do not change on any input; `build` checks that on every vector.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from qap2fpga.exact import integers as exact
from qap2fpga.ir.network import DenseLayer, IntegerNetwork, Logits, Step
from qap2fpga.system.errors import ConstantNetwork


def compact(network: IntegerNetwork) -> IntegerNetwork:
    """The smallest equal network; its notes say what went. Raises `ConstantNetwork` if a layer vanishes whole."""
    named = tuple(replace(layer, channels=tuple(range(layer.outputs))) for layer in network.layers)
    layers = list(replace(network, layers=named).layers)
    for index in range(len(layers) - 1):
        layers[index], layers[index + 1] = _count_from_zero(layers[index], layers[index + 1])
    before = sum(layer.outputs for layer in layers[:-1])
    dead = unread = 0
    while True:
        current = replace(network, layers=tuple(layers))
        found_dead = _fold_constants(layers, current)
        found_unread = _drop_unread(layers)
        dead, unread = dead + found_dead, unread + found_unread
        if not found_dead and not found_unread:
            break
    current = replace(network, layers=tuple(layers))
    layers = [_trim(layer, *current.ranges[index].accumulators) for index, layer in enumerate(layers)]
    result = replace(network, layers=tuple(layers))
    if dead or unread:
        result = result.with_notes(
            f"compaction: of {before} hidden neurons {dead} constant ones were folded into the "
            f"next layer and {unread} unread ones dropped"
        )
    return result


def _shifted(layer: DenseLayer, constant: np.ndarray, step: int = 1) -> Step | Logits:
    """The layer's activation when its accumulator a is fed as `step * n + constant`, for the new n."""
    activation, name = layer.activation, f"layer {layer.name}"
    if isinstance(activation, Step):
        less = exact.multiply_add(constant[:, None], 1, -activation.thresholds, name)
        return replace(activation, thresholds=-(less // step))
    return replace(
        activation,
        multiplier=exact.multiply_add(activation.multiplier, step, 0, name),
        offset=exact.multiply_add(constant, activation.multiplier, activation.offset, name),
    )


def _count_from_zero(layer: DenseLayer, following: DenseLayer) -> tuple[DenseLayer, DenseLayer]:
    activation = layer.activation
    assert isinstance(activation, Step)
    name = f"layer {following.name}"
    constant = exact.multiply_add(exact.column_sums(following.weights, name), activation.base, 0, name)
    moved = replace(following, activation=_shifted(following, constant, activation.step))
    return replace(layer, activation=Step(activation.thresholds)), moved


def _fold_constants(layers: list[DenseLayer], network: IntegerNetwork) -> int:
    """Move hidden neurons with a single reachable value into the next layer; how many there were."""
    found = 0
    for index in range(len(layers) - 1):
        low, high = network.ranges[index].outputs
        constant = low == high
        if not constant.any():
            continue
        found += int(constant.sum())
        following = layers[index + 1]
        added = exact.matmul(low[constant], following.weights[constant], f"layer {following.name}")
        layers[index + 1] = replace(
            following, weights=following.weights[~constant], activation=_shifted(following, added)
        )
        layers[index] = _keep(layers[index], ~constant)
        break  # ranges behind it have changed
    return found


def _drop_unread(layers: list[DenseLayer]) -> int:
    found = 0
    for index in reversed(range(len(layers) - 1)):
        read = layers[index + 1].weights.any(axis=1)
        if not read.all():
            found += int((~read).sum())
            layers[index + 1] = replace(layers[index + 1], weights=layers[index + 1].weights[read])
            layers[index] = _keep(layers[index], np.asarray(read))
    return found


def _keep(layer: DenseLayer, kept: np.ndarray) -> DenseLayer:
    if not kept.any() and layer.nonzeros > layer.weights.size / 2:
        raise ConstantNetwork(
            f"layer {layer.name} is a constant: none of its neurons changes the output, though most weights are not 0",
            "check its quantizer's scale and its batch norm: its values do not reach a second level",
        )
    if not kept.any():
        raise ConstantNetwork(
            f"layer {layer.name} is pruned away: none of its neurons changes the output",
            "prune it less; the network's output would be a constant",
        )
    activation = layer.activation
    assert isinstance(activation, Step) and layer.channels is not None
    channels = tuple(channel for channel, keep in zip(layer.channels, kept, strict=True) if keep)
    thresholds = activation.thresholds[kept]
    return replace(
        layer, weights=layer.weights[:, kept], channels=channels, activation=replace(activation, thresholds=thresholds)
    )


def _trim(layer: DenseLayer, low: np.ndarray, high: np.ndarray) -> DenseLayer:
    """Thresholds inside what can be reached, and no level that no channel reaches."""
    activation = layer.activation
    if not isinstance(activation, Step):
        return layer
    inside = np.clip(activation.thresholds, low[:, None], high[:, None] + 1)
    levels = max(1, int((inside <= high[:, None]).sum(axis=1).max()))
    if activation.base != 0 or activation.step != 1:
        levels = inside.shape[1]  # the network's own output keeps its quantizer's levels
    return replace(layer, activation=replace(activation, thresholds=inside[:, :levels]))
