# SPDX-License-Identifier: Apache-2.0
"""Netlists with control: the same, register by register; with single faults, not proven."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from qap2fpga.prove import reading
from qap2fpga.prove.cells import NotProven
from qap2fpga.prove.equivalence import Equality
from qap2fpga.prove.states import State, compare
from tests.support.circuits import CLOCK, MOVE, RESET, Bit, Cell, content

INPUTS: dict[str, list[Bit]] = {"clk": [CLOCK], "rst": [RESET], "go": [MOVE], "x": [10]}
ZERO = ["0"]
# A bit that is inverted by every `go`, and x three of these before.
GOLD: list[Cell] = [
    ("$not", {}, {"A": [20], "Y": [30]}), ("$mux", {}, {"S": [MOVE], "A": [20], "B": [30], "Y": [31]}),
    ("$mux", {}, {"S": [RESET], "A": [31], "B": ZERO, "Y": [32]}),
    ("$mux", {}, {"S": [MOVE], "A": [21, 22, 23], "B": [10, 21, 22], "Y": [33, 34, 35]}),
    ("$dff", {"CLK_POLARITY": "1"}, {"CLK": [CLOCK], "D": [32, 33, 34, 35], "Q": [20, 21, 22, 23]}),
    ("$xor", {}, {"A": [20], "B": [23], "Y": [40]}),
]  # fmt: skip
GATE: list[Cell] = [
    ("INV", {}, {"I": [50], "O": [60]}),
    ("FDRE", {"INIT": "0"}, {"C": [CLOCK], "CE": [MOVE], "D": [60], "Q": [50], "R": [RESET]}),
    ("SRL16E", {}, {"CLK": [CLOCK], "CE": [MOVE], "D": [10], "Q": [51], "A0": ZERO, "A1": ["1"], "A2": ZERO,
                    "A3": ZERO}),
    ("LUT2", {"INIT": "0110"}, {"I0": [50], "I1": [51], "O": [70]}),
]  # fmt: skip


def state(cells: list[Cell], out: int, names: dict[str, Any]) -> dict[str, Any]:
    return content(INPUTS, {"y": [out]}, cells, names)


@pytest.fixture
def sides() -> tuple[dict[str, Any], dict[str, Any]]:
    gold = state(GOLD, 40, {"t": ([20], "0"), "held": [21, 22, 23]})
    return gold, state(GATE, 70, {"t": [50], "held": [90, 91, 51]})


def proven(gold: dict[str, Any], gate: dict[str, Any], place: Path) -> Equality:
    both = (State(reading.modules(one)["m"], {}, "clk") for one in (gold, gate))
    return compare(*both, place, "m", 30)


def test_registers_of_one_name_are_equal_and_those_of_a_shift_register_follow(
    sides: tuple[dict[str, Any], dict[str, Any]], tmp_path: Path
) -> None:
    assert proven(*sides, tmp_path).outputs == 5


def test_registers_without_names_follow_as_well(sides: tuple[dict[str, Any], dict[str, Any]], tmp_path: Path) -> None:
    plain: list[Cell] = [
        ("FDRE", {}, {"C": [CLOCK], "CE": [MOVE], "D": [before], "Q": [out], "R": ZERO})
        for before, out in ((10, 52), (52, 53), (53, 51))
    ]
    gate = state([*GATE[:2], GATE[3], *plain], 70, {"t": [50], "held": [90, 91, 51]})
    assert proven(sides[0], gate, tmp_path).outputs == 5
    gate["modules"]["m"]["cells"]["c4"]["connections"]["CE"] = ["1"]
    with pytest.raises(NotProven, match="is another function"):
        proven(sides[0], gate, tmp_path)


def change(cell: int, port: str, bits: list[Bit]) -> Callable[[dict[str, Any]], None]:
    def fault(content: dict[str, Any]) -> None:
        content["modules"]["m"]["cells"][f"c{cell}"]["connections"][port] = bits

    return fault


def parameter(cell: int, name: str, value: str) -> Callable[[dict[str, Any]], None]:
    def fault(content: dict[str, Any]) -> None:
        content["modules"]["m"]["cells"][f"c{cell}"]["parameters"][name] = value

    return fault


def named(name: str, bits: list[Bit]) -> Callable[[dict[str, Any]], None]:
    def fault(content: dict[str, Any]) -> None:
        content["modules"]["m"]["netnames"][name]["bits"] = bits

    return fault


FAULTS: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "an entry of a LUT": (parameter(3, "INIT", "0111"), "is another function"),
    "begins as 1": (parameter(1, "INIT", "1"), "begins as 1"),
    "never reset": (change(1, "R", ["0"]), "is another function"),
    "always enabled": (change(1, "CE", ["1"]), "is another function"),
    "not inverted": (change(1, "D", [50]), "is another function"),
    "a shift register too short": (change(2, "A1", ["0"]), "is another function"),
    "a shift register too long": (change(2, "A0", ["1"]), "is another function"),
    "a register of another name": (named("held", [90, 50, 51]), "copies of register c4 begin as"),
    "another clock": (change(1, "C", [10]), "has another clock"),
    "no driver": (change(3, "I0", [99]), "another function"),
    "a reset that is x": (change(1, "R", ["x"]), "another function"),
    "data that are x": (change(3, "I0", ["x"]), "another function"),
    "another port": (lambda one: one["modules"]["m"]["ports"].pop("x"), "other ports"),
    "a constant": (named("t", ["0"]), "is another function"),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_not_proven(sides: tuple[dict[str, Any], dict[str, Any]], name: str, tmp_path: Path) -> None:
    gold, gate = copy.deepcopy(sides)
    fault, message = FAULTS[name]
    fault(gate)
    with pytest.raises(NotProven, match=message):
        proven(gold, gate, tmp_path)


def test_names_that_contradict_each_other_are_not_proven(
    sides: tuple[dict[str, Any], dict[str, Any]], tmp_path: Path
) -> None:
    for one, net in zip(sides, (23, 50), strict=True):
        one["modules"]["m"]["netnames"]["other"] = {"bits": [net]}
    with pytest.raises(NotProven, match="several in the Verilog"):
        proven(*sides, tmp_path)


INNER = {
    "ports": {
        "clk": {"direction": "input", "bits": [2]}, "a": {"direction": "input", "bits": [3]},
        "y": {"direction": "output", "bits": [4, 5]},
    },
    "cells": {}, "netnames": {},
}  # fmt: skip


def around(**ports: list[Bit]) -> dict[str, Any]:
    """A module around an instance of another one, and a LUT beside it."""
    beside: Cell = ("LUT2", {"INIT": "0110"}, {"I0": [10], "I1": [MOVE], "O": [70]})
    top = content(INPUTS, {"y": [80, 81]}, [beside], {})
    connections = {"clk": [CLOCK], "a": [10], "y": [80, 81], **ports}
    cell = {"type": "inner", "parameters": {}, "connections": {key: one for key, one in connections.items() if one}}
    top["modules"]["m"]["cells"]["e"] = {**cell, "port_directions": {}}
    return {"modules": {**top["modules"], "inner": copy.deepcopy(INNER)}}


def instances(gate: dict[str, Any], place: Path) -> Equality:
    both = (reading.modules(one) for one in (around(), gate))
    return compare(*(State(one["m"], one, "clk") for one in both), place, "m", 30)


@pytest.mark.parametrize(
    "ports, message",
    [
        ({"clk": []}, "another clock, or none"),
        ({"clk": [10]}, "another clock, or none"),
        ({"y": [80, 80]}, "two drivers"),
        ({"y": ["0", 81]}, "two drivers"),
        ({"y": [70, 81]}, "two drivers"),
        ({"y": [10, 81]}, "two drivers"),
        ({"a": ["x"]}, "another function"),
    ],
)
def test_an_instance_has_its_clock_and_its_nets_to_itself(
    ports: dict[str, list[Bit]], message: str, tmp_path: Path
) -> None:
    assert instances(around(), tmp_path).outputs == 3
    with pytest.raises(NotProven, match=message):
        instances(around(**ports), tmp_path)


# A register that is open after a reset, one that settles at 1, and a memory's words in the netlist as one.
OPEN: list[Cell] = [
    ("$mux", {}, {"S": [RESET], "A": [10], "B": ["x"], "Y": [31]}),
    ("$mux", {}, {"S": [MOVE], "A": [21], "B": ["1"], "Y": [32]}),
    ("$dff", {"CLK_POLARITY": "1"}, {"CLK": [CLOCK], "D": [31, 32, 33, 34], "Q": [20, 21, 22, 23]}),
    ("$mux", {}, {"S": [MOVE], "A": [22, 23], "B": [10, 22], "Y": [33, 34]}),
    ("$and", {}, {"A": [20], "B": [21], "Y": [40]}), ("$xor", {}, {"A": [40], "B": [23], "Y": [41]}),
]  # fmt: skip
CLOSED: list[Cell] = [
    ("FDRE", {"INIT": "0"}, {"C": [CLOCK], "CE": ["1"], "D": [10], "Q": [50], "R": ZERO}),
    ("FDRE", {"INIT": "0"}, {"C": [CLOCK], "CE": [MOVE], "D": [10], "Q": [51], "R": ZERO}),
    ("FDRE", {"INIT": "0"}, {"C": [CLOCK], "CE": [MOVE], "D": [51], "Q": [52], "R": ZERO}),
    ("LUT2", {"INIT": "0110"}, {"I0": [50], "I1": [52], "O": [70]}),
]  # fmt: skip
OPEN_FAULTS: dict[str, Callable[[dict[str, Any]], None]] = {
    "none": lambda one: None, "reset to what was open": change(0, "R", [RESET]),
    "held": change(0, "CE", [MOVE]), "another register's data": change(2, "D", [10]),
    "an entry of a LUT": parameter(3, "INIT", "0111"),
}  # fmt: skip


@pytest.mark.parametrize("name", OPEN_FAULTS)
def test_what_is_open_may_be_anything_and_the_rest_may_not(name: str, tmp_path: Path) -> None:
    gold = state(OPEN, 41, {"p": [20], "m[0]": [22], "m[1]": [23]})
    gate = state(CLOSED, 70, {"p": [50], "m[0]": [51, 52]})
    OPEN_FAULTS[name](gate)
    if name in ("none", "reset to what was open"):
        assert proven(gold, gate, tmp_path).outputs == 5
    else:
        with pytest.raises(NotProven, match="is another function"):
            proven(gold, gate, tmp_path)


# A place that counts over one word: 0 after 0, and after 1, which it never is; and a bit beside it that is set by it.
COUNTS: list[Cell] = [
    ("$not", {}, {"A": [20], "Y": [30]}), ("$mux", {}, {"S": [30], "A": [30], "B": ZERO, "Y": [31]}),
    ("$or", {}, {"A": [20], "B": [21], "Y": [32]}),
    ("$dff", {"CLK_POLARITY": "1"}, {"CLK": [CLOCK], "D": [31, 32], "Q": [20, 21]}),
    ("$or", {}, {"A": [10], "B": [21], "Y": [40]}),
]  # fmt: skip


@pytest.mark.parametrize(("begin", "again", "same"), [("00", [30], True), ("01", [30], False), ("00", [21], False),
                                                      ("xx", [30], False)])  # fmt: skip
def test_registers_that_keep_what_they_begin_with_need_not_be_there(
    begin: str, again: list[Bit], same: bool, tmp_path: Path
) -> None:
    """`again` is what the place becomes where it is not 0: it has to be known that it never is."""
    cells = copy.deepcopy(COUNTS)
    cells[1][2]["A"] = again
    cells[1][2]["B"] = ZERO if same or begin != "00" else [10]
    gold = state(cells, 40, {"w": ([20, 21], begin)})
    gate = state([("LUT1", {"INIT": "10"}, {"I0": [10], "O": [70]})], 70, {})
    if same:
        assert proven(gold, gate, tmp_path).outputs == 3
    else:
        with pytest.raises(NotProven, match="is another function"):
            proven(gold, gate, tmp_path)


def test_words_beyond_the_first_cells_lie_above_the_bits_that_these_leave_free(tmp_path: Path) -> None:
    """Four words of a bit in cells of two words of two bits."""
    delay: list[Cell] = [
        ("$mux", {}, {"S": [MOVE], "A": [20, 21, 22, 23], "B": [10, 20, 21, 22], "Y": [30, 31, 32, 33]}),
        ("$dff", {"CLK_POLARITY": "1"}, {"CLK": [CLOCK], "D": [30, 31, 32, 33], "Q": [20, 21, 22, 23]}),
        ("$xor", {}, {"A": [10], "B": [23], "Y": [40]}),
    ]
    cells: list[Cell] = [
        ("FDRE", {}, {"C": [CLOCK], "CE": [MOVE], "D": [before], "Q": [out], "R": ZERO})
        for before, out in ((10, 51), (51, 52), (52, 53), (53, 54))
    ]
    cells.append(("LUT2", {"INIT": "0110"}, {"I0": [10], "I1": [54], "O": [70]}))
    gold = state(delay, 40, {f"m[{word}]": [20 + word] for word in range(4)})
    gate = state(cells, 70, {"m[0]": [51, 91, 53, 92], "m[1]": [52, 93, 54, 94]})
    assert proven(gold, gate, tmp_path).outputs == 5
    beside = state(cells, 70, {"m[0]": [51, 53, 91, 92], "m[1]": [52, 54, 93, 94]})
    with pytest.raises(NotProven, match="is another function"):
        proven(gold, beside, tmp_path)


def dsp(name: str = "d", a: Bit = 10, place: int = 0, **parameters: str) -> dict[str, Any]:
    """A module around a DSP."""
    one = state([("$not", {}, {"A": [20 + place], "Y": [40]})], 40, {})
    one["modules"]["m"]["cells"][name] = {
        "type": "DSP48E1", "parameters": {"PREG": "1", **parameters}, "port_directions": {},
        "connections": {"CLK": [CLOCK], "A": [a, MOVE], "C": ["x", "x"], "P": [20, 21]},
    }  # fmt: skip
    return one


def test_dsps_of_one_name_with_the_same_inputs_give_the_same(tmp_path: Path) -> None:
    assert proven(dsp(), dsp(), tmp_path).outputs == 5


@pytest.mark.parametrize(("other", "message"), [
    (dsp("e"), "other ports, instances or DSPs"), (dsp(MREG="1"), "other ports, instances or DSPs"),
    (dsp(a=RESET), "is another function"), (dsp(a="x"), "is another function"), (dsp(place=1), "is another function"),
])  # fmt: skip
def test_another_dsp_is_not_proven(other: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(NotProven, match=message):
        proven(dsp(), other, tmp_path)


def test_a_dsp_with_another_clock_is_not_proven(tmp_path: Path) -> None:
    one = dsp()
    one["modules"]["m"]["cells"]["d"]["connections"]["CLK"] = [10]
    with pytest.raises(NotProven, match="a DSP has another clock"):
        proven(one, one, tmp_path)
