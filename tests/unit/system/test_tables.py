# SPDX-License-Identifier: Apache-2.0
"""How tables look: no lines, a title above, words to the left and numbers to the right."""

from __future__ import annotations

import io

from rich.console import Console

from qap2fpga.system.tables import headed


def test_a_table_has_no_lines_and_numbers_stand_to_the_right() -> None:
    table = headed("node", "LUT", "why", title="Cells", words=(0, 2))
    table.add_row("a", "1", "x")
    table.add_row("bcd", "1,000", "yz")
    stream = io.StringIO()
    Console(file=stream, width=40).print(table)
    lines = ["Cells", "node    LUT  why", "a         1  x", "bcd   1,000  yz"]
    assert [line.rstrip() for line in stream.getvalue().splitlines()] == lines
