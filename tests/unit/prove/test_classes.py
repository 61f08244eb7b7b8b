# SPDX-License-Identifier: Apache-2.0
"""The class is the number of the first of the largest results, within their ranges; other choices are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from qap2fpga.prove import classes
from qap2fpga.prove.cells import NotProven
from qap2fpga.prove.linear import Value
from qap2fpga.prove.pipeline import Pipeline
from tests.support.circuits import CLOCK, MOVE, Bit, Cell, module, register

A, B = [10, 11, 12], [13, 14, 15]
SIGNED = {"A_SIGNED": "1", "B_SIGNED": "1"}
# The second wins unless the first is at least as large.
FIRST: Cell = ("$ge", SIGNED, {"A": A, "B": B, "Y": [20]})
NUMBER: Cell = ("$not", {}, {"A": [20], "Y": [30]})


def prove(place: Path, cells: list[Cell], number: tuple[int, ...] = (40,), low: int = -4, high: int = 3) -> int:
    ports: dict[str, list[Bit]] = {"ap_clk": [CLOCK], "move": [MOVE], "a": list(A), "b": list(B)}
    pipeline = Pipeline(module(ports, {"y": [40]}, [*cells, *register([30], [40], [50])]), CLOCK, MOVE)
    values = [Value(tuple(A), True, low, high), Value(tuple(B), True, low, high)]
    return classes.prove(pipeline, values, number, place, 10)


def test_the_first_of_the_largest_is_proven_with_its_registers(tmp_path: Path) -> None:
    assert prove(tmp_path, [FIRST, NUMBER]) == 1
    assert prove(tmp_path, [FIRST, NUMBER], (40, 0)) == 1


@pytest.mark.parametrize("cell", [
    ("$gt", SIGNED, FIRST[2]), ("$le", SIGNED, FIRST[2]), ("$ge", {}, FIRST[2]),
    ("$ge", SIGNED, {**FIRST[2], "A": B}), ("$ge", SIGNED, {**FIRST[2], "A": [10, 12, 12]}),
])  # fmt: skip
def test_another_choice_is_not_proven(tmp_path: Path, cell: Cell) -> None:
    with pytest.raises(NotProven, match="not the number of the first"):
        prove(tmp_path, [cell, NUMBER])


def test_a_comparison_need_be_right_within_the_ranges_only(tmp_path: Path) -> None:
    assert prove(tmp_path, [("$ge", {}, FIRST[2]), NUMBER], low=0) == 1
    with pytest.raises(NotProven, match="not the number of the first"):
        prove(tmp_path, [("$ge", {}, FIRST[2]), NUMBER], low=-1)


def test_sizes_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(NotProven, match="the class has 0 bits, not 1"):
        prove(tmp_path, [FIRST, NUMBER], ())
    with pytest.raises(NotProven, match="-5 to 3 do not lie in 3 bits"):
        prove(tmp_path, [FIRST, NUMBER], low=-5)
