# SPDX-License-Identifier: Apache-2.0
"""The table at the end of a study: each setting before pruning and after its last step, and its searches' best trials.

The numbers and warnings are those of the study's page: means over folds and seeds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from qap2fpga.report import show, study_folder, study_means
from qap2fpga.report.studies import Study
from qap2fpga.report.study_means import Mean
from qap2fpga.system.reading import json_object
from qap2fpga.system.tables import headed

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
    for warning in study_means.warnings(means):
        console.print(f"[yellow]warning[/] {escape(warning)}")


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
    content: dict[str, Any] = json_object(path, study_folder.HINT)
    best: dict[str, list[dict[str, Any]]] = {}
    for trial in content["pareto"]:
        best.setdefault(trial["search"], []).append(trial)
    for search, trials in best.items():
        objectives = list(trials[0]["objectives"])
        table = headed(escape(f"best of {search}"), *objectives, "checkpoint", words=(0, len(objectives) + 1))
        for trial in trials:
            values = (f"{trial['objectives'][name]:,.5g}" for name in objectives)
            table.add_row(escape(str(trial["name"])), *values, escape(str(trial["checkpoint"])))
        yield table
