# SPDX-License-Identifier: Apache-2.0
"""Figures of what pruning and bits trade for accuracy."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from qap2fpga.train.figures import records, tradeoff
from qap2fpga.train.figures.chart import BOPS, EFFICIENCY, LUT
from qap2fpga.train.figures.records import Study
from qap2fpga.train.figures.select import (
    setting_of,
)
from tests.support import studies
from tests.support.figures import drawn, made
from tests.support.studies import SPARSITIES, configure, folded, write


def test_bops_has_a_column_per_schedule_and_a_curve_per_width(study: Study) -> None:
    figure = drawn(tradeoff.bops(study))
    assert [[panel.title for panel in row] for row in figure.rows] == [["fine-tuning", "lottery ticket"]] * 2
    for panel in (panel for row in figure.rows for panel in row):
        assert [curve.label for curve in panel.curves] == ["32 bits", "12 bits", "6 bits", "4 bits"]
        assert len({curve.colour for curve in panel.curves}) == 4
        assert all(len(curve.points) == len(SPARSITIES) and curve.points[0].runs == 4 for curve in panel.curves)


def test_regularization_compares_at_the_widths_that_have_both(study: Study) -> None:
    figure = drawn(tradeoff.regularizations(study))
    assert [panel.title for panel in figure.rows[0]] == ["32 bits", "6 bits"]
    assert [one.label for one in figure.rows[0][1].curves] == ["L1 and batch norm", "no L1", "no batch norm"]


def test_the_best_trial_has_the_lowest_validation_loss(study: Study) -> None:
    (panels,) = drawn(tradeoff.search(study)).rows
    labels = [curve.label for curve in panels[0].curves]
    assert labels[:2] == ["QAP, 32 bits", "QAP, 6 bits"]
    assert labels[2:] == ["BO, 32 bits", "BO, 32 bits, best", "BO, 6 bits", "BO, 6 bits, best"]
    six = [one.steps[-1] for one in study.trials if setting_of(one.config).bits == 6]
    best = min(six, key=lambda step: step.validation_loss)
    (star,) = panels[0].curves[-1].points
    assert (star.x, star.y) == (best.bops, best.accuracy)
    assert len(panels[0].curves[-2].points) == len(six) == 10


def test_trials_of_mixed_bits_stand_beside_all_widths(tmp_path: Path) -> None:
    mixed = [configure(model__weight_bits=[6, 4, 4, 6]), configure(model__weight_bits=[2, 4, 4, 6])]
    (panels,) = drawn(tradeoff.search(made(tmp_path, [*folded(bits=12), *folded(bits=4)], mixed))).rows
    assert [one.label for one in panels[0].curves] == [
        "QAP, 12 bits",
        "QAP, 4 bits",
        "BO, mixed bits",
        "BO, mixed bits, best",
    ]


def test_randomization_shows_shares_of_random_labels_and_the_samples_cap(study: Study) -> None:
    figure = drawn(tradeoff.randomization(study))
    titles = ["6 bits, L1 and batch norm", "6 bits, no L1", "6 bits, no batch norm"]
    assert [panel.title for panel in figure.rows[0]] == titles
    assert [one.label for one in figure.rows[0][0].curves] == [
        "true labels",
        "50 % random",
        "75 % random",
        "90 % random",
    ]
    cap = math.log2(240_000)
    ((found, _),) = figure.rows[2][0].caps
    assert found == pytest.approx((cap / 64 * cap / 32 * cap / 32) ** (1 / 3))
    assert figure.rows[2][0].y is EFFICIENCY and not figure.rows[0][0].caps


def test_without_neural_efficiency_its_row_is_missing(tmp_path: Path) -> None:
    write(tmp_path, [configure(), configure(data__randomize=0.5)])
    for place in ("run-000", "run-001"):
        content = json.loads((tmp_path / "runs" / place / "record.json").read_text())
        for step in content["steps"]:
            del step["metrics"]["test"]["neural_efficiency"]
        studies.dump(tmp_path / "runs" / place / "record.json", content)
    assert len(drawn(tradeoff.randomization(records.load(tmp_path))).rows) == 2


def test_hardware_shows_estimates_only(study: Study, tmp_path: Path) -> None:
    (panels,) = drawn(tradeoff.hardware(study)).rows
    assert [panel.x for panel in panels] == [BOPS, LUT]
    runs = [one for one in panels[1].curves if one.line]
    assert [one.label for one in runs] == [
        "12 bits, arbitrary scales",
        "6 bits, arbitrary scales",
        "6 bits, power of two scales",
        "4 bits, arbitrary scales",
    ]
    assert [one.dashed for one in runs] == [False, False, True, False]
    write(tmp_path, folded(), studies.trials()[:2], luts=False)
    entries = json.loads((tmp_path / "search.json").read_text())["trials"]
    entries[1]["objectives"] = {"validation_loss": 0.7, "predicted_luts": 1234.0}
    studies.dump(tmp_path / "search.json", {"trials": entries})
    (panels,) = drawn(tradeoff.hardware(records.load(tmp_path))).rows
    ((only,),) = [panel.curves for panel in panels[1:]]
    assert only.label == "search, 6 bits"
    assert [one.x for one in only.points] == [1234.0]
