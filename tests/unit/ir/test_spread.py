# SPDX-License-Identifier: Apache-2.0
"""What is odd of a spread, and what is not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from qap2fpga.ir.spread import INPUTS, LEVELS, SUMS, Spread, doubts

USUAL = Spread(
    node="fc1", kind=LEVELS, low=0, high=15, levels=16, least=0, quarter=0, median=2, three_quarters=6, largest=15,
    used=16, at_low=0.5, at_high=0.02, at_zero=0.5, channels=4, idle=0,
)  # fmt: skip


@pytest.mark.parametrize(("changed", "text"), [
    ({}, ""),
    ({"used": 2}, "its values fall on 2 of 16 levels"),
    ({"at_high": 0.3}, "30% of its values are at the highest of 16 levels"),
    ({"low": -8, "high": 7, "at_low": 0.2}, "20% of its values are at the lowest of 16 levels"),
    ({"used": 8}, "its values use 8 of 16 levels; fewer bits would do"),
    ({"idle": 3}, "3 of 4 channels never change"),
    ({"used": 2, "levels": 2}, ""),
    ({"kind": SUMS, "used": 2, "at_high": 1.0}, ""),
    ({"low": -15, "high": 0, "at_high": 0.5, "at_low": 0.0}, ""),
])  # fmt: skip
def test_doubts(changed: dict[str, object], text: str) -> None:
    one = replace(USUAL, **changed)  # type: ignore[arg-type]
    assert list(doubts((one,))) == ([f"fc1: {text}"] if text else [])


def test_inputs_that_nobody_scaled_are_asked_about() -> None:
    (text,) = doubts((replace(USUAL, node="input/", kind=INPUTS, at_high=0.8),))
    assert text.startswith("input: 80% of its values are at the highest") and "divided by 255" in text


def test_places_are_of_the_range() -> None:
    assert (USUAL.place(0), USUAL.place(15), USUAL.place(3)) == (0.0, 100.0, 20.0)
    assert replace(USUAL, low=3, high=3).place(3) == 50.0
