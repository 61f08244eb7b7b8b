# SPDX-License-Identifier: Apache-2.0
"""The graph of a network as a reader sees it: a line per node, with the quantizer after it where it alone reads it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from qap2fpga.ir.shown import REQUANTIZE, Described
from qap2fpga.report.schema import Report
from qap2fpga.report.schema.network import Model

ORDER = "hardware takes it row by row, the channels of a position together"


@dataclass(frozen=True)
class Line:
    """One node: what it does, to the results of which nodes, and the extents and bits of what leaves it."""

    name: str
    what: str
    takes: str
    gives: str
    bits: str


def lines(model: Model) -> Iterator[Line]:
    """Yield a line per node; none of a chain of dense layers, whose layers say it all."""
    names = {node.name: shown(node.name) for node in model.nodes}
    ends = quantizers(model)
    names |= {end.name: shown(name) for name, end in ends.items()}
    after = {end.name for end in ends.values()}
    for node in model.nodes:
        if node.name not in after:
            end = ends.get(node.name)
            what = node.what if end is None else f"{node.what}, {end.what}"
            takes = ", ".join(names.get(source, source) for source in node.sources)
            yield Line(names[node.name], what, takes, extents(node), bits(end or node))


def shown(name: str) -> str:
    """Return the identity `name` as people know it: the input has a slash at its end, to differ from all layers."""
    return name.removesuffix("/")


def extents(node: Described) -> str:
    """Return rows, columns and channels of what leaves `node`."""
    return f"{node.height}x{node.width}x{node.channels}"


def bits(node: Described) -> str:
    """Return the width of what leaves `node`."""
    return f"{node.bits} {'signed' if node.signed else 'unsigned'}"


def frame(model: Model) -> Iterator[str]:
    """Yield what comes in, and in which order it does; nothing where it is the vector that the model takes."""
    if model.frame is not None:
        yield f"{model.frame.title}, of the model's rows {model.frame.row}"
        if model.frame.height * model.frame.width > 1:
            yield ORDER


def additions(model: Model) -> str:
    """Return how many BOPs of the total are in no layer's row, those of nodes that only add; else nothing."""
    others = model.bops.paper - sum(layer.bops.paper for layer in model.layers)
    return f"{others:,.0f} of the total are additions of pools and signs" if model.nodes and others > 0.5 else ""


def interval(report: Report) -> str:
    """Return why a frame takes as many cycles as it does; empty for a network of vectors."""
    port = report.interface.input if report.interface else None
    cycles = report.timing.interval_cycles.known if report.timing else None
    if port is None or not port.beats or port.beats == 1 or cycles is None or not (report.model and report.model.nodes):
        return ""
    values = "1 value" if port.lanes == 1 else f"{port.lanes} values"
    text = f"the interval is in cycles per frame: its {port.beats} beats of {values} take one each at least"
    return text if cycles <= port.beats else f"{text}; the slowest part takes the rest"


def quantizers(model: Model) -> dict[str, Described]:
    """Return, by a node's name, the quantizer that alone takes its result."""
    return dict(_pairs(model.nodes))


def _pairs(nodes: tuple[Described, ...]) -> Iterator[tuple[str, Described]]:
    """Each node whose result only a quantizer takes, and that quantizer."""
    readers: dict[str, list[Described]] = {node.name: [] for node in nodes}
    for node in nodes:
        for source in node.sources:
            readers.setdefault(source, []).append(node)
    for node in nodes:
        match readers[node.name]:
            case [reader] if reader.kind == REQUANTIZE and node.kind != REQUANTIZE:
                yield node.name, reader
