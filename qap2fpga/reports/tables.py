# SPDX-License-Identifier: Apache-2.0
"""The tables of `+----+` and `|` that AMD's tools draw in their text reports."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from qap2fpga.reports.result import Refused

BORDER = re.compile(r"\+(-+\+)+")
RULE = re.compile(r"[-=_*#]+")


@dataclass(frozen=True)
class Table:
    """A table. `title` is the last line of text above it; `header` has one name a column; cells keep the spaces
    before them, because they are the hierarchy."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def named(self, kind: str) -> list[dict[str, str]]:
        """The rows by the names of the columns. Raises `Refused` when a row has not one cell for each."""
        if any(len(row) != len(self.header) for row in self.rows):
            raise Refused(kind, f"the table under '{self.title}' has rows of different lengths")
        return [dict(zip(self.header, row, strict=True)) for row in self.rows]


def read_tables(text: str, kind: str) -> list[Table]:
    """All tables of a report in order. Raises `Refused` when one is not closed: the file is cut off."""
    return list(_tables(text.splitlines(), kind))


def _tables(lines: list[str], kind: str) -> Iterator[Table]:
    title, index = "", 0
    while index < len(lines):
        line = lines[index].strip()
        if not BORDER.fullmatch(line):
            if line and not RULE.fullmatch(line):
                title = line
            index += 1
            continue
        begin = index
        while index < len(lines) and lines[index].strip()[:1] in ("+", "|"):
            # A list item, as '+ Latency:', may follow a table at once.
            if lines[index].strip()[0] == "+" and not lines[index].strip().endswith("+"):
                break
            index += 1
        block = [one.strip() for one in lines[begin:index]]
        if len(block) < 3 or not BORDER.fullmatch(block[-1]) or any(one[-1] not in "|+" for one in block):
            raise Refused(kind, f"the table under '{title}' is cut off at line {index}")
        yield _table(title, block)


def _table(title: str, block: list[str]) -> Table:
    """The header is what stands above the second border; its lines are joined column by column."""
    second = next(place for place, one in enumerate(block[1:], 1) if BORDER.fullmatch(one))
    rows = [_cells(one) for one in block[second:] if one.startswith("|")]
    heads = [_cells(one) for one in block[1:second] if one.startswith("|")]
    width = max((len(row) for row in (*rows, *heads)), default=0)
    # Lines with cells that span several columns cannot be joined; the last line has all columns.
    full = [head for head in heads if len(head) == width]
    header = tuple(" ".join(" ".join(one.strip() for one in names).split()) for names in zip(*full, strict=True))
    return Table(title, header, tuple(rows))


def _cells(line: str) -> tuple[str, ...]:
    return tuple(cell.rstrip() for cell in line[1:-1].split("|"))
