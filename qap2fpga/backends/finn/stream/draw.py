# SPDX-License-Identifier: Apache-2.0
"""From a graph and a folding to blocks: converters, FIFOs and forks between what the handlers of nodes add."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from qap2fpga.backends.finn import output_stage
from qap2fpga.backends.finn.stream import library, own
from qap2fpga.backends.finn.stream.blocks import Block, Kind, Stream
from qap2fpga.backends.finn.stream.widths import passes_by
from qap2fpga.ir.geometry import Geometry
from qap2fpga.ir.graph import Graph
from qap2fpga.ir.nodes import Node, Requantizer
from qap2fpga.ir.tensors import Shape


@dataclass(frozen=True)
class Lanes:
    """How a node is folded: `simd` values in and `pe` out per cycle; `parallel`: all taps of a window at once.

    With `banks` only weights that are not zero are multiplied, by so many lanes for each of the `pe`, and up to `queue`
    finished sums of each wait for the others. With `cross` any of the `simd` values may go to any bank.
    """

    simd: int = 1
    pe: int = 1
    parallel: bool = False
    banks: int = 0
    queue: int = 0
    cross: bool = False


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

    def drawn(self, handlers: Mapping[type[Node], Handler]) -> Drawn:
        """Return the blocks of the whole graph, as `handlers` add them."""
        for node in self.graph.nodes:
            if node.name != self.dropped:
                handlers[type(node)](self, node)
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
        rows, columns, channels = self.streams[edge].shape
        size = Shape(channels, rows, columns)
        if depthwise and passes_by(bare, size, channels // lanes):
            return edge
        edge = self.fifo(node, edge)
        out = bare.output(size, channels)
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


Handler = Callable[[Drawing, Any], None]
