# SPDX-License-Identifier: Apache-2.0
"""All runs of a study on its page: dots, means with error bars, the best of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from qap2fpga.report import gather, page, plots, study_means, study_plots
from qap2fpga.report import studies as checkpoints
from qap2fpga.report.study_means import Mean
from tests.support import studies
from tests.support.studies import FOLDS, SPARSITIES


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A setting of four folds, one of a single run, and two trials of a search."""
    folder = tmp_path_factory.mktemp("study")
    return studies.write(folder, [*studies.folded(bits=6), studies.configure(bits=4)], studies.trials()[:2])


@pytest.fixture(scope="module")
def means(folder: Path) -> list[Mean]:
    averaged = study_means.means(checkpoints.load("s", folder).trained)
    return [replace(one, search="BO") if one.name.startswith("trial") else one for one in averaged]


def test_every_run_is_a_dot_and_every_setting_a_line_of_means(means: list[Mean]) -> None:
    bops, lut = study_plots.draw(means)
    assert (bops.cost, lut.cost) == ("BOPs", "estimated LUTs")
    six, four, search = bops.series
    assert [one.name for one in bops.series] == ["run-000", "run-004", "search BO"]
    assert six.runs.count("h0") == FOLDS * len(SPARSITIES) and not four.runs and not search.runs
    assert six.line.count("L") == len(SPARSITIES) - 1 and not search.line and len(search.dots) == 2
    assert all(dot.low > dot.high for dot in six.dots) and all(dot.low == dot.high for dot in four.dots)
    assert f"mean of {FOLDS} runs; " in six.dots[0].text
    assert len({(one.colour, one.mark) for one in bops.series}) == 3


def test_a_setting_looks_the_same_in_all_plots(means: list[Mean]) -> None:
    known = [replace(one, lut=None) if one.name == means[0].name else one for one in means]
    bops, lut = study_plots.draw(known)
    assert [(one.name, one.colour, one.mark) for one in lut.series] == [
        (one.name, one.colour, one.mark) for one in bops.series[1:]
    ]


def test_the_best_means_are_those_that_none_beats(means: list[Mean]) -> None:
    for plot, cost in zip(study_plots.draw(means), ("bops", "lut"), strict=True):
        known = [(getattr(one, cost), one.accuracy) for one in means if getattr(one, cost) is not None]
        best = [
            one for one in known if not any(x <= one[0] and y >= one[1] and (x, y) != one for x, y in known)
        ]  # fmt: skip
        assert sum(dot.best for series in plot.series for dot in series.dots) == len(best) > 0


def test_accuracies_on_other_data_beat_nothing(means: list[Mean]) -> None:
    worst = replace(means[0], setting="other", name="other", accuracy=0.2)
    other = replace(worst.checkpoints[0], accuracy_data="other")
    for one, best in ((worst, False), (replace(worst, checkpoints=(other,)), True)):
        plot = study_plots.draw([*means, one])[0]
        assert plot.series[-1].dots[0].best is best


def test_dots_and_bars_lie_in_the_frame(means: list[Mean]) -> None:
    for plot in study_plots.draw(means):
        for dot in (dot for one in plot.series for dot in one.dots):
            assert plots.LEFT <= dot.x <= plots.RIGHT
            assert plots.TOP <= dot.high <= dot.y <= dot.low <= plots.BOTTOM


def test_one_mean_is_no_plot(means: list[Mean]) -> None:
    assert study_plots.draw(means[:1]) == ()
    assert len(study_plots.draw([replace(one, lut=None) for one in means[:3]])) == 1


def test_many_settings_have_marks_of_their_own(means: list[Mean]) -> None:
    many = [replace(means[0], name=f"setting {number}") for number in range(study_plots.COLOURS * study_plots.MARKS)]
    (plot, _) = study_plots.draw(many)
    assert len({(one.colour, one.mark) for one in plot.series}) == len(many)


def test_the_page_shows_them_and_leads_to_the_figures(folder: Path) -> None:
    text = page.render(gather.gather([folder]), folder)
    assert "All runs: accuracy against BOPs" in text and "figures</code> draws the paper" in text
    (folder / "figures").mkdir()
    (folder / "figures" / "loss.svg").write_text("")
    assert '<a href="figures/loss.svg">loss</a>' in page.render(gather.gather([folder]), folder)
