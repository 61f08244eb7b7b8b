# SPDX-License-Identifier: Apache-2.0
"""The nodes of a graph in words and numbers, for a report."""

from __future__ import annotations

from functools import singledispatch

from qap2fpga.ir.channelwise import Depthwise, Max, Repeat
from qap2fpga.ir.functions import Logits
from qap2fpga.ir.geometry import Geometry
from qap2fpga.ir.graph import Graph
from qap2fpga.ir.joins import Concat, Sum
from qap2fpga.ir.linear import Linear
from qap2fpga.ir.nodes import Input, Node, Requantizer
from qap2fpga.ir.shown import REQUANTIZE, Described, titled
from qap2fpga.ir.tensors import Shape


def nodes(graph: Graph) -> tuple[Described, ...]:
    """Return every node of `graph`, in its order."""
    return tuple(_node(graph, node) for node in graph.nodes)


def _node(graph: Graph, node: Node) -> Described:
    shape, span = graph.shapes[node.name], graph.node_ranges[node.name]
    kind, what = in_words(node, shape)
    return Described(
        name=node.name, kind=kind, what=what, sources=node.sources, height=shape.height, width=shape.width,
        channels=shape.channels, bits=span.bits, signed=span.lowest < 0,
    )  # fmt: skip


@singledispatch
def in_words(node: Node, shape: Shape) -> tuple[str, str]:
    """Return the kind of `node`, whose result has `shape`, and what it does."""
    raise TypeError(f"no words for a node of kind {node.kind}")


@in_words.register
def _(node: Input, shape: Shape) -> tuple[str, str]:
    return "input", titled(shape.height, shape.width, shape.channels)


@in_words.register
def _(node: Linear, shape: Shape) -> tuple[str, str]:
    weights = f"{node.inputs}x{node.outputs} weights"
    if shape.positions == 1 and not node.geometry.is_padded:
        return "dense", f"dense, {weights}"
    return "conv", f"conv {moved(node.geometry)}, {weights}"


@in_words.register
def _(node: Depthwise, shape: Shape) -> tuple[str, str]:
    if node.geometry.is_point:
        return "factors", "a factor per channel"
    if (node.weights == 1).all():
        return "sum pool", f"sum of {moved(node.geometry)}"
    return "depthwise", f"depthwise {moved(node.geometry)}"


@in_words.register
def _(node: Max, shape: Shape) -> tuple[str, str]:
    return "max pool", f"largest of {moved(node.geometry)}"


@in_words.register
def _(node: Sum, shape: Shape) -> tuple[str, str]:
    if set(node.multipliers) == {1}:
        return "sum", f"sum of {len(node.multipliers)}"
    return "sum", f"sum of {len(node.multipliers)}, times {', '.join(map(str, node.multipliers))}"


@in_words.register
def _(node: Concat, shape: Shape) -> tuple[str, str]:
    return "concat", "channels side by side"


@in_words.register
def _(node: Repeat, shape: Shape) -> tuple[str, str]:
    return "repeat", f"each row {node.rows} times, each column {node.columns} times"


@in_words.register
def _(node: Requantizer, shape: Shape) -> tuple[str, str]:
    return REQUANTIZE, "logits" if isinstance(node.function, Logits) else "quantized"


def moved(geometry: Geometry) -> str:
    """Return the kernel of `geometry` and how it moves, without what is as everywhere."""
    parts = [_pair(geometry.kernel)]
    for name, pair in (("stride", geometry.stride), ("dilation", geometry.dilation)):
        if pair != (1, 1):
            parts.append(f"{name} {pair[0] if pair[0] == pair[1] else _pair(pair)}")
    if geometry.is_padded:
        pads = geometry.pads
        parts.append(f"pads {pads[0] if len(set(pads)) == 1 else ' '.join(map(str, pads))}")
    return ", ".join(parts)


def _pair(pair: tuple[int, int]) -> str:
    return f"{pair[0]}x{pair[1]}"
