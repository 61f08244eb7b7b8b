# SPDX-License-Identifier: Apache-2.0
"""What the groups of a plot are called."""

from __future__ import annotations

import json
from pathlib import Path

from qap2fpga.report import gather, legends, page
from qap2fpga.report.summary import CHECKPOINT, Summary
from tests.support import studies

DIGESTS = ("0a" * 32, "1b" * 32)


def test_data_have_their_names_and_a_number_where_two_have_one(tmp_path: Path) -> None:
    folder = studies.write(tmp_path, [studies.configure(bits=6), studies.configure(bits=4)])
    for run, digest in zip(("run-000", "run-001"), DIGESTS, strict=True):
        path = folder / "runs" / run / "record.json"
        studies.dump(path, {**json.loads(path.read_text()), "data": {"name": "jets.npz", "sha256": digest}})
    gathered = gather.gather([folder])
    assert legends.data_names(gathered.studies) == {DIGESTS[0]: "jets.npz", DIGESTS[1]: "jets.npz (2)"}
    text = page.render(gathered, folder)
    assert ">accuracy on jets.npz</li>" in text and ">accuracy on jets.npz (2)</li>" in text
    assert not any(digest[:8] in text for digest in DIGESTS)


def test_groups_are_named_by_what_differs() -> None:
    one = Summary(CHECKPOINT, "a", "", accuracy_data=DIGESTS[0], accuracy_rows=100, board="b", stage="estimate")
    assert legends.group(one, "cells", ("data", "rows", "board"), {DIGESTS[0]: "jets"}) == (
        "accuracy on jets, accuracy of 100 rows, b"
    )
    assert legends.group(one, "", ("data",), {}) == "accuracy on other data"
    assert legends.group(one, "", (), {}) == ""
