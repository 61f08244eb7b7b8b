# SPDX-License-Identifier: Apache-2.0
"""Points of a curve: means, errors, and the CSV of them."""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path
from statistics import fmean, stdev

import pytest

from qap2fpga.train.figures import chart, records
from qap2fpga.train.figures.chart import ACCURACY, BOPS, LUT
from qap2fpga.train.figures.records import Study
from qap2fpga.train.figures.select import (
    group,
    setting_of,
)
from tests.support import studies
from tests.support.figures import FIGURES, drawn
from tests.support.studies import SPARSITIES, configure, folded, write


def test_points_are_means_over_folds_with_the_standard_error(study: Study) -> None:
    runs = next(runs for one, runs in group(study.runs).items() if one == setting_of(configure()))
    curve = chart.points(runs, BOPS, ACCURACY)
    assert len(curve) == len(SPARSITIES)
    for index, point in enumerate(curve):
        values = [one.steps[index].accuracy for one in runs]
        assert point.y == fmean(values)
        assert point.error == stdev(values) / math.sqrt(4)
        assert point.x == pytest.approx(studies.bops(configure(), SPARSITIES[index]))
        assert (point.sparsity, point.runs) == (pytest.approx(SPARSITIES[index]), 4)


def test_mean_and_error_of_known_values() -> None:
    assert chart.mean([1.0, 2.0, 3.0, 6.0]) == (3.0, math.sqrt(14 / 3) / 2)
    assert chart.mean([0.5]) == (0.5, None)


def test_steps_that_some_runs_or_records_do_not_have(tmp_path: Path) -> None:
    write(tmp_path, folded()[:2])
    content = json.loads((tmp_path / "runs/run-001/record.json").read_text())
    del content["steps"][3:]
    del content["steps"][1]["estimate"]
    studies.dump(tmp_path / "runs/run-001/record.json", content)
    runs = records.load(tmp_path).runs
    assert [one.runs for one in chart.points(runs, BOPS, ACCURACY)] == [2, 2, 2] + [1] * 9
    assert [one.runs for one in chart.points(runs, LUT, ACCURACY)] == [2, 1, 2] + [1] * 9
    assert [one.error is None for one in chart.points(runs, LUT, ACCURACY)] == [False, True, False] + [True] * 9


def test_the_csv_holds_every_plotted_point(study: Study) -> None:
    for make in FIGURES:
        figure = drawn(make(study))
        rows = list(csv.DictReader(io.StringIO(chart.to_csv(figure))))
        panels = [panel for row in figure.rows for panel in row]
        plotted = [
            (panel.title, curve.label, one.x, one.y)
            for panel in panels
            for curve in panel.curves
            for one in curve.points
        ]
        assert [(row["panel"], row["curve"], float(row["x"]), float(row["y"])) for row in rows] == plotted
        assert not any("%]" in row["y_quantity"] or "\n" in row["y_quantity"] for row in rows)
