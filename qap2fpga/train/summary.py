# SPDX-License-Identifier: Apache-2.0
"""The table at the end of a study: what each point of it came to, over its folds; imports nothing heavy."""

from __future__ import annotations

import json
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from qap2fpga.system.tables import headed
from qap2fpga.train import plan
from qap2fpga.train.manifest import read_record, run_folder
from qap2fpga.train.schema import Record

COLUMNS = ("training", "folds", "zeros", "accuracy dense", "accuracy", "BOPs dense", "BOPs", "LUTs")


class TrialRecord(TypedDict):
    """What of a finished trial in `search.json` is shown."""

    search: str
    name: str
    objectives: dict[str, float]
    checkpoint: str


@dataclass(frozen=True)
class Point:
    """The finished records of one combination of values, one per fold."""

    name: str
    records: tuple[Record, ...]
    folds: int

    def cells(self) -> tuple[str, ...]:
        """Return one row of the table, by `COLUMNS`."""
        if not self.records:
            return (self.name, f"0 of {self.folds}", *["–"] * (len(COLUMNS) - 2))
        folds = str(self.folds) if len(self.records) == self.folds else f"{len(self.records)} of {self.folds}"
        zeros = statistics.fmean(record["steps"][-1]["integer_sparsity"] for record in self.records)
        accuracies = [
            [record["steps"][step]["metrics"]["test"]["accuracy"] for record in self.records] for step in (0, -1)
        ]
        bops = [[record["steps"][step]["bops"]["paper"] for record in self.records] for step in (0, -1)]
        estimates = [record["steps"][-1].get("estimate") for record in self.records]
        luts = [lut for one in estimates if one is not None and (lut := one["lut"]) is not None]
        return (
            self.name,
            folds,
            f"{zeros:.1%}",
            *map(_spread, accuracies),
            *(f"{statistics.fmean(values):,.0f}" for values in bops),
            f"{statistics.fmean(luts):,.0f}" if luts else "–",
        )


def points_of(folder: Path, runs: tuple[plan.Run, ...]) -> list[Point]:
    """Return the study's runs with their folds put together, in the order of its file."""
    together: dict[str, list[plan.Run]] = {}
    for run in runs:
        together.setdefault(run.point, []).append(run)
    points = []
    for name, folds in together.items():
        records = [read_record(run_folder(folder, run.name)) for run in folds]
        finished = tuple(record for record in records if record is not None and record["finished"])
        points.append(Point(name, finished, len(folds)))
    return points


def render(folder: Path, study: plan.Study, console: Console) -> None:
    """Show what the runs came to, and the best trials of the searches."""
    if study.runs:
        table = _table(COLUMNS, text=1)
        for point in points_of(folder, study.runs):
            table.add_row(*map(escape, point.cells()))
        console.print(table)
    for search in study.searches:
        best = _pareto(folder, search.name)
        table = _table((escape(f"best of {search.name}"), *search.objectives, "checkpoint"), text=1)
        for one in best:
            values = (f"{one['objectives'][name]:,.5g}" for name in search.objectives)
            table.add_row(escape(one["name"]), *values, escape(one["checkpoint"]))
        console.print(table)


def _pareto(folder: Path, search: str) -> list[TrialRecord]:
    content = json.loads((folder / "search.json").read_text())
    return [one for one in content["pareto"] if one["search"] == search]


def _spread(values: list[float]) -> str:
    """Mean, and standard deviation where there are several."""
    mean = f"{statistics.fmean(values):.4f}"
    return f"{mean} ± {statistics.stdev(values):.4f}" if len(values) > 1 else mean


def _table(columns: tuple[str, ...], text: int) -> Table:
    """A table without lines whose first `text` columns are text, the others numbers."""
    table = headed(*columns, words=range(text))
    for column in table.columns:
        column.no_wrap = True
    return table
