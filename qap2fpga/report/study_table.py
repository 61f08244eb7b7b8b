# SPDX-License-Identifier: Apache-2.0
"""The table at the end of a study: each setting before pruning and after its last step, and its searches' best trials.

The numbers and warnings are those of the study's page: means over folds and seeds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from qap2fpga.report import show, study_folder, study_means
from qap2fpga.report.studies import Study
from qap2fpga.report.study_means import Mean
from qap2fpga.system.codec import Record, decode
from qap2fpga.system.reading import json_object
from qap2fpga.system.tables import headed
from qap2fpga.system.terminal import warning


@dataclass(frozen=True, kw_only=True)
class Best(Record):
    """A trial that no other one of its search beats."""

    search: str
    name: str
    objectives: Mapping[str, float | None]
    checkpoint: str


COLUMNS = ("setting", "step", "runs", "epochs", "zeros", "accuracy", "points lost", "BOPs", "LUTs")


def render(study: Study, console: Console) -> None:
    """Show what the settings of `study` came to, its searches' best trials, and the page's warnings."""
    means = study_means.means(study.trained)
    rows = list(rows_of(means))
    if rows:
        table = headed(*COLUMNS)
        for row in rows:
            table.add_row(*map(escape, row))
        console.print(table)
    for table in _searches(study.folder):
        console.print(table)
    for text in study_means.warnings(means):
        console.print(warning(text))


def rows_of(means: Sequence[Mean]) -> Iterator[tuple[str, ...]]:
    """Yield the first and the last step of each setting, as `COLUMNS`; trials of a search are not settings."""
    together: dict[str, list[Mean]] = {}
    for one in means:
        if one.search is None:
            together.setdefault(one.setting, []).append(one)
    for steps in together.values():
        ends = (steps[0], steps[-1]) if len(steps) > 1 else (steps[0],)
        for one in ends:
            lost = show.DASH if one is steps[0] else show.points(one.lost, one.lost_error)
            yield (
                one.name, str(one.step), str(one.runs), show.count(one.epochs), show.percent(one.zeros, 1),
                show.percent(one.accuracy) + show.error(one.error), lost, show.number(one.bops), show.number(one.lut),
            )  # fmt: skip


def _searches(folder: Path) -> Iterator[Table]:
    """Yield a table for each search: the trials that no other one beats."""
    path = folder / study_folder.SEARCH
    if not path.exists():
        return
    best: dict[str, list[Best]] = {}
    trials = json_object(path, study_folder.HINT).get("pareto")
    for trial in trials if isinstance(trials, list) else []:
        one = decode(Best, trial, "pareto", str(path))
        best.setdefault(one.search, []).append(one)
    for search, trials_of in best.items():
        names = list(dict.fromkeys(name for one in trials_of for name in one.objectives))
        table = headed(
            escape(f"best of {search}"), *map(escape, names), "checkpoint", words=(0, len(names) + 1)
        )  # fmt: skip
        for one in trials_of:
            values = (one.objectives.get(name) for name in names)
            cells = (show.DASH if value is None else f"{value:,.5g}" for value in values)
            table.add_row(escape(one.name), *cells, escape(one.checkpoint))
        yield table
