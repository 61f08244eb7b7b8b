# SPDX-License-Identifier: Apache-2.0
"""Somebody else's Verilog is read, written anew, and gets our streams; nothing in it is run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from qap2fpga.audit import design, ports
from qap2fpga.hw.design import Design
from qap2fpga.system.errors import QapError
from tests.support import foreign

PLAIN = "module top(input [5:0] a, output [8:0] b); assign b = {3'd0, a}; endmodule\n"
IN = {"port": "a", "bits": 3, "signed": True}
OUT = {"port": "b", "bits": [4, 5], "signed": [True, False], "exponent": [1, -1]}


def read(folder: Path, text: str = PLAIN, **changes: Any) -> Design:
    foreign.describe(folder / "theirs", **{"input": IN, "output": OUT, **changes})
    (folder / "theirs" / "top.v").write_text(text)
    told = ports.load(folder / "theirs" / ports.FILE)
    sides = ports.lanes(told.input, 2, "input"), ports.lanes(told.output, 2, "output")
    return design.of_verilog(told, ports.sources(told, folder / "theirs"), sides, sides[0], (2, 2), folder / "work")


def test_values_of_several_widths_come_out_in_one(tmp_path: Path) -> None:
    made = read(tmp_path)
    assert (made.input.bits, made.input.lanes, made.input.signed) == (3, 2, True)
    # 4 signed bits in units of 2, 5 unsigned ones in halves, which get a sign: all in halves.
    assert (made.output.bits, made.output.lanes, made.output.signed) == (6, 2, True)
    text = (made.folder / f"{design.TOP}.v").read_text()
    assert "assign results[5:0] = {got[3:0], 2'd0};" in text
    assert "assign results[11:6] = {1'd0, got[8:4]};" in text
    assert "assign results[15:12] = 0;" in text


def test_ports_may_be_padded_to_whole_bytes(tmp_path: Path) -> None:
    text = PLAIN.replace("[5:0] a", "[7:0] a").replace("[8:0] b", "[15:0] b")
    made = (read(tmp_path, text).folder / f"{design.TOP}.v").read_text()
    assert "assign given[7:6] = 0;" in made and "wire [15:0] got;" in made and "got[8:4]" in made


@pytest.mark.parametrize(
    "text, said",
    [
        (PLAIN.replace("[5:0] a", "[6:0] a"), "'a' is an input of 7 bits, 6 are described"),
        (PLAIN.replace("[8:0] b", "[9:0] b"), "'b' is an output of 10 bits, 9 are described"),
        (PLAIN.replace("[8:0] b", "[7:0] b"), "'b' is an output of 8 bits, 9 are described"),
        (PLAIN.replace("input [5:0] a", "input [5:0] a, input hold"), "nothing is said of its input 'hold'"),
        (PLAIN.replace("input [5:0] a,", "input [5:0] c,").replace("a}", "c}"), "'a' is no input"),
        (PLAIN.replace("module top", "module other"), "Yosys (reading the Verilog of top)"),
        (PLAIN.replace("{3'd0, a}", "{3'd0, a"), "Yosys (reading the Verilog of top)"),
        (PLAIN.replace("assign b = ", "wire w; wire v; assign w = !v & a[0]; assign v = !w; assign b[8] = w;"
                       " assign b[7:0] = "), "Yosys (reading the Verilog of top)"),
        (PLAIN.replace("endmodule", "unknown u(a); endmodule"), "Yosys (reading the Verilog of top)"),
        ("(* blackbox *) module box(input a); endmodule\n" + PLAIN.replace("endmodule", "box u(a[0]); endmodule"),
         "Yosys (reading the Verilog of top)"),
    ],
)  # fmt: skip
def test_what_does_not_fit_its_description_is_refused(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(QapError) as caught:
        read(tmp_path, text)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "statement",
    [
        'initial $system("touch FILE");',
        'initial $c("system(\\"touch FILE\\");");',
        'integer f; initial f = $fopen("FILE", "w");',
        'import "DPI-C" function int run(); ',
        'always @(a) $display("cycles 1");',
        'always @(a) $write("touch");',
        "always @(a) assert(a == 0);",
    ],
)
def test_nothing_in_it_is_run(statement: str, tmp_path: Path) -> None:
    file = tmp_path / "written"
    text = PLAIN.replace("assign", f"{statement.replace('FILE', str(file))} assign", 1)
    try:
        made = read(tmp_path, text)
    except QapError as error:
        assert "Yosys" in str(error) or "which reads another file" in str(error)
    else:
        again = "".join((made.folder / name).read_text() for name in made.sources)
        assert not any(
            word in again for word in ("$system", "$c", "$fopen", "import", "touch", "$display", "$write", "assert")
        )
    assert not file.exists()


def test_a_module_of_theirs_takes_no_place_of_ours(tmp_path: Path) -> None:
    """One that is kept as it is, under the name of the module around theirs, is a part of theirs all the same."""
    inner = "(* keep_hierarchy *) module qap_audit(input [5:0] a, output [8:0] b); assign b = {3'd0, a}; endmodule\n"
    outer = "module top(input [5:0] a, output [8:0] b); (* keep_hierarchy *) qap_audit u(a, b); endmodule\n"
    made = read(tmp_path, inner + outer)
    theirs = (made.folder / f"{design.THEIRS}.v").read_text()
    assert theirs.count("\nmodule ") == 1 and "keep_hierarchy" not in theirs


def test_one_bit_may_be_padded_and_a_port_be_called_as_a_word_of_the_language(tmp_path: Path) -> None:
    text = "module top(input [7:0] a, output [7:0] \\do ); assign \\do = {7'd0, a[0] ^ a[1]}; endmodule\n"
    foreign.describe(tmp_path / "theirs", input={"port": "a", "bits": 1}, output={"port": "do", "bits": 1})
    (tmp_path / "theirs" / "top.v").write_text(text)
    told = ports.load(tmp_path / "theirs" / ports.FILE)
    sides = ports.lanes(told.input, 2, "input"), ports.lanes(told.output, 1, "output")
    made = design.of_verilog(told, ports.sources(told, tmp_path / "theirs"), sides, sides[0], (2, 1), tmp_path / "work")
    assert ".\\do (got)" in (made.folder / f"{design.TOP}.v").read_text()
