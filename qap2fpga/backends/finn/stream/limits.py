# SPDX-License-Identifier: Apache-2.0
"""What FINN's RTL cannot compute, by node: every reason at once, before any work."""

from __future__ import annotations

from collections.abc import Iterator

from qap2fpga.backends.finn.padding import divisors
from qap2fpga.backends.finn.plan import FLOAT32_EXACT, MAX_ACTIVATION_BITS, elsewhere
from qap2fpga.backends.finn.stream import library, own
from qap2fpga.backends.finn.stream.blocks import Block
from qap2fpga.backends.finn.stream.draw import Drawing, Lanes
from qap2fpga.backends.finn.stream.fifos import without
from qap2fpga.backends.finn.stream.handlers import HANDLERS
from qap2fpga.backends.finn.stream.widths import is_pair, passes_by
from qap2fpga.backends.finn.stream.windows import memory
from qap2fpga.ir.functions import Logits, Step
from qap2fpga.ir.geometry import Geometry
from qap2fpga.ir.graph import Graph
from qap2fpga.ir.linear import Linear
from qap2fpga.ir.nodes import Node, Requantizer
from qap2fpga.ir.tensors import Shape
from qap2fpga.system.errors import QapError

# Thresholds of a node of at most so many bits.
MOST_THRESHOLDS = (1 << MAX_ACTIVATION_BITS) - 1


def refusals(graph: Graph, output_kind: str) -> tuple[QapError, ...]:
    """Return every reason why FINN's RTL, with our modules, cannot compute `graph`."""
    reasons = [reason for node in graph.nodes for reason in _of_node(graph, node)]
    shape = graph.shapes[graph.output]
    if output_kind == "class" and shape.positions > 1:
        reasons.append(_refused(graph[graph.output], f"a class of {shape}", "give a network with one position"))
    if reasons:
        return tuple(reasons)
    ones = {node.name: Lanes() for node in graph.nodes}
    drawn = Drawing(graph, ones, without(), deep=False, kind=output_kind).drawn(HANDLERS)
    return tuple(reason for block in drawn.blocks for reason in _of_widths(graph, block))


def _of_node(graph: Graph, node: Node) -> Iterator[QapError]:
    if type(node) not in HANDLERS:
        yield _refused(node, "the FINN backend has no hardware for this kind of node", "leave it out")
    if not isinstance(node, Requantizer):
        return
    if isinstance(node.function, Logits) and (node.name != graph.output or graph.readers(node.name)):
        yield _refused(node, "logits in the middle of the network", "only its end may have them")
    if isinstance(node.function, Step):
        last = node.name == graph.output
        levels = node.function.thresholds.shape[1] * (1 if last else node.function.step)
        if levels > MOST_THRESHOLDS:
            yield _refused(node, f"{levels} levels; there may be {MOST_THRESHOLDS}", "use fewer activation bits")


def _of_widths(graph: Graph, block: Block) -> Iterator[QapError]:
    node = graph[block.node]
    if isinstance(block, own.End):
        return
    if isinstance(block, library.Product) and block.taken.kind.bits > MAX_ACTIVATION_BITS:
        what = f"values of {block.taken.kind.bits} bits come in; the FINN backend takes {MAX_ACTIVATION_BITS} at most"
        yield _refused(node, what, "use fewer bits before it")
    kind = block.given.kind
    if block.shows and max(-kind.low, kind.high + 1) > FLOAT32_EXACT:
        what = f"results of {kind.bits} bits; FINN carries them in float32, exact to 24 bits"
        yield _refused(node, what, "use fewer bits, or prune it")
    if isinstance(block, library.Windows):
        size = library.shape_of(block.taken.shape)
        wide = isinstance(node, Linear) and parallel_possible(size, block.geometry)
        if not wide and not serial_lanes(size, block.geometry):
            what = f"FINN's window generator cannot step over {size} with kernel and stride of this size"
            yield _refused(node, what, "use a stride that is not larger than the kernel")


def serial_lanes(size: Shape, geometry: Geometry) -> list[int]:
    """Return the lanes in which FINN's window generator can step over an unpadded tensor of `size`, tap by tap.

    For a kernel of one tap it is the parallel one.
    """
    if geometry.taps == 1:
        return divisors(size.channels) if parallel_possible(size, geometry) else []
    return [lanes for lanes in divisors(size.channels) if addressable(size, geometry, size.channels // lanes)]


def depthwise_lanes(size: Shape, geometry: Geometry) -> list[int]:
    """Return the lanes in which the taps of each channel can come: a whole frame of two taps does by itself."""
    lanes = serial_lanes(size, geometry)
    return [*lanes, size.channels] if passes_by(geometry, size, 1) else lanes


def addressable(size: Shape, geometry: Geometry, fold: int) -> bool:
    """Return whether FINN's serial window generator can step over an unpadded tensor, `fold` beats per position.

    It cannot jump further than its memory is deep, and takes for granted that windows cover more than half of each
    axis: what is left beyond the last one it finds as a remainder.
    """
    if not _covered(size, geometry) or is_pair(geometry, size, fold):
        return False
    (rows, columns), (down, across) = geometry.extent, geometry.stride
    least = ((rows - 1) * size.width + columns) * fold
    out = geometry.output(size, 1)
    skipped = size.width - (columns + (out.width - 1) * across)
    window = -least + across * fold + 1
    row = -least + (skipped + columns) * fold + (down - 1) * size.width * fold + 1
    return max(abs(window), abs(row)) <= memory(size, geometry, fold)


def parallel_possible(size: Shape, geometry: Geometry) -> bool:
    """Return whether FINN's parallel window generator is right for an unpadded tensor of `size`.

    Between two rows of a kernel it keeps the rest of a row in a memory, of which it must have two words: with fewer its
    addresses have no bits, and what it gives is silently wrong.
    """
    rest = size.width - geometry.extent[1]
    several = geometry.output(size, 1).positions > 1
    return several and _covered(size, geometry) and (geometry.kernel[0] == 1 or rest > 1)


def _covered(size: Shape, geometry: Geometry) -> bool:
    """Whether what windows leave over on each axis is the remainder that FINN takes it for."""
    out = geometry.output(size, 1)
    axes = zip((size.height, size.width), geometry.extent, (out.height, out.width), geometry.stride, strict=True)
    used = [(extent, kernel + (positions - 1) * step) for extent, kernel, positions, step in axes]
    return all(extent % covered == extent - covered or extent == covered for extent, covered in used)


def _refused(node: Node, what: str, hint: str) -> QapError:
    return QapError(f"node {node.name} ({node.kind}): {what}", elsewhere(hint))
