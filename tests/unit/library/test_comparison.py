# SPDX-License-Identifier: Apache-2.0
"""Builds and studies side by side in Python: what the command line's report shows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import qap2fpga
from qap2fpga.library.comparison import MOST_COLUMNS
from qap2fpga.report import content
from qap2fpga.report.summary import columns
from qap2fpga.system.errors import QapError
from tests.support import command, studies
from tests.support.reports import finished, read


@pytest.fixture
def places(tmp_path: Path) -> list[Path]:
    """Two builds; the second takes twice the LUTs."""
    for name, factor in (("one", 1), ("two", 2)):
        report = finished()
        report["measurements"][0]["total"]["lut"] *= factor
        (tmp_path / name).mkdir()
        (tmp_path / name / "report.json").write_text(content.dump(read(report)))
    return [tmp_path / "one", tmp_path / "two"]


def test_a_row_per_build_with_the_columns_of_the_csv(places: list[Path], tmp_path: Path) -> None:
    comparison = qap2fpga.compare([places[0], qap2fpga.open_build(places[1])])
    assert [row["name"] for row in comparison.table] == list(map(str, places))
    assert set(comparison.table.columns) <= set(columns())
    assert comparison.table[1]["lut"] == 2 * comparison.table[0]["lut"]  # type: ignore[operator]
    assert repr(comparison) == "<Comparison 2 builds, 0 studies, 2 rows>"
    assert list(comparison.to_pandas()["lut"]) == [row["lut"] for row in comparison.table]
    assert command.run("report", *places, "--csv", tmp_path / "cli.csv").code == 0
    assert comparison.csv(tmp_path / "all.csv").read_text() == (tmp_path / "cli.csv").read_text()
    assert set(json.loads(comparison.json)) == set(map(str, places))


def test_one_build_need_not_be_a_list(places: list[Path]) -> None:
    for one in (places[0], str(places[0]), qap2fpga.open_build(places[0])):
        assert [row["name"] for row in qap2fpga.compare(one).table] == [str(places[0])]


def test_the_best_of_what_may_be_compared_is_marked(places: list[Path]) -> None:
    comparison = qap2fpga.compare(places)
    rows = {row["measure"]: row for row in comparison.side_by_side}
    one, two = (str(rows["LUT"][str(place)]) for place in places)
    assert one.endswith(" *") and not two.endswith(" *")
    assert str(rows["LUT"][str(places[0])]) in comparison._repr_html_()


def test_another_board_is_said_beside_the_numbers(places: list[Path]) -> None:
    other = finished()
    other["board"]["name"] = "another"
    (places[1] / "report.json").write_text(content.dump(read(other)))
    rows = {row["measure"]: row for row in qap2fpga.compare(places).side_by_side}
    assert rows["LUT"]["but"] == "board"


def test_a_study_is_its_checkpoints_and_a_notebook_shows_many_as_rows(tmp_path: Path) -> None:
    studies.write(tmp_path / "study", studies.folded(bits=4) + studies.folded(bits=6))
    comparison = qap2fpga.compare([tmp_path / "study"])
    assert len(comparison.table) > MOST_COLUMNS
    assert {row["kind"] for row in comparison.table} == {"checkpoint"}
    assert "<th>weight_bits</th>" in comparison._repr_html_()


def test_without_places_it_is_the_newest_build(
    places: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(QapError, match="there is no build in builds/"):
        qap2fpga.compare()
    (tmp_path / "builds").mkdir()
    places[0].rename(tmp_path / "builds" / "newest")
    assert qap2fpga.compare().table[0]["name"] == "builds/newest"


def test_what_cannot_be_read_is_left_out_and_named(places: list[Path], tmp_path: Path) -> None:
    comparison = qap2fpga.compare([places[0], tmp_path / "nothing"])
    assert len(comparison.table) == 1
    assert "nothing" in comparison.gathered.left_out[0]
    assert "; left out: " in comparison.heading and "left out: " in comparison._repr_html_()


def test_a_page_is_written_where_it_is_asked(places: list[Path], tmp_path: Path) -> None:
    assert qap2fpga.compare(places).page(tmp_path / "page.html").read_text().startswith("<!doctype html>")
