# SPDX-License-Identifier: Apache-2.0
"""How long each part of a design is busy with a frame, and which of them the interval comes from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from qap2fpga.report import network, show
from qap2fpga.report.parts import design_of
from qap2fpga.report.schema import Report
from qap2fpga.report.schema.hardware import Node


@dataclass(frozen=True)
class Bar:
    """One part: from where its bar goes, of 100, and how wide it is; `slowest`: none takes more cycles."""

    name: str
    text: str
    start: float
    width: float
    slowest: bool


@dataclass(frozen=True)
class Pace:
    """Bars of one kind, what they are, and where the interval comes from.

    `fifos` are those between the parts, each with the layer that reads it and its depth in beats, the deepest first.
    """

    title: str
    bars: tuple[Bar, ...]
    interval: str
    fifos: tuple[tuple[str, str, int], ...] = ()


def pace(report: Report) -> Pace | None:
    """Return the picture of the design's cycles; None where nothing is known of its parts."""
    design = design_of(report)
    if design is None or report.model is None:
        return None
    folded = [(node.name, node.cycles, _folding(node)) for node in design.nodes if node.cycles and node.depth is None]
    if folded:
        queues = [(node.name, node.layer or "", node.depth) for node in design.nodes if node.depth is not None]
        fifos = tuple(sorted(queues, key=lambda one: -one[2]))
        return Pace("Cycles of each part for a frame", tuple(_busy(folded)), _interval(report, folded), fifos)
    staged = [(node.layer or node.name, node.stages) for node in design.nodes if node.stages]
    if not report.model.nodes and staged:
        return Pace("Pipeline stages, from the input to the output", tuple(_stages(staged)), _every(report))
    after = {one.name for one in network.quantizers(report.model).values()}
    moving = [(network.shown(node.name), node.height * node.width, network.extents(node))
              for node in report.model.nodes if node.name not in after]  # fmt: skip
    title = "Positions of each node's result in a frame, of which hardware makes one per cycle at most"
    return Pace(title, tuple(_busy(moving)), _every(report)) if moving else None


def _folding(node: Node) -> str:
    if node.PE is not None:
        return f"PE {node.PE}" if node.SIMD is None else f"SIMD {node.SIMD}, PE {node.PE}"
    if node.lanes_in is None or node.lanes_out is None:
        return ""
    same = node.lanes_in == node.lanes_out
    return f"{node.lanes_in} lane{'s' * (node.lanes_in > 1)}" if same else f"lanes {node.lanes_in} to {node.lanes_out}"


def _busy(parts: list[tuple[str, int, str]]) -> Iterator[Bar]:
    most = max(cycles for _, cycles, _ in parts)
    for name, cycles, text in parts:
        note = f"{cycles:,}" + f", {text}" * bool(text)
        yield Bar(name, note, 0.0, round(100 * cycles / most, 2), cycles == most)


def _stages(parts: list[tuple[str, int]]) -> Iterator[Bar]:
    """One part after the other, as a vector goes through them."""
    total, start = sum(stages for _, stages in parts), 0
    for name, stages in parts:
        text = f"{stages} stage" + "s" * (stages != 1)
        yield Bar(name, text, round(100 * start / total, 2), round(100 * stages / total, 2), False)
        start += stages


def _interval(report: Report, parts: list[tuple[str, int, str]]) -> str:
    """Which part the interval comes from, and what it has more than that."""
    most = max(cycles for _, cycles, _ in parts)
    slowest = [name for name, cycles, _ in parts if cycles == most]
    known = report.timing.interval_cycles.known if report.timing else None
    which = slowest[0] if len(slowest) == 1 else f"{slowest[0]} and {len(slowest) - 1} others as slow"
    text = f"The slowest part takes {most:,} cycle{'s' * (most != 1)}: {which}"
    if known is None:
        return f"{text}."
    same = "which is the interval" if known == most else f"the interval is {show.count(known)}"
    return f"{text}; {same}."


def _every(report: Report) -> str:
    known = report.timing.interval_cycles.known if report.timing else None
    cycles = "every cycle" if known == 1 else f"every {show.count(known)} cycles"
    return "" if known is None else f"A new vector may enter {cycles}."
