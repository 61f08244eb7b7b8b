# SPDX-License-Identifier: Apache-2.0
"""How all tables look on a terminal: whatever its width, nothing in them is cut off."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Column, Table
from rich.text import Text

# Between two columns.
GAP = 2
# A column of words is not made narrower than this, nor must it be wider than its longest word, if that is longer.
NARROW, LONGEST_WORD = 16, 32


class Sheet(Table):
    """A table that fits the terminal: words are broken into lines, then columns are stacked in several tables.

    The first `keys` columns stand in each of these. A column of numbers is as wide as its widest number, always.
    """

    def __init__(self, title: str, keys: int) -> None:
        super().__init__(
            title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, padding=(0, GAP, 0, 0),
            header_style="dim",
        )  # fmt: skip
        self.keys = keys

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield one table, or several below each other where the columns do not fit beside each other."""
        # The last column ends at the edge: there is no gap after it.
        room = options.max_width + GAP
        most, least = ([size(column) + GAP for column in self.columns] for size in (_widest, _narrowest))
        groups = [list(range(len(self.columns)))] if sum(most) <= room else _groups(least, self.keys, room)
        for number, group in enumerate(groups):
            widths = _widths([least[index] for index in group], [most[index] for index in group], room)
            yield self._part([(self.columns[index], width) for index, width in zip(group, widths, strict=True)], number)

    def _part(self, chosen: Sequence[tuple[Column, int]], number: int) -> Table:
        """Return a table of the `chosen` columns and their widths; the first has the title, others an empty line."""
        part = Table(
            title=" " if number else self.title, title_justify="left", title_style="bold", box=None, pad_edge=False,
            padding=self.padding, header_style="dim", caption=None if number else self.caption,
            caption_justify="left",
        )  # fmt: skip
        # Rich gives the last column the room of the gap that it leaves out.
        widths = [width - GAP for _, width in chosen[:-1]] + [max(0, chosen[-1][1] - 2 * GAP)]
        part.columns = [
            replace(column, width=width, overflow="fold", no_wrap=False, _index=place)
            for place, ((column, _), width) in enumerate(zip(chosen, widths, strict=True))
        ]
        part.rows = self.rows
        return part


def headed(*columns: str, title: str = "", words: Collection[int] = (0,), keys: int = 1) -> Table:
    """Return a table without lines, with `title` above: the columns that are `words` to the left, numbers to the
    right. The first `keys` columns say what a row is of."""
    table = Sheet(title, keys)
    for index, column in enumerate(columns):
        table.add_column(column, justify="left" if index in words else "right")
    return table


def _texts(column: Column) -> Iterator[str]:
    """Yield what stands in `column`, its header first, without markup."""
    for cell in (column.header, *column.cells):
        yield Text.from_markup(cell).plain if isinstance(cell, str) else str(cell)


def _widest(column: Column) -> int:
    return max(cell_len(line) for text in _texts(column) for line in (text.splitlines() or [""]))


def _narrowest(column: Column) -> int:
    """The width below which something would be broken that should be whole: numbers, and words of a usual length."""
    header, *cells = _texts(column)
    longest = max(cell_len(word) for text in (header, *cells) for word in (text.split() or [""]))
    if column.justify == "right":
        return max([longest, *(cell_len(line) for text in cells for line in text.splitlines())])
    return min(_widest(column), max(NARROW, min(longest, LONGEST_WORD)))


def _groups(least: Sequence[int], keys: int, room: int) -> list[list[int]]:
    """Return the columns that stand beside each other, those that are `keys` in every group."""
    first = list(range(keys))
    groups, used = [list(first)], sum(least[:keys])
    for index in range(keys, len(least)):
        if used + least[index] > room and len(groups[-1]) > keys:
            groups.append(list(first))
            used = sum(least[:keys])
        groups[-1].append(index)
        used += least[index]
    return groups


def _widths(least: Sequence[int], most: Sequence[int], room: int) -> list[int]:
    """Return widths between `least` and `most` that fill the room: what needs little more gets it first."""
    widths, spare = list(least), room - sum(least)
    while spare > 0:
        growing = [index for index, width in enumerate(widths) if width < most[index]]
        if not growing:
            break
        index = min(growing, key=lambda place: widths[place])
        widths[index] += 1
        spare -= 1
    return widths
