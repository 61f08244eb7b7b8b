# SPDX-License-Identifier: Apache-2.0
"""A profile on the terminal and on the page, and a file of it that is not ours."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from qap2fpga.ir.profile import profile
from qap2fpga.ir.spread import Profile
from qap2fpga.report import content, gather, page, profiles
from qap2fpga.system.terminal import Terminal
from tests.support import reports
from tests.unit.ir.test_profile import CHAIN, frames
from tests.unit.ir.test_spread import USUAL

KNOWN = profile(CHAIN, frames(CHAIN, 200), "recorded")


def test_a_row_per_node_and_kind_and_what_is_odd() -> None:
    stream = io.StringIO()
    Terminal(file=stream, width=150).print(profiles.render(KNOWN))
    text = stream.getvalue()
    assert "Integers over 200 recorded vectors" in text
    assert sum(line.startswith("fc1 ") for line in text.splitlines()) == 2
    assert "warning fc1/requantize: 1 of 2 channels never change" in text


def test_a_box_in_letters() -> None:
    assert profiles.box(USUAL) == "[==|======]-------------|"
    assert len(profiles.box(USUAL)) == profiles.WIDTH


def test_the_page_shows_what_the_folder_has(tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text(content.dump(reports.read(reports.finished())))
    assert "Integers in their ranges" not in page.render(gather.gather([tmp_path]), tmp_path)
    (tmp_path / profiles.FILE).write_text(profiles.dump(KNOWN))
    assert profiles.load(tmp_path) == KNOWN
    text = page.render(gather.gather([tmp_path]), tmp_path)
    assert "Integers in their ranges" in text and text.count('class="bar spread"') == len(KNOWN.spreads)
    assert "1 of 2 channels never change" in text


@pytest.mark.parametrize("damaged", ["", "[]", '{"vectors": -1, "of": "x", "spreads": []}', '{"vectors": 1}'])
def test_a_file_that_is_not_ours_is_no_profile(tmp_path: Path, damaged: str) -> None:
    (tmp_path / profiles.FILE).write_text(damaged)
    assert profiles.load(tmp_path) is None


def test_without_inputs_that_is_said() -> None:
    assert profiles.title(Profile(vectors=0, of="recorded", spreads=())) == "weights alone: there are no inputs"
