# SPDX-License-Identifier: Apache-2.0
"""Dummy neurons for a width that folds badly.

SIMD and PE divide a layer's inputs and outputs. Compaction drops neurons as it finds them and leaves widths
such as 31, whose only divisors are 1 and 31; with one neuron more the layer folds in halves. A dummy neuron
has weights of zero and thresholds that its sum of 0 never reaches, so it is always 0, and the next layer reads
it with weights of zero. The network's own inputs and outputs are seen from outside and stay as they are.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from qap2fpga.backends.finn.plan import LayerPlan, Plan

# Further than this a width does not grow, and not to more different widths: what the search can afford.
GROWTH = 1 / 8
CHOICES = 3


def divisors(number: int) -> list[int]:
    """All divisors of `number`, in order."""
    return [value for value in range(1, number + 1) if number % value == 0]


def widths(neurons: int) -> list[int]:
    """`neurons`, and up to `CHOICES` larger numbers that fold better.

    A number folds better if it has more divisors than every smaller one here, or is divisible by a larger power
    of two, since the widths of neighbours should have divisors in common.
    """
    numbers, most, power = [neurons], len(divisors(neurons)), neurons & -neurons
    for number in range(neurons + 1, neurons + max(2, int(neurons * GROWTH)) + 1):
        count, even = len(divisors(number)), number & -number
        if count > most or even > power:
            numbers.append(number)
        most, power = max(most, count), max(power, even)
    return [neurons, *sorted(numbers[1:], key=lambda number: (-(number & -number), number))[:CHOICES]]


def choices(plan: Plan) -> list[list[int]]:
    """For each layer, the numbers of outputs it may have; the last one's is fixed."""
    return [*(widths(layer.mh) for layer in plan.layers[:-1]), [plan.layers[-1].mh]]


def padded(plan: Plan, outputs: tuple[int, ...]) -> Plan:
    """`plan` with `outputs` neurons in each layer: those after its own do nothing."""
    layers, inputs = [], plan.layers[0].mw
    for layer, size in zip(plan.layers, outputs, strict=True):
        layers.append(_layer(layer, inputs, size))
        inputs = size
    return dataclasses.replace(plan, layers=tuple(layers))


def notes(plan: Plan, outputs: tuple[int, ...]) -> list[str]:
    """What `padded` does, for people."""
    return [
        f"{layer.name}: {layer.mh} neurons became {size}, for a folding that divides; the dummies are always 0"
        for layer, size in zip(plan.layers, outputs, strict=True)
        if size != layer.mh
    ]


def _layer(layer: LayerPlan, inputs: int, outputs: int) -> LayerPlan:
    more = outputs - layer.mh
    weights = np.pad(layer.weights, ((0, inputs - layer.mw), (0, more)))
    thresholds = layer.thresholds
    if thresholds is not None and more:
        # A sum of zero weights is 0, below 1.
        thresholds = np.pad(thresholds, ((0, more), (0, 0)), constant_values=1)
    return dataclasses.replace(layer, weights=weights, thresholds=thresholds)
