# SPDX-License-Identifier: Apache-2.0
"""Sums of two branches get the smallest multipliers for which the steps after them are still exact on all pairs.

Branches of unequal float scales are joined by multipliers of up to 24 bits and more. A step only asks whether a sum
reaches a threshold: pairs below must stay below pairs above. Each such demand bounds the ratio of the multipliers from
one side, so the ratios that will do are an open interval, and the simplest fraction in it has the smallest integers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from qap2fpga.exact import integers as exact
from qap2fpga.ir.functions import Step
from qap2fpga.ir.graph import Graph
from qap2fpga.ir.joins import Sum
from qap2fpga.ir.nodes import Node, Requantizer

# Comparisons of pairs that are tried; a sum that needs more keeps its multipliers.
MOST = 1 << 28
# What stands for no value.
NONE = 1 << 40


@dataclass(frozen=True)
class _Pairs:
    """Values x and y of two branches, `times` whose multipliers (p, q), above 0, they are added up.

    For each of the `thresholds` (n,) and each x: the largest y `below` it and the smallest one `above`, -NONE and NONE
    where there is none.
    """

    x: np.ndarray
    below: np.ndarray
    above: np.ndarray

    def bounds(self) -> tuple[Fraction, Fraction | None]:
        """The open interval of ratios p / q for which what is below a threshold stays below what is above it."""
        low, high = Fraction(0), None
        for distance in range(1, len(self.x)):
            room = int((self.above[:, :-distance] - self.below[:, distance:]).min())
            if room < NONE // 2:
                high = min(Fraction(room, distance), Fraction(room, distance) if high is None else high)
            need = int((self.below[:, :-distance] - self.above[:, distance:]).max())
            if need > -NONE // 2:
                low = max(low, Fraction(need, distance))
        return low, high

    def thresholds(self, p: int, q: int, name: str) -> np.ndarray:
        """The smallest sum above each threshold, with other multipliers; NONE where there is none."""
        sums = exact.multiply_add(np.where(self.above < NONE, self.above, 0), q, p * self.x, name)
        return np.where(self.above < NONE, sums, NONE).min(axis=1)


def small_multipliers(graph: Graph) -> Graph:
    """Return the graph whose sums of two branches, where only steps read them, have the smallest multipliers."""
    changed: list[Node] = []
    for node in graph.nodes:
        if isinstance(node, Sum) and node.name != graph.output and len(set(node.sources)) == len(node.sources) == 2:
            readers = graph.readers(node.name)
            steps = [one for one in readers if isinstance(one, Requantizer) and isinstance(one.function, Step)]
            changed += _smaller(graph, node, steps) if len(steps) == len(readers) else []
    return graph.with_nodes(*changed)


def _smaller(graph: Graph, node: Sum, steps: Sequence[Requantizer]) -> list[Node]:
    """The sum and its steps with smaller multipliers; nothing if there are none."""
    rows = [step.function.thresholds for step in steps if isinstance(step.function, Step)]
    wanted = np.unique(np.concatenate([one.reshape(-1) for one in rows]))
    signs = [1 if multiplier > 0 else -1 for multiplier in node.multipliers]
    sizes = [abs(multiplier) for multiplier in node.multipliers]
    ranges = [graph.node_ranges[source] for source in node.sources]
    ends = [sorted((sign * one.lowest, sign * one.highest)) for sign, one in zip(signs, ranges, strict=True)]
    # The branch with fewer values is the one that is gone through.
    order = [0, 1] if ends[0][1] - ends[0][0] <= ends[1][1] - ends[1][0] else [1, 0]
    (low, high), (lowest, highest) = (ends[place] for place in order)
    count = high - low + 1
    if max(sizes) == 1 or len(wanted) * count * count > MOST or max(-lowest, highest) >= NONE // 4:
        return []
    x = np.arange(low, high + 1)
    p, q = (sizes[place] for place in order)
    rest = exact.multiply_add(x[None, :], -p, wanted[:, None], f"the thresholds after node {node.name}")
    reached = -(-rest // q)
    above = np.where(reached <= highest, np.maximum(reached, lowest), NONE)
    below = np.where(reached > lowest, np.minimum(reached - 1, highest), -NONE)
    pairs = _Pairs(x, below, above)
    ratio = simplest(*pairs.bounds())
    if max(ratio.numerator, ratio.denominator) >= max(sizes):
        return []
    found = pairs.thresholds(ratio.numerator, ratio.denominator, f"the sums of node {node.name}")
    never = ratio.numerator * high + ratio.denominator * highest + 1
    places = np.where(found == NONE, never, found)
    multipliers = [0, 0]
    for place, size in zip(order, (ratio.numerator, ratio.denominator), strict=True):
        multipliers[place] = signs[place] * size
    return [
        replace(node, multipliers=tuple(multipliers)),
        *(_step(step, places[np.searchsorted(wanted, row)]) for step, row in zip(steps, rows, strict=True)),
    ]


def _step(node: Requantizer, thresholds: np.ndarray) -> Requantizer:
    assert isinstance(node.function, Step)
    return replace(node, function=replace(node.function, thresholds=thresholds))


def simplest(low: Fraction, high: Fraction | None) -> Fraction:
    """Return the fraction between `low`, which is not below 0, and `high` (None: no bound) with the smallest parts."""
    whole = low.numerator // low.denominator
    if high is None or whole + 1 < high:
        return Fraction(whole + 1)
    inverse = simplest(1 / (high - whole), 1 / (low - whole) if low > whole else None)
    return whole + 1 / inverse
