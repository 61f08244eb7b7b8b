# SPDX-License-Identifier: Apache-2.0
"""A netlist is the Verilog: the same function as many registers later, or it is said what is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from qap2fpga.prove import equivalence
from qap2fpga.prove.cells import NotProven, Refuted
from qap2fpga.prove.equivalence import Equality, Side
from tests.support.circuits import CLOCK, MOVE, Bit, Cell, module, register

A, B, Y = [10, 11, 12, 13], [14, 15, 16, 17], [20, 21, 22, 23]
PORTS: dict[str, list[Bit]] = {"ap_clk": [CLOCK], "move": [MOVE], "a": list(A), "b": list(B)}
SUM: Cell = ("$add", {}, {"A": A, "B": B, "Y": Y})
# The same sum another way: a - (-1 - b) - 1.
OTHER: list[Cell] = [
    ("$not", {}, {"A": B, "Y": [30, 31, 32, 33]}),
    ("$sub", {}, {"A": A, "B": [30, 31, 32, 33], "Y": [34, 35, 36, 37]}),
    ("$sub", {}, {"A": [34, 35, 36, 37], "B": ["1", "0", "0", "0"], "Y": Y}),
]


def side(cells: list[Cell], out: list[Bit], ports: dict[str, list[Bit]] = PORTS) -> Side:
    return equivalence.side(module(ports, {"y": out}, cells), "ap_clk", "move")


def compare(place: Path, gate: Side, limit_s: float = 10) -> Equality:
    return equivalence.compare(side([SUM], [*Y]), gate, place, "m", limit_s)


def test_the_same_function_written_in_another_way_is_equal(tmp_path: Path) -> None:
    assert compare(tmp_path, side([SUM], [*Y])) == Equality(outputs=4, solved=0)
    assert compare(tmp_path, side(OTHER, [*Y])).solved > 0


def test_another_function_is_refuted(tmp_path: Path) -> None:
    with pytest.raises(Refuted, match="another function"):
        compare(tmp_path, side([("$sub", {}, SUM[2])], [*Y]))


def test_a_difference_that_random_inputs_miss_is_refuted_by_the_solver(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(equivalence, "_try", lambda *_: None)
    with pytest.raises(Refuted, match="another function"):
        compare(tmp_path, side([("$sub", {}, SUM[2])], [*Y]))


def test_more_registers_are_another_netlist(tmp_path: Path) -> None:
    later = [SUM, *register([*Y], [40, 41, 42, 43], [50, 51, 52, 53])]
    with pytest.raises(NotProven, match="0 registers before an output in the Verilog, 1 in the netlist"):
        compare(tmp_path, side(later, [40, 41, 42, 43]))


def test_a_constant_may_come_through_fewer_registers_alone(tmp_path: Path) -> None:
    plain, late = side([], ["1"]), side([*register(["1"], [40], [50])], [40])
    assert equivalence.compare(late, plain, tmp_path, "m", 10).outputs == 1
    with pytest.raises(NotProven, match="0 registers before an output in the Verilog, 1 in the netlist"):
        equivalence.compare(plain, late, tmp_path, "m", 10)


def test_other_ports_are_another_netlist(tmp_path: Path) -> None:
    with pytest.raises(NotProven, match="other ports"):
        compare(tmp_path, side([SUM], [20, 21, 22]))
    with pytest.raises(NotProven, match="no port 'move'"):
        side([SUM], [*Y], {name: bits for name, bits in PORTS.items() if name != "move"})


def test_a_netlist_that_changes_while_nothing_moves_is_none(tmp_path: Path) -> None:
    """At every move it is the sum; between two moves it is another number."""
    stands: list[Cell] = [
        ("INV", {}, {"I": [MOVE], "O": [40]}), ("$xor", {}, {"A": [20], "B": [40], "Y": [41]}),
    ]  # fmt: skip
    with pytest.raises(NotProven, match="an output depends on whether anything moves"):
        compare(tmp_path, side([SUM, *stands], [41, *Y[1:]]))
    registers = register([*Y], [50, 51, 52, 53], [60, 61, 62, 63])
    gold = side([SUM, *registers], [50, 51, 52, 53])
    assert equivalence.compare(gold, gold, tmp_path, "m", 10).outputs == 4
    behind: list[Cell] = [("INV", {}, {"I": [MOVE], "O": [70]}), ("$or", {}, {"A": [50], "B": [70], "Y": [71]})]
    with pytest.raises(NotProven, match="an output depends on whether anything moves"):
        equivalence.compare(gold, side([SUM, *registers, *behind], [71, 51, 52, 53]), tmp_path, "m", 10)


def test_a_solver_that_fails_or_does_not_know_proves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for text, message in (("echo Networks are UNDECIDED.", "did not know after 10 s"), ("exit 3", "ABC: ")):
        program = tmp_path / "abc"
        program.write_text(f"#!/bin/sh\n{text}\n")
        program.chmod(0o755)
        monkeypatch.setattr(equivalence, "abc", lambda program=program: program)
        with pytest.raises(NotProven, match=message) as caught:
            compare(tmp_path, side(OTHER, [*Y]))
        assert not isinstance(caught.value, Refuted)


KNOWS, DOES_NOT_KNOW = "&r {0}; &cec {1}", "&r {0}; &ps"


@pytest.mark.parametrize("engines", [[KNOWS], [DOES_NOT_KNOW, KNOWS], ["no_such_command", KNOWS]])
def test_what_one_engine_does_not_know_another_is_asked(
    engines: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(equivalence, "ENGINES", {str(number): script for number, script in enumerate(engines)})
    assert compare(tmp_path, side(OTHER, [*Y])).solved > 0
    monkeypatch.setattr(equivalence, "_try", lambda *_: None)
    with pytest.raises(Refuted, match="another function"):
        compare(tmp_path, side([("$sub", {}, SUM[2])], [*Y]))
    assert len(list(tmp_path.glob("*/*.log"))) == 2 * len(engines)


@pytest.mark.parametrize("engine", equivalence.ENGINES)
def test_each_engine_tells_a_function_from_another(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(equivalence, "ENGINES", {engine: equivalence.ENGINES[engine]})
    monkeypatch.setattr(equivalence, "_try", lambda *_: None)
    assert compare(tmp_path, side(OTHER, [*Y])).solved > 0
    with pytest.raises(Refuted, match="another function"):
        compare(tmp_path, side([("$sub", {}, SUM[2])], [*Y]))


def test_a_name_is_neither_a_path_nor_part_of_a_script(tmp_path: Path) -> None:
    name = "../../out; !touch here; &cec"
    sides = (side([SUM], [*Y]), side(OTHER, [*Y]))
    place = tmp_path / "a" / "b"
    place.mkdir(parents=True)
    assert equivalence.compare(*sides, place, name, 10).solved > 0
    assert [path.name for path in tmp_path.iterdir()] == ["a"] and not list(tmp_path.rglob("here"))
