# SPDX-License-Identifier: Apache-2.0
"""Registers and logic, move by move: control is known, data keep their names."""

from __future__ import annotations

import pytest

from qap2fpga.prove.cells import NotProven
from qap2fpga.prove.expressions import FIRST, Expressions
from qap2fpga.prove.logic import Logic
from qap2fpga.prove.machine import Machine
from qap2fpga.prove.pipeline import Pipeline
from tests.support.circuits import CLOCK, MOVE, RESET, Bit, Cell, module, register

PORTS: dict[str, list[Bit]] = {"ap_clk": [CLOCK], "move": [MOVE], "ap_rst_n": [RESET], "x": [10], "go": [11], "z": [12]}


def machine(
    cells: list[Cell], targets: tuple[int, ...], names: dict[str, tuple[list[Bit], str]] | None = None
) -> Machine:
    own = module(PORTS, {"y": list(targets)}, cells, names)
    return Machine(Pipeline(own, CLOCK, MOVE, {RESET: 1}), Logic(own, {RESET: 0}), targets, {10, 11}, Expressions())


def toggle(initial: str) -> Machine:
    """A bit that is inverted by every move and 0 after a reset, and a register that takes x where it is 1."""
    cells: list[Cell] = [
        ("$not", {}, {"A": [20], "Y": [30]}), ("$mux", {}, {"S": [MOVE], "A": [20], "B": [30], "Y": [31]}),
        ("$mux", {}, {"S": [RESET], "A": ["0"], "B": [31], "Y": [32]}),
        ("$dff", {"CLK_POLARITY": "1"}, {"CLK": [CLOCK], "D": [32], "Q": [20]}),
        ("$and", {}, {"A": [MOVE], "B": [20], "Y": [33]}), *register([10], [21], [34], enable=33),
        ("$xor", {}, {"A": [11], "B": [21], "Y": [40]}),
    ]  # fmt: skip
    return machine(cells, (20, 21, 40), {"t": ([20], initial)})


def test_control_is_known_and_data_keep_their_names() -> None:
    own = toggle("0")
    order = [one.out for one in own.registers]
    state = own.after_reset
    assert dict(zip(order, state, strict=True)) == {20: 0, 21: None}
    seen = []
    for name in (5, 6, 7, 8):
        targets, state = own.step(state, {10: name, 11: 0})
        seen.append(targets)
    assert seen == [(0, None, None), (1, None, None), (0, 6, 6), (1, 6, 6)]
    assert own.step(state, {10: 9, 11: 12})[0] == (0, 8, FIRST)


def test_what_begins_otherwise_than_after_a_reset_is_not_known() -> None:
    own = toggle("1")
    assert own.after_reset == (None,) * len(own.registers)


@pytest.mark.parametrize("cells, message", [
    (register([10], [20], [30], enable=11), "changes without a move"),
    ([("$and", {}, {"A": [10], "B": [12], "Y": [20]})], "an input that is not known"),
    ([("SRL16E", {}, {"CLK": [CLOCK], "CE": [MOVE], "D": [10], "Q": [20], "A0": ["1"], "A1": ["0"], "A2": ["0"],
                      "A3": ["0"]})], "is several"),
])  # fmt: skip
def test_what_is_not_understood_is_not_proven(cells: list[Cell], message: str) -> None:
    with pytest.raises(NotProven, match=message):
        machine(cells, (20,))


def test_what_nothing_drives_is_not_known() -> None:
    own = machine([("$and", {}, {"A": [10], "B": [50], "Y": [20]})], (20,))
    assert own.step((), {10: 5})[0] == (None,) and own.step((), {10: 0})[0] == (0,)
