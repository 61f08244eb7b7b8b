# SPDX-License-Identifier: Apache-2.0
"""Networks that are no chain, beside logic of them: residual sums, several readers, units at the port."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from qap2fpga.ir.functions import Logits, Step
from qap2fpga.ir.graph import Graph
from qap2fpga.ir.joins import Sum
from qap2fpga.ir.linear import Linear
from qap2fpga.ir.nodes import Input, Requantizer
from qap2fpga.ir.quantizer import InputQuantizer
from qap2fpga.ir.tensors import Shape
from qap2fpga.prove import foreign
from qap2fpga.prove.cells import NotProven
from qap2fpga.prove.reading import flattened
from qap2fpga.prove.walk import Number

STEP = Step(np.array([[2, 4, 6], [1, 5, 9]]))
NETWORK = Graph(
    (
        Input(name="x", size=Shape(2), quantizer=InputQuantizer(-8, 7, (1.0,))),
        Linear(name="a", sources=("x",), weights=np.array([[2, 1], [-1, 3]]), weight_bits=3, input_bits=4),
        Requantizer(name="cut", sources=("a",), function=STEP),
        Linear(name="b", sources=("cut",), weights=np.array([[3, -1], [1, 2]]), weight_bits=3, input_bits=2),
        Linear(name="skip", sources=("x",), weights=np.array([[1, 0], [2, -1]]), weight_bits=3, input_bits=4),
        Sum(name="sum", sources=("b", "skip", "cut"), multipliers=(1, 2, -1)),
        Requantizer(name="end", sources=("sum",), function=Logits(np.array([1, 1]), np.array([3, 0]), 0, None)),
    ),
    "end",
    Fraction(1),
)  # fmt: skip
# The sums of the last node are over the results of 'cut' and the inputs.
VERILOG = """
module of(input [7:0] x, output [17:0] y);
    wire signed [3:0] a = x[3:0], b = x[7:4];
    wire signed [7:0] s = (a <<< 1) - b, t = a + b + (b <<< 1);
    wire [1:0] p = s < 2 ? 0 : s > 5 ? 3 : s >>> 1;
    wire [1:0] q = (t > 0) + (t > 4) + (t > 8);
    wire signed [2:0] g = {1'b0, p}, h = {1'b0, q};
    assign y[8:0] = g * 2 + h + 2 * a + 4 * b + 3;
    assign y[17:9] = h - g - 2 * b;
endmodule
"""


def proven(text: str, kind: str, place: Path, **changes: int) -> str:
    (place / "of.sv").write_text(text)
    module = flattened([place / "of.sv"], "of", place)
    outputs = (Number(9, True, changes.get("exponent", 0)),) * 2
    ports = foreign.Ports("x", (Number(4, True),) * 2, "y", outputs, 0)
    return foreign.prove(module, ports, NETWORK, kind, place, 30, lambda text: None)


def test_a_residual_sum_is_over_the_results_of_both_branches(tmp_path: Path) -> None:
    assert proven(VERILOG, "logits", tmp_path).startswith("2 layers, no registers, ")
    assert proven(VERILOG.replace("4 * b + 3", "4 * b"), "accumulators", tmp_path).startswith("2 layers")


@pytest.mark.parametrize("before, after", [
    ("4 * b + 3", "4 * b + 2"), ("4 * b + 3", "3 * b + 3"), ("h + 2 * a", "g + 2 * a"), ("t > 8", "t > 9"),
    ("h - g", "h + g"), ("b <<< 1", "b <<< 2"), ("s >>> 1", "s >>> 2"),
])  # fmt: skip
def test_another_sum_is_seen(before: str, after: str, tmp_path: Path) -> None:
    with pytest.raises(NotProven):
        proven(VERILOG.replace(before, after), "logits", tmp_path)


def test_units_at_the_port(tmp_path: Path) -> None:
    """Twice the results, in halves; and results in a unit that they are no multiples of."""
    twice = VERILOG.replace("4 * b + 3;", "4 * b + 3 << 1;").replace("h - g - 2 * b;", "h - g - 2 * b << 1;")
    assert proven(twice, "logits", tmp_path, exponent=-1).startswith("2 layers")
    odd = twice.replace("4 * b + 3 << 1;", "(4 * b + 3 << 1) + 1;")
    with pytest.raises(NotProven):
        proven(odd, "logits", tmp_path, exponent=-1)
    with pytest.raises(NotProven):
        proven(VERILOG, "logits", tmp_path, exponent=1)


def test_a_class_that_few_inputs_have_is_described_as_it_is(tmp_path: Path) -> None:
    """Class 1 is that of one input in 262,144, which is not tried: with a sign it would be -1."""
    cut = Step(np.array([[1777], [1778]]))
    nodes = (
        Input(name="x", size=Shape(3), quantizer=InputQuantizer(-32, 31, (1.0,))),
        Linear(name="a", sources=("x",), weights=np.repeat([[1], [64], [4096]], 2, 1), weight_bits=14, input_bits=6),
        Requantizer(name="cut", sources=("a",), function=cut),
        Linear(name="b", sources=("cut",), weights=np.array([[0, 2], [0, -2]]), weight_bits=3, input_bits=1),
        Requantizer(name="end", sources=("b",), function=Logits(np.array([1, 1]), np.array([0, -1]), 0, None)),
    )
    (tmp_path / "of.sv").write_text("""
module of(input [17:0] x, output [1:0] y);
    wire signed [5:0] a = x[5:0], b = x[11:6], c = x[17:12];
    wire signed [19:0] s = a + 64 * b + 4096 * c;
    wire p = s >= 1777, q = s >= 1778;
    wire signed [2:0] logit = 2 * p - 2 * q - 1;
    assign y = {1'b0, logit > 0};
endmodule
""")
    module = flattened([tmp_path / "of.sv"], "of", tmp_path)

    def prove(number: Number) -> str:
        ports = foreign.Ports("x", (Number(6, True),) * 3, "y", (number,), 0)
        return foreign.prove(module, ports, Graph(nodes, "end", Fraction(1)), "class", tmp_path, 30, lambda text: None)

    for right in (Number(1, False), Number(2, False), Number(2, True)):
        assert prove(right).startswith("2 layers")
    for wrong in (Number(1, True), Number(1, False, 3), Number(2, False, -1)):
        with pytest.raises(NotProven, match="the class is described with"):
            prove(wrong)


@pytest.mark.parametrize("value", ["x[7:4]", "4'd0"])
def test_inputs_that_are_connected_to_each_other_are_no_inputs(value: str, tmp_path: Path) -> None:
    """Two that drive one wire are one net to Yosys, and with a constant a constant."""
    wires = f"wire [3:0] w; assign w = x[3:0]; assign w = {value}; wire signed [3:0] a"
    with pytest.raises(NotProven, match="inputs are connected"):
        proven(VERILOG.replace("wire signed [3:0] a", wires, 1), "logits", tmp_path)


def test_a_case_that_says_wrongly_that_one_condition_holds_is_not_proven(tmp_path: Path) -> None:
    """Verilog takes the first of them; Yosys may take the other one, by which it would be the network."""
    case = """reg signed [8:0] r;
    always @*
        (* parallel_case *) case (1'b1)
            a[0] | ~a[0]: r = 0;
            b[0] | ~b[0]: r = h - g - 2 * b;
            default: r = 1;
        endcase
    assign y[17:9] = r;"""
    with pytest.raises(NotProven, match="several of its cases may be met"):
        proven(VERILOG.replace("assign y[17:9] = h - g - 2 * b;", case), "logits", tmp_path)


def test_a_port_that_is_narrower_than_it_is_described(tmp_path: Path) -> None:
    with pytest.raises(NotProven, match="the output's port is not as it is described"):
        proven(VERILOG.replace("[17:0] y", "[16:0] y").replace("y[17:9]", "y[16:9]"), "logits", tmp_path)


def test_results_that_are_comparisons_the_other_way_round(tmp_path: Path) -> None:
    """Not less than: the cell's own net is the result, and has a number below zero."""
    (tmp_path / "of.sv").write_text("""
module of(input [7:0] x, output [3:0] y);
    wire signed [3:0] a = x[3:0], b = x[7:4];
    wire p = !(2 * a - b < 2), q = a + 3 * b < 1;
    assign y[1:0] = p - !q;
    assign y[3:2] = !q;
endmodule
""")
    cut = Step(np.array([[2], [1]]))
    last = Linear(name="b", sources=("cut",), weights=np.array([[1, 0], [-1, 1]]), weight_bits=2, input_bits=1)
    end = Requantizer(name="end", sources=("b",), function=Logits(np.array([1, 1]), np.array([0, 0]), 0, None))
    nodes = (*NETWORK.nodes[:2], Requantizer(name="cut", sources=("a",), function=cut), last, end)
    module = flattened([tmp_path / "of.sv"], "of", tmp_path)
    ports = foreign.Ports("x", (Number(4, True),) * 2, "y", (Number(2, True), Number(2, False)), 0)
    network = Graph(nodes, "end", Fraction(1))
    assert foreign.prove(module, ports, network, "logits", tmp_path, 30, lambda text: None).startswith("2 layers")
