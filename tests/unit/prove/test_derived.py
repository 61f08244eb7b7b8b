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
