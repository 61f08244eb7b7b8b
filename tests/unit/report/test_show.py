# SPDX-License-Identifier: Apache-2.0
"""Numbers as text: an interval is the whole numbers that it holds, everywhere, and one thing is not called several."""

from __future__ import annotations

import pytest

from qap2fpga.estimate.prediction import Interval
from qap2fpga.report import show


@pytest.mark.parametrize(("value", "low", "high", "text"), [
    (1234.4, 1100.2, 1300.9, "1,234 (1,101 to 1,300)"),
    (8, 8, 8, "8"),
    (8.1, 7.6, 8.4, "8"),
    (8.4, 8.2, 8.4, "8"),
    (8.4, 7.6, 9.6, "8 (8 to 9)"),
])  # fmt: skip
def test_an_interval_is_the_whole_numbers_in_it(value: float, low: float, high: float, text: str) -> None:
    assert show.interval(Interval(value, low, high)) == text
    assert show.interval(Interval(value, low, high), "\n") == text.replace(" (", "\n(")
    first, last = show.whole(low, high)
    assert first <= last and show.ends(low, high) == (f"{first:,} to {last:,}" if first < last else f"{first:,}")


def test_things_are_counted_in_words() -> None:
    assert show.several(1, "build") == "1 build" and show.several(0, "build") == "0 builds"
    assert (
        show.several(1, "study", "studies") == "1 study" and show.several(1200, "study", "studies") == "1,200 studies"
    )
