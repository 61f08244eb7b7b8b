# SPDX-License-Identifier: Apache-2.0
"""Estimates on a terminal, and as plain values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.table import Table

from qap2fpga.predict.calibration import Prediction
from qap2fpga.predict.estimate import RESOURCES, Estimate

DASH = "–"
CYCLES = ("latency_cycles", "interval_cycles")


def render(estimates: Sequence[Estimate]) -> Table:
    """One row a backend and board; a range is what nearly all measured designs stayed in."""
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for column in ("backend", "board", "LUT", "FF", "DSP", "BRAM18", "latency", "interval", ""):
        table.add_column(column, justify="left" if column in ("backend", "board", "") else "right")
    for one in estimates:
        if one.refused:
            table.add_row(one.backend, one.board.name, *(DASH,) * 6, one.refused.splitlines()[0])
            continue
        numbers = [_number(one.predictions.get(name)) for name in (*RESOURCES, *CYCLES)]
        table.add_row(one.backend, one.board.name, *numbers, _verdict(one))
    return table


def values(estimates: Sequence[Estimate]) -> list[dict[str, Any]]:
    """The same as JSON values."""
    return [
        {
            "backend": one.backend, "board": one.board.name, "stage": "estimate", "calibrated": one.calibrated,
            "refused": one.refused or None, "fits": one.fits,
            "predictions": {
                name: {"value": made.value, "low": made.low, "high": made.high, "outside": list(made.outside)}
                for name, made in one.predictions.items()
            },
        }
        for one in estimates
    ]  # fmt: skip


def _number(made: Prediction | None) -> str:
    if made is None:
        return DASH
    if made.low == made.high:
        return f"{made.value:,.0f}"
    return f"{made.value:,.0f} ({made.low:,.0f}–{made.high:,.0f})"


def _verdict(one: Estimate) -> str:
    said = "fits" if one.fits else "does not fit, or may not"
    if not one.calibrated:
        said += "; not calibrated: no interval"
    outside = {text for made in one.predictions.values() for text in made.outside}
    return said + (f"; outside the measured range: {', '.join(sorted(outside))}" if outside else "")
