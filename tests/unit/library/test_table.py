# SPDX-License-Identifier: Apache-2.0
"""Results as tables: text, HTML that nothing in a file can break out of, data frames, and no pandas."""

from __future__ import annotations

import sys

import pytest

from qap2fpga.library.table import MOST_ROWS, Items, Table, of_dicts, text
from qap2fpga.system.errors import QapError

ROWS = of_dicts([{"name": "a<b>", "lut": 12345, "share": 0.12345, "x": None}, {"name": "b", "lut": None}], "cells")


class Numbers(Items[int]):
    """Two numbers."""

    @property
    def items(self) -> tuple[int, ...]:
        return (7, 8)

    @property
    def heading(self) -> str:
        return "two\x1b[31m <numbers>"

    @property
    def table(self) -> Table:
        return Table(("n",), ((7,), (8,)))


def test_columns_that_nothing_is_known_in_are_left_out() -> None:
    assert ROWS.columns == ("name", "lut", "share")
    assert list(ROWS) == [{"name": "a<b>", "lut": 12345, "share": 0.12345}, {"name": "b", "lut": None, "share": None}]
    assert (len(ROWS), ROWS[-1]["name"]) == (2, "b")


def test_text_has_numbers_to_the_right_and_a_dash_for_what_is_unknown() -> None:
    assert repr(ROWS).splitlines() == [
        "cells", "name     lut   share", "a<b>  12,345  0.1235", "b          –       –",
    ]  # fmt: skip


@pytest.mark.parametrize(("value", "shown"), [
    (None, "–"), (True, "yes"), (False, "no"), (1234567, "1,234,567"), (1234.5, "1,234"), (0.5, "0.5"),
    ("\x1b", "\\x1b"),
])  # fmt: skip
def test_values_as_people_read_them(value: str | float | None, shown: str) -> None:
    assert text(value) == shown


def test_html_escapes_what_it_shows() -> None:
    page = ROWS._repr_html_()
    assert "a&lt;b&gt;" in page and "<b>" not in page
    assert "&lt;numbers&gt;" in Numbers()._repr_html_() and "\x1b" not in Numbers()._repr_html_()


def test_a_long_table_says_how_much_more_there_is() -> None:
    long = Table(("n",), tuple((n,) for n in range(MOST_ROWS + 3)))
    assert repr(long).endswith("and 3 more rows") and "and 3 more rows" in long._repr_html_()
    assert len(repr(long).splitlines()) == MOST_ROWS + 2


def test_a_sequence_of_items_has_a_short_repr() -> None:
    numbers = Numbers()
    assert (list(numbers), numbers[1], numbers[:1], len(numbers)) == ([7, 8], 8, (7,), 2)
    assert repr(numbers) == "<Numbers two\\x1b[31m <numbers>>"
    assert list(numbers.to_pandas()["n"]) == [7, 8]


def test_without_pandas_a_frame_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(QapError, match="pandas is not installed") as caught:
        ROWS.to_pandas()
    assert "pip install pandas" in caught.value.hint
