# SPDX-License-Identifier: Apache-2.0
"""What zeros saved: a row per layer that is multiplied without them, on the terminal and on the page."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from qap2fpga.report import table, zeros
from tests.support import reports
from tests.unit.report.test_pace import of
from tests.unit.report.test_page import check_structure, check_tables, rendered

NODE = {"name": "qap_sparse_0", "layer": "fc1", "cycles": 40, "products": 2048, "nonzeros": 384, "slots": 32,
        "multipliers": 16}  # fmt: skip


def test_a_row_says_what_was_saved() -> None:
    (row,) = zeros.rows(of(NODE, {"name": "m", "layer": "fc2", "cycles": 64, "SIMD": 2, "PE": 4}))
    # 384 of 32 * 16 slots of multipliers are used; a dense layer has 64 multipliers in 32 cycles.
    assert (row.layer, row.cells) == ("fc1", ("2,048", "384", "32", "16", "75 %", "75 %"))
    assert not list(zeros.rows(of({"name": "m", "cycles": 64, "SIMD": 2, "PE": 4})))


def test_the_page_shows_it(tmp_path: Path) -> None:
    tree = reports.finished()
    assert "Zeros that are skipped" not in rendered(tmp_path, plain=tree).shown
    tree["design"] |= {"nodes": [NODE]}
    found = rendered(tmp_path, sparse=tree)
    check_structure(found, tmp_path)
    check_tables(found)
    assert "Zeros that are skipped" in found.shown
    assert "2,048" in found.shown


def test_the_terminal_shows_it() -> None:
    report = of(NODE)
    console = Console(record=True, width=160)
    table.render([("one", report)], console)
    text = console.export_text()
    assert "Zeros that are skipped" in text
    assert zeros.MEANING[:60] in text
    console = Console(record=True, width=160)
    table.render([("one", of({"name": "m", "cycles": 64}))], console)
    assert "Zeros that are skipped" not in console.export_text()
