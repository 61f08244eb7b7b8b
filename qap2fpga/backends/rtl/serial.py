# SPDX-License-Identifier: Apache-2.0
"""Which layers take their inputs one after the other: one multiplier per output, where frames leave the time.

An unrolled layer works in one cycle of a position. One that has as many cycles as inputs takes a fraction of the LUTs.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import numpy as np

from qap2fpga.backends.rtl.adders import signed_digits
from qap2fpga.backends.rtl.dataflow.timing import Slots, Timing
from qap2fpga.backends.rtl.pace import passed
from qap2fpga.exact.integers import width
from qap2fpga.ir.graph import Graph
from qap2fpga.ir.linear import Linear

# Sharing between a matrix' adders saves this part of the unshared tree at least, on the networks measured.
SHARED = 0.6
# LUTs of a serial layer by what they are for: bits of products, of sums, of weights in 64 places, of a position that is
# held, and of the control.
PRODUCT_BIT, SUM_BIT, WEIGHT_BIT, HELD_BIT, CONTROL = 2.4, 0.3, 1.0, 4.0, 50.0


@lru_cache(maxsize=4)
def serial_layers(graph: Graph, pace: int) -> frozenset[str]:
    """Return the linear nodes that have the time, a position every `pace` cycles, and take fewer LUTs that way."""
    came: dict[str, Timing] = {}
    serial: set[str] = set()
    for node in graph.nodes:
        came[node.name] = passed(graph, node, [came[source] for source in node.sources], pace)
        if isinstance(node, Linear) and luts(graph, node) < unrolled_luts(graph, node):
            slots = _slots(graph, node, came)
            if slots.keeps_up:
                serial.add(node.name)
                last = slots.leave.later(slots.lanes)
                whole = node.geometry.sees_whole(graph.shapes[node.sources[0]])
                came[node.name] = last.at(np.array([len(last.cycles) - 1])) if whole else last
    return frozenset(serial)


def _slots(graph: Graph, node: Linear, came: Mapping[str, Timing]) -> Slots:
    """When `node` takes what its window sees; of whole frames, position by position."""
    source = node.sources[0]
    if node.geometry.sees_whole(graph.shapes[source]):
        return Slots(came[source], graph.shapes[source].channels)
    return Slots(came[node.name], node.inputs)


def luts(graph: Graph, node: Linear) -> float:
    """Return the LUTs expected of `node` one input after the other."""
    source, name = graph.node_ranges[node.sources[0]], node.name
    sums = graph.node_ranges[name].signed_bits
    products = PRODUCT_BIT * source.bits * node.weight_width
    rom = WEIGHT_BIT * node.weight_width * -(-node.inputs // 64)
    whole = node.geometry.sees_whole(graph.shapes[node.sources[0]])
    lanes = len(source.low) if whole else node.inputs
    return node.outputs * (products + SUM_BIT * sums + rom) + HELD_BIT * source.bits * lanes + CONTROL


def unrolled_luts(graph: Graph, node: Linear) -> float:
    """Return the LUTs expected of the adders of `node` in one cycle."""
    return adder_luts(node.weights, graph.node_ranges[node.name].ends)


def adder_luts(weights: np.ndarray, ends: list[tuple[int, int]]) -> float:
    """Return the LUTs expected of adders for `weights` whose sums lie in `ends`, from signed digits alone."""
    operands = signed_digits(weights).sum(axis=0)
    return SHARED * float((np.maximum(operands - 1, 0) * widths(ends)).sum())


def widths(ends: list[tuple[int, int]]) -> np.ndarray:
    """Return the bits of a signed type for each of `ends`."""
    return np.array([width(min(low, -1), high) for low, high in ends])
