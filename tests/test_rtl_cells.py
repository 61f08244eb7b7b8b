# SPDX-License-Identifier: Apache-2.0
"""What synthesis leaves of registers: what the text of a module says, and what Yosys counts."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from qap2fpga import backends
from qap2fpga import board as boards
from qap2fpga.backends.rtl.cells import expected
from qap2fpga.predict import draw
from qap2fpga.synth import yosys


def module(wires: list[str], registers: dict[str, tuple[int, str]], output: str, tables: tuple[str, ...] = ()) -> str:
    """A module as `Circuit.verilog` writes it; `registers` are name -> (bits, what it takes), `tables` hexadecimal."""
    declared = [f"  reg [{bits - 1}:0] {name};" for name, (bits, _) in registers.items()]
    clocked = [f"    if(move)  {name} <= {taken};" for name, (_, taken) in registers.items()]
    columns = [
        f"  localparam [{4 * len(digits) - 1}:0] t{number} = {4 * len(digits)}'h{digits};"
        for number, digits in enumerate(tables)
    ]
    return "\n".join(
        [*columns, *(f"  wire {line};" for line in wires), *declared, f"  assign y = {output};", *clocked, ""]
    )


SUM = "[4:0] n0 = ~({1'd0, x[3:0]} - {1'd0, x[7:4]})"
# A sum whose three lowest bits are zeros, and whose next one is that of n0.
SHIFTED = [
    SUM,
    "[7:0] n1 = {n0, 3'd0}",
    "[6:0] n2 = {n0, 2'd0}",
    "[8:0] n3 = ~({1'd0, n1} + {n2, 2'd0})",
    "[8:0] n4 = ~n3",
]
CHOICE = "[4:0] n0 = (x[0] ? 5'h3 : x[5:1])"

# Only the last is constant over half its index, the upper one.
TABLES = ("1234567887654321", "123456780f0f0f0f", "ffffffff01234567")
SIX = "[5:0] n9 = x[5:0]"
FIVE = ("01234567",)
OFFSET = "[0:0] n0 = {t0[n9]}"
TWO = {"sum_bits": 1, "table_luts": 1}
REGISTERS = ("flip_flops", "shift_registers")
LOOKUP = "[2:0] n0 = {t0[n9], t1[n9], t2[n9]}"
THREE = {"n0_r1": (3, "n0"), "n0_r2": (3, "n0_r1"), "n0_r3": (3, "n0_r2")}


@pytest.mark.parametrize(
    "text, wanted",
    [
        # A plain register, one of which two bits are read, and a constant.
        (module([SUM], {"n0_r1": (5, "n0")}, "{n0_r1}"), (5, 0)),
        (module([SUM], {"n0_r1": (5, "n0")}, "{n0_r1[4:3]}"), (2, 0)),
        (module(["[2:0] n0 = 3'h5"], {"n0_r1": (3, "n0")}, "{n0_r1}"), (0, 0)),
        # A sum's upper bit needs all bits below; the bits above it are not needed.
        (module([SUM, "[4:0] n1 = ~n0", "[6:0] n2 = n1_r1 + 7'd9"], {"n1_r1": (5, "n1")}, "{n2[3:3]}"), (4, 0)),
        # The same bits under two names, and a sign that is repeated.
        (module([SUM, "[2:0] n1 = n0[2:0]"], {"n0_r1": (5, "n0"), "n1_r1": (3, "n1")}, "{n0_r1, n1_r1}"), (5, 0)),
        (module([SUM, "[7:0] n1 = {{3{n0[4]}}, n0}"], {"n1_r1": (8, "n1")}, "{n1_r1}"), (5, 0)),
        # Three in a row are a shift register, unless somebody reads in between.
        (
            module([SUM], {"n0_r1": (5, "n0"), "n0_r2": (5, "n0_r1"), "n0_r3": (5, "n0_r2")}, "{n0_r3}"),
            (0, 5),
        ),
        (
            module([SUM], {"n0_r1": (5, "n0"), "n0_r2": (5, "n0_r1"), "n0_r3": (5, "n0_r2")}, "{n0_r3, n0_r1[0:0]}"),
            (3, 4),
        ),
        # The first flip-flop behind a choice keeps the constant in its reset.
        (
            module([CHOICE], {"n0_r1": (5, "n0"), "n0_r2": (5, "n0_r1"), "n0_r3": (5, "n0_r2")}, "{n0_r3}"),
            (15, 0),
        ),
        # Equal entries of a table are one bit.
        (module([SIX, "[2:0] n0 = {t0[n9], t1[n9], t0[n9]}"], {"n0_r1": (3, "n0")}, "{n0_r1}", TABLES[:2]), (2, 0)),
        # A table that is constant over half its index is such a choice, and a constant bit of the index leaves half.
        (module([SIX, LOOKUP], THREE, "{n0_r3}", TABLES), (3, 2)),
        (module(["[5:0] n9 = {1'd0, x[4:0]}", LOOKUP], THREE, "{n0_r3}", TABLES), (0, 3)),
        (module(["[5:0] n9 = ~{1'd0, x[4:0]}", LOOKUP], THREE, "{n0_r3}", TABLES), (3, 2)),
        # What a sum passes on of one operand is that operand's bit; the sum of zeros is zero.
        (module(SHIFTED, {"n4_r1": (9, "n4"), "n0_r1": (5, "n0")}, "{n4_r1, n0_r1}"), (10, 0)),
    ],
)
def test_registers_that_are_left(text, wanted):
    found = expected(text)
    assert (found.flip_flops, found.shift_registers) == wanted


CHAIN = "[0:0] n0 = (~x[7] & (x[6] | (x[5] & (x[4] | (x[3] & (x[2] | (x[1] & x[0])))))))"
INDEX = "[4:0] n9 = x[4:0]"


@pytest.mark.parametrize(
    "text, wanted",
    [
        # Both operands vary in four bits; the fifth is the carry.
        (module([SUM], {"n0_r1": (5, "n0")}, "{n0_r1}"), {"sum_bits": 4}),
        # A carry chain adds 9 = 01001 without LUTs where it has zeros; a one inverts, as subtracting a zero does.
        (module(["[4:0] n0 = ~({1'd0, x[3:0]} + 5'd9)"], {}, "{n0}"), {"carry_bits": 2, "inverted_bits": 2}),
        (module(["[4:0] n0 = ~(x[4:0] - {2'd0, x[7:5]})"], {}, "{n0}"), {"sum_bits": 3, "inverted_bits": 2}),
        # The same two bits are the same LUT wherever they are added.
        (module(["[5:0] n0 = ~({{3{x[0]}}, x[2:0]} + {{2{x[7]}}, x[7:4]})"], {}, "{n0}"), {"sum_bits": 4}),
        # A bit of a sum has room for a function of five inputs, unless that is kept in a register or read elsewhere.
        (module([INDEX, OFFSET, "[0:0] n1 = x[5:5] + n0"], {}, "{n1}", FIVE), {"sum_bits": 1}),
        (module([INDEX, OFFSET, "[0:0] n1 = x[5:5] + n0_r1"], {"n0_r1": (1, "n0")}, "{n1}", FIVE), TWO),
        (module([INDEX, OFFSET, "[0:0] n1 = x[5:5] + n0"], {}, "{n1, n0}", FIVE), TWO),
        # Two LUTs for a function of seven inputs; one that is a single input's is none.
        (module(["[6:0] n9 = x[6:0]", OFFSET], {}, "{n0}", ("0123456789abcdefdeadbeef01c0ffee",)), {"table_luts": 2}),
        (module([INDEX, OFFSET], {}, "{n0}", ("ffff0000",)), {}),
        (module([CHAIN], {}, "{n0}"), {"logic_luts": 2}),
        (module([CHOICE], {}, "{n0}"), {"choice_luts": 5}),
        # The levels of a sign: -1 + 2 * x[0] inverts upwards of the bit that it shifts.
        (module(["[2:0] n0 = 3'h7 + 3'd2 * {2'd0, x[0:0]}"], {}, "{n0}"), {"inverted_bits": 1}),
        # Both bits are compared, by a carry chain.
        (module(["[0:0] n0 = $signed(x[1:0]) >= $signed(x[3:2])"], {}, "{n0}"), {"compared_bits": 2}),
    ],
)
def test_luts_that_are_made(text, wanted):
    found = asdict(expected(text))
    assert {kind: count for kind, count in found.items() if count and "_" in kind and kind not in REGISTERS} == wanted


@pytest.mark.slow
def test_yosys_counts_the_same_flip_flops(tmp_path):
    """In whole networks: most modules exactly, nearly all within a few flip-flops, and a few percent in all."""
    board, found, counted, near, equal = boards.load("pynq-z2"), [], [], 0, 0
    networks = [one for one in draw.recipes(40, 5) if one.kind == "network"]
    for number, recipe in enumerate(networks[:3]):
        options = backends.get("rtl").make_options("rtl", clock=5.0, allow_oversize=True)
        network = draw.network(recipe)
        design = backends.get("rtl").load().generate(network, board, tmp_path / str(number), options, None)
        parts = yosys.synthesize(design, board, tmp_path / f"yosys{number}").parts
        for node in design.details["nodes"][:-1]:
            found.append(node["features"]["ff"]["flip_flops"])
            counted.append(parts[node["name"]].ff)
            near += abs(found[-1] - counted[-1]) <= 4
            equal += found[-1] == counted[-1]
    assert abs(sum(found) - sum(counted)) <= 0.04 * sum(counted)
    assert near >= 0.75 * len(found) and equal > 0.5 * len(found)
