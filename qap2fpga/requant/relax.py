# SPDX-License-Identifier: Apache-2.0
"""A network whose requantizers are cheaper and may differ by some output steps, as the user allows.

Every channel's step function is replaced by the one that its cheapest implementation within the tolerance computes. The
result is an integer network as any other: its thresholds are exactly those of the cheap implementations, so it is the
reference that hardware equals bit for bit, and the backend that is given it finds these implementations as exact ones.
The exact network stays beside it.

Both ends of a channel's range keep their results, so every later layer sees the ranges it saw before. The largest
difference is found from the two rows of thresholds alone, not from the implementation that they came from. The
tolerance holds in each channel for one accumulator; differences of several layers add up to something that only data
can tell.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from qap2fpga.exact import integers
from qap2fpga.ir.functions import Step
from qap2fpga.ir.graph import Graph
from qap2fpga.ir.units import Ranges, Unit
from qap2fpga.requant.implementations import Implementation, Target
from qap2fpga.requant.requantize import MANY, Cost, cheapest
from qap2fpga.system.errors import CheckFailed, QapError


@dataclass(frozen=True)
class Reading:
    """What a requantizer gets: `accumulator // unit + offset`, where `unit` divides the accumulator always."""

    unit: int = 1
    offset: int = 0

    def target(self, row: np.ndarray, low: int, high: int) -> Target:
        """The step function with the thresholds `row` of accumulators in `low..high`, of what is read."""
        raw = -(-row // self.unit) + self.offset
        first, last = low // self.unit + self.offset, high // self.unit + self.offset
        return Target(raw[(raw > first) & (raw <= last)].astype(np.int64), first, last, int((raw <= first).sum()))


Read = Callable[[Unit, Ranges], Sequence[Reading]]


def accumulators(layer: Unit, ranges: Ranges) -> list[Reading]:
    """Requantizers that get the accumulators themselves."""
    return [Reading()] * layer.outputs


@dataclass(frozen=True)
class Change:
    """What became of one layer. `largest` is the largest difference in steps, over everything that can be reached.

    `mean` is the mean difference in steps over the accumulators of a channel's range, each taken as often as any
    other, and over the channels. `cost_before` and `cost_after` are the prices of all its requantizers.
    """

    layer: str
    channels: int
    changed: int
    largest: int
    mean: float
    cost_before: float
    cost_after: float


@dataclass(frozen=True)
class Facts:
    """What the report says of relaxed requantizers; an accuracy is None without labels."""

    tolerance: int
    layers: tuple[Change, ...]
    accuracy_exact: float | None
    accuracy: float | None


@dataclass(frozen=True)
class Relaxed:
    """`network` is what hardware must equal, `exact` what it was made from; `layers` are those with requantizers."""

    network: Graph
    exact: Graph
    tolerance: int
    layers: tuple[Change, ...]

    def facts(self, recorded: np.ndarray, labels: np.ndarray | None) -> Facts:
        """Return what changed, and the accuracy of both networks on the integers `recorded` (n, inputs)."""
        # What describes networks reads graphs too, and with them onnx; whoever only looks at options needs none.
        from qap2fpga.frontend import facts

        return Facts(
            self.tolerance, self.layers,
            accuracy_exact=facts.accuracy(self.exact, recorded, labels),
            accuracy=facts.accuracy(self.network, recorded, labels),
        )  # fmt: skip


def relax(network: Graph, tolerance: int, price: Cost, read: Read = accumulators) -> Relaxed:
    """`network`, compacted, with every step function within `tolerance` steps and cheaper by `price` (LUTs).

    `read` says what the backend's requantizers get, since an implementation is cheap for that. A channel for which
    nothing cheaper is found keeps its thresholds, and so do logits; tolerance 0 returns `network` itself. Raises
    `QapError` for a negative tolerance, `CheckFailed` if a difference were larger than it may be: a bug of ours.
    """
    if tolerance < 0:
        raise QapError(f"--requant-tolerance is {tolerance}", "give a number of output steps, 0 is exact")
    layers, changes = [], []
    for layer, ranges in zip(network.layers, network.ranges, strict=True):
        if isinstance(layer.activation, Step) and tolerance:
            layer, change = _relaxed(layer, layer.activation, ranges, tolerance, price, read(layer, ranges))
            changes.append(change)
        layers.append(layer)
    if not any(change.changed for change in changes):
        return Relaxed(network, network, tolerance, tuple(changes))
    result = network.with_layers(layers).with_notes(_note(changes, tolerance))
    for layer, before, after in zip(network.layers, network.ranges, result.ranges, strict=True):
        if any((one != other).any() for one, other in zip(before.outputs, after.outputs, strict=True)):
            raise CheckFailed(f"layer {layer.name}: relaxed requantizers reach other outputs")
    return Relaxed(result, network, tolerance, tuple(changes))


def _relaxed(
    layer: Unit, step: Step, ranges: Ranges, tolerance: int, price: Cost, readings: Sequence[Reading]
) -> tuple[Unit, Change]:
    thresholds = step.thresholds.copy()
    before = after = total = 0.0
    changed, largest = 0, 0
    for channel, (row, reading) in enumerate(zip(step.thresholds, readings, strict=True)):
        low, high = (int(ends[channel]) for ends in ranges.accumulators)
        name = f"layer {layer.name}, channel {layer.channel_name(channel)}"
        relaxed, exact_cost, cost = _cheaper(row, low, high, reading, tolerance, price, name)
        # Only multiples of the weights' common factor can occur; between them thresholds mean nothing.
        factor = max(1, int(np.gcd.reduce(layer.weights[:, channel])))
        worst, mean = difference(-(-row // factor), -(-relaxed // factor), low // factor, high // factor)
        if worst > tolerance:
            raise CheckFailed(f"{name}: the relaxed requantizer differs by {worst} steps, {tolerance} are allowed")
        thresholds[channel] = relaxed
        before, after, total = before + exact_cost, after + cost, total + mean
        changed, largest = changed + bool(worst), max(largest, worst)
    change = Change(
        layer.name, layer.outputs, changed, largest, total / layer.outputs, round(before, 1), round(after, 1)
    )
    return layer.changed(activation=replace(step, thresholds=thresholds)), change


def _cheaper(
    row: np.ndarray, low: int, high: int, reading: Reading, tolerance: int, price: Cost, name: str
) -> tuple[np.ndarray, float, float]:
    """(thresholds, price of those of `row`, price of these): `row` itself where nothing is cheaper."""
    target = reading.target(row, low, high)
    exact = price(cheapest(target, price, name), target)
    if not 0 < len(target.thresholds) <= MANY:
        return row, exact, exact
    steps = thresholds_of(cheapest(target, price, name, tolerance), target)
    relaxed = row.copy()
    moved = reading.offset * reading.unit
    relaxed[target.base : target.top] = integers.multiply_add(steps, reading.unit, -moved, name)
    # The price is that of the implementation which the backend will find for the new thresholds.
    changed = reading.target(relaxed, low, high)
    cost = price(cheapest(changed, price, name), changed)
    return (relaxed, exact, cost) if cost < exact else (row, exact, exact)


def thresholds_of(implementation: Implementation, target: Target) -> np.ndarray:
    """The x at which the results of `implementation` rise, one for each threshold of `target`, whose ends it shares.

    Between two x the implementation rises from its result at the one to that at the other; all are found by bisection
    together.
    """
    levels = np.arange(target.base + 1, target.top + 1)
    below = np.full(len(levels), target.low, np.int64)
    at_or_above = np.full(len(levels), target.high, np.int64)
    while (at_or_above - below > 1).any():
        middle = (below + at_or_above) // 2
        up = implementation.apply(middle) >= levels
        below, at_or_above = np.where(up, below, middle), np.where(up, middle, at_or_above)
    return at_or_above


def difference(row: np.ndarray, other: np.ndarray, low: int, high: int) -> tuple[int, float]:
    """(largest, mean) difference in steps between two step functions over all integers `low..high`.

    It changes only where one of them rises, so `low` and all thresholds are tried.
    """
    inside = [one[(one > low) & (one <= high)] for one in (row, other)]
    points = np.unique(np.concatenate([[low], *inside]))
    counts = [np.searchsorted(one, points, side="right") for one in (row, other)]
    steps = np.abs(counts[0] - counts[1])
    lengths = np.diff(np.append(points, high + 1))
    area = integers.matmul(lengths, steps[:, None], "the differences of two requantizers")
    return int(steps.max()), float(area[0] / (high + 1 - low))


def _note(changes: Sequence[Change], tolerance: int) -> str:
    changed, channels = sum(change.changed for change in changes), sum(change.channels for change in changes)
    return (
        f"requantizers may differ by {tolerance} output steps: {changed} of {channels} channels do; this network, not "
        "the exact one, is what the hardware equals"
    )
