# SPDX-License-Identifier: Apache-2.0
"""How tables look: no lines, a title above, words to the left and numbers to the right."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console
from rich.table import Table

from qap2fpga.system.tables import headed


def test_a_table_has_no_lines_and_numbers_stand_to_the_right() -> None:
    table = headed("node", "LUT", "why", title="Cells", words=(0, 2))
    table.add_row("a", "1", "x")
    table.add_row("bcd", "1,000", "yz")
    stream = io.StringIO()
    Console(file=stream, width=40).print(table)
    lines = ["Cells", "node    LUT  why", "a         1  x", "bcd   1,000  yz"]
    assert [line.rstrip() for line in stream.getvalue().splitlines()] == lines


def printed(table: Table, width: int) -> list[str]:
    stream = io.StringIO()
    Console(file=stream, width=width, highlight=False).print(table)
    return [line.rstrip() for line in stream.getvalue().splitlines()]


@pytest.mark.parametrize("width", [24, 30, 44, 60, 80, 200])
def test_no_number_is_ever_cut_and_no_word_is_lost(width: int) -> None:
    table = headed("name", "LUT", "flip flops", "what it is for", "DSP", title="All", words=(0, 3))
    rows = [(f"board-{index}", f"{10**index:,}", f"{3 * 10**index:,}", "a board of some\nkind [bold]here[/]", "0")
            for index in range(8)]  # fmt: skip
    for row in rows:
        table.add_row(*row)
    lines = printed(table, width)
    assert all(len(line) <= width for line in lines)
    text = " ".join(lines)
    for row in rows:
        for cell in row[:3]:
            assert re.search(rf"(?<!\S){re.escape(cell)}(?!\S)", text), (cell, lines)
    assert text.count("here") == len(rows) and "…" not in text
    assert lines[0] == "All" and sum(line == "All" for line in lines) == 1


def test_stacked_columns_begin_with_what_a_row_is_of() -> None:
    table = headed("a", "b", *(f"number {index}" for index in range(6)), words=(0, 1), keys=2)
    table.add_row("one", "two", *["1,234,567"] * 6)
    lines = printed(table, 41)
    assert [line for line in lines if line.startswith("one")] == ["one  two  1,234,567  1,234,567  1,234,567"] * 2
    assert printed(table, 100) == [
        "a    b     number 0   number 1   number 2   number 3   number 4   number 5",
        "one  two  1,234,567  1,234,567  1,234,567  1,234,567  1,234,567  1,234,567",
    ]


def test_a_word_wider_than_the_terminal_is_broken_and_not_cut() -> None:
    table = headed("name", "x")
    table.add_row("abcdefgh" * 10, "1")
    letters = "".join(re.findall(r"[a-h]+", " ".join(printed(table, 30)[1:])))
    assert "abcdefgh" * 10 in letters.replace(" ", "")
