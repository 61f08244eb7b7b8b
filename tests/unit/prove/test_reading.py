# SPDX-License-Identifier: Apache-2.0
"""Yosys' JSON as modules."""

from __future__ import annotations

from pathlib import Path

import pytest

from qap2fpga.prove.cells import NotProven
from qap2fpga.prove.reading import UNDRIVEN, Reading, elaborated, modules
from qap2fpga.system.errors import QapError
from tests.support.circuits import Bit, Cell, content


def test_a_design_without_a_netlist_has_none() -> None:
    one = content({"a": [2]}, {"y": [2, "x", "1"]}, [])
    assert Reading({"flat": one}, "m").netlist == {} and Reading({"netlist": one}, "m").netlist.keys() == {"m"}
    assert modules(one)["m"].outputs == {"y": (2, UNDRIVEN, 1)}


def test_a_port_in_both_directions_is_not_known() -> None:
    one = content({"a": [2]}, {"y": [2]}, [])
    one["modules"]["m"]["ports"]["a"]["direction"] = "inout"
    with pytest.raises(NotProven, match="neither input nor output"):
        modules(one)


DAMAGED: dict[str, Cell] = {
    "a pin is gone": ("$add", {}, {"A": [2], "Y": [3]}),
    "a pin of two is shorter": ("$dff", {"CLK_POLARITY": "1"}, {"CLK": [2], "D": [2], "Q": [3, 4]}),
    "no clock": ("$dff", {"CLK_POLARITY": "1"}, {"CLK": [], "D": [2], "Q": [3]}),
    "a parameter is gone": ("$dff", {}, {"CLK": [2], "D": [2], "Q": [3]}),
    "no output": ("$logic_not", {}, {"A": [2], "Y": []}),
    "no select": ("$mux", {}, {"S": [], "A": [2], "B": [2], "Y": [3]}),
    "operands of a choice of other sizes": ("$mux", {}, {"S": [2], "A": [2, 2], "B": [2], "Y": [3, 4]}),
    "two selects": ("MUXF7", {}, {"S": [2, 2], "I0": [2], "I1": [2], "O": [3]}),
    "a carry of two bits": ("CARRY4", {}, {"CI": [2, 2], "CYINIT": ["0"], "S": [2], "DI": [2], "O": [3], "CO": []}),
    "a carry that nothing drives": ("CARRY4", {}, {"CYINIT": ["0"], "S": [2] * 4, "DI": [2] * 4, "O": [3], "CO": []}),
    "too few bits to add": ("CARRY4", {}, {"CI": ["0"], "CYINIT": ["0"], "S": [2], "DI": [2], "O": [3], "CO": []}),
    "a reset that is not connected": ("TRELLIS_FF", {}, {"CLK": [2], "DI": [2], "Q": [3]}),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_cell_without_what_it_needs_is_not_proven(damage: str) -> None:
    with pytest.raises(NotProven, match=r"^c0: "):
        modules(content({"a": [2]}, {"y": [3]}, [DAMAGED[damage]]))


def test_another_module_than_there_is_is_not_proven() -> None:
    inputs: dict[str, list[Bit]] = {"a": [2], "b": [5, 6]}
    known = modules(content(inputs, {"y": [2]}, []))
    with pytest.raises(NotProven, match="there is no module other"):
        known["other"]
    with pytest.raises(NotProven, match="there is no module top"):
        _ = Reading({"flat": content(inputs, {"y": [2]}, [])}, "top").flat
    assert known["m"].single("a") == 2
    for port in ("b", "y", "none"):
        with pytest.raises(NotProven, match=f"no port '{port}' of one bit"):
            known["m"].single(port)


PLAIN = """// a `move` is none, and $readmemh neither
module t(input a, output y); /* `include "a" */
  (* src = "`include" *) wire \\`include ; assign y = ~a;
endmodule
"""


@pytest.mark.slow
def test_verilog_reads_no_other_files(tmp_path: Path) -> None:
    path = tmp_path / "t.v"
    path.write_text(PLAIN)
    assert "t" in elaborated([path], [], "t", tmp_path)["flat"]["modules"]
    for line in ('`include "other.v"', "`define A(x) x", '  initial $readmemh("m.hex", memory);'):
        path.write_text(PLAIN.replace("endmodule", f"{line}\nendmodule"))
        with pytest.raises(QapError, match="names every file"):
            elaborated([path], [], "t", tmp_path)
        with pytest.raises(QapError, match="names every file"):
            elaborated([], [path], "t", tmp_path)
