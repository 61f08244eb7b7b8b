# SPDX-License-Identifier: Apache-2.0
"""Pages of the documentation: all are there, and messages lead to those that are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from qap2fpga.system import documents
from qap2fpga.system.errors import QapError

PACKAGE = Path(__file__).parents[3] / "qap2fpga"


def test_every_page_has_a_name_a_title_and_text() -> None:
    assert {"limits", "studies", "calibration/rtl"} <= set(documents.topics())
    assert all(documents.text(name) for name in documents.topics())
    assert documents.title("limits") in documents.text("limits")


def test_a_page_that_is_not_there() -> None:
    with pytest.raises(QapError, match="there is no page 'limit'") as caught:
        documents.text("limit")
    assert "did you mean 'limits'?" in caught.value.hint


def test_messages_lead_to_a_command_or_to_the_address_that_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    assert documents.place("studies") == "`qap2fpga help studies`"
    monkeypatch.setenv(documents.ADDRESS, "https://example.org/docs/")
    assert documents.place("studies") == "https://example.org/docs/studies.html"


def test_messages_name_pages_that_are_there_and_no_files_that_a_wheel_leaves_out() -> None:
    sources = {path: path.read_text() for path in PACKAGE.rglob("*.py")}
    named = {topic for text in sources.values() for topic in re.findall(r"documents\.place\(['\"](.+?)['\"]\)", text)}
    named |= {topic for text in sources.values() for topic in re.findall(r"`qap2fpga help ([a-z-]+)`", text)}
    assert named and named <= set(documents.topics())
    outside = [
        path for path, text in sources.items() if re.search(r"[\"'][^\"'\n`]*docs/[a-z-]+\.md[^\"'\n]*[\"'],?\)", text)
    ]
    assert not outside
