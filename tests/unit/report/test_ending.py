# SPDX-License-Identifier: Apache-2.0
"""A build's last lines: whether it passed, in its colour, and what to open."""

from __future__ import annotations

from pathlib import Path

import pytest

from qap2fpga.report import ending, schema
from tests.unit.report.test_report import finished


@pytest.mark.parametrize(("outcomes", "colour", "words"), [
    (("passed", "passed"), "green", "2 checks passed, fits pynq-z2"),
    (("passed", "failed"), "red", "1 of 2 checks failed, fits pynq-z2; build.log has what happened"),
    (("not run",), "yellow", "no check was run"),
])  # fmt: skip
def test_the_verdict_and_where_to_look(outcomes: tuple[str, ...], colour: str, words: str) -> None:
    tree = finished()
    tree["checks"] = [{**tree["checks"][0], "outcome": outcome} for outcome in outcomes]
    text = ending.lines(schema.read(tree, "x"), Path("builds/[a]"))
    verdict, report, page = text.strip().splitlines()
    assert f"[bold {colour}]" in verdict and words in verdict
    assert report.endswith("\\[a]/report.json") and "\\[a]/report.html" in page
