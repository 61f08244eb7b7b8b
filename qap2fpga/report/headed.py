# SPDX-License-Identifier: Apache-2.0
"""How all tables look on a terminal."""

from __future__ import annotations

from rich.table import Table


def headed(title: str, *columns: str) -> Table:
    """A table without lines, with `title` above; numbers to the right, behind the first column."""
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for index, column in enumerate(columns):
        table.add_column(column, justify="left" if index == 0 else "right", header_style="dim")
    return table
