# SPDX-License-Identifier: Apache-2.0
"""What an open place-and-route tool found: on the board, and, as a cross-check, on another device."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from qap2fpga.hw import families
from qap2fpga.hw.design import Check
from qap2fpga.report.show import percent

Routed = Mapping[str, Any]


def met(routed: Routed) -> bool:
    """Whether the design was placed and reaches the clock that it was placed for."""
    return routed["achieved_ns"] is not None and routed["achieved_ns"] <= routed["target_ns"]


def checks(routed: Routed | None) -> list[Check]:
    """Whether the router reached the board's clock. What does not fit has none; that is a check of its own."""
    if routed is None:
        return []
    name, asked = f"clock after place and route by {routed['tool']}", clock(routed["target_ns"])
    if routed["achieved_ns"] is None:
        return [Check.not_run(name, asked, "it does not fit, so it was not placed")]
    why = ""
    if not met(routed):
        why = f"{routed['path']}: give it more pipeline stages with a shorter --clock, prune it, or use fewer bits"
    return [Check.of(name, asked, clock(routed["achieved_ns"]), met(routed), why)]


def lines(report: Mapping[str, Any]) -> Iterator[str]:
    """The routed numbers in words, the board's first."""
    mine, other = report.get("routed"), report.get("cross_check")
    if mine:
        yield f"{_said(mine)} {_bitstream(mine)}".strip()
    if other:
        yield (
            f"another device, {other['part']}, as a cross-check: {_said(other)} It says nothing about "
            f"{report['board']['part']}, and no check rests on it."
        )


def clock(period_ns: float) -> str:
    """A period as a frequency and as itself."""
    return f"{1000 / period_ns:.1f} MHz ({period_ns:.2f} ns)"


def resource_names(board: Mapping[str, Any]) -> dict[str, str]:
    """What the board's family calls the resources."""
    return dict(families.of(board.get("family")).labels)


def _said(routed: Routed) -> str:
    """Cells and clock, or what there is too little of."""
    by = f"{routed['tool']} {routed['version']}"
    if routed["achieved_ns"] is None:
        return f"{by}: does not fit {routed['part']}: {_cells(routed, over=True)}."
    reached = f"{clock(routed['achieved_ns'])} reached, {clock(routed['target_ns'])} asked for"
    return f"{by}, placed and routed on {routed['part']}: {reached}; {_cells(routed)}; {routed['path']}."


def _cells(routed: Routed, *, over: bool = False) -> str:
    names = {label for one in families.FAMILIES.values() if one.open_route for label in one.labels.values()}
    pairs = {name: routed["used"][name] for name in routed["used"] if name in names or over}
    shown = {name: pair for name, pair in pairs.items() if (pair[0] > pair[1] if over else pair[0])}
    return ", ".join(
        f"{name} {here:,} of {there:,} ({percent(here / there, 1)})" for name, (here, there) in shown.items()
    )


def _bitstream(routed: Routed) -> str:
    if routed["bitstream"]:
        rate = routed.get("vectors_per_second")
        carries = "" if rate is None else f"; its serial port carries {rate:,.0f} vectors a second"
        return f"Bitstream: {routed['bitstream']}{carries}."
    return "" if met(routed) else "There is no bitstream."
