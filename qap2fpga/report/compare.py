# SPDX-License-Identifier: Apache-2.0
"""Builds side by side: what differs, what is best, and what may not be compared; and which points none other beats."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from qap2fpga.hw.resources import LABELS
from qap2fpga.report import pareto, show
from qap2fpga.report.summary import Summary


@dataclass(frozen=True)
class Measure:
    """A row of a comparison. `better` is 1 where more is better, -1 where less is, 0 where neither.

    `basis` is what the numbers rest on, see `Summary.basis`; `unit` what `show` writes after a number.
    """

    key: str
    label: str
    show: Callable[[Any], str] = show.text
    better: int = 0
    basis: str = ""
    unit: str = ""

    @property
    def title(self) -> str:
        """The label with the unit, for where numbers stand without one."""
        return f"{self.label}, {self.unit}" if self.unit else self.label

    @property
    def numeric(self) -> bool:
        """Whether it is a number that can be better, or rests on something."""
        return bool(self.better or self.basis)


def _two(share: float | None) -> str:
    return show.percent(share, 1)


MEASURES = (
    Measure("model", "model"),
    Measure("weight_bits", "weight bits"),
    Measure("activation_bits", "activation bits"),
    Measure("board", "board"),
    Measure("backend", "backend"),
    Measure("accuracy", "accuracy", show.percent, 1, "accuracy"),
    Measure("zeros", "zeros", _two),
    Measure("bops_paper", "BOPs", show.number, -1),
    Measure("bops_nonzero_products", "nnz·bₐ·b_w", show.number, -1),
    *(Measure(name, label, show.number, -1, "cells") for name, label in LABELS.items()),
    Measure("measured_by", "measured by"),
    Measure("board_lut", "of the board's LUTs", _two, 0, "cells"),
    Measure("lut_per_bop", "LUT per BOP", show.ratio, 0, "cells"),
    Measure("latency_cycles", "latency", show.cycles, -1, "cycles", "cycles"),
    Measure("latency_ns", "latency", show.nanoseconds, -1, "cycles", "ns"),
    Measure("interval_cycles", "interval", show.cycles, -1, "cycles", "cycles"),
    Measure("frames_per_second", "rate", show.rate, 1, "cycles", "frames/s"),
    Measure("cycles_from", "cycles are"),
    Measure("mismatches", "mismatches", show.text),
    Measure("verdict", "verdict"),
    Measure("outcome", "checks"),
)


@dataclass(frozen=True)
class Cell:
    """One number as text. `value` sorts it; `best`: no other that may be compared with it is better."""

    text: str
    value: Any
    best: bool
    unit: str = ""

    @property
    def bare(self) -> str:
        """The text without its unit."""
        return self.text.removesuffix(f" {self.unit}") if self.unit else self.text


@dataclass(frozen=True)
class Line:
    """One measure of all builds. `apart` names what keeps its numbers from being compared, empty if nothing does."""

    measure: Measure
    cells: tuple[Cell, ...]
    differs: bool
    apart: tuple[str, ...]


def lines(summaries: Sequence[Summary]) -> tuple[Line, ...]:
    """The comparison of `summaries`, a line a measure; a cell is that of the summary at its place."""
    return tuple(_line(measure, summaries) for measure in MEASURES)


def measured_by(summary: Summary) -> str | None:
    """Tool and stage of the cells, and whose circuit they are of where that is another one."""
    if summary.stage is None:
        return None
    by = f"{summary.tool}, {summary.stage}" if summary.tool else summary.stage
    return f"{by} ({summary.circuit} circuit)" if summary.another_circuit else by


def outcome(summary: Summary) -> str | None:
    """The checks in a word."""
    if summary.checks is None:
        return None
    ran = f"{summary.checks_failed} failed" if summary.checks_failed else "passed" if summary.checks else ""
    return ", ".join(filter(None, (ran, f"{summary.checks_not_run} not run" if summary.checks_not_run else ""))) or None


def value(summary: Summary, measure: Measure) -> object:
    """What `summary` says of `measure`."""
    texts = {"measured_by": measured_by, "outcome": outcome}.get(measure.key)
    return texts(summary) if texts else getattr(summary, measure.key)


def apart(summaries: Sequence[Summary], basis: str) -> tuple[str, ...]:
    """The names of what differs in that on which the numbers of `summaries` rest."""
    differing: dict[str, set[str]] = {}
    for one in summaries:
        for name, what in one.basis(basis):
            differing.setdefault(name, set()).add(what)
    return tuple(name for name, kinds in differing.items() if len(kinds) > 1)


def front(points: Sequence[tuple[float, float]]) -> tuple[int, ...]:
    """Indices of the non-dominated of (cost, gain) `points`, by rising cost: no other has less or equal cost and more
    or equal gain, one of the two really so."""
    costs = [(cost, -gain) for cost, gain in points]
    return tuple(sorted(pareto.front(costs), key=lambda index: costs[index]))


def _line(measure: Measure, summaries: Sequence[Summary]) -> Line:
    numbers = [value(one, measure) for one in summaries]
    known = [index for index, one in enumerate(numbers) if one is not None]
    best = _best(measure, summaries, numbers, known)
    cells = tuple(Cell(measure.show(one), one, index in best, measure.unit) for index, one in enumerate(numbers))
    away = apart([summaries[index] for index in known], measure.basis)
    return Line(measure, cells, len({cell.text for cell in cells}) > 1, away)


def _best(measure: Measure, summaries: Sequence[Summary], numbers: list[Any], known: list[int]) -> set[int]:
    """The best of each set of builds that may be compared, where two or more are and they differ."""
    groups: dict[Any, list[int]] = {}
    if measure.better:
        for index in known:
            if summaries[index].sound:
                groups.setdefault(summaries[index].basis(measure.basis), []).append(index)
    best: set[int] = set()
    for group in groups.values():
        values = [numbers[index] for index in group]
        if len(set(values)) > 1:
            optimum = max(values) if measure.better > 0 else min(values)
            best |= {index for index in group if numbers[index] == optimum}
    return best
