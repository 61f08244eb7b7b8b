# SPDX-License-Identifier: Apache-2.0
"""What the cells of a mapped Xilinx netlist cost. Cells: AMD UG953 (7 series), UG974 (UltraScale)."""

from __future__ import annotations

import re
from collections.abc import Mapping

from qap2fpga.hw.resources import Resources

# LUTs that a distributed RAM takes (AMD UG474 table 2-3, UG574 table 2-3).
LUTRAM = {
    "RAM32X1S": 1, "RAM64X1S": 1, "RAM128X1S": 2, "RAM256X1S": 4, "RAM512X1S": 8,
    "RAM32X2S": 2, "RAM32X1D": 2, "RAM64X1D": 2, "RAM128X1D": 4, "RAM256X1D": 8,
    "RAM32M": 4, "RAM64M": 4, "RAM32M16": 8, "RAM64M8": 8, "RAM32X16DR8": 8, "RAM64X8SW": 8,
}  # fmt: skip
SHIFT = re.compile(r"SRLC?(16|32)E$")
FLIPFLOP = re.compile(r"(FD[RSCP]E(_1)?|LD[CP]E)$")
BRAM18 = {"RAMB18E1": 1, "RAMB18E2": 1, "RAMB36E1": 2, "RAMB36E2": 2}
DSP = ("DSP48E1", "DSP48E2")
CARRY = ("CARRY4", "CARRY8")
# Parts of a slice or constants: they take no resource that is counted.
FREE = ("MUXF7", "MUXF8", "MUXF9", "VCC", "GND", "$scopeinfo")


def count(cells: Mapping[str, int]) -> Resources:
    """Resources of `cells` (number by type).

    `lut`: one for each LUT1 to LUT6, LUT6_2 and INV, and the LUTs that distributed RAM and shift registers
    take; `lutram`: the latter two alone; `lut_packed`: as `lut`, with two small LUTs in one as `packed` says;
    `ff`: flip-flops and latches; `carry`: CARRY4 or CARRY8 cells (Yosys uses CARRY4 for UltraScale+ too);
    `bram18`: a RAMB36 is two.
    """
    memory = sum(number * LUTRAM.get(kind, 1 if SHIFT.match(kind) else 0) for kind, number in cells.items())
    logic = sum(cells.get(f"LUT{inputs}", 0) for inputs in range(1, 7)) + cells.get("LUT6_2", 0) + cells.get("INV", 0)
    return Resources(
        lut=logic + memory,
        ff=sum(number for kind, number in cells.items() if FLIPFLOP.match(kind)),
        dsp=sum(cells.get(kind, 0) for kind in DSP),
        bram18=sum(number * BRAM18.get(kind, 0) for kind, number in cells.items()),
        lutram=memory,
        carry=sum(cells.get(kind, 0) for kind in CARRY),
        lut_packed=packed(cells) + memory,
    )


def packed(cells: Mapping[str, int]) -> int:
    """Logic LUTs when every 6-LUT that can hold two functions does: an estimate, placement decides.

    Two functions fit one LUT6 when they have at most five inputs together (UG474). Inputs are taken as not
    shared, so LUT4 pairs with LUT1, LUT3 with LUT2 (then LUT1), LUT2 with LUT2 or LUT1, LUT1 with LUT1; an INV
    is a LUT1. Functions that share inputs pair better than this, unrelated ones are seldom paired at all.
    """
    one, two = cells.get("LUT1", 0) + cells.get("INV", 0), cells.get("LUT2", 0)
    three, four = cells.get("LUT3", 0), cells.get("LUT4", 0)
    total = cells.get("LUT6", 0) + cells.get("LUT6_2", 0) + cells.get("LUT5", 0) + four + three
    two -= (with_two := min(three, two))
    one -= min(three - with_two, one)
    one -= min(four, one)
    return total + -(-(two + one) // 2)


def unknown(cells: Mapping[str, int]) -> dict[str, int]:
    """The cells that `count` counts as nothing, by type."""
    known = {*LUTRAM, *BRAM18, *DSP, *CARRY, *FREE, "INV", "LUT6_2", *(f"LUT{inputs}" for inputs in range(1, 7))}
    return {
        kind: number
        for kind, number in sorted(cells.items())
        if number and kind not in known and not FLIPFLOP.match(kind) and not SHIFT.match(kind)
    }
