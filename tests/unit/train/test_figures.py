# SPDX-License-Identifier: Apache-2.0
"""All figures of a study: what each misses, and the command line."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest

from qap2fpga.train.figures import chart, claims, draw, records, table, tradeoff, training
from qap2fpga.train.figures.chart import Missing
from qap2fpga.train.figures.records import Study
from tests.support import studies
from tests.support.command import run
from tests.support.figures import FIGURES, made
from tests.support.studies import configure, write

TABLES = ("table.csv", "table.md", "claims.csv", "claims.md")


def test_every_figure_says_what_it_misses(tmp_path: Path) -> None:
    bare = made(tmp_path, [configure(pruning__schedule="none")], luts=False)
    drawn, *results = [make(bare) for make in FIGURES]
    assert not isinstance(drawn, Missing) and drawn.name == "runs"
    assert all(isinstance(one, Missing) and one.needs for one in results)
    assert {one.name for one in results} == {
        "loss",
        "roc",
        "bops",
        "regularization",
        "search",
        "randomization",
        "hardware",
    }
    lines: list[str] = []
    written = draw(tmp_path, lines.append)
    assert [path.name for path in written] == ["runs.png", "runs.svg", "runs.csv", *TABLES]
    assert sum("skipped, it needs" in line for line in lines) == 7
    assert (
        "bops: skipped, it needs model.bits: [32, 12, 6, 4], pruning.schedule: [fine_tuning, lottery_ticket]" in lines
    )


def test_names_and_order_of_runs_do_not_matter(tmp_path: Path, study: Study) -> None:
    configs, trials = studies.paper(), studies.trials()
    random.Random(7).shuffle(configs)
    random.Random(8).shuffle(trials)
    shuffled = made(tmp_path, configs, trials)
    for make in (training.loss, training.roc, tradeoff.bops, tradeoff.regularizations, tradeoff.randomization):
        assert make(shuffled) == make(study)
    assert table.rows(shuffled) == table.rows(study)
    assert claims.claims(shuffled) == claims.claims(study)


@pytest.mark.slow
def test_a_whole_study_from_the_command_line(folder: Path, tmp_path: Path) -> None:
    result = run("figures", folder, "--output", tmp_path / "out")
    assert result.code == 0 and not result.err
    assert "92 finished runs and 20 finished trials" in result.out
    names = [one(records.load(folder)).name for one in FIGURES]
    expected = {f"{name}.{kind}" for name in names for kind in ("png", "svg", "csv")} | {*TABLES}
    assert {path.name for path in (tmp_path / "out").iterdir()} == expected


def test_the_command_refuses_what_is_no_study(tmp_path: Path) -> None:
    result = run("figures", tmp_path)
    assert result.code == 2
    assert "is not a study" in result.err and "`qap2fpga study`" in result.err
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    write(tmp_path / "study", [configure(pruning__schedule="none")])
    (tmp_path / "file").write_text("")
    result = run("figures", tmp_path / "study", "--output", tmp_path / "file")
    assert result.code == 2
    assert "cannot write" in result.err


def test_charts_need_no_matplotlib() -> None:
    modules = (chart, claims, records, table, tradeoff, training, sys.modules["qap2fpga.train.figures.select"])
    assert not any("matplotlib" in Path(one.__file__ or "").read_text() for one in modules)
