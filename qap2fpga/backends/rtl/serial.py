# SPDX-License-Identifier: Apache-2.0
"""Which dense layers take their inputs one after the other: one multiplier per output, where frames leave the time.

An unrolled layer works in one cycle of a frame. One that has as many cycles as inputs takes a fraction of the LUTs.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from qap2fpga.backends.rtl.adders import signed_digits
from qap2fpga.backends.rtl.dataflow.timing import Timing, held
from qap2fpga.backends.rtl.dataflow.window import Sweep
from qap2fpga.exact.integers import width
from qap2fpga.ir.graph import Graph
from qap2fpga.ir.linear import Linear
from qap2fpga.ir.windowed import Windowed

# Sharing between a matrix' adders saves this part of the unshared tree at least, on the networks measured.
SHARED = 0.6
# LUTs of a serial layer by what they are for: bits of products, of sums, of weights in 64 places, of a position that is
# held, and of the control.
PRODUCT_BIT, SUM_BIT, WEIGHT_BIT, HELD_BIT, CONTROL = 2.4, 0.3, 1.0, 4.0, 50.0


@dataclass(frozen=True, eq=False)
class Slots:
    """When a queue of positions is emptied, a position in `lanes` cycles; `enter` is when they come."""

    enter: Timing
    lanes: int

    @property
    def leave(self) -> Timing:
        """When each position leaves the queue."""
        cycles = np.empty_like(self.enter.cycles)
        free = -1
        for place, cycle in enumerate(self.enter.cycles):
            cycles[place] = max(int(cycle) + 1, free)
            free = int(cycles[place]) + self.lanes
        return Timing(cycles, self.enter.needs, self.enter.period)

    @property
    def keeps_up(self) -> bool:
        """Whether the queue is emptied before the next frame's first position would leave it."""
        leave = self.leave
        return leave.last + self.lanes <= int(leave.cycles[0]) + leave.period

    @property
    def depth(self) -> int:
        """Positions that wait at a time."""
        return held(self.enter, self.leave)


@lru_cache(maxsize=4)
def serial_layers(graph: Graph) -> frozenset[str]:
    """Return the names of the linear nodes that see whole frames, have the time, and take fewer LUTs that way."""
    timings = _timings(graph)
    return frozenset(
        node.name
        for node in graph.nodes
        if isinstance(node, Linear) and sees_whole_frames(graph, node)
        and Slots(timings[node.sources[0]], graph.shapes[node.sources[0]].channels).keeps_up
        and luts(graph, node) < unrolled_luts(graph, node)
    )  # fmt: skip


def sees_whole_frames(graph: Graph, node: Linear) -> bool:
    """Return whether the kernel's one position is the frame itself."""
    source = graph.shapes[node.sources[0]]
    return node.geometry.kernel == (source.height, source.width) and not node.geometry.is_padded


def luts(graph: Graph, node: Linear) -> float:
    """Return the LUTs expected of `node` one input after the other."""
    source, name = graph.node_ranges[node.sources[0]], node.name
    sums = graph.node_ranges[name].signed_bits
    products = PRODUCT_BIT * source.bits * node.weight_width
    rom = WEIGHT_BIT * node.weight_width * -(-node.inputs // 64)
    return node.outputs * (products + SUM_BIT * sums + rom) + HELD_BIT * source.bits * len(source.low) + CONTROL


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


def _timings(graph: Graph) -> dict[str, Timing]:
    """When positions would pass by if datapaths took no cycles."""
    timings: dict[str, Timing] = {}
    for node in graph.nodes:
        sources = [timings[source] for source in node.sources]
        if not sources:
            timings[node.name] = Timing.of_input(graph.source.size.positions)
        elif isinstance(node, Windowed):
            sweep = Sweep(node.geometry, graph.shapes[node.sources[0]])
            timings[node.name] = sources[0].at(sweep.places).later(1)
        elif len(sources[0].cycles) != graph.shapes[node.name].positions:
            count = graph.shapes[node.name].positions
            timings[node.name] = sources[0].at(np.arange(count) * len(sources[0].cycles) // count)
        else:
            first = sources[0]
            latest = [np.max([getattr(one, key) for one in sources], axis=0) for key in ("cycles", "needs")]
            timings[node.name] = Timing(latest[0], latest[1], first.period)
    return timings
