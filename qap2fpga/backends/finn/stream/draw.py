# SPDX-License-Identifier: Apache-2.0
"""From a graph and a folding to blocks: one handler per kind of node, converters, FIFOs and forks between them."""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from qap2fpga.backends.finn import output_stage
from qap2fpga.backends.finn.stream import library, own
from qap2fpga.backends.finn.stream.blocks import Block, Kind, Stream
from qap2fpga.backends.finn.stream.widths import accumulator, density, narrow_weight_bits, rows_of, whole_frame
from qap2fpga.ir.channelwise import Depthwise, Max, Repeat
from qap2fpga.ir.functions import Logits
from qap2fpga.ir.geometry import POINT, Geometry
from qap2fpga.ir.graph import Graph
from qap2fpga.ir.joins import Concat, Sum
from qap2fpga.ir.linear import Linear
from qap2fpga.ir.nodes import Input, Node, Requantizer
from qap2fpga.ir.tensors import Shape


@dataclass(frozen=True)
class Lanes:
    """How a node is folded: `simd` values in and `pe` out per cycle; `parallel`: all taps of a window at once."""

    simd: int = 1
    pe: int = 1
    parallel: bool = False


@dataclass(frozen=True)
class Drawn:
    """The blocks of a design in the order of the data; `source` comes in by the edge `in0`, `end` is what leaves."""

    blocks: tuple[Block, ...]
    source: Stream
    end: str

    def __getitem__(self, name: str) -> Block:
        """Return the block `name`."""
        return next(block for block in self.blocks if block.name == name)

    @property
    def result(self) -> Stream:
        """What leaves."""
        return next((block.given for block in self.blocks if self.end in block.targets), self.source)


INPUT = "in0"
# Depths of FIFOs by the edge before them: 0 is none, None as deep as it takes.
Depths = Mapping[str, int | None]


class Drawing:
    """Blocks as they are added. Edges are known by name, each with its stream."""

    def __init__(self, graph: Graph, folding: Mapping[str, Lanes], depths: Depths, *, deep: bool, kind: str) -> None:
        self.graph, self.folding, self.depths, self.deep = graph, folding, depths, deep
        # Accumulators are what the last requantizer would take.
        self.dropped = graph.output if kind == "accumulators" and _requantizes(graph[graph.output]) else None
        self.output = graph[graph.output].sources[0] if self.dropped else graph.output
        self.output_kind = kind
        self.blocks: list[Block] = []
        self.streams: dict[str, Stream] = {}
        # What each node's readers have yet to take, an edge each.
        self.waiting: dict[str, deque[str]] = {}
        # The result of each node, as it leaves its last block.
        self.results: dict[str, Stream] = {}
        self._numbers: Counter[str] = Counter()

    def drawn(self) -> Drawn:
        """Return the blocks of the whole graph."""
        for node in self.graph.nodes:
            if node.name != self.dropped:
                HANDLERS[type(node)](self, node)
        end = self._output_stage(self.waiting[self.output].popleft())
        return Drawn(tuple(self.blocks), self.streams[INPUT], end)

    def add(
        self, cls: type[Block], node: Node, sources: tuple[str, ...], given: Stream, *, name: str = "",
        **fields: Any,
    ) -> str:  # fmt: skip
        """Add a block and return the edge of its result."""
        name = name or f"{cls.op}_{self._numbers[cls.op]}"
        self._numbers[cls.op] += 1
        block = cls(name=name, node=node.name, sources=sources, taken=self.streams[sources[0]], given=given, **fields)
        self.blocks.append(block)
        self.streams |= dict.fromkeys(block.targets, given)
        return block.targets[0]

    def take(self, node: Node, source: str, lanes: int, kind: Kind | None = None, *, queued: bool = False) -> str:
        """Return an edge with the result of `source` for a reader of so many lanes, in the type `kind`.

        `queued`: in a FIFO.
        """
        edge = self.waiting[source].popleft()
        edge = self._extended(node, edge, kind)
        edge = self.converted(node, edge, lanes)
        return self.fifo(node, edge) if queued else edge

    def converted(self, node: Node, edge: str, lanes: int) -> str:
        """Return `edge` in beats of so many lanes."""
        stream = self.streams[edge]
        if stream.lanes == lanes:
            return edge
        return self.add(library.Converter, node, (edge,), replace(stream, lanes=lanes))

    def fifo(self, node: Node, edge: str) -> str:
        """Return `edge` after the FIFO that stands there, if one does; a FIFO needs no other."""
        depth = self.depths[edge]
        behind_fifo = any(isinstance(block, library.Fifo) and block.name == edge for block in self.blocks)
        return (
            edge
            if depth == 0 or behind_fifo
            else self.add(library.Fifo, node, (edge,), self.streams[edge], depth=depth)
        )

    def _extended(self, node: Node, edge: str, kind: Kind | None) -> str:
        stream = self.streams[edge]
        if kind is None or kind == stream.kind:
            return edge
        return self.add(own.Extend, node, (edge,), replace(stream, kind=kind))

    def close(self, node: Node, edge: str) -> None:
        """Hand the result of `node` on to its readers: through a fork where there are several."""
        readers = sum(reader.sources.count(node.name) for reader in self.graph.nodes if reader.name != self.dropped)
        readers += node.name == self.output
        self._show(edge)
        self.results[node.name] = self.streams[edge]
        edges = [edge]
        if readers > 1:
            self.add(own.Fork, node, (edge,), self.streams[edge], ways=readers)
            edges = [self.fifo(node, target) for target in self.blocks[-1].targets]
        self.waiting[node.name] = deque(edges)

    def _show(self, edge: str) -> None:
        """Mark the block whose result is that of a node."""
        if self.blocks and edge in self.blocks[-1].targets:
            self.blocks[-1] = replace(self.blocks[-1], shows=True)

    def windows(
        self, node: Node, lanes: int, geometry: Geometry, kind: Kind, *, parallel: bool, depthwise: bool
    ) -> str:
        """Return an edge with what the kernel sees of the node's source."""
        (source,) = node.sources
        if geometry.is_padded:
            kind = kind.holding(geometry.pad, geometry.pad)
        edge = self.take(node, source, lanes, kind)
        if geometry.is_padded:
            edge = self._padded(node, edge, geometry)
        bare = replace(geometry, pads=(0, 0, 0, 0))
        if bare.is_point:
            return edge
        edge = self.fifo(node, edge)
        rows, columns, channels = self.streams[edge].shape
        out = bare.output(Shape(channels, rows, columns), channels)
        shape = (out.height, out.width, bare.taps * channels)
        lanes = bare.taps * channels if parallel else lanes
        given = replace(self.streams[edge], shape=shape, lanes=lanes)
        return self.add(
            library.Windows, node, (edge,), given, geometry=bare, depthwise=depthwise, parallel=parallel
        )  # fmt: skip

    def _padded(self, node: Node, edge: str, geometry: Geometry) -> str:
        stream = self.streams[edge]
        rows, columns, channels = stream.shape
        top, left, bottom, right = geometry.pads
        padded = replace(stream, shape=(rows + top + bottom, columns + left + right, channels))
        if not geometry.pad:
            return self.add(library.Pad, node, (edge,), padded, pads=geometry.pads)
        edge = self.add(own.Flip, node, (edge,), stream, value=geometry.pad)
        edge = self.add(library.Pad, node, (edge,), padded, pads=geometry.pads)
        return self.add(own.Flip, node, (edge,), padded, value=geometry.pad)

    def _output_stage(self, edge: str) -> str:
        """Return the edge that leaves, after the modules that stand at the end."""
        node = self.graph[self.graph.output]
        stream = self.streams[edge]
        function = node.function if isinstance(node, Requantizer) and self.dropped is None else None
        ends = self.graph.node_ranges[node.name]
        for module in output_stage.modules(
            function, (ends.lowest, ends.highest), self.output_kind, stream.channels, stream.lanes, stream.kind.bits,
            signed=stream.kind.signed,
        ):  # fmt: skip
            cls = own.ENDS[module.kind]
            shape = (1, 1, 1) if cls is own.Class else stream.shape
            given = Stream(shape, module.out_lanes, Kind(module.out_bits, module.out_signed))
            edge = self.add(cls, node, (edge,), given, name=cls.op, stage=module)
        return edge


def _requantizes(node: Node) -> bool:
    return isinstance(node, Requantizer)


def _input(drawing: Drawing, node: Input) -> None:
    size = node.size
    kind = Kind(node.quantizer.bits, node.quantizer.signed)
    stream = Stream((size.height, size.width, size.channels), drawing.folding[node.name].pe, kind)
    drawing.streams[INPUT] = stream
    drawing.close(node, INPUT)


def _linear(drawing: Drawing, node: Linear) -> None:
    graph, lanes = drawing.graph, drawing.folding[node.name]
    (source,) = node.sources
    shape, seen = graph.shapes[source], graph.node_ranges[source]
    geometry = POINT if whole_frame(node.geometry, shape) else node.geometry
    kind = drawing.streams[drawing.waiting[source][0]].kind
    kind = replace(kind, bits=max(2, kind.bits))  # mvu.sv takes no 1-bit activations
    if (geometry is POINT and node.geometry is not POINT) or geometry.is_point:
        edge = drawing.take(node, source, lanes.simd, kind, queued=True)
    else:
        serial = math.gcd(lanes.simd, shape.channels)
        width = shape.channels if lanes.parallel else serial
        edge = drawing.windows(node, width, geometry, kind, parallel=lanes.parallel, depthwise=False)
        # Whole windows come in bursts, which wait as they are.
        edge = drawing.fifo(node, edge) if lanes.parallel else edge
        edge = drawing.converted(node, edge, lanes.simd)
        edge = edge if lanes.parallel else drawing.fifo(node, edge)
    kind = drawing.streams[edge].kind
    result = graph.shapes[node.name]
    given = Stream((result.height, result.width, result.channels), lanes.pe, accumulator(node, seen, kind))
    drawing.close(node, drawing.add(library.Product, node, (edge,), given, **_weights(node)))


def _depthwise(drawing: Drawing, node: Depthwise) -> None:
    graph, lanes = drawing.graph, drawing.folding[node.name].pe
    (source,) = node.sources
    kind = drawing.streams[drawing.waiting[source][0]].kind
    edge = drawing.windows(node, lanes, node.geometry, kind, parallel=False, depthwise=True)
    result = graph.shapes[node.name]
    sums = accumulator(node, graph.node_ranges[source], drawing.streams[edge].kind)
    given = Stream((result.height, result.width, result.channels), lanes, sums)
    drawing.close(node, drawing.add(own.Weighted, node, (edge,), given, **_weights(node)))


def _weights(node: Linear | Depthwise) -> dict[str, Any]:
    return {"weights": node.weights, "weight_bits": narrow_weight_bits(node), "density": density(node)}


def _max(drawing: Drawing, node: Max) -> None:
    lanes = drawing.folding[node.name].pe
    (source,) = node.sources
    stream = drawing.streams[drawing.waiting[source][0]]
    # Every window sees a value beside pads, so a pad below all values may be any value that is none larger.
    geometry = replace(node.geometry, pad=max(node.geometry.pad, stream.kind.low))
    if geometry.is_point:
        drawing.close(node, drawing.take(node, source, lanes))
        return
    edge = drawing.windows(node, lanes, geometry, stream.kind, parallel=False, depthwise=True)
    result = drawing.graph.shapes[node.name]
    given = replace(drawing.streams[edge], shape=(result.height, result.width, result.channels))
    drawing.close(node, drawing.add(own.Largest, node, (edge,), given, taps=geometry.taps))


def _requantizer(drawing: Drawing, node: Requantizer) -> None:
    (source,) = node.sources
    stream = drawing.streams[drawing.waiting[source][0]]
    edge = drawing.take(node, source, math.gcd(stream.lanes, stream.channels))
    if isinstance(node.function, Logits):
        drawing.waiting[node.name] = deque([edge])  # the output stage has them
        return
    stream = drawing.streams[edge]
    final = node.name == drawing.graph.output
    rows = rows_of(node.function, drawing.graph.node_ranges[source], counted=final)
    given = replace(stream, kind=Kind.of(0, rows.shape[1]))
    edge = drawing.add(library.Thresholds, node, (edge,), given, rows=rows, deep=drawing.deep)
    base = node.function.base
    if base and not final:
        kind = Kind.of(base, node.function.high)
        edge = drawing.add(own.Extend, node, (edge,), replace(given, kind=kind), offset=base)
    drawing.close(node, edge)


def _sum(drawing: Drawing, node: Sum) -> None:
    graph, lanes = drawing.graph, drawing.folding[node.name].pe
    kind = common(drawing, node)
    edges = tuple(drawing.take(node, source, lanes, kind, queued=True) for source in node.sources)
    ends = graph.node_ranges[node.name]
    partial = [(factor * kind.low, factor * kind.high) for factor in node.multipliers]
    # As wide as the sum of any values of the type: nothing between the sources can overflow.
    low, high = sum(min(pair) for pair in partial), sum(max(pair) for pair in partial)
    wide = Kind.of(min(low, ends.lowest), max(high, ends.highest))
    given = replace(drawing.streams[edges[0]], kind=wide)
    drawing.close(node, drawing.add(own.Add, node, edges, given, factors=node.multipliers))


def _concat(drawing: Drawing, node: Concat) -> None:
    lanes = drawing.folding[node.name].pe
    kind = common(drawing, node)
    edges = tuple(drawing.take(node, source, lanes, kind, queued=True) for source in node.sources)
    parts = tuple(drawing.streams[edge].channels for edge in edges)
    result = drawing.graph.shapes[node.name]
    given = Stream((result.height, result.width, result.channels), lanes, kind)
    drawing.close(node, drawing.add(own.Join, node, edges, given, parts=parts))


def _repeat(drawing: Drawing, node: Repeat) -> None:
    (source,) = node.sources
    edge = drawing.take(node, source, drawing.folding[node.name].pe, queued=True)
    result = drawing.graph.shapes[node.name]
    given = replace(drawing.streams[edge], shape=(result.height, result.width, result.channels))
    drawing.close(node, drawing.add(own.Again, node, (edge,), given, rows=node.rows, columns=node.columns))


def common(drawing: Drawing, node: Node) -> Kind:
    """Return the type that holds the values of all sources of `node`."""
    taken: Counter[str] = Counter()
    kind: Kind | None = None
    for source in node.sources:
        one = drawing.streams[drawing.waiting[source][taken[source]]].kind
        taken[source] += 1
        kind = one if kind is None else kind.holding(one.low, one.high)
    assert kind is not None
    return kind


Handler = Callable[[Drawing, Any], None]
HANDLERS: dict[type[Node], Handler] = {
    Input: _input, Linear: _linear, Depthwise: _depthwise, Max: _max, Requantizer: _requantizer, Sum: _sum,
    Concat: _concat, Repeat: _repeat,
}  # fmt: skip
