# SPDX-License-Identifier: Apache-2.0
"""Memories of netlists, step by step as their makers describe them, and DSPs."""

from __future__ import annotations

import numpy as np
import pytest

from qap2fpga.prove.blocks import box, memory
from qap2fpga.prove.cells import UNDRIVEN, NotProven, Ports
from tests.support.blocks import Bits, after, nets, number


@pytest.mark.parametrize(("kind", "lanes", "size", "depth"), [
    ("RAM32M", "CBA", 2, 5), ("RAM64M", "CBA", 1, 6), ("RAM32M16", "GFEDCBA", 2, 5), ("RAM64M8", "GFEDCBA", 1, 6),
    ("RAM32M", "DCBA", 2, 5),
])  # fmt: skip
def test_a_memory_of_luts_is_read_and_written(kind: str, lanes: str, size: int, depth: int) -> None:
    last = "H" if "G" in lanes else "D"
    address = {lane: nets(100 + 10 * number, depth) for number, lane in enumerate(f"{lanes}{last}".replace("DD", "D"))}
    address[last] = nets(300, depth)
    data = {lane: (nets(400 + 10 * place, size), nets(500 + 10 * place, size)) for place, lane in enumerate(lanes)}
    ports: Ports = {
        "WCLK": (2,), "WE": (3,), **{f"ADDR{lane}": bits for lane, bits in address.items()},
        **{f"DI{lane}": into for lane, (into, _) in data.items()},
        **{f"DO{lane}": out for lane, (_, out) in data.items()},
    }  # fmt: skip
    block = memory("m.mem.0.1", kind, {f"INIT_{lane}": "0" * 64 for lane in lanes}, ports)
    assert block is not None and {one.clock for one in block.registers} == {2}
    random = np.random.default_rng(1)
    state: Bits = {one.out: 0 for one in block.registers}
    words = [[0] * (1 << depth) for _ in lanes]
    for _ in range(150):
        inputs: Bits = {net: int(random.integers(2)) for net in (3, *range(100, 500))}
        bits, state = after(block, state, inputs)
        for place, lane in enumerate(lanes):
            assert number(bits, data[lane][1]) == words[place][number(bits, address[lane])]
            if inputs[3]:
                words[place][number(bits, address[last])] = number(bits, data[lane][0])
    width = size * len(lanes)
    assert {key for key, _ in block.named} == {f"m.mem[{word}]" for word in range(1 << depth)}
    assert {place for _, place in block.named} == set(range(width, 2 * width))
    assert state[block.named["m.mem[3]", width + size]] == words[1][3] & 1


def test_words_that_cannot_be_written_are_what_they_begin_as() -> None:
    ports: Ports = {
        "WCLK": (2,), "WE": (3,), "ADDRD": (10, 0, 0, 0, 0), **{f"ADDR{lane}": (10, 11, 0, 0, 0) for lane in "ABC"},
        **{f"DI{lane}": (4, 5) for lane in "ABC"}, "DOA": (20, 21), "DOB": (22, 23), "DOC": (24, 25),
    }  # fmt: skip
    begins = f"{0b0110:064b}"
    block = memory("m", "RAM32M", {f"INIT_{lane}": begins for lane in "ABC"}, ports)
    assert block is not None and len(block.registers) == 4 and not block.named
    assert {one.initial for one in block.registers if one.data == 4} == {"0", "1"}
    bits, _ = after(block, {one.out: 1 for one in block.registers}, {3: 0, 4: 0, 5: 0, 10: 0, 11: 1})
    assert number(bits, (20, 21)) == 0


@pytest.mark.parametrize(("begins", "registers"), [
    ("0" * 64, 64), ("0" * 63 + "x", 192), ("", 192),
], ids=["the same", "a bit without a value", "none"])  # fmt: skip
def test_lanes_that_hold_the_same_are_one_if_they_begin_so(begins: str, registers: int) -> None:
    ports: Ports = {
        "WCLK": (2,), "WE": (3,), "ADDRD": nets(10, 5),
        **{f"ADDR{lane}": nets(20 + 5 * at, 5) for at, lane in enumerate("ABC")},
        **{f"DI{lane}": (4, 5) for lane in "ABCD"}, "DOA": (40, 41), "DOB": (42, 43), "DOC": (44, 45),
    }  # fmt: skip
    block = memory("m.1.2", "RAM32M", {f"INIT_{lane}": begins for lane in "ABC"}, ports)
    other = memory("m.1.2", "RAM32M", {"INIT_A": "1" * 64, "INIT_B": "0" * 64, "INIT_C": "0" * 64}, ports)
    assert block is not None and other is not None
    assert (len(block.registers), len(other.registers)) == (registers, 192)
    # The copy with the number 1, whose cells have two bits each, or six.
    assert ("m#1[7]", 4 if registers == 64 else 12) in block.named


def test_a_bit_that_has_no_value_may_be_another_one_in_each_lane() -> None:
    ports: Ports = {
        "WCLK": (2,), "WE": (3,), "ADDRD": nets(10, 5), **{f"ADDR{lane}": nets(20, 5) for lane in "ABC"},
        **{f"DI{lane}": (4, UNDRIVEN) for lane in "ABC"}, "DOA": (40, 41), "DOB": (42, 43), "DOC": (44, 45),
    }  # fmt: skip
    block = memory("m", "RAM32M", {f"INIT_{lane}": "0" * 64 for lane in "ABC"}, ports)
    assert block is not None and len(block.registers) == 32
    bits, _ = after(block, {one.out: 1 for one in block.registers}, dict.fromkeys((3, 4, *range(10, 30)), 0))
    assert [bits[net] for net in range(40, 46)] == [1, None, 1, None, 1, None]


def test_a_memory_with_an_inverted_clock_is_refused_and_other_cells_are_none() -> None:
    ports: Ports = {"ADDRD": (4,), "DOD": ()}
    with pytest.raises(NotProven, match="inverted clock"):
        memory("m", "RAM32M", {"IS_WCLK_INVERTED": "1"}, ports)
    assert memory("m", "LUT6", {}, {}) is None


DSP: Ports = {"CLK": (2,), "A": (3, 4), "P": (5, 6), "PCOUT": (-1, -1)}


def test_a_dsp_is_its_parameters_inputs_and_output() -> None:
    one = box("d", "DSP48E1", {"PREG": "1"}, DSP)
    assert (one.clock, dict(one.inputs), one.output) == (2, {"A": (3, 4)}, (5, 6))


@pytest.mark.parametrize(("parameters", "ports"), [
    ({"PREG": "0"}, {}), ({"PREG": "1", "IS_CLK_INVERTED": "1"}, {}), ({"PREG": "1"}, {"PCOUT": (7, 8)}), ({}, {}),
])  # fmt: skip
def test_a_dsp_whose_output_is_no_register_is_refused(parameters: dict[str, str], ports: Ports) -> None:
    with pytest.raises(NotProven, match="d: a DSP48E1 with an output but P"):
        box("d", "DSP48E1", parameters, {**DSP, **ports})
