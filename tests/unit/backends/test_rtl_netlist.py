# SPDX-License-Identifier: Apache-2.0
"""Cells: verified, placed in stages, evaluated as Python computes them, and printed as Verilator reads them."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest

from qap2fpga.backends.rtl.circuit import Circuit, Delays
from qap2fpga.backends.rtl.dataflow.design import Dataflow
from qap2fpga.backends.rtl.dataflow.parts import Compute, Flow, Source
from qap2fpga.backends.rtl.dataflow.timing import Timing
from qap2fpga.backends.rtl.layer import Module
from qap2fpga.backends.rtl.netlist import verilog
from qap2fpga.backends.rtl.netlist.cells import (
    AtLeast,
    Choose,
    Compare,
    Complement,
    Input,
    Level,
    Limit,
    Netlist,
    Register,
    Sum,
    Table,
    Wiring,
)
from qap2fpga.backends.rtl.netlist.evaluate import run
from qap2fpga.backends.rtl.netlist.verify import verify
from qap2fpga.backends.rtl.netlist.wiring import (
    Concat,
    Constant,
    Copies,
    Net,
    Slice,
    Wire,
    extended,
    literal,
    shifted,
    sliced,
    zeros,
)
from qap2fpga.backends.rtl.top import TOP, top
from qap2fpga.exact.integers import width
from qap2fpga.hw.design import Design, Stream
from qap2fpga.ir.tensors import Shape
from qap2fpga.system.errors import CheckFailed
from qap2fpga.verify import rtl

# A LUT takes 1 ns, an adder of n bits 1 + n / 10, a register 0.5.
DELAYS = Delays(lut=1.0, adder=1.0, adder_bit=0.1, register=0.5)


def circuit(clock: float = 1000.0) -> Circuit:
    return Circuit(clock, DELAYS)


def computed(made: Circuit, result: Wire, *lanes: Any) -> list[int]:
    """What comes out for columns of integers."""
    return [
        int(one) for one in run([made.netlist([result])], np.stack([np.array(lane) for lane in lanes], axis=1))[:, 0]
    ]


@pytest.mark.parametrize("low, high", [(0, 13), (-8, 7), (-3, 20)])
def test_wiring_is_arithmetic(low, high):
    values = list(range(low, high + 1))
    for first, bits in product(range(7), range(1, 9)):
        made = circuit()
        (x,) = made.inputs([(low, high)])
        for vector, wanted in (
            (extended(x, bits), [value % (1 << bits) for value in values]),
            (shifted(x, first, bits), [(value << first) % (1 << bits) for value in values]),
            (sliced(x, first, bits), [(value >> first) % (1 << bits) for value in values]),
        ):
            assert vector.bits == bits
            assert computed(made, made.bits(vector, 0, 0.0), values) == wanted


@pytest.mark.parametrize("left_sign, right_sign", [(1, 1), (1, -1), (-1, 1)])
@pytest.mark.parametrize("shift", [0, 1, 3, 9])
def test_sums_of_all_operands(left_sign, right_sign, shift):
    pairs = list(product(range(-5, 12), range(8)))
    made = circuit()
    left, right = made.inputs([(-5, 11), (0, 7)])
    result = made.add(left, right, shift, left_sign, right_sign)
    wanted = [left_sign * a + right_sign * (b << shift) for a, b in pairs]
    assert computed(made, result, *zip(*pairs, strict=True)) == wanted
    assert (result.low, result.high) == (min(wanted), max(wanted))


@pytest.mark.parametrize("signed", [False, True])
def test_comparisons_with_every_constant(signed):
    for bits in range(1, 6):
        low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
        values = list(range(low, high + 1))
        for constant in values:
            made = circuit()
            (x,) = made.inputs([(low, high)])
            assert computed(made, made.at_least(x, constant, 1), values) == [value >= constant for value in values]


def test_a_constant_that_is_no_integer_of_the_wire_is_refused():
    for signed, constant in ((False, 16), (False, -1), (True, 8), (True, -9)):
        with pytest.raises(AssertionError, match=f"of 4 bits compared with {constant}"):
            AtLeast(Wire(Net("n0", 1), 0, 1), Net("x", 4), signed, constant)


def every_kind(clock: float = 2.5, compared: bool = False) -> tuple[Netlist, Any]:
    """A module of all kinds of cells, in several stages, and what it computes of its three lanes, in Python.

    `compared`: and comparisons of four bits, with a sign and without, with all constants.
    """
    made = circuit(clock)
    a, b, c = made.inputs([(-20, 25), (0, 11), (-2, 1)])
    total = made.add(a, b, 2, 1, -1)
    product_like = made.add(b, a, 1, -1, 1)
    (wide, narrow), stage, ready = made.place([total, b], 0.1)
    differs = made.put(Compare(made.new(0, 1, stage, ready), extended(wide, 8), extended(narrow, 8), signed=True))
    below = made.put(Compare(made.new(0, 1, stage, ready), shifted(narrow, 1, 5), literal(9, 5), signed=False))
    squares = [(value * value) % 16 - 8 for value in range(16)]
    looked_up = made.table(squares, b.net, -8, 7, 0, 1.0)
    least = made.at_least(total, -7, 1)
    (one, two, chosen), stage, ready = made.place([looked_up, total, differs], 1.0)
    choice = made.put(Choose(made.new(-64, 63, stage, ready), chosen.net, extended(one, 7), extended(two, 7)))
    (value, inside, above), stage, ready = made.place([b, least, below], 1.0)
    limit = made.put(Limit(made.new(0, 15, stage, ready), value.net, inside.net, above.net, literal(13, 4)))
    (count,), stage, ready = made.place([c], 1.0)
    level = made.put(Level(made.new(-11, -2, stage, ready), literal(-5, 5), Constant(3, 5, "d"), extended(count, 5)))
    low, high = -product_like.high - 1, -product_like.low - 1
    (operand,), stage, ready = made.place([product_like], 0.0)
    flipped = made.put(Complement(made.new(low, high, stage, ready), extended(operand, width(low, high))))
    based = made.put(Sum(made.new(-6, 5, stage, 0.0), literal(-6, 4), made.at(b, stage).net))
    fixed = made.wiring(literal(-3, 3), -3, -3, 0, 0.0)
    more = [(b, constant) for constant in range(16)] + [(looked_up, constant) for constant in range(-8, 8)]
    compares = [made.at_least(wire, constant, 1) for wire, constant in more if compared]

    def wanted(x: int, y: int, z: int) -> list[int]:
        sum_ = x - 4 * y
        return [
            sum_, -1 - (2 * x - y), squares[y] if sum_ >= y else sum_,
            0 if sum_ < -7 else 13 if 2 * y >= 9 else y, 3 * z - 5, -6 + y, -3,
        ]  # fmt: skip

    return made.netlist([total, flipped, choice, limit, level, based, fixed, *compares]), wanted


def vectors(netlist: Netlist, count: int, seed: int = 3) -> np.ndarray:
    random = np.random.default_rng(seed)
    return np.stack([random.integers(wire.low, wire.high + 1, count) for wire in netlist.inputs], axis=1)


KINDS = {Input, Wiring, Complement, Sum, Level, Compare, AtLeast, Table, Choose, Limit, Register}


@pytest.mark.parametrize("clock", [2.5, 4.0, 1000.0])
def test_every_kind_is_evaluated_as_python_computes_it(clock):
    netlist, wanted = every_kind(clock)
    assert KINDS - {type(cell) for cell in netlist.cells} == set()
    integers = vectors(netlist, 400)
    outputs = run([netlist], integers)
    assert outputs.tolist() == [wanted(*map(int, row)) for row in integers]


def changes(cell: Any) -> list[Any]:
    """`cell` with one thing changed, in every way that a value on its wire can tell."""
    if isinstance(cell, Sum):
        return [replace(cell, subtract=not cell.subtract), replace(cell, complemented=not cell.complemented)]
    if isinstance(cell, Complement | Register):
        return [Wiring(cell.out, *cell.operands)]
    if isinstance(cell, Table):
        # No more entries of the table of the module below are chosen.
        places = product(range(len(cell.columns)), range(5))
        return [replace(cell, columns=flipped(cell.columns, *place)) for place in places]
    if isinstance(cell, AtLeast):
        return [replace(cell, constant=cell.constant + 1)]
    if isinstance(cell, Compare):
        return [replace(cell, left=cell.right, right=cell.left), replace(cell, signed=not cell.signed)]
    if isinstance(cell, Choose):
        return [replace(cell, then=cell.otherwise, otherwise=cell.then)]
    if isinstance(cell, Limit):
        return [replace(cell, inside=None), replace(cell, above=None), replace(cell, top=literal(12, 4))]
    if isinstance(cell, Level):
        return [replace(cell, base=literal(-4, 5)), replace(cell, step=Constant(2, 5))]
    return []


def flipped(columns: tuple[int, ...], bit: int, entry: int) -> tuple[int, ...]:
    return tuple(one ^ (1 << entry if place == bit else 0) for place, one in enumerate(columns))


def test_every_changed_cell_is_seen():
    """A sum turned round, an entry's bit, a register left out: another output, or a wire beyond its range."""
    netlist, _ = every_kind()
    integers = vectors(netlist, 2000)
    wanted = run([netlist], integers)
    drivers = {cell.out.net: cell for cell in netlist.cells}
    seen = 0
    for place, cell in enumerate(netlist.cells):
        if isinstance(cell, Register) and constant(drivers, cell):
            continue
        for changed in changes(cell):
            cells = (*netlist.cells[:place], changed, *netlist.cells[place + 1 :])
            try:
                outputs = run([replace(netlist, cells=cells)], integers)
            except (CheckFailed, AssertionError):
                outputs = wanted + 1
            assert (outputs != wanted).any(), f"{type(cell).__name__} {cell.out.net.name}"
            seen += 1
    assert seen > 50


def constant(drivers: dict[Net, Any], cell: Any) -> bool:
    """Whether a chain of registers holds a constant."""
    while isinstance(cell, Register):
        cell = drivers[cell.source]
    return isinstance(cell, Wiring) and isinstance(cell.vector, Constant)


def test_modules_run_one_after_the_other():
    first = circuit(2.5)
    a, b = first.inputs([(-4, 3), (0, 5)])
    one = first.netlist([first.add(a, b, 0, 1, 1), a])
    second = circuit(2.5)
    c, d = second.inputs([(-4, 8), (-4, 3)])
    two = second.netlist([second.add(c, d, 1, 1, -1)])
    integers = vectors(one, 50)
    assert run([one, two], integers)[:, 0].tolist() == [x + y - 2 * x for x, y in integers.tolist()]


def test_wider_wires_than_a_machine_word_are_exact():
    made = circuit()
    a, b = made.inputs([(-(1 << 70), 1 << 70), (0, 7)])
    total = made.add(made.add(a, b, 66, 1, 1), b, 3, 1, -1)
    values = [-(1 << 70), (1 << 70) - 12345, 987654321 << 40], [7, 3, 0]
    integers = np.array(list(zip(*values, strict=True)), object)
    netlist = made.netlist([total, made.at_least(total, 5 << 66, 1)])
    wanted = [x + (y << 66) - 8 * y for x, y in zip(*values, strict=True)]
    assert run([netlist], integers).tolist() == [[one, one >= 5 << 66] for one in wanted]


def test_a_wire_that_leaves_its_range_is_named():
    made = circuit()
    a, b = made.inputs([(0, 7), (0, 7)])
    total = made.add(a, b, 0, 1, 1, limits=(0, 13))
    netlist = made.netlist([total])
    integers = np.array([[7, 6], [1, 2], [7, 7]])
    with pytest.raises(CheckFailed, match=r"vector 2: n1 is 14, outside 0\.\.13"):
        run([netlist], integers)
    with pytest.raises(CheckFailed, match=r"vector 1: i0 is 8, outside 0\.\.7"):
        run([netlist], np.array([[0, 1], [8, 1]]))


def test_operations_go_into_the_earliest_stage_that_the_clock_allows():
    """A budget of 2.5 ns: an adder of 10 bits takes 2, so a second one is in the next stage, and a LUT too."""
    made = circuit(3.0)
    a, b = made.inputs([(0, 511), (0, 511)])
    total = made.add(a, b, 0, 1, 1)
    assert (total.stage, total.ready) == (0, 2.0)
    twice = made.add(total, b, 0, 1, 1)
    assert (twice.stage, twice.ready) == (1, pytest.approx(2.1))
    again = made.add(total, a, 0, 1, 1)
    assert (again.stage, again.ready) == (1, pytest.approx(2.1))
    beside = made.at_least(a, 7, 2)
    assert (beside.stage, beside.ready) == (0, 2.0)
    # The first register of the sum serves both.
    assert sum(isinstance(cell, Register) and cell.source is total.net for cell in made.cells) == 1
    assert made.netlist([twice, again, beside]).stages == 2


def test_low_bits_that_pass_by_an_adder_make_it_shorter():
    made = circuit(1000.0)
    a, b = made.inputs([(0, 15), (0, 15)])
    total = made.add(a, b, 4, 1, 1)
    assert (total.ready, total.bits) == (pytest.approx(1.4), 8)


X, Y, Z = (Wire(Net(name, 4), 0, 15) for name in "xyz")
BIT, LATE = Wire(Net("bit", 1), 0, 1), Wire(Net("late", 4), 0, 15, 1)
GIVEN = [Input(X, 0), Wiring(Y, X.net)]


@pytest.mark.parametrize(
    "cells, wanted",
    [
        ([*GIVEN, Wiring(Y, X.net)], "y is driven twice"),
        ([*GIVEN, Wiring(Wire(Net("x", 4), 0, 15), X.net)], "x is driven twice"),
        ([*GIVEN, Wiring(replace(Z, high=16), X.net)], "z has 4 bits, its range 5"),
        ([Wiring(Z, Slice(Y.net, 0, 4))], "z reads y before it is driven"),
        ([*GIVEN, Wiring(LATE, Concat((zeros(2), Slice(X.net, 0, 2))))], "late of stage 1 reads x of stage 0"),
        ([*GIVEN, Register(Z, X.net)], "z of stage 0 reads x of stage 0"),
        ([*GIVEN, Wiring(Z, Slice(X.net, 2, 3))], "z reads bits that x does not have"),
        ([*GIVEN, Wiring(Z, Concat((zeros(1), Copies(X.net, 4, 3))))], "z reads bits that x does not have"),
        ([Input(LATE, 0)], "late is an input in stage 1"),
        ([*GIVEN, Compare(BIT, X.net, Slice(Y.net, 0, 3), False)], "bit compares 4 with 3 bits"),
        ([*GIVEN, Choose(Z, Y.net, X.net, Y.net)], "z is chosen by y of 4 bits"),
        ([*GIVEN, Limit(Z, X.net, Y.net, None, literal(1, 4))], "z is chosen by y of 4 bits"),
        ([*GIVEN, Limit(Z, X.net, None, Y.net, literal(1, 4))], "z is chosen by y of 4 bits"),
        ([*GIVEN, Wiring(Z, Slice(X.net, 0, 3))], "z has 4 bits, its operand 3"),
        (
            [*GIVEN, Wiring(BIT, Slice(X.net, 0, 1)), Choose(Z, BIT.net, X.net, Slice(X.net, 0, 3))],
            "z has 4 bits, its operand 3",
        ),
        ([*GIVEN, Table(Z, X.net, (1, 2, 3))], "z has 4 bits, its table 3"),
    ],
)
def test_a_broken_netlist_is_named(cells, wanted):
    with pytest.raises(AssertionError, match=f"net {wanted}"):
        verify(Netlist(tuple(cells), (Y,)))


@pytest.mark.parametrize(
    "output, wanted",
    [
        (Z, "output z is not in stage 0"),
        (replace(Y, high=3), "output y has 4 bits, its range 2"),
    ],
)
def test_a_broken_output_is_named(output, wanted):
    verify(Netlist(tuple(GIVEN), (Y,)))
    with pytest.raises(AssertionError, match=wanted):
        verify(Netlist(tuple(GIVEN), (output,)))


def test_what_is_printed():
    made = circuit(2.0)
    a, b = made.inputs([(-4, 3), (0, 3)])
    made.comment("for people")
    total = made.add(a, b, 1, 1, -1)
    pick = made.table([0, 5, 2, 4], b.net, 0, 7, 0, 1.0, "table of i1")
    text = verilog.module("small", made.netlist([total, pick]))
    assert (
        text
        == """\
module small (
  input  wire  ap_clk,
  input  wire  move,
  input  wire [4:0]  x,
  output wire [7:0]  y
);
  wire [2:0] i0 = x[2:0];  // -4..3
  wire [1:0] i1 = x[4:3];  // 0..3
  // for people
  wire [3:0] n0 = ~({{2{i0[2]}}, i0[2:1]} - {2'd0, i1});
  wire [3:0] n1 = ~n0;
  wire [4:0] n2 = {n1, i0[0:0]};  // -10..3
  localparam [3:0] t0 = 4'ha;
  localparam [3:0] t1 = 4'h4;
  localparam [3:0] t2 = 4'h2;
  wire [2:0] n3 = {t0[i1], t1[i1], t2[i1]};  // table of i1
  reg [4:0] n2_r1;
  reg [2:0] n3_r1;
  assign y = {n3_r1, n2_r1};
  always @(posedge ap_clk) begin
    if(move)  n2_r1 <= n2;
    if(move)  n3_r1 <= n3;
  end
endmodule
"""
    )


@pytest.mark.slow
def test_verilator_reads_every_kind_as_it_is_evaluated(tmp_path):
    netlist, _ = every_kind(compared=True)
    module = Module("every_kind", netlist)
    lanes, outputs = netlist.inputs, netlist.outputs
    low, high = min(wire.low for wire in lanes), max(wire.high for wire in lanes)
    source = Stream("in0", len(lanes), len(lanes), width(low, high), low < 0)
    sink = Stream("out0", len(outputs), len(outputs), max(wire.bits + (not wire.signed) for wire in outputs), True)
    (tmp_path / "every_kind.v").write_text(module.verilog())
    begin = Flow("0", Shape(len(lanes)), tuple((wire.low, wire.high) for wire in lanes), Timing.of_input(1))
    end = Flow("1", Shape(len(outputs)), module.outputs, begin.timing.later(module.stages))
    parts = (Source(begin), Compute(end, begin, module))
    (tmp_path / f"{TOP}.v").write_text(top(Dataflow(parts, end, {}, {}), source, sink))
    design = Design("rtl", tmp_path, TOP, ("every_kind.v", f"{TOP}.v"), (), source, sink, 1, module.stages + 1)
    integers = vectors(netlist, 500)
    outcome = rtl.Rtl(design, tmp_path / "simulate", threads=1).simulate(integers, run([netlist], integers))
    assert sum(one.mismatches for one in outcome) == 0
    assert rtl.measured(outcome) == (design.latency_cycles, 1.0)


def test_limits_and_constant_tables_are_printed():
    made = circuit()
    (a,) = made.inputs([(0, 7)])
    inside, above = made.at_least(a, 1, 1), made.at_least(a, 6, 1)
    for below, over in ((inside.net, above.net), (inside.net, None), (None, above.net)):
        made.put(Limit(made.new(0, 7, 0, 0.0), a.net, below, over, literal(5, 3)))
    last = made.table([2, 3] * 4, a.net, 2, 3, 0, 0.0)
    text = verilog.module("limits", made.netlist([last]))
    assert [line.split(" = ")[1] for line in text.splitlines() if re.match(r"  wire .* n[2-5] =", line)] == [
        "(n0 ? (n1 ? 3'h5 : i0) : 3'h0);", "(n0 ? i0 : 3'h0);", "(n1 ? 3'h5 : i0);", "{1'b1, t0[i0]};",
    ]  # fmt: skip
    assert text.count("localparam") == 1
