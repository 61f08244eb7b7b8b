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

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from qap2fpga.exact import integers
from qap2fpga.ir.functions import Step
from qap2fpga.ir.graph import Graph
from qap2fpga.ir.nodes import Node, Requantizer
from qap2fpga.ir.windowed import Weighted
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


# What the requantizers of a graph get, per channel, by the node's name.
Read = Callable[[Graph], Mapping[str, Sequence[Reading]]]


def accumulators(graph: Graph) -> dict[str, list[Reading]]:
    """Return readings of requantizers that get the results of their sources themselves."""
    return {node.name: [Reading()] * node.function.channels for node in graph.nodes if isinstance(node, Requantizer)}


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
    if not tolerance:
        return Relaxed(network, network, tolerance, ())
    readings, nodes, changes = read(network), [], []
    for node in network.nodes:
        if isinstance(node, Requantizer) and isinstance(node.function, Step):
            other, change = _relaxed(network, node, node.function, tolerance, price, readings[node.name])
            nodes.append(other)
            changes.append(change)
    if not any(change.changed for change in changes):
        return Relaxed(network, network, tolerance, tuple(changes))
    result = network.with_nodes(*nodes).with_notes(_note(changes, tolerance))
    for node in nodes:
        before, after = network.node_ranges[node.name], result.node_ranges[node.name]
        if (before.low != after.low).any() or (before.high != after.high).any():
            raise CheckFailed(f"layer {_owner(network, node).name}: relaxed requantizers reach other outputs")
    return Relaxed(result, network, tolerance, tuple(changes))


def _owner(network: Graph, node: Requantizer) -> Node:
    """The layer whose sums the requantizer `node` alone takes, by whose name people know it; else itself."""
    source = network[node.sources[0]]
    return source if isinstance(source, Weighted) and len(network.readers(source.name)) == 1 else node


def _relaxed(
    network: Graph, node: Requantizer, step: Step, tolerance: int, price: Cost, readings: Sequence[Reading]
) -> tuple[Requantizer, Change]:
    thresholds = step.thresholds.copy()
    before = after = total = 0.0
    changed, largest = 0, 0
    owner, ranges = _owner(network, node), network.node_ranges[node.sources[0]]
    factors = _factors(network[node.sources[0]], step.channels)
    for channel, (row, reading, factor) in enumerate(zip(step.thresholds, readings, factors, strict=True)):
        low, high = ranges.ends[channel]
        name = f"layer {owner.name}, channel {owner.channel_name(channel)}"
        relaxed, exact_cost, cost = _cheaper(row, low, high, reading, tolerance, price, name)
        worst, mean = difference(-(-row // factor), -(-relaxed // factor), low // factor, high // factor)
        if worst > tolerance:
            raise CheckFailed(f"{name}: the relaxed requantizer differs by {worst} steps, {tolerance} are allowed")
        thresholds[channel] = relaxed
        before, after, total = before + exact_cost, after + cost, total + mean
        changed, largest = changed + bool(worst), max(largest, worst)
    mean = total / step.channels
    change = Change(owner.name, step.channels, changed, largest, mean, round(before, 1), round(after, 1))
    return replace(node, function=replace(step, thresholds=thresholds)), change


def _factors(source: Node, channels: int) -> list[int]:
    """The common factor of each channel's weights: only its multiples occur, between them thresholds mean nothing."""
    if not isinstance(source, Weighted):
        return [1] * channels
    return [max(1, int(one)) for one in np.gcd.reduce(source.weights, axis=0)]


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
