# SPDX-License-Identifier: Apache-2.0
"""What the page says of an exploration: its candidates, estimated and measured beside each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from qap2fpga.hw.resources import LABELS
from qap2fpga.report import show
from qap2fpga.report.summary import Summary

# Rows of the table: the page must stay small. All candidates are in the CSV beside it.
MOST_ROWS = 200
COLUMNS = {**LABELS, "latency_ns": "latency, ns"}


@dataclass(frozen=True)
class Row:
    """One candidate. `measured` is None where it was not built; `best`: of the estimated Pareto set.

    `outcome` says what became of it, and `good` whether a build of it meets the limits; None where there is none.
    """

    estimated: Summary
    measured: Summary | None
    best: bool
    outcome: str
    good: bool | None


@dataclass(frozen=True)
class Exploration:
    """An exploration: `limits` in words, `rows` in the order in which they are worth a look, and those that could
    not be estimated as (name, reason)."""

    title: str
    limits: tuple[str, ...]
    rows: tuple[Row, ...]
    failed: tuple[tuple[str, str], ...]

    @property
    def shown(self) -> tuple[Row, ...]:
        """The rows that the page has room for."""
        return self.rows[:MOST_ROWS]

    @property
    def summaries(self) -> tuple[Summary, ...]:
        """Every point of the plots: what was estimated, and what was measured."""
        measured = (row.measured for row in self.rows if row.measured is not None)
        return (*(row.estimated for row in self.rows), *measured)


def place(row: int) -> str:
    """The id of a row, counted from 0."""
    return f"c{row + 1}"


def pair(name: str, estimated: Summary, measured: Summary | None) -> str:
    """The number `name` as estimated, and as measured where there is a build."""
    expected = show.number(getattr(estimated, name))
    return expected if measured is None else f"{expected} → {show.number(getattr(measured, name))}"


def cells(row: Row) -> Sequence[tuple[str, float | None]]:
    """(text, what it is sorted by) of each of `COLUMNS`."""
    best = row.measured or row.estimated
    return [(pair(name, row.estimated, row.measured), getattr(best, name)) for name in COLUMNS]
