# SPDX-License-Identifier: Apache-2.0
"""How all tables look on a terminal."""

from __future__ import annotations

from collections.abc import Collection

from rich.table import Table


def headed(*columns: str, title: str = "", words: Collection[int] = (0,)) -> Table:
    """Return a table without lines, with `title` above: the columns that are `words` to the left, numbers to the
    right."""
    table = Table(
        title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, padding=(0, 2, 0, 0),
        header_style="dim",
    )  # fmt: skip
    for index, column in enumerate(columns):
        table.add_column(column, justify="left" if index in words else "right")
    return table
