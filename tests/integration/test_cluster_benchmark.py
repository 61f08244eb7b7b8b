# SPDX-License-Identifier: Apache-2.0
"""The benchmark of a Dask cluster: that a worker dies in it, and what it counts as done."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import cluster
from benchmarks.cluster import TASKS, Task
from qap2fpga.system import clusters
from tests.support.pool_work import mark

PARTS = 6


def marks(folder: Path, scheduler: str) -> object:
    """Leave a file for each number, one after the other."""
    found: list[int | None] = []
    items = [(number, folder) for number in range(PARTS)]
    clusters.each(mark, items, scheduler, lambda item, result: found.append(result))
    return sorted(one for one in found if one is not None)


@pytest.mark.slow
def test_a_worker_dies_and_what_comes_out_is_the_same() -> None:
    task = Task("marks", PARTS, marks, lambda folder: len(list(folder.glob("mark-*"))))
    taken, result = cluster.seconds(task, 2, death=True)
    assert result == list(range(PARTS)) and taken > 0


def test_what_is_done_is_counted(tmp_path: Path) -> None:
    by_name = {task.name: task for task in TASKS}
    assert [task.done(tmp_path) for task in TASKS] == [0, 0, 0]
    (tmp_path / "designs.jsonl").write_text('{"seed": 1}\n{"seed": 2}\n{"se')
    assert by_name["campaign"].done(tmp_path) == 2
    for name, finished in (("a", True), ("b", False)):
        (tmp_path / "study" / "runs" / name).mkdir(parents=True)
        (tmp_path / "study" / "runs" / name / "record.json").write_text(json.dumps({"finished": finished}))
    assert by_name["study"].done(tmp_path) == 1
