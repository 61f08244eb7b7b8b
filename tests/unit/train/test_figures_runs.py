# SPDX-License-Identifier: Apache-2.0
"""The figure of all runs: every run, the mean of every setting, the best means; names, and nothing that looks like a
hash."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from qap2fpga.train.figures import chart, records, runs
from qap2fpga.train.figures.chart import BOPS, LUT, Chart
from qap2fpga.train.figures.records import Study
from tests.support import studies
from tests.support.studies import FOLDS, SPARSITIES, configure, folded


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Two settings of four folds, one of them with a second seed, and a float one; and trials of a search."""
    configs = [*folded(bits=6), *folded(bits=6, seed=2), *folded(bits=4), configure(bits=32)]
    folder = studies.write(tmp_path_factory.mktemp("study"), configs, studies.trials()[:3])
    index = json.loads((folder / "study.json").read_text())
    for run, config in zip(index["runs"], configs, strict=True):
        run |= {"experiment": "bits", "varied": {"model.bits": config.model.weight_bits, "seed": config.seed}}
    studies.dump(folder / "study.json", index)
    trials = json.loads((folder / "search.json").read_text())["trials"]
    studies.dump(folder / "search.json", {"trials": [{**one, "search": "BO 6 bits"} for one in trials]})
    return records.load(folder)


@pytest.fixture(scope="module")
def figure(study: Study) -> Chart:
    return runs.runs(study)


def test_names_are_those_of_settings_and_searches(figure: Chart) -> None:
    bops, lut = figure.rows[0]
    assert (bops.x, lut.x) == (BOPS, LUT)
    names = ["bits: 6 bits", "bits: 4 bits", "bits: 32 bits", "search BO 6 bits"]
    assert [curve.label for curve in bops.curves if curve.named] == names
    # Nothing estimates LUTs of a float network.
    assert [curve.label for curve in lut.curves if curve.named] == [name for name in names if "32" not in name]


def test_every_run_is_a_point_behind_the_mean_of_its_setting(study: Study, figure: Chart) -> None:
    single, mean = (
        next(one for one in figure.rows[0][0].curves if one.label == f"bits: 6 bits{what}")
        for what in (", single runs", "")
    )
    six = [run for run in study.runs if run.config.model.weight_bits == 6]
    assert len(six) == 2 * FOLDS
    assert sorted(one.y for one in single.points) == sorted(step.accuracy for run in six for step in run.steps)
    assert single.light and not single.line and single.colour == mean.colour
    assert mean.points == chart.points(six, BOPS, chart.ACCURACY) and len(mean.points) == len(SPARSITIES)
    assert {one.runs for one in mean.points} == {2 * FOLDS} and all(one.error for one in mean.points)


def test_rings_are_around_the_means_that_none_beats(figure: Chart) -> None:
    for panel in figure.rows[0]:
        (ring,) = (curve for curve in panel.curves if curve.ring)
        every = [(one.x, one.y) for curve in panel.curves if curve.named for one in curve.points]
        best = {
            one for one in every if not any(x <= one[0] and y >= one[1] and (x, y) != one for x, y in every)
        }  # fmt: skip
        assert {(one.x, one.y) for one in ring.points} == best and not ring.named


def test_accuracies_on_other_data_are_not_compared(tmp_path: Path) -> None:
    other = configure(bits=6, data__source="other.npz", model__widths=[64, 64, 64])
    study = records.load(studies.write(tmp_path, [configure(bits=6), configure(bits=12), other]))
    (ring,) = (curve for curve in runs.runs(study).rows[0][0].curves if curve.ring)
    (curve,) = (curve for curve in runs.runs(study).rows[0][0].curves if curve.label == "run-002")
    # Larger than the others, so beaten at every number of BOPs, were it the same data.
    assert {one.x for one in curve.points} & {one.x for one in ring.points}


def test_a_study_without_luts_has_one_panel(tmp_path: Path) -> None:
    study = records.load(studies.write(tmp_path, [configure(bits=6)], luts=False))
    assert [panel.x for panel in runs.runs(study).rows[0]] == [BOPS]
    (curve, ring) = runs.runs(study).rows[0][0].curves
    assert curve.label == "run-000" and ring.label == runs.BEST
