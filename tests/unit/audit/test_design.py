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
    return design.of_verilog(told, ports.sources(told, folder / "theirs"), sides, (2, 2), folder / "work")


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
    ],
)
def test_nothing_in_it_is_run(statement: str, tmp_path: Path) -> None:
    file = tmp_path / "written"
    text = PLAIN.replace("assign", f"{statement.replace('FILE', str(file))} assign", 1)
    try:
        made = read(tmp_path, text)
    except QapError as error:
        assert "Yosys" in str(error)
    else:
        again = "".join((made.folder / name).read_text() for name in made.sources)
        assert not any(word in again for word in ("$system", "$c", "$fopen", "import", "touch"))
    assert not file.exists()
