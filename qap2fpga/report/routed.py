# SPDX-License-Identifier: Apache-2.0
"""What an open place-and-route tool found: on the board, and, as a cross-check, on another device."""

from __future__ import annotations

from collections.abc import Iterator

from qap2fpga.hw import families
from qap2fpga.report.schema import Report
from qap2fpga.report.schema.hardware import Board
from qap2fpga.report.schema.results import Check, Routed
from qap2fpga.report.show import percent


def met(achieved_ns: float | None, target_ns: float) -> bool:
    """Return whether a design was placed, and reaches the clock that it was placed for."""
    return achieved_ns is not None and achieved_ns <= target_ns


def checks(routed: Routed | None) -> list[Check]:
    """Whether the router reached the board's clock. What does not fit has none; that is a check of its own."""
    if routed is None:
        return []
    name, target = f"clock after place and route by {routed.tool}", clock(routed.target_ns)
    if routed.achieved_ns is None:
        return [Check.not_run(name, target, "it does not fit, so it was not placed")]
    reached, why = met(routed.achieved_ns, routed.target_ns), ""
    if not reached:
        why = f"{routed.path}: give it more pipeline stages with a shorter --clock, prune it, or use fewer bits"
    return [Check.of(name, target, clock(routed.achieved_ns), reached, why)]


def lines(report: Report) -> Iterator[str]:
    """The routed numbers in words, the board's first."""
    mine, other = report.routed, report.cross_check
    if mine:
        yield f"{_words(mine)} {_bitstream(mine)}".strip()
    if other:
        yield (
            f"another device, {other.part}, as a cross-check: {_words(other)} It says nothing about "
            f"{report.board.part}, and no check rests on it."
        )


def clock(period_ns: float) -> str:
    """A period as a frequency and as itself."""
    return f"{1000 / period_ns:.1f} MHz ({period_ns:.2f} ns)"


def resource_names(board: Board) -> dict[str, str]:
    """What the board's family calls the resources."""
    return dict(families.of(board.family).labels)


def _words(routed: Routed) -> str:
    """Cells and clock, or what there is too little of."""
    by = f"{routed.tool} {routed.version}"
    if routed.achieved_ns is None:
        return f"{by}: does not fit {routed.part}: {_cells(routed, over=True)}."
    reached = f"{clock(routed.achieved_ns)} reached, {clock(routed.target_ns)} asked for"
    return f"{by}, placed and routed on {routed.part}: {reached}; {_cells(routed)}; {routed.path}."


def _cells(routed: Routed, *, over: bool = False) -> str:
    names = {label for one in families.FAMILIES.values() if one.open_route for label in one.labels.values()}
    pairs = {name: routed.used[name] for name in routed.used if name in names or over}
    shown = {name: pair for name, pair in pairs.items() if (pair[0] > pair[1] if over else pair[0])}
    return ", ".join(
        f"{name} {here:,} of {there:,} ({percent(here / there, 1)})" for name, (here, there) in shown.items()
    )


def _bitstream(routed: Routed) -> str:
    if routed.bitstream:
        rate = routed.vectors_per_second
        carries = "" if rate is None else f"; its serial port carries {rate:,.0f} vectors per second"
        return f"Bitstream: {routed.bitstream}{carries}."
    return "" if met(routed.achieved_ns, routed.target_ns) else "There is no bitstream."
