# SPDX-License-Identifier: Apache-2.0
"""What synthesis leaves of registers: what the text of a module says, and what Yosys counts."""

from __future__ import annotations

import pytest

from qap2fpga import backends
from qap2fpga import board as boards
from qap2fpga.backends.rtl.registers import Kept, kept
from qap2fpga.predict import draw
from qap2fpga.synth import yosys


def module(wires: list[str], registers: dict[str, tuple[int, str]], output: str) -> str:
    """A module as `Circuit.verilog` writes it; `registers` are name -> (bits, what it takes)."""
    declared = [f"  reg [{bits - 1}:0] {name};" for name, (bits, _) in registers.items()]
    clocked = [f"    if(move)  {name} <= {taken};" for name, (_, taken) in registers.items()]
    return "\n".join([*(f"  wire {line};" for line in wires), *declared, f"  assign y = {output};", *clocked, ""])


SUM = "[4:0] n0 = ~({1'd0, x[3:0]} - {1'd0, x[7:4]})"
CHOICE = "[4:0] n0 = (x[0] ? 5'h3 : x[5:1])"


@pytest.mark.parametrize(
    "text, wanted",
    [
        # A plain register, one of which two bits are read, and a constant.
        (module([SUM], {"n0_r1": (5, "n0")}, "{n0_r1}"), Kept(5, 0)),
        (module([SUM], {"n0_r1": (5, "n0")}, "{n0_r1[4:3]}"), Kept(2, 0)),
        (module(["[2:0] n0 = 3'h5"], {"n0_r1": (3, "n0")}, "{n0_r1}"), Kept(0, 0)),
        # A sum's upper bit needs all bits below; the bits above it are not needed.
        (module([SUM, "[4:0] n1 = ~n0", "[6:0] n2 = n1_r1 + 7'd9"], {"n1_r1": (5, "n1")}, "{n2[3:3]}"), Kept(4, 0)),
        # The same bits under two names, and a sign that is repeated.
        (module([SUM, "[2:0] n1 = n0[2:0]"], {"n0_r1": (5, "n0"), "n1_r1": (3, "n1")}, "{n0_r1, n1_r1}"), Kept(5, 0)),
        (module([SUM, "[7:0] n1 = {{3{n0[4]}}, n0}"], {"n1_r1": (8, "n1")}, "{n1_r1}"), Kept(5, 0)),
        # Three in a row are a shift register, unless somebody reads in between.
        (
            module([SUM], {"n0_r1": (5, "n0"), "n0_r2": (5, "n0_r1"), "n0_r3": (5, "n0_r2")}, "{n0_r3}"),
            Kept(0, 5),
        ),
        (
            module([SUM], {"n0_r1": (5, "n0"), "n0_r2": (5, "n0_r1"), "n0_r3": (5, "n0_r2")}, "{n0_r3, n0_r1[0:0]}"),
            Kept(3, 4),
        ),
        # The first flip-flop behind a choice keeps the constant in its reset.
        (
            module([CHOICE], {"n0_r1": (5, "n0"), "n0_r2": (5, "n0_r1"), "n0_r3": (5, "n0_r2")}, "{n0_r3}"),
            Kept(15, 0),
        ),
        # Equal entries of a table are one bit.
        (module(["[2:0] n0 = {t0[x], t1[x], t0[x]}"], {"n0_r1": (3, "n0")}, "{n0_r1}"), Kept(2, 0)),
    ],
)
def test_registers_that_are_left(text, wanted):
    assert kept(text) == wanted


@pytest.mark.slow
def test_yosys_counts_the_same_flip_flops(tmp_path):
    """In whole networks of several stages: most modules exactly, and a few percent in all."""
    board, found, counted, equal = boards.load("pynq-z2"), 0, 0, 0
    for number, recipe in enumerate(one for one in draw.recipes(40, 5) if one.kind == "network"):
        if number == 2:
            break
        options = backends.get("rtl").make_options("rtl", clock=5.0, allow_oversize=True)
        network = draw.network(recipe)
        design = backends.get("rtl").load().generate(network, board, tmp_path / str(number), options, None)
        parts = yosys.synthesize(design, board, tmp_path / f"yosys{number}").parts
        for node in design.details["nodes"][:-1]:
            expected, ff = node["features"]["ff"]["flip_flops"], parts[node["name"]].ff
            found, counted, equal = found + expected, counted + ff, equal + (expected == ff)
    assert abs(found - counted) <= 0.1 * counted and equal >= 2
