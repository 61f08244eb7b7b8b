# SPDX-License-Identifier: Apache-2.0
"""Results as tables: short text, HTML in a notebook, a data frame where pandas is installed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, TypeVar, overload

from qap2fpga.system.errors import QapError
from qap2fpga.system.names import printable

if TYPE_CHECKING:
    import pandas

T = TypeVar("T")
Value = str | int | float | bool | None
# Rows that a table shows; the rest is counted.
MOST_ROWS = 60
DASH = "–"


@dataclass(frozen=True)
class Table:
    """Rows of values under the names of `columns`. A table is a sequence of its rows, each a dictionary by column.

    `title` stands above it where it is shown. None is what is not known.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Value, ...], ...]
    title: str = ""

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, Value]:
        return dict(zip(self.columns, self.rows[index], strict=True))

    def __iter__(self) -> Iterator[dict[str, Value]]:
        return (self[index] for index in range(len(self)))

    def __repr__(self) -> str:
        shown = [self.columns, *(tuple(map(text, row)) for row in self.rows[:MOST_ROWS])]
        widths = [max(len(row[place]) for row in shown) for place in range(len(self.columns))]
        numeric = [self._is_numeric(place) for place in range(len(self.columns))]
        lines = ["  ".join(_aligned(row, widths, numeric)).rstrip() for row in shown]
        return "\n".join(filter(None, (self.title, *lines, self._rest())))

    def _repr_html_(self) -> str:
        """Return the table as a notebook shows it."""
        head = "".join(f"<th>{escape(name)}</th>" for name in self.columns)
        rows = (
            "".join(f"<td>{escape(text(value))}</td>" for value in row) for row in self.rows[:MOST_ROWS]
        )  # fmt: skip
        body = "".join(f"<tr>{row}</tr>" for row in rows)
        table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        above, below = (f"<p>{escape(printable(line))}</p>" if line else "" for line in (self.title, self._rest()))
        return above + table + below

    def to_pandas(self) -> pandas.DataFrame:
        """Return the table as a pandas data frame. Raises `QapError` where pandas is not installed."""
        try:
            import pandas
        except ImportError as error:
            raise QapError("pandas is not installed", "pip install pandas, or read the rows of the table") from error
        return pandas.DataFrame(list(self.rows), columns=list(self.columns))

    def _rest(self) -> str:
        return f"and {len(self.rows) - MOST_ROWS} more rows" if len(self.rows) > MOST_ROWS else ""

    def _is_numeric(self, place: int) -> bool:
        return any(isinstance(row[place], (int, float)) for row in self.rows)


class Tabular(ABC):
    """A result that is shown as a heading and a table. `heading` is one line, which `repr` gives."""

    @property
    @abstractmethod
    def heading(self) -> str:
        """Return the result in one line."""

    @property
    @abstractmethod
    def table(self) -> Table:
        """Return the result as a table."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {printable(self.heading)}>"

    def _repr_html_(self) -> str:
        """Return what a notebook shows."""
        return f"<p><b>{type(self).__name__}</b> {escape(printable(self.heading))}</p>{self.table._repr_html_()}"

    def to_pandas(self) -> pandas.DataFrame:
        """Return the table as a pandas data frame. Raises `QapError` where pandas is not installed."""
        return self.table.to_pandas()


class Items(Tabular, Sequence[T]):
    """A result that is a sequence of `items`, too."""

    @property
    @abstractmethod
    def items(self) -> tuple[T, ...]:
        """Return what it is a sequence of."""

    def __len__(self) -> int:
        return len(self.items)

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[T]: ...
    def __getitem__(self, index: int | slice) -> T | Sequence[T]:
        return self.items[index]


def of_dicts(rows: Sequence[Mapping[str, Value]], title: str = "") -> Table:
    """Return the table of `rows`, without columns that nothing is known in."""
    names = dict.fromkeys(name for row in rows for name in row)
    known = tuple(name for name in names if any(row.get(name) is not None for row in rows))
    return Table(known, tuple(tuple(row.get(name) for name in known) for row in rows), title)


def text(value: Value) -> str:
    """Return a value as people read it: thousands with commas, four digits of fractions, a dash for what is unknown."""
    match value:
        case None:
            return DASH
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case float():
            return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return printable(value)


def _aligned(row: Sequence[str], widths: Sequence[int], numeric: Sequence[bool]) -> Iterator[str]:
    for one, width, is_number in zip(row, widths, numeric, strict=True):
        place: Callable[[int], str] = one.rjust if is_number else one.ljust
        yield place(width)
