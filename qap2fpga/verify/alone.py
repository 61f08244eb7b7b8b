# SPDX-License-Identifier: Apache-2.0
"""Each node of products, and each requantizer, run by itself in C++ on inputs that settle it for every input.

A requantizer is a function of one integer per channel: all integers that can reach it are run.

A layer of products adds, in each of its results, one product per input, where every type is an integer that wraps. So,
modulo the width of its accumulators, it is a constant plus one linear term per input, whatever the order of the
additions and however they wrap. Its results for one frame, and for that frame with each input in turn at both of its
ends, fix the constant and all terms, and show that no type cuts an input or a product off. The network's accumulators
lie within the width, so equal modulo it is equal. Which inputs a term is of does not depend on data.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from qap2fpga.hw.design import Alone
from qap2fpga.ir.graph import Graph
from qap2fpga.ir.nodes import Node
from qap2fpga.ir.tensors import Range, Shape
from qap2fpga.ir.windowed import Weighted
from qap2fpga.verify.compare import Mismatch, compare

# Values handed over, and products computed, of one node: above it, it is left to the simulation.
MOST_VALUES, MOST_PRODUCTS = 1 << 24, 1 << 28


@dataclass(frozen=True)
class Settled:
    """What was run: frames in all, and the nodes by kind; `left` are those that are too large for it."""

    frames: int
    requantizers: tuple[str, ...]
    products: tuple[str, ...]
    left: tuple[str, ...]

    @property
    def compared(self) -> str:
        """Say what was compared, for the report."""
        parts = []
        if self.requantizers:
            parts.append(f"{len(self.requantizers)} requantizers over their whole ranges")
        if self.products:
            parts.append(f"{len(self.products)} layers of products at both ends of every input")
        left = f"; too large for it: {', '.join(self.left)}" if self.left else ""
        return f"C++ of each node by itself: {' and '.join(parts)}{left}"


# The results (frames, outputs) that the C++ of the node of this number gives for frames (frames, inputs).
Run = Callable[[int, Alone, np.ndarray], np.ndarray]


def settle(network: Graph, nodes: tuple[Alone, ...], run: Run) -> Settled:
    """Compare every node by itself with the network's, and return what was compared.

    Raises `Mismatch`, which names node, channel and input, for a wrong integer.
    """
    frames = 0
    requantizers: list[str] = []
    products: list[str] = []
    left: list[str] = []
    for number, one in enumerate(nodes):
        node = network[one.node]
        (source,) = node.sources
        shape, values = network.shapes[source], network.node_ranges[source]
        if isinstance(node, Weighted):
            kind, count = products, 1 + 2 * shape.size
            work = count * network.shapes[one.node].positions * node.weights.size
        else:
            kind, count = requantizers, -(-int((values.high - values.low).max() + 1) // shape.positions)
            work = 0
        if count * shape.size > MOST_VALUES or work > MOST_PRODUCTS:
            left.append(one.node)
            continue
        inputs = basis(shape, values) if isinstance(node, Weighted) else every(shape, values)
        _require_equal(node, run(number, one, inputs), inputs, shape)
        kind.append(one.node)
        frames += len(inputs)
    return Settled(frames, tuple(requantizers), tuple(products), tuple(left))


def every(shape: Shape, values: Range) -> np.ndarray:
    """Return frames (n, size) in which each channel takes every integer of its range, a position after the other."""
    most = int((values.high - values.low).max()) + 1
    frames = -(-most // shape.positions)
    steps = np.arange(frames * shape.positions, dtype=np.int64).reshape(frames, shape.positions, 1)
    return np.minimum(values.low + steps, values.high).reshape(frames, shape.size)


def basis(shape: Shape, values: Range) -> np.ndarray:
    """Return frames (1 + 2 size, size): one of the values next to 0, and it with each value in turn at either end."""
    low, high = (np.tile(end, shape.positions) for end in (values.low, values.high))
    frames = np.tile(np.clip(0, low, high), (1 + 2 * shape.size, 1))
    each = np.arange(shape.size)
    frames[1 + 2 * each, each], frames[2 + 2 * each, each] = low, high
    return frames


def _require_equal(node: Node, results: np.ndarray, inputs: np.ndarray, shape: Shape) -> None:
    expected = node.evaluate([shape.tensor(inputs)]).reshape(results.shape)
    result = compare(results, expected)
    if result.first is not None:
        if isinstance(node, Weighted):
            changed = np.flatnonzero(inputs[result.first.vector] != inputs[0])
            given = f"input {changed[0]} = {inputs[result.first.vector, changed[0]]}" if len(changed) else "no input"
        else:
            # A requantizer keeps the shape.
            given = f"its source = {inputs[result.first.vector, result.first.channel]}"
        raise Mismatch(f"C simulation: node {node.name} by itself, {given}: {result.first}", result)
