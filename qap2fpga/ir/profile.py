# SPDX-License-Identifier: Apache-2.0
"""What integers a network really has: weights, sums and levels of every node, over given inputs."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from qap2fpga.exact.integers import width
from qap2fpga.ir.functions import Step
from qap2fpga.ir.graph import MOST_VALUES, Graph
from qap2fpga.ir.nodes import Input, Node, Requantizer
from qap2fpga.ir.spread import INPUTS, LEVELS, SUMS, WEIGHTS, Profile, Spread, doubts
from qap2fpga.ir.windowed import Weighted


def profile(graph: Graph, frames: np.ndarray, of: str) -> Profile:
    """Return how the integers of every node are spread for input integers `frames` (n, inputs), `of` a kind."""
    seen = {node.name: _Seen() for node in graph.nodes}
    few = max(1, MOST_VALUES // max(1, sum(shape.size for shape in graph.shapes.values())))
    for first in range(0, len(frames), few):
        for name, values in graph.trace(frames[first : first + few]).items():
            seen[name].add(values.reshape(-1, graph.shapes[name].channels))
    spreads: list[Spread] = []
    for node in graph.nodes:
        if isinstance(node, Weighted):
            spreads.append(_of_weights(node))
        if len(frames):
            spreads.append(_of_values(graph, node, seen[node.name]))
    every = tuple(spreads)
    return Profile(vectors=len(frames), of=of, spreads=every, notes=tuple(doubts(every)))


@dataclass
class _Seen:
    """How often each integer came, and the ends of each channel."""

    counts: dict[int, int] = field(default_factory=dict)
    least: np.ndarray | None = None
    largest: np.ndarray | None = None

    def add(self, rows: np.ndarray) -> None:
        """Count rows (n, channels)."""
        for value, count in zip(*(part.tolist() for part in np.unique(rows, return_counts=True)), strict=True):
            self.counts[value] = self.counts.get(value, 0) + count
        low, high = rows.min(axis=0), rows.max(axis=0)
        self.least = low if self.least is None else np.minimum(self.least, low)
        self.largest = high if self.largest is None else np.maximum(self.largest, high)

    @property
    def idle(self) -> int:
        """Channels that had one value only."""
        return 0 if self.least is None else int((self.least == self.largest).sum())


def _of_weights(node: Weighted) -> Spread:
    """The weights of `node` against the range of its quantizer, or that which they need where they are more."""
    weights = _Seen()
    weights.add(node.weights)
    bits = max(node.weight_bits, width(min(int(node.weights.min()), -1), int(node.weights.max())))
    low, high = -(1 << bits - 1), (1 << bits - 1) - 1
    return _spread(node.name, WEIGHTS, (low, high), high - low + 1, weights)


def _of_values(graph: Graph, node: Node, seen: _Seen) -> Spread:
    """What leaves `node`: levels of a quantizer, else sums, against what its range says."""
    span = graph.node_ranges[node.name]
    if isinstance(node, Requantizer) and isinstance(node.function, Step):
        step = node.function
        levels = step.thresholds.shape[1] + 1
        return _spread(node.name, LEVELS, (step.low, step.high), levels, seen, graph.shapes[node.name].channels)
    kind = INPUTS if isinstance(node, Input) else SUMS
    ends = (span.lowest, span.highest)
    return _spread(node.name, kind, ends, ends[1] - ends[0] + 1, seen, graph.shapes[node.name].channels)


def _spread(
    name: str, kind: str, ends: tuple[int, int], levels: int, seen: _Seen, channels: int = 0
) -> Spread:  # fmt: skip
    values = sorted(seen.counts)
    total = sum(seen.counts.values())
    quarter, median, three_quarters = (_quantile(seen.counts, values, total * part / 4) for part in (1, 2, 3))
    return Spread(
        node=name, kind=kind, low=ends[0], high=ends[1], levels=levels, least=values[0], quarter=quarter, median=median,
        three_quarters=three_quarters, largest=values[-1], used=len(values), at_low=seen.counts.get(ends[0], 0) / total,
        at_high=seen.counts.get(ends[1], 0) / total, at_zero=seen.counts.get(0, 0) / total, channels=channels,
        idle=seen.idle if channels else 0,
    )  # fmt: skip


def _quantile(counts: dict[int, int], values: list[int], place: float) -> int:
    """Return the first value up to which at least `place` values came."""
    before = 0
    for value in values:
        before += counts[value]
        if before >= place:
            return value
    return values[-1]
