# SPDX-License-Identifier: Apache-2.0
"""Losses of a study's settings on its page: means over runs, step after step, up to where one diverges."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from qap2fpga.report import gather, page, plots, study_losses, study_means, study_plots
from qap2fpga.report import studies as checkpoints
from qap2fpga.report.plots import Scale
from qap2fpga.report.studies import Trained
from tests.support import studies

FEW = 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A setting of four folds, one of a single run, and two trials of a search."""
    folder = tmp_path_factory.mktemp("study")
    return studies.write(folder, [*studies.folded(bits=6), studies.configure(bits=4)], studies.trials()[:2])


@pytest.fixture(scope="module")
def trained(folder: Path) -> list[Trained]:
    every = checkpoints.load("s", folder).trained
    return [replace(one, search="BO") if one.run.startswith("trial") else one for one in every]


def places(path: str) -> list[tuple[float, ...]]:
    return [tuple(map(float, place.split())) for place in path[1:].split("L")]


def test_a_setting_is_the_mean_of_its_runs_step_by_step(trained: list[Trained]) -> None:
    means = study_means.means(trained)
    plot = study_losses.draw(trained, means)
    assert plot is not None and [one.name for one in plot.curves] == ["run-000", "run-004"] and plot.left_out == 0
    looks = [(one.name, one.colour, one.mark) for one in study_plots.draw(means)[0].series]
    assert [(one.name, one.colour, one.mark) for one in plot.curves] == looks[:2]
    six, four = plot.curves
    of_six = [one for one in trained if one.setting == means[0].setting]
    shortest = [min(len(one.losses) for one in of_six if one.step == step) for step in range(len(studies.SPARSITIES))]
    assert len(places(six.validation)) == len(places(six.training)) == sum(shortest)
    assert len(places(four.validation)) == sum(len(one.losses) for one in trained if one.run == "run-004")
    assert six.end == places(six.validation)[-1]
    # The first epoch of the second step is the mean of that of the four folds.
    second = [one.losses[0] for one in of_six if one.step == 1]
    at = [places(path)[shortest[0]][1] for path in (six.training, six.validation)]
    values = [loss for one in trained if one.search is None for loss in one.losses if loss]
    assert all(plots.TOP <= place[1] <= plots.BOTTOM for one in plot.curves for place in places(one.validation))
    expected = [sum(loss[kind] for loss in second if loss) / len(second) for kind in (0, 1)]
    assert (at[0] - at[1]) * (expected[1] - expected[0]) > 0, (at, expected, len(values))


def test_places_are_those_of_the_scales() -> None:
    losses = tuple((0.5 + 1 / epoch, 0.6 + 1 / epoch) for epoch in range(1, 6))
    one = _trained(losses)
    plot = study_losses.draw([one], study_means.means([one]))
    assert plot is not None
    (curve,) = plot.curves
    x, y = Scale([1, 5], plots.LEFT, plots.RIGHT, log=False), Scale(sum(losses, ()), plots.BOTTOM, plots.TOP, log=False)
    assert places(curve.training) == [(x.place(n), y.place(loss[0])) for n, loss in enumerate(losses, start=1)]
    assert places(curve.validation) == [(x.place(n), y.place(loss[1])) for n, loss in enumerate(losses, start=1)]
    assert all("e" not in tick.text and len(tick.text) < 6 for tick in plot.y_ticks)


def test_a_curve_ends_where_a_run_diverges_and_without_losses_is_none(trained: list[Trained]) -> None:
    losses = [(1.0, 1.0)] * 9
    one = _trained((*losses[:FEW], None, *losses))
    plot = study_losses.draw([one, _trained((*losses, *losses))], study_means.means([one]))
    assert plot is not None and len(places(plot.curves[0].validation)) == FEW
    bare = [replace(each, losses=()) for each in trained]
    assert study_losses.draw(bare, study_means.means(bare)) is None
    some = [replace(each, losses=() if each.run == "run-004" else each.losses) for each in trained]
    plot = study_losses.draw(some, study_means.means(some))
    assert plot is not None and (len(plot.curves), plot.left_out) == (1, 1)


def test_a_record_of_which_a_loss_is_no_number(tmp_path: Path) -> None:
    folder = studies.write(tmp_path, [studies.configure(bits=6)])
    path = folder / "runs" / "run-000" / "record.json"
    path.write_text(path.read_text().replace('"validation_loss": ', '"validation_loss": NaN, "x": ', 1))
    first = checkpoints.load("s", folder).trained[0]
    assert first.losses[0] is None and first.losses[1] is not None


def test_the_page_draws_them(folder: Path) -> None:
    text = page.render(gather.gather([folder]), folder)
    assert text.count("Losses over the epochs") == 1 and text.count('class="front pale"') == 4


def _trained(losses: tuple[tuple[float, float] | None, ...]) -> Trained:
    checkpoint = checkpoints.Summary(kind="checkpoint", name="a", folder="f", accuracy=0.5)
    return Trained("setting", "name", "run", 0, checkpoint, losses=losses)
