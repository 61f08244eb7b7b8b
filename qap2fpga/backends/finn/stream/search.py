# SPDX-License-Identifier: Apache-2.0
"""The folding of a graph for a board: for an interval each node's cheapest lanes that keep it; the shortest that fits.

What couples neighbours, width converters and FIFOs, is left out while lanes are chosen, and in what must fit.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property, lru_cache

import numpy as np

from qap2fpga.backends.finn import estimate
from qap2fpga.backends.finn.options import FinnOptions
from qap2fpga.backends.finn.padding import divisors
from qap2fpga.backends.finn.plan import deep_pipeline
from qap2fpga.backends.finn.stream import library
from qap2fpga.backends.finn.stream.blocks import Block, Stream
from qap2fpga.backends.finn.stream.choices import Choice, promising
from qap2fpga.backends.finn.stream.cost import cost
from qap2fpga.backends.finn.stream.draw import Depths, Drawing, Drawn, Lanes
from qap2fpga.backends.finn.stream.fifos import Sized, sized, without
from qap2fpga.backends.finn.stream.handlers import HANDLERS
from qap2fpga.backends.finn.stream.limits import depthwise_lanes, parallel_possible, serial_lanes
from qap2fpga.backends.finn.stream.schedule import interval_of
from qap2fpga.backends.finn.stream.sparse import Sparse
from qap2fpga.backends.finn.stream.sparse_folds import possible_lanes, sparse_lanes
from qap2fpga.backends.finn.stream.widths import matrix, whole_frame
from qap2fpga.hw.boards import Board
from qap2fpga.hw.resources import NAMES, Resources
from qap2fpga.ir.geometry import Geometry
from qap2fpga.ir.graph import Graph
from qap2fpga.ir.joins import Concat
from qap2fpga.ir.linear import Linear
from qap2fpga.ir.nodes import Input, Node, Requantizer
from qap2fpga.ir.tensors import Shape
from qap2fpga.system.errors import QapError

# How many shorter intervals are tried where FIFOs and converters do not fit, or make a design slower than wanted.
TRIES = 6
# Of a layer more of whose weights are not zero no sparse folding is looked at, unless all layers are to be sparse: it
# hardly pays, and takes the time.
MOST_DENSE = 0.5
# How often a resource that does not suffice is weighed heavier, where layers may be without their zeros.
RETRIES = 4
# Of a window generator that takes longer, the search adds the filling of its memory to its beats; what is built is run.
LONG = 100_000


class Search:
    """The foldings of one graph on one board."""

    def __init__(self, graph: Graph, board: Board, kind: str, sparse: str = "never") -> None:
        self.graph, self.board, self.kind, self.deep = graph, board, kind, deep_pipeline(board)
        self.sparse = sparse
        ones = {node.name: Lanes() for node in graph.nodes}
        plain = Drawing(graph, ones, without(), deep=self.deep, kind=kind)
        self.dropped = plain.dropped
        plain.drawn(HANDLERS)
        self.results: dict[str, Stream] = plain.results

    def draw(self, folding: Mapping[str, Lanes]) -> Callable[[Depths], Drawn]:
        """Return what draws the graph with `folding`, given depths of FIFOs."""
        return lambda depths: Drawing(self.graph, folding, depths, deep=self.deep, kind=self.kind).drawn(HANDLERS)

    @cached_property
    def choices(self) -> dict[str, list[Choice]]:
        """Every folding of each node by itself; of those whose schedules are to be looked for only promising ones."""
        return {
            node.name: self._choices(node)
            for node in self.graph.nodes
            if not isinstance(node, (Input, Requantizer))
        }  # fmt: skip

    @cached_property
    def intervals(self) -> list[int]:
        """Intervals that may be kept, the shortest first."""
        least = max((min(one.cycles for one in choices) for choices in self.choices.values()), default=1)
        every = {one.cycles for choices in self.choices.values() for one in choices}
        slowest = max((max(one.cycles for one in choices) for choices in self.choices.values()), default=1)
        return sorted(cycles for cycles in every | {least, slowest} if least <= cycles <= slowest)

    def folding(self, interval: int, part: float = math.inf) -> dict[str, Lanes]:
        """Return each node's cheapest lanes for a frame per `interval`.

        Where zeros may be skipped, multipliers are LUTs or DSPs: if more than `part` of a resource were taken, it is
        weighed heavier, and if nothing keeps below it, that is not done.
        """
        weights = np.ones(len(NAMES))
        first = self._weighed(interval, weights)
        found = first
        for _ in range(RETRIES if self.sparse != "never" else 0):
            used = self.used(self.draw(found)(without()))
            over = np.array([used[name] > part for name in NAMES])
            if not over.any():
                return found
            weights = np.where(over, weights * 4, weights)
            found = self._weighed(interval, weights)
        return first

    def _weighed(self, interval: int, weights: np.ndarray) -> dict[str, Lanes]:
        """The cheapest lanes: not sparse ones, if what stands between the nodes makes these the dearer design."""
        found = self._cheapest(interval, self.choices, weights)
        if self.sparse != "auto" or not any(lanes.banks for lanes in found.values()):
            return found
        dense = {name: [one for one in choices if not one.lanes.banks] for name, choices in self.choices.items()}
        if any(min(one.cycles for one in choices) > interval for choices in dense.values()):
            return found
        return min(found, self._cheapest(interval, dense, weights), key=lambda one: self._price(one, weights))

    def _cheapest(self, interval: int, every: Mapping[str, list[Choice]], weights: np.ndarray) -> dict[str, Lanes]:
        chosen = {
            name: min(
                (one for one in choices if one.cycles <= interval), key=lambda one: float((one.cost * weights).sum())
            )
            for name, choices in every.items()
        }
        return self.whole({name: one.lanes for name, one in chosen.items()})

    def _price(self, folding: Mapping[str, Lanes], weights: np.ndarray) -> float:
        used = self.used(self.draw(folding)(without()))
        return float(np.array([used[name] for name in NAMES]) @ weights)

    def whole(self, chosen: Mapping[str, Lanes]) -> dict[str, Lanes]:
        """Return `chosen` with the lanes of what follows its neighbours: the input, which its readers take."""
        folding = {node.name: chosen.get(node.name, Lanes()) for node in self.graph.nodes}
        source = self.graph.source
        channels = source.size.channels
        wanted = [math.gcd(self._taken(reader, folding[reader.name]), channels) for reader in self._readers(source)]
        if all(self._whole(reader) for reader in self._readers(source)):
            # A frame read at once may come in beats of several positions.
            wanted = [folding[reader.name].simd for reader in self._readers(source)][:1]
        folding[source.name] = Lanes(pe=max(wanted, default=1))
        return folding

    def used(self, drawn: Drawn) -> dict[str, float]:
        """Return the part of the board that a design takes, by kind of resource."""
        return estimate.used(self.total(drawn), self.board)

    def total(self, drawn: Drawn) -> Resources:
        """Return what a design takes."""
        return estimate.total([cost(block, self.board.dsp_cell)[0] for block in drawn.blocks])

    def _readers(self, node: Node) -> list[Node]:
        return [reader for reader in self.graph.readers(node.name) if reader.name != self.dropped]

    def _whole(self, node: Node) -> bool:
        return isinstance(node, Linear) and whole_frame(node.geometry, self.graph.shapes[node.sources[0]])

    def _taken(self, node: Node, lanes: Lanes) -> int:
        """The lanes in which a node takes what comes."""
        if not isinstance(node, Linear):
            return lanes.pe
        channels = self.graph.shapes[node.sources[0]].channels
        return channels if lanes.parallel else lanes.simd if self._whole(node) else math.gcd(lanes.simd, channels)

    def _lanes(self, node: Node) -> list[Lanes]:
        """Every folding of a node; of sparse ones those that may pay."""
        dense = self._dense_lanes(node)
        if not isinstance(node, Linear) or self.sparse == "never":
            return dense
        weights = matrix(node)
        if self.sparse == "always":
            return sparse_lanes(weights, node.outputs, dense)
        worth = weights.products <= MOST_DENSE * weights.weights.size
        return dense + sparse_lanes(weights, node.outputs, dense) if worth else dense

    def legal(self, name: str) -> list[Lanes]:
        """Return every folding that the node `name` may be given, whether or not it pays."""
        node = self.graph[name]
        dense = self._dense_lanes(node)
        return dense + possible_lanes(node.outputs, dense) if isinstance(node, Linear) else dense

    def _dense_lanes(self, node: Node) -> list[Lanes]:
        source = self.graph.shapes[node.sources[0]]
        if isinstance(node, Concat):
            channels = math.gcd(*(self.graph.shapes[one].channels for one in node.sources))
            return [Lanes(pe=pe) for pe in divisors(channels)]
        if not isinstance(node, Linear):
            geometry = getattr(node, "geometry", None)
            legal = divisors(source.channels)
            if geometry is not None and not geometry.is_point:
                size, bare = unpadded(source, geometry)
                legal = legal if bare.is_point else depthwise_lanes(size, bare)
            return [Lanes(pe=pe) for pe in legal]
        outputs = divisors(node.outputs)
        if self._whole(node) or node.geometry.is_point:
            return [Lanes(simd, pe) for simd in divisors(node.inputs) for pe in outputs]
        size, bare = unpadded(source, node.geometry)
        if bare.is_point:
            return [Lanes(simd, pe) for simd in divisors(source.channels) for pe in outputs]
        serial = serial_lanes(size, bare)
        lanes = [Lanes(simd, pe) for simd in serial for pe in outputs]
        if parallel_possible(size, bare):
            wide = [simd for simd in divisors(node.inputs) if simd > source.channels or not serial]
            lanes += [Lanes(simd, pe, parallel=True) for simd in wide for pe in outputs]
        return lanes

    def _choices(self, node: Node) -> list[Choice]:
        lanes = self._lanes(node)
        known = [self._choice(node, one) for one in lanes if not one.cross]
        possible = [self._choice(node, one, at_best=True) for one in lanes if one.cross]
        return known + promising(known, possible, lambda one: self._choice(node, one.lanes))

    def _choice(self, node: Node, lanes: Lanes, *, at_best: bool = False) -> Choice:
        """A folding with its cycles and cost: of the node's own blocks, and of the thresholds that follow it.

        `at_best`: what a sparse one takes at least.
        """
        key = (node.name, lanes, at_best)
        if key not in self._parts:
            blocks = self._blocks(node, lanes)
            if at_best:
                blocks = [replace(one, matrix=one.matrix.even) if isinstance(one, Sparse) else one for one in blocks]
            parts = estimate.total([cost(block, self.board.dsp_cell)[0] for block in blocks])
            self._parts[key] = max(self._interval(block) for block in blocks) if blocks else 1, parts
        cycles, parts = self._parts[key]
        return Choice(lanes, cycles, np.array(list(estimate.used(parts, self.board).values())))

    def _blocks(self, node: Node, lanes: Lanes) -> list[Block]:
        drawing = Drawing(self.graph, {node.name: lanes}, without(), deep=self.deep, kind=self.kind)
        for source in node.sources:
            stream = self.results[source]
            drawing.streams[source] = Stream(stream.shape, self._taken(node, lanes), stream.kind)
            drawing.waiting[source] = deque([source] * node.sources.count(source))
        HANDLERS[type(node)](drawing, node)
        for reader in self._readers(node):
            if isinstance(reader, Requantizer):
                HANDLERS[Requantizer](drawing, reader)
        return drawing.blocks

    def _interval(self, block: Block) -> int:
        if not isinstance(block, library.Windows):
            return block.cycles
        if block.cycles > LONG:
            return block.cycles + block.memory
        key = (block.taken.shape, block.taken.lanes, block.geometry, block.depthwise, block.parallel)
        if key not in self._known:
            self._known[key] = interval_of(block)
        return self._known[key]

    @cached_property
    def _parts(self) -> dict[tuple[str, Lanes, bool], tuple[int, Resources]]:
        """The cycles of nodes' foldings, and what these take: the same on all boards of a family."""
        return _parts(self.graph, self.kind, self.deep, self.board.dsp_cell)

    @cached_property
    def _known(self) -> dict[object, int]:
        return {}


@lru_cache(maxsize=4)
def _parts(graph: Graph, kind: str, deep: bool, dsp_cell: str) -> dict[tuple[str, Lanes, bool], tuple[int, Resources]]:
    return {}


def unpadded(size: Shape, geometry: Geometry) -> tuple[Shape, Geometry]:
    """Return what the window generator steps over: the padded tensor, and the kernel without its pads."""
    top, left, bottom, right = geometry.pads
    padded = Shape(size.channels, size.height + top + bottom, size.width + left + right)
    return padded, Geometry(geometry.kernel, geometry.stride, geometry.dilation)


def choose(search: Search, options: FinnOptions) -> tuple[dict[str, Lanes], Sized]:
    """Return the folding for `options` and its design. Raises `QapError` if none fits or reaches the target."""
    board = search.board
    allowed = math.inf
    intervals = search.intervals
    if options.target_fps is not None:
        allowed = math.floor(1e9 / board.clock_ns / options.target_fps)
        intervals = [interval for interval in reversed(search.intervals) if interval <= allowed]
        if not intervals:
            raise QapError(
                f"{options.target_fps:,.0f} fps need a frame every {allowed} cycles at {board.clock_ns:g} ns; "
                f"the shortest interval is {search.intervals[0]}", "lower --target-fps",
            )  # fmt: skip
    else:
        intervals = intervals[_first_that_fits(search, options) :]
    over, best = "", None
    for interval in intervals[:TRIES]:
        if best is not None and (options.target_fps is not None or interval >= best[1].cycles.interval):
            break
        folding = search.folding(interval, options.max_utilization)
        one = sized(search.draw(folding), interval)
        parts = search.used(one.drawn)
        over = ", ".join(
            f"{part:.0%} of {kind.upper()}" for kind, part in parts.items() if part > options.max_utilization
        )
        if one.cycles.interval <= allowed and (not over or options.allow_oversize):
            # What is between layers may take more cycles than these: then the next interval may be the faster design.
            best = min(best or (folding, one), (folding, one), key=lambda pair: pair[1].cycles.interval)
    if best is not None:
        return best
    raise QapError(
        f"predicted not to fit {board.title}: {over}" if over else f"no folding keeps {allowed} cycles per frame",
        "prune more, use fewer bits or a larger board; --allow-oversize builds it all the same",
    )


def _first_that_fits(search: Search, options: FinnOptions) -> int:
    """The place of the shortest interval whose blocks fit; of the longest one if none do."""
    low, high = 0, len(search.intervals) - 1
    while low < high:
        middle = (low + high) // 2
        folding = search.folding(search.intervals[middle], options.max_utilization)
        parts = search.used(search.draw(folding)(without()))
        if all(part <= options.max_utilization for part in parts.values()):
            high = middle
        else:
            low = middle + 1
    return low
