# SPDX-License-Identifier: Apache-2.0
"""What synthesis leaves of cells: what is counted of a netlist, by hand, by us and by Yosys."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import pytest

from qap2fpga import backends
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
from qap2fpga.backends.rtl.netlist.count import Cells, expected
from qap2fpga.backends.rtl.netlist.wiring import Concat, Constant, Copies, Net, Slice, Wire, literal, zeros
from qap2fpga.estimate import draw
from qap2fpga.hw import boards
from qap2fpga.synth import yosys

X = Net("x", 8)


def x(first: int, bits: int) -> Slice:
    """Part of the only input."""
    return Slice(X, first, bits)


class Draft:
    """Cells one after the other, all without a sign, in stage 0 unless they are registers."""

    def __init__(self) -> None:
        self.cells: list[Any] = [Input(Wire(X, 0, 255), 0)]
        self.outputs: list[Net] = []

    def put(self, kind: Any, bits: int, *operands: Any) -> Net:
        net = Net(f"n{len(self.cells)}", bits)
        self.cells.append(kind(Wire(net, 0, (1 << bits) - 1), *operands))
        return net

    def wires(self, *parts: Any) -> Net:
        return self.put(Wiring, sum(part.bits for part in parts), Concat(parts))

    def held(self, net: Net, cycles: int = 1) -> list[Net]:
        """`net` after one and more registers."""
        row = [net]
        for _ in range(cycles):
            row.append(self.put(Register, net.bits, row[-1]))
        return row[1:]

    def count(self) -> Cells:
        outputs = tuple(Wire(net, 0, (1 << net.bits) - 1) for net in self.outputs)
        return expected(Netlist(tuple(self.cells), outputs))


def difference(draft: Draft) -> Net:
    return draft.put(Sum, 5, Concat((zeros(1), x(0, 4))), Concat((zeros(1), x(4, 4))), True, True)


def plain(draft: Draft) -> None:
    draft.outputs += draft.held(difference(draft))


def two_bits_read(draft: Draft) -> None:
    draft.outputs.append(draft.wires(Slice(draft.held(difference(draft))[0], 3, 2)))


def constant(draft: Draft) -> None:
    draft.outputs += draft.held(draft.wires(literal(5, 3)))


def upper_bit_of_a_sum(draft: Draft) -> None:
    """It needs all bits below; the bits above it are not needed."""
    held = draft.held(draft.put(Complement, 5, difference(draft)))[0]
    total = draft.put(Sum, 7, held, literal(9, 7))
    draft.outputs.append(draft.wires(Slice(total, 3, 1)))


def under_two_names(draft: Draft) -> None:
    whole = difference(draft)
    part = draft.wires(Slice(whole, 0, 3))
    draft.outputs += [*draft.held(whole), *draft.held(part)]


def repeated_sign(draft: Draft) -> None:
    whole = difference(draft)
    draft.outputs += draft.held(draft.wires(Copies(whole, 4, 3), whole))


def three_in_a_row(draft: Draft) -> None:
    draft.outputs.append(draft.held(difference(draft), 3)[-1])


def three_with_a_reader_between(draft: Draft) -> None:
    first, _, last = draft.held(difference(draft), 3)
    draft.outputs += [last, draft.wires(Slice(first, 0, 1))]


def choice(draft: Draft) -> Net:
    return draft.put(Choose, 5, draft.wires(x(0, 1)), literal(3, 5), x(1, 5))


def behind_a_choice(draft: Draft) -> None:
    """The first flip-flop after it keeps the constant in its reset."""
    draft.outputs.append(draft.held(choice(draft), 3)[-1])


def behind_a_choice_and_beside(draft: Draft) -> None:
    """As above, where the choice itself is read too."""
    one = choice(draft)
    draft.outputs += [one, draft.held(one, 3)[-1]]


# 64 entries; only the last is constant over half its index, the upper one.
TABLES = (0x1234567887654321, 0x123456780F0F0F0F, 0xFFFFFFFF01234567)


def equal_columns(draft: Draft) -> None:
    draft.outputs += draft.held(draft.put(Table, 3, draft.wires(x(0, 6)), (TABLES[0], TABLES[1], TABLES[0])))


def looked_up(kind: Any, *parts: Any) -> Callable[[Draft], None]:
    def build(draft: Draft) -> None:
        index = draft.put(kind, 6, Concat(parts))
        draft.outputs.append(draft.held(draft.put(Table, 3, index, TABLES[::-1]), 3)[-1])

    return build


def passed_by(draft: Draft) -> None:
    """The sum of zeros is zero, and the next bit that of the other operand."""
    part = difference(draft)
    left, right = draft.wires(part, zeros(3)), draft.wires(part, zeros(2))
    total = draft.put(Sum, 9, Concat((zeros(1), left)), Concat((right, zeros(2))), False, True)
    draft.outputs += draft.held(draft.put(Complement, 9, total)) + draft.held(part)


@pytest.mark.parametrize(
    "build, wanted",
    [
        (plain, (5, 0)),
        (two_bits_read, (2, 0)),
        (constant, (0, 0)),
        (upper_bit_of_a_sum, (4, 0)),
        (under_two_names, (5, 0)),
        (repeated_sign, (5, 0)),
        (three_in_a_row, (0, 5)),
        (three_with_a_reader_between, (3, 4)),
        (behind_a_choice, (15, 0)),
        (behind_a_choice_and_beside, (15, 0)),
        (equal_columns, (2, 0)),
        # A table that is constant over half its index is a choice, and a constant bit of the index leaves half.
        (looked_up(Wiring, x(0, 6)), (3, 2)),
        (looked_up(Wiring, zeros(1), x(0, 5)), (0, 3)),
        (looked_up(Complement, zeros(1), x(0, 5)), (3, 2)),
        (passed_by, (10, 0)),
    ],
)
def test_registers_that_are_left(build, wanted):
    draft = Draft()
    build(draft)
    cells = draft.count()
    assert (cells.flip_flops, cells.shift_registers) == wanted


FIVE = 0x01234567
SEVEN = 0x0123456789ABCDEFDEADBEEF01C0FFEE


def only(kind: Any, bits: int, *operands: Any) -> Callable[[Draft], None]:
    def build(draft: Draft) -> None:
        draft.outputs.append(draft.put(kind, bits, *operands))

    return build


def signs_extended(draft: Draft) -> None:
    """The same two bits are the same LUT wherever they are added."""
    left, right = Concat((Copies(X, 0, 3), x(0, 3))), Concat((Copies(X, 7, 2), x(4, 4)))
    draft.outputs.append(draft.put(Sum, 6, left, right, False, True))


def offset_added(held: bool, also: bool) -> Callable[[Draft], None]:
    """A sum's bit has room for a function of five inputs, unless that is kept in a register or read elsewhere."""

    def build(draft: Draft) -> None:
        offset = draft.put(Table, 1, draft.wires(x(0, 5)), (FIVE,))
        total = draft.put(Sum, 1, x(5, 1), draft.held(offset)[0] if held else offset)
        draft.outputs += [total, offset] if also else [total]

    return build


def table(column: int, bits: int) -> Callable[[Draft], None]:
    def build(draft: Draft) -> None:
        draft.outputs.append(draft.put(Table, 1, draft.wires(x(0, bits)), (column,)))

    return build


def limited(draft: Draft) -> None:
    """Three bits driven by each of four, in one LUT: what is inside, what is above, and the value."""
    inside, above = draft.put(AtLeast, 1, X, False, 3), draft.put(AtLeast, 1, X, False, 200)
    draft.outputs.append(
        draft.put(Limit, 4, draft.wires(x(2, 4)), *draft.held(inside), *draft.held(above), literal(9, 4))
    )


@pytest.mark.parametrize(
    "build, wanted",
    [
        # Both operands vary in four bits; the fifth is the carry.
        (plain, {"sum_bits": 4}),
        # A carry chain adds 9 = 01001 without LUTs where it has zeros; a one inverts, as subtracting a zero does.
        (
            only(Sum, 5, Concat((zeros(1), x(0, 4))), literal(9, 5), False, True),
            {"carry_bits": 2, "inverted_bits": 2},
        ),
        (only(Sum, 5, x(0, 5), Concat((zeros(2), x(5, 3))), True, True), {"sum_bits": 3, "inverted_bits": 2}),
        (signs_extended, {"sum_bits": 4}),
        (offset_added(held=False, also=False), {"sum_bits": 1}),
        (offset_added(held=True, also=False), {"sum_bits": 1, "table_luts": 1}),
        (offset_added(held=False, also=True), {"sum_bits": 1, "table_luts": 1}),
        # Two LUTs for a function of seven inputs; one that is a single input's is none.
        (table(SEVEN, 7), {"table_luts": 2}),
        (table(0xFFFF0000, 5), {}),
        # Eight inputs; a single bit, and what is always true, are no logic.
        (only(AtLeast, 1, X, True, 1), {"logic_luts": 2}),
        (only(AtLeast, 1, X, False, 128), {}),
        (only(AtLeast, 1, X, True, -128), {}),
        (lambda draft: draft.outputs.append(choice(draft)), {"choice_luts": 5}),
        (limited, {"choice_luts": 4, "logic_luts": 3}),
        # The levels of a sign: -1 + 2 * x[0] inverts upwards of the bit that it shifts.
        (only(Level, 3, literal(7, 3), Constant(2, 3, "d"), Concat((zeros(2), x(0, 1)))), {"inverted_bits": 1}),
        # Both bits are compared, by a carry chain.
        (only(Compare, 1, x(0, 2), x(2, 2), True), {"compared_bits": 2}),
    ],
)
def test_luts_that_are_made(build, wanted):
    draft = Draft()
    build(draft)
    luts = {kind: count for kind, count in asdict(draft.count()).items() if count}
    assert {kind: luts[kind] for kind in luts if kind not in ("flip_flops", "shift_registers")} == wanted


@pytest.mark.slow
def test_yosys_counts_the_same_flip_flops(tmp_path):
    """In whole networks: most modules exactly, nearly all within a few flip-flops, and a few percent in all."""
    board, found, counted, near, equal = boards.load("pynq-z2"), [], [], 0, 0
    networks = [one for one in draw.recipes(40, 5) if one.kind == "network"]
    for number, recipe in enumerate(networks[:3]):
        options = backends.get("rtl").make_options(clock=5.0, allow_oversize=True)
        network = draw.network(recipe)
        design = backends.get("rtl").generate(network, board, tmp_path / str(number), options, None)
        parts = yosys.synthesize(design, board, tmp_path / f"yosys{number}").parts
        for node in design.nodes[:-1]:
            found.append(node.features["ff"]["flip_flops"])
            counted.append(parts[node.name].ff)
            near += abs(found[-1] - counted[-1]) <= 4
            equal += found[-1] == counted[-1]
    assert abs(sum(found) - sum(counted)) <= 0.04 * sum(counted)
    assert near >= 0.75 * len(found) and equal > 0.5 * len(found)
