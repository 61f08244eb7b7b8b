# SPDX-License-Identifier: Apache-2.0
"""The table of a study: its rows, as CSV and as Markdown."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

from qap2fpga.train.figures import records, table
from qap2fpga.train.figures.records import Study
from tests.support import studies
from tests.support.studies import configure, write


def test_the_table_has_a_row_per_network_and_schedule(study: Study) -> None:
    rows = table.rows(study)
    regular = [row for row in rows if row.trained_with == "L1 and batch norm" and row.scales != "power of two"]
    assert [(row.model, row.bits, row.schedule) for row in regular if row.bits in ("32", "6")] == [
        ("nominal", "32", ""),
        ("pruning", "32", "fine-tuning"),
        ("pruning", "32", "lottery ticket"),
        ("PTQ", "6", ""),
        ("pruning, then PTQ", "6", "fine-tuning"),
        ("QAT", "6", ""),
        ("QAP", "6", "fine-tuning"),
        ("QAP", "6", "lottery ticket"),
        ("BO", "32", ""),
        ("BO", "6", ""),
    ]
    assert rows[0].bops == studies.bops(configure(bits=32), 0.0) == 4652832
    assert rows[0].runs == 4 and rows[-1].runs == 1 and rows[-1].accuracy_error is None


def test_the_pruned_row_is_the_sparsest_within_a_percentage_point(tmp_path: Path) -> None:
    write(tmp_path, [configure()])
    content = json.loads((tmp_path / "runs/run-000/record.json").read_text())
    accuracies = [0.770, 0.772, 0.761, 0.759, 0.7601, 0.755, 0.69, 0.68, 0.67, 0.66, 0.65, 0.5]
    for step, value in zip(content["steps"], accuracies, strict=True):
        step["metrics"]["test"]["accuracy"] = value
    studies.dump(tmp_path / "runs/run-000/record.json", content)
    dense, pruned = table.rows(records.load(tmp_path))
    assert (dense.model, dense.accuracy, dense.sparsity) == ("QAT", 0.770, 0.0)
    assert (pruned.model, pruned.accuracy, pruned.sparsity) == ("QAP", 0.7601, 0.4)


def test_the_table_as_csv_and_markdown(study: Study) -> None:
    rows = table.rows(study)
    read = list(csv.DictReader(io.StringIO(table.to_csv(rows))))
    assert [float(one["accuracy"]) for one in read] == [row.accuracy for row in rows]
    assert read[-1]["accuracy_error"] == ""
    lines = table.to_markdown(rows).splitlines()
    assert len(lines) == len(rows) + 2
    assert len({line.count("|") for line in lines}) == 1
    assert f"| {100 * rows[0].accuracy:.2f} ± {100 * (rows[0].accuracy_error or 0):.2f} |" in lines[2]
