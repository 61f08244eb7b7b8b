# SPDX-License-Identifier: Apache-2.0
"""Hardware of a fixed latency as logic: registers are wires where that is so, copies and doubles are one."""

from __future__ import annotations

import pytest

from qap2fpga.prove.cells import NotProven
from qap2fpga.prove.latency import Logic, combinational
from tests.support.circuits import CLOCK, Bit, Cell, module

INPUTS: dict[str, list[Bit]] = {"clk": [CLOCK], "rst": [9], "x": [10, 11, 12]}


def logic(cells: list[Cell], outputs: list[Bit], latency: int, names: dict[str, list[Bit]] | None = None) -> Logic:
    its = module(INPUTS, {"y": outputs}, cells, names)
    return combinational(its, CLOCK, {9: 0}, (10, 11, 12), its.outputs["y"], latency, {12: 11})


def flop(data: list[Bit], out: list[Bit], clock: Bit = CLOCK) -> Cell:
    return ("$dff", {"CLK_POLARITY": "1"}, {"CLK": [clock], "D": data, "Q": out})


def test_copies_doubles_and_inputs_that_are_others_are_one() -> None:
    cells: list[Cell] = [
        ("$and", {}, {"A": [10], "B": [11], "Y": [20]}), flop([20], [21]),
        flop([12, 10], [22, 23]), ("$and", {}, {"A": [22], "B": [23], "Y": [24]}),
        ("$not", {}, {"A": [24], "Y": [25]}), ("$not", {}, {"A": [25], "Y": [26]}),
        ("$mux", {}, {"A": [21], "B": ["1"], "S": [9], "Y": [27]}),
    ]  # fmt: skip
    its = logic(cells, [21, 24, 26, 27], 1)
    (bit,) = set(its.outputs)
    assert [part.kind for part in its.parts if bit in part.driven] == ["and"]


@pytest.mark.parametrize(
    "cells, said",
    [
        ([flop([10], [20]), flop([20], [21])], "bit 0 of the output comes 2 cycles after the input, not 1"),
        ([("$buf", {}, {"A": [10], "Y": [21]})], "comes 0 cycles"),
        ([flop([10], [20]), ("$xor", {}, {"A": [20], "B": [11], "Y": [21]})], "come from stages"),
        ([flop([10], [21], 11)], "has another clock"),
        ([("$mux", {}, {"A": [21], "B": [10], "S": [11], "Y": [20]}), flop([20], [21])], "a loop at"),
        ([("FDRE", {}, {"C": [CLOCK], "CE": [11], "R": ["0"], "D": [10], "Q": [21]})], "enable or a reset"),
        ([("FDRE", {}, {"C": [CLOCK], "CE": ["1"], "R": [11], "D": [10], "Q": [21]})], "enable or a reset"),
        ([flop([CLOCK], [21])], "an input that is no data"),
        ([flop(["1"], [20]), flop([20], [21])], "constants come 2 cycles after the start, not 1"),
    ],
)
def test_what_is_no_function_of_the_inputs_so_many_cycles_before(cells: list[Cell], said: str) -> None:
    with pytest.raises(NotProven, match=said):
        logic(cells, [21], 1)


def test_a_value_that_is_left_open_is_one_of_its_own_wherever_it_is_read() -> None:
    cells: list[Cell] = [("$mux", {}, {"A": ["x", "x"], "B": [10, 10], "S": [11], "Y": [20, 21]})]
    its = logic([*cells, flop([20, 21], [30, 31])], [30, 31], 1)
    assert len(its.open) == 2 and len(set(its.outputs)) == 2


def test_bits_that_are_cut_off_below_others_are_kept_for_their_name() -> None:
    cells: list[Cell] = [("$add", {}, {"A": [10, 11], "B": ["1", "0"], "Y": [20, 21]}), flop([20, 21], [30, 31])]
    its = logic(cells, [31], 1, {"sum": [30, 31]})
    assert (20, 21) in its.named and its.outputs == (21,)
