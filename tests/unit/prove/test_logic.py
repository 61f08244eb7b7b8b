# SPDX-License-Identifier: Apache-2.0
"""Logic where some bits are constants: what is left of it, and its order."""

from __future__ import annotations

import numpy as np
import pytest

from qap2fpga.prove.cells import NotProven, Part
from qap2fpga.prove.logic import Logic, constants, simplified
from tests.support.circuits import CLOCK, MOVE, RESET, Bit, Cell, module, random_module, register

PORTS: dict[str, list[Bit]] = {"ap_clk": [CLOCK], "move": [MOVE], "x": [10, 11], "other": [9]}


def test_what_does_not_matter_is_dropped() -> None:
    table = Part("t", "table", ((10, 11, 12),), (20,), 0b11001010)
    assert simplified(table, {12: 1}).operands == ((11,),)
    assert simplified(table, {12: 0}).entries == 0b10 and simplified(table, {12: 0}).operands == ((10,),)
    choose = Part("c", "choose", ((10,), (11,), (11,)), (20,))
    assert simplified(choose, {}).kind == "same"


def test_constants_are_followed_through_logic_alone() -> None:
    cells: list[Cell] = [("$and", {}, {"A": [10], "B": [9], "Y": [40]}), ("$not", {}, {"A": [40], "Y": [41]}),
                         *register([41], [42], [43])]  # fmt: skip
    known = constants(module({**PORTS, "reset": [RESET]}, {"y": [42]}, cells), {9: 0})
    assert (known[40], known[41]) == (0, 1) and 42 not in known


def test_parts_come_after_what_they_read_and_without_what_is_constant() -> None:
    cells: list[Cell] = [("$and", {}, {"A": [41], "B": [42], "Y": [43]}), ("$not", {}, {"A": [10], "Y": [41]}),
                         ("$or", {}, {"A": [11], "B": [9], "Y": [42]})]  # fmt: skip
    one = module(PORTS, {"y": [43]}, cells)
    every, some = Logic(one, {}), Logic(one, {9: 1})
    parts, leaves = every.in_order([43, 41], every.part)
    assert [part.kind for part in parts][-1] == "and" and len(parts) == 3 and leaves == {10, 11, 9}
    parts, leaves = some.in_order([43], some.part)
    assert [part.kind for part in parts] == ["not", "and"] and leaves == {10} and some.settle([42, 43]) == (1, 43)
    assert every.in_order([10, 10, 0], every.part) == ([], {10})


def test_a_loop_has_no_order() -> None:
    cells: list[Cell] = [("$and", {}, {"A": [10], "B": [42], "Y": [43]}), ("$not", {}, {"A": [43], "Y": [42]})]
    logic = Logic(module(PORTS, {"y": [43]}, cells), {})
    with pytest.raises(NotProven, match="m: a loop"):
        logic.in_order([43], logic.part)


@pytest.mark.parametrize("seed", range(60))
def test_what_is_released_is_as_if_it_had_never_been_constant(seed: int) -> None:
    random = np.random.default_rng(seed)
    one = random_module(random, registers=0)
    inputs = one.inputs["x"]
    values = {bit: int(random.integers(2)) for bit in inputs if random.random() < 0.8}
    free = [bit for bit in values if random.random() < 0.5]
    logic = Logic(one, values)
    before = dict(logic.settled)
    released = logic.release(free)
    assert logic.settled == constants(one, {bit: value for bit, value in values.items() if bit not in free})
    assert released == before.keys() - logic.settled.keys()
