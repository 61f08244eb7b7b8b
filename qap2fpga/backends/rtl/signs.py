# SPDX-License-Identifier: Apache-2.0
"""Which adders of a graph compute the negative of their sum, so that all take the fewest LUTs.

Signs cost nothing where a value is read: the reader adds instead of subtracting. But they decide what an adder is.
`a + (b << s)` and `a - (b << s)` leave the lowest s bits of a alone, `(b << s) - a` does not; a sum has no LUT where
only one operand has a bit, a difference has one at every bit; and an output that falls is read as its complement.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

import numpy as np

from qap2fpga.backends.rtl.adders import Adder, AdderGraph
from qap2fpga.exact.integers import width

# LUTs that a requantizer takes more for the complement of its input: its adders want both.
COMPLEMENT = 8
# Passes over all nodes; more than a few change nothing.
PASSES = 10


def settled(graph: AdderGraph, low: np.ndarray, high: np.ndarray) -> AdderGraph:
    """The same sums with their signs chosen by descent, when input i lies in `low[i]..high[i]`."""
    search = _Search(graph, low, high)
    for _ in range(PASSES):
        flipped = [search.try_flip(node) for node in range(graph.inputs, graph.inputs + len(graph.adders))]
        if not any(flipped):
            break
    return search.result()


def luts(graph: AdderGraph, low: np.ndarray, high: np.ndarray) -> float:
    """LUTs of the graph as it stands, when input i lies in `low[i]..high[i]`."""
    return _Search(graph, low, high).total()


class _Search:
    """`signs[node]` is -1 where the node's negative is computed."""

    def __init__(self, graph: AdderGraph, low: np.ndarray, high: np.ndarray) -> None:
        self.graph = graph
        self.signs = [1] * (graph.inputs + len(graph.adders))
        self.ranges = graph.ranges(low, high)
        self.readers: dict[int, set[int]] = defaultdict(set)
        self.outputs: dict[int, list[int]] = defaultdict(list)
        for number, one in enumerate(graph.adders, start=graph.inputs):
            self.readers[one.left].add(number)
            self.readers[one.right].add(number)
        for output in graph.outputs:
            self.outputs[output.node].append(output.sign)

    def total(self) -> float:
        """LUTs of all adders, and what outputs that fall take more."""
        falling = sum(one.sign * self.signs[one.node] < 0 for one in self.graph.outputs)
        return COMPLEMENT * falling + sum(self._luts(node) for node in range(self.graph.inputs, len(self.signs)))

    def try_flip(self, node: int) -> bool:
        """Flip the node's sign if that saves LUTs; whether it did."""
        before = self._around(node)
        self.signs[node] *= -1
        if self._around(node) < before:
            return True
        self.signs[node] *= -1
        return False

    def result(self) -> AdderGraph:
        """The graph with the signs found."""
        adders = tuple(self._adder(node) for node in range(self.graph.inputs, len(self.signs)))
        outputs = tuple(replace(one, sign=one.sign * self.signs[one.node]) for one in self.graph.outputs)
        return AdderGraph(self.graph.inputs, adders, outputs)

    def _around(self, node: int) -> float:
        """LUTs of the node, of all who read it, and of the outputs that would fall."""
        falling = sum(sign * self.signs[node] < 0 for sign in self.outputs[node])
        return COMPLEMENT * falling + sum(self._luts(one) for one in (node, *self.readers[node]))

    def _adder(self, node: int) -> Adder:
        one = self.graph.adders[node - self.graph.inputs]
        left_sign = one.left_sign * self.signs[node] * self.signs[one.left]
        right_sign = one.right_sign * self.signs[node] * self.signs[one.right]
        return replace(one, left_sign=left_sign, right_sign=right_sign)

    def _range(self, node: int) -> tuple[int, int]:
        low, high = self.ranges[node]
        return (low, high) if self.signs[node] > 0 else (-high, -low)

    def _luts(self, node: int) -> float:
        one = self._adder(node)
        if one.left_sign < 0 and one.right_sign < 0:
            return float("inf")
        low, high = self._range(node)
        bits = width(low, high)
        if one.left_sign < 0:
            return bits
        if one.right_sign < 0:
            return max(1, bits - one.shift)
        # Bits of each operand; one that is negative at times has them all.
        ends = [
            bits if operand[0] < 0 else shift + width(*operand)
            for operand, shift in ((self._range(one.left), 0), (self._range(one.right), one.shift))
        ]
        return max(0, min(bits, *ends) - one.shift)
