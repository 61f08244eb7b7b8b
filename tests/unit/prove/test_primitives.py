# SPDX-License-Identifier: Apache-2.0
"""What the cells of netlists compute, over all of their inputs; and cells and modes that are refused."""

from __future__ import annotations

import numpy as np
import pytest

from qap2fpga.prove.cells import NotProven
from qap2fpga.prove.primitives import primitive, registers
from tests.unit.prove.test_cells import A, driven

Ports = dict[str, tuple[int, ...]]


def of(kind: str, parameters: dict[str, str], ports: Ports, *outs: str) -> np.ndarray:
    """Return what comes out for every pair of a (3 bits) and b (2 bits), a counting fastest."""
    parts = primitive("cell", kind, parameters, ports)
    assert parts is not None
    return driven(parts, tuple(bit for out in outs for bit in ports[out]))


def test_the_logic_of_amd() -> None:
    lut = {"I0": (10,), "I1": (11,), "I2": (13,), "O": (20,)}
    assert of("LUT3", {"INIT": "10010110"}, lut, "O").tolist() == [
        (number ^ number >> 1 ^ number >> 3) & 1 for number in range(32)
    ]
    carry = {"CI": (0,), "CYINIT": (13,), "DI": (10, 11, 12, 0), "S": (10, 11, 12, 1), "O": (20, 21, 22, 23),
             "CO": (-1, -1, -1, 24)}  # fmt: skip
    # S is the operand itself where DI is too: a carry is made where S is 0, from DI.
    expected = []
    for number in range(32):
        ripple, sums = number >> 3 & 1, 0
        for place, select in enumerate((number & 1, number >> 1 & 1, number >> 2 & 1, 1)):
            sums |= (select ^ ripple) << place
            ripple = ripple if select else 0
        expected.append(sums)
    assert of("CARRY4", {}, carry, "O").tolist() == expected
    assert of("INV", {}, {"I": (10,), "O": (20,)}, "O").tolist() == [1 - (number & 1) for number in range(32)]
    assert of("MUXF7", {}, {"S": (12,), "I0": (10,), "I1": (11,), "O": (20,)}, "O").tolist() == [
        number >> (number >> 2 & 1) & 1 for number in range(32)
    ]


# A is a's first bit, and so on; the second half has the same operands in another order.
HALVES = {"A0": (10,), "B0": (11,), "C0": (12,), "D0": (13,), "A1": (13,), "B1": (12,), "C1": (11,), "D1": (10,)}


@pytest.mark.parametrize("injects", [("NO", "NO"), ("YES", "NO"), ("NO", "YES"), ("YES", "YES")])
def test_a_carry_of_ecp5(injects: tuple[str, str]) -> None:
    tables = (0b1001_0110_1010_1100, 0b0110_1010_1001_0101)
    parameters = {f"INIT{half}": f"{table:016b}" for half, table in enumerate(tables)}
    parameters |= {f"INJECT1_{half}": word for half, word in enumerate(injects)}
    ports = {**HALVES, "CIN": (14,), "S0": (20,), "S1": (21,), "COUT": (22,)}
    expected = []
    for number in range(32):
        bits = [number >> place & 1 for place in range(5)]
        carry, result = bits[4], 0
        for half, order in enumerate(((0, 1, 2, 3), (3, 2, 1, 0))):
            a, b, c, d = (bits[place] for place in order)
            whole = tables[half] >> (a | b << 1 | c << 2 | d << 3) & 1
            pair = tables[half] >> (a | b << 1) & 1
            result |= (whole ^ (carry & (injects[half] == "NO"))) << half
            carry = carry if whole else pair & (injects[half] == "NO")
        expected.append(result | carry << 2)
    assert of("CCU2C", parameters, ports, "S0", "S1", "COUT").tolist() == expected
    alone = {**ports, "S0": (), "COUT": ()}
    assert of("CCU2C", parameters, alone, "S1").tolist() == [value >> 1 & 1 for value in expected]


def test_tables_and_multiplexers_of_ecp5() -> None:
    ports: Ports = {"A": (10,), "B": (11,), "C": (12,), "D": (13,), "Z": (20,)}
    assert of("LUT4", {"INIT": f"{0x1EE7:016b}"}, ports, "Z").tolist() == [
        0x1EE7 >> (number & 15) & 1 for number in range(32)
    ]
    for kind, (select, otherwise, then) in {"PFUMX": ("C0", "BLUT", "ALUT"), "L6MUX21": ("SD", "D0", "D1")}.items():
        wires: Ports = {select: (12,), otherwise: (10,), then: (11,), "Z": (20,)}
        assert of(kind, {}, wires, "Z").tolist() == [number >> (number >> 2 & 1) & 1 for number in range(32)]


@pytest.mark.parametrize(("kind", "parameters", "ports"), [
    ("LUT2", {"INIT": "01x0"}, {"I0": (10,), "I1": (11,), "O": (20,)}),
    ("LUT2", {"INIT": "0110"}, {"I0": (10,), "O": (20,)}),
    ("LUT4", {"INIT": "01"}, {"A": (10,), "B": (11,), "C": (12,), "D": (13,), "Z": (20,)}),
    ("CARRY4", {}, {"CI": (10,), "CYINIT": (11,), "DI": A, "S": A, "O": (20, 21, 22, 23), "CO": (-1,) * 4}),
    ("CCU2C", {"INJECT1_0": "MAYBE"}, {**HALVES, "CIN": (14,), "S0": (20,), "S1": (21,), "COUT": (22,)}),
])  # fmt: skip
def test_what_is_not_known_is_refused(kind: str, parameters: dict[str, str], ports: Ports) -> None:
    parts = primitive("cell", kind, parameters, ports)
    assert parts is not None
    with pytest.raises(NotProven, match=r"^cell: "):
        list(parts)


def test_other_kinds_are_none_of_these() -> None:
    assert primitive("cell", "DSP48E1", {}, {}) is None


FLIP_FLOP = {"C": (2,), "CE": (3,), "R": (4,), "D": (10,), "Q": (20,)}
SHIFT = {"CLK": (2,), "CE": (3,), "A0": (1,), "A1": (0,), "A2": (1,), "A3": (0,), "D": (10,), "Q": (20,)}
TRELLIS = {"CLK": (2,), "CE": (3,), "LSR": (4,), "DI": (10,), "Q": (20,)}


def test_registers() -> None:
    (flip,) = registers("r", "FDRE", {"INIT": "0"}, FLIP_FLOP)
    assert (flip.clock, flip.enable, flip.reset, flip.value, flip.data, flip.out, flip.delay) == (2, 3, 4, 0, 10, 20, 1)
    (shift,) = registers("r", "SRL16E", {}, SHIFT)
    assert (shift.delay, shift.enable) == (6, 3)
    assert registers("r", "LUT2", {}, {}) == []
    long = {**SHIFT, "A": (1, 1, 0, 0, 0), "Q31": (21,)}
    both = registers("r", "SRLC32E", {"INIT": f"{0b1011:032b}"}, long)
    assert [(one.out, one.delay, one.initial[:5]) for one in both] == [(20, 4, "1101"), (21, 32, "11010")]
    (set_first,) = registers("r", "TRELLIS_FF", {"CEMUX": "CE", "REGSET": "SET"}, TRELLIS)
    assert (set_first.clock, set_first.enable, set_first.reset, set_first.value) == (2, 3, 4, 1)
    assert (set_first.data, set_first.out, set_first.initial) == (10, 20, "1")
    (always,) = registers("r", "TRELLIS_FF", {"CEMUX": "1 ", "SRMODE": "CE_OVER_LSR"}, TRELLIS)
    assert (always.enable, always.value) == (1, 0)


@pytest.mark.parametrize(("kind", "parameters", "ports"), [
    ("FDRE", {"IS_C_INVERTED": "1"}, FLIP_FLOP),
    ("SRL16E", {}, {**SHIFT, "A1": (11,)}),
    ("SRL16E", {"IS_CLK_INVERTED": "1"}, SHIFT),
    ("TRELLIS_FF", {"CEMUX": "INV"}, TRELLIS),
    ("TRELLIS_FF", {"CLKMUX": "INV"}, TRELLIS),
    ("TRELLIS_FF", {"LSRMUX": "INV"}, TRELLIS),
    ("TRELLIS_FF", {"SRMODE": "ASYNC"}, TRELLIS),
    ("TRELLIS_FF", {"SRMODE": "CE_OVER_LSR", "CEMUX": "CE"}, TRELLIS),
    ("TRELLIS_FF", {"LSRMODE": "PRLD"}, TRELLIS),
    ("TRELLIS_FF", {"REGSET": "x"}, TRELLIS),
])  # fmt: skip
def test_registers_of_other_kinds_are_refused(
    kind: str, parameters: dict[str, str], ports: dict[str, tuple[int, ...]]
) -> None:
    with pytest.raises(NotProven, match=r"^r: "):
        registers("r", kind, parameters, ports)
