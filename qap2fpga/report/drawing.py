# SPDX-License-Identifier: Apache-2.0
"""The network as a drawing: where boxes and arrows lie, in the units of its SVG; the template only draws them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from qap2fpga.report import network, show
from qap2fpga.report.parts import Part
from qap2fpga.report.schema import Report
from qap2fpga.report.schema.network import Layer, Model

WIDTH, HEIGHT, GAP, RISE = 236, 84, 24, 34
# Around the drawing, between the lanes of skips, and the length of an arrow's head.
MARGIN, LANE, HEAD = 4, 14, 7
# Letters that a line of a box has room for.
LONGEST = 36


@dataclass(frozen=True)
class Box:
    """A node. `lines` are what stands below its name; `bar` is its share of the LUTs of the largest, of 100."""

    name: str
    lines: tuple[str, ...]
    x: float
    y: float
    bar: float
    title: str


@dataclass(frozen=True)
class Arrow:
    """From one box to another: the path of its line, and that of its head."""

    line: str
    head: str


@dataclass(frozen=True)
class Drawing:
    """All boxes, and the arrows between them."""

    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]
    width: float
    height: float
    box_width: int = WIDTH
    box_height: int = HEIGHT


@dataclass(frozen=True)
class _Node:
    name: str
    sources: tuple[str, ...]
    lines: tuple[str, ...]
    lut: float | None
    title: str


def drawing(report: Report, parts: Sequence[Part]) -> Drawing | None:
    """Return the drawing of the report's network; None where it says of none."""
    if report.model is None:
        return None
    luts = _luts(parts)
    nodes = list(_graph(report.model, luts) if report.model.nodes else _chain(report.model, luts))
    ranks = _ranks(nodes)
    places = _places(nodes, ranks)
    most = max((node.lut or 0.0 for node in nodes), default=0.0)
    boxes = tuple(
        Box(_fitted(node.name), tuple(map(_fitted, node.lines)), *places[node.name],
            round(100 * (node.lut or 0.0) / most, 1) if most else 0.0, node.title)
        for node in nodes
    )  # fmt: skip
    arrows, edge = _arrows(nodes, ranks, places)
    return Drawing(boxes, arrows, edge + MARGIN, max(y for _, y in places.values()) + HEIGHT + MARGIN)


def _luts(parts: Iterable[Part]) -> Mapping[str, float]:
    """LUTs by layer: as measured, else as predicted."""
    sums: dict[str, float] = {}
    for part in parts:
        lut: float | None = part.measured.get("lut")
        lut = part.predicted.get("lut") if lut is None else lut
        if part.layer and lut is not None:
            sums[part.layer] = sums.get(part.layer, 0) + lut
    return sums


def _graph(model: Model, luts: Mapping[str, float]) -> Iterable[_Node]:
    """Yield the nodes of a graph, each with the quantizer after it, which then is no node of its own."""
    ends = network.quantizers(model)
    after = {end.name: name for name, end in ends.items()}
    layers = {layer.name: layer for layer in model.layers}
    for node in model.nodes:
        if node.name in after:
            continue
        end = ends.get(node.name, node)
        sources = (network.shown(after.get(source, source)) for source in node.sources)
        gives = f"{network.extents(node)}, {end.bits} bits {'signed' if end.signed else 'unsigned'}"
        own = [luts[name] for name in dict.fromkeys((node.name, end.name)) if name in luts]
        lut = sum(own) if own else None
        lines = (node.what, gives, _cost(layers.get(node.name), lut))
        yield _Node(network.shown(node.name), tuple(dict.fromkeys(sources)), lines, lut, f"{node.what}; gives {gives}")


def _chain(model: Model, luts: Mapping[str, float]) -> Iterable[_Node]:
    """Yield the input and the layers of a chain of dense layers."""
    bits = f"{model.layers[0].input_bits} bits"
    yield _Node("input", (), (f"vector of {model.inputs} values", bits, ""), None, f"{model.inputs} values, {bits}")
    before = "input"
    for layer in model.layers:
        weights = f"dense, {layer.inputs}x{layer.outputs} of {layer.weight_bits} bits"
        inner = f"takes {layer.input_bits} bits, sums of {layer.hardware.accumulator_bits}"
        yield _Node(layer.name, (before,), (weights, inner, _cost(layer, luts.get(layer.name))), luts.get(layer.name),
                    f"{weights}; {inner} bits")  # fmt: skip
        before = layer.name


def _cost(layer: Layer | None, lut: float | None) -> str:
    zeros = f"{show.percent(layer.zeros / layer.weights, 0)} zeros" if layer is not None else ""
    return ", ".join(filter(None, (zeros, f"{lut:,.0f} LUTs" if lut else "")))


def _ranks(nodes: Sequence[_Node]) -> dict[str, int]:
    """Return how many nodes are before each on the longest way from the input; nodes come in the order of the data."""
    ranks: dict[str, int] = {}
    for node in nodes:
        ranks[node.name] = 1 + max((ranks[source] for source in node.sources if source in ranks), default=-1)
    return ranks


def _places(nodes: Sequence[_Node], ranks: Mapping[str, int]) -> dict[str, tuple[float, float]]:
    """Return where each box begins: below what it takes, or beside it where branches are side by side."""
    taken: set[tuple[int, int]] = set()
    columns: dict[str, int] = {}
    for node in nodes:
        column = min((columns[source] for source in node.sources if source in columns), default=0)
        while (ranks[node.name], column) in taken:
            column += 1
        taken.add((ranks[node.name], column))
        columns[node.name] = column
    return {name: (MARGIN + column * (WIDTH + GAP), MARGIN + ranks[name] * (HEIGHT + RISE))
            for name, column in columns.items()}  # fmt: skip


def _arrows(
    nodes: Sequence[_Node], ranks: Mapping[str, int], places: Mapping[str, tuple[float, float]]
) -> tuple[tuple[Arrow, ...], float]:
    """Return the arrows, and how far to the right boxes and arrows come.

    What goes past other nodes has a lane to the right of them.
    """
    rows: dict[int, float] = {}
    for name, (x, _) in places.items():
        rows[ranks[name]] = max(rows.get(ranks[name], 0), x + WIDTH)
    paths = []
    for node in nodes:
        for source in (one for one in node.sources if one in places):
            (x, y), (to, until) = places[source], places[node.name]
            between = range(ranks[source] + 1, ranks[node.name])
            if not between:
                x, to = x + WIDTH / 2, to + WIDTH / 2
                bend = "" if x == to else f"V{y + HEIGHT + RISE / 2:g}H{to:g}"
                paths.append(_arrow(f"M{x:g} {y + HEIGHT:g}{bend}", to, until))
                continue
            lane = max(rows[rank] for rank in between) + LANE
            rows.update(dict.fromkeys(between, lane))
            x, to = x + WIDTH * 3 / 4, to + WIDTH * 3 / 4
            turns = f"V{y + HEIGHT + RISE / 3:g}H{lane:g}V{until - RISE * 2 / 3:g}H{to:g}"
            paths.append(_arrow(f"M{x:g} {y + HEIGHT:g}{turns}", to, until))
    return tuple(paths), max(rows.values())


def _arrow(line: str, x: float, y: float) -> Arrow:
    """Return the arrow of `line` that ends at (x, y)."""
    return Arrow(f"{line}V{y - HEAD:g}", f"M{x - 4:g} {y - HEAD:g}h8l-4 {HEAD}z")


def _fitted(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
