# SPDX-License-Identifier: Apache-2.0
"""Table, page, CSV and JSON of an exploration say the same."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from qap2fpga.explore import choose, show, write
from qap2fpga.explore.choose import FAILED
from qap2fpga.explore.estimates import Line
from qap2fpga.explore.limits import Limits
from tests.support.explorations import NO_LIMITS, candidate, explored


def test_table_page_csv_and_json_say_the_same(
    tmp_path: Path, fake: tuple[list[list[str]], dict[str, int | str]]
) -> None:
    fake[1]["p0"] = 1234
    exploration = explored(tmp_path, 4, 1, Limits(max_lut=1000))
    failed = choose.point(
        candidate("<i>bad"), Line(key="k", name="n", refused="[red]too large"), {}, str(tmp_path / "x"), NO_LIMITS
    )
    exploration = replace(exploration, points=(*exploration.points, failed))
    write.write(exploration)
    stored = json.loads((tmp_path / "explore.json").read_text())
    assert (stored["met"], stored["wanted"], stored["limits"]["max_lut"]) == (1, 1, 1000)
    first, second, third, _, bad = stored["points"]
    assert first["build"]["lut"] == 1234 and not first["build"]["meets"]
    assert first["build"]["folder"] == "builds/p0" and second["build"]["meets"]
    assert third["build"] is None and third["estimate"]["lut"] == {"value": 100, "low": 100, "high": 100}
    assert (bad["status"], bad["why"], bad["estimate"]) == (FAILED, "[red]too large", None)
    table = list(csv.DictReader(io.StringIO((tmp_path / "explore.csv").read_text())))
    assert [one["name"] for one in table] == ["p0", "p1", "p2", "p3", "<i>bad"]
    assert (table[0]["build.lut"], table[0]["estimate.lut.low"], table[4]["estimate.lut.low"]) == ("1234", "100.0", "")
    page = (tmp_path / "explore.html").read_text()
    assert "&lt;i&gt;bad: [red]too large" in page and "<i>" not in page
    # A built candidate's row and points lead to its build; another's points lead to its row.
    assert '<a href="#b1">p0</a>' in page and 'id="c3"' in page
    assert page.count('href="#b1"') >= 3 and 'href="#c3"' in page
    stream = io.StringIO()
    show.render(exploration, Console(file=stream, width=200))
    shown = stream.getvalue()
    assert "100 → 1,234" in shown and "<i>bad: [red]too large" in shown
    assert "1 of 1 wanted build meets the limits, 2 candidates were built" in shown
    assert "[b]a network[/b] is gone" in shown
