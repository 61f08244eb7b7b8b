# SPDX-License-Identifier: Apache-2.0
"""Which blocks each kind of node becomes: one handler per kind."""

from __future__ import annotations

import math
from collections import Counter, deque
from dataclasses import replace
from typing import Any

from qap2fpga.backends.finn.stream import library, own
from qap2fpga.backends.finn.stream.blocks import Kind, Stream
from qap2fpga.backends.finn.stream.draw import INPUT, Drawing, Handler
from qap2fpga.backends.finn.stream.sparse import Sparse
from qap2fpga.backends.finn.stream.widths import (
    accumulator,
    density,
    matrix,
    narrow_weight_bits,
    rows_of,
    whole_frame,
)
from qap2fpga.ir.channelwise import Depthwise, Max, Repeat
from qap2fpga.ir.functions import Logits
from qap2fpga.ir.geometry import POINT
from qap2fpga.ir.joins import Concat, Sum
from qap2fpga.ir.linear import Linear
from qap2fpga.ir.nodes import Input, Node, Requantizer


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
    if not lanes.banks:
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
    if lanes.banks:
        fields: dict[str, Any] = {"banks": lanes.banks, "queue": lanes.queue, "cross": lanes.cross}
        drawing.close(node, drawing.add(Sparse, node, (edge,), given, matrix=matrix(node), **fields))
        return
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


HANDLERS: dict[type[Node], Handler] = {
    Input: _input, Linear: _linear, Depthwise: _depthwise, Max: _max, Requantizer: _requantizer, Sum: _sum,
    Concat: _concat, Repeat: _repeat,
}  # fmt: skip
