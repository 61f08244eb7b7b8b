# SPDX-License-Identifier: Apache-2.0
"""Logic that reads more than a layer's results: what was made twice, comparisons, and wires that never change."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from qap2fpga.prove import foreign
from qap2fpga.prove.cells import NotProven
from qap2fpga.prove.reading import flattened
from qap2fpga.prove.walk import Number
from tests.support import alkaid
from tests.support.alkaid import Stage

STAGES = [
    Stage(np.array([[2, 1], [-1, 1], [1, 0]]), np.zeros(2, int), np.array([1, 0]), 2),
    Stage(np.array([[3, 1], [-1, 2]]), np.zeros(2, int), np.zeros(2, int)),
]
TWICE = """
module of(input [11:0] x, output [11:0] y);
    wire signed [3:0] a = x[3:0], b = x[7:4], c = x[11:8];
    wire signed [6:0] s = 2 * a - b + c, t = (c - b) + (a + a);
    wire [1:0] p = s < 0 ? 0 : s > 7 ? 3 : s[2:1], r = t[6] ? 0 : t > 7 ? 3 : t[2:1];
    wire signed [5:0] u = a + b;
    wire [1:0] q = u < 0 ? 0 : u > 3 ? 3 : u;
    wire never = s > 60;
    assign y[5:0] = $signed({1'b0, p}) + 2 * p - q + never;
    assign y[11:6] = r + 2 * q;
endmodule
"""
# Of the result only what it is compared with is read: whether it is above 0, 1 and 2.
COMPARED = TWICE.replace("assign y[11:6] = r", "assign y[11:6] = ((t > 1) + (t >= 4) + (t >= 6))")


def proven(text: str, place: Path) -> str:
    (place / "of.sv").write_text(text)
    ports = foreign.Ports("x", (Number(4, True),) * 3, "y", (Number(6, True),) * 2, 0)
    module = flattened([place / "of.sv"], "of", place)
    return foreign.prove(module, ports, alkaid.network(STAGES, 4), "logits", place, 30, lambda text: None)


@pytest.mark.parametrize("text", [TWICE, COMPARED], ids=["copies and constants", "comparisons"])
def test_wires_that_are_functions_of_a_result(text: str, tmp_path: Path) -> None:
    assert proven(text, tmp_path).startswith("2 layers")


@pytest.mark.parametrize("before, after", [
    ("s > 60", "s > 20"), ("t > 7 ? 3", "t > 8 ? 3"), ("t[6] ?", "t[4] ?"), ("+ (a + a)", "+ (a + b)"),
])  # fmt: skip
def test_wires_that_are_others(before: str, after: str, tmp_path: Path) -> None:
    with pytest.raises(NotProven):
        proven(TWICE.replace(before, after), tmp_path)


@pytest.mark.parametrize("before, after", [("t >= 4", "t >= 5"), ("t > 1", "t > 0"), ("t >= 6", "s >= 5")])
def test_comparisons_that_are_others(before: str, after: str, tmp_path: Path) -> None:
    with pytest.raises(NotProven):
        proven(COMPARED.replace(before, after), tmp_path)


# Of sums from -31 to 29 a table says what comes of each, and of others nothing.
TABLE = """
module of(input [11:0] x, output [11:0] y);
    wire signed [3:0] a = x[3:0], b = x[7:4], c = x[11:8];
    wire signed [5:0] s = 2 * a - b + c;
    wire signed [5:0] u = a + b;
    reg [1:0] p;
    wire [1:0] q = u < 0 ? 0 : u > 3 ? 3 : u;
    always @(*) case (s)
ENTRIES
        default: p = 2'bx;
    endcase
    assign y[5:0] = $signed({1'b0, p}) + 2 * p - q;
    assign y[11:6] = p + 2 * q;
endmodule
"""


def entries(last: int) -> str:
    """Return what is said of sums from the least one to `last`."""
    return "\n".join(f"        6'd{number & 63}: p = {min(3, max(0, number >> 1))};" for number in range(-31, last + 1))


def test_values_that_are_left_open_where_no_sum_gets(tmp_path: Path) -> None:
    assert proven(TABLE.replace("ENTRIES", entries(29)), tmp_path).startswith("2 layers")


@pytest.mark.parametrize("last", [28, 20])
def test_values_that_are_left_open_where_a_sum_gets(last: int, tmp_path: Path) -> None:
    with pytest.raises(NotProven):
        proven(TABLE.replace("ENTRIES", entries(last)), tmp_path)


def test_what_is_left_open_is_not_proven_by_what_it_is_taken_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Inputs are tried with zeros there: with these it would be right."""
    monkeypatch.setattr(foreign, "require_equal", lambda *given: None)
    text = TABLE.replace("ENTRIES", entries(29).replace(f"        6'd{-5 & 63}: p = 0;", ""))
    with pytest.raises(NotProven, match=r"a value that is left open|wires|depends"):
        proven(text, tmp_path)
