# SPDX-License-Identifier: Apache-2.0
"""Block RAMs of netlists, step by step as their maker describes them."""

from __future__ import annotations

import numpy as np
import pytest

from qap2fpga.prove.block_rams import block_ram
from qap2fpga.prove.cells import NotProven, Ports
from tests.support.blocks import Bits, after, nets, number

ROM = {
    "READ_WIDTH_A": f"{18:032b}", "INIT_00": "".join(f"{3 * word:016b}" for word in reversed(range(16))),
    "INITP_00": "".join(f"{word % 4:02b}" for word in reversed(range(128))), "INIT_A": f"{7:036b}",
    "RAM_MODE": "TDP",
}  # fmt: skip
READ: Ports = {
    "CLKARDCLK": (2,), "ENARDEN": (3,), "ADDRARDADDR": (0, 0, 0, 0, *range(10, 14), *(0,) * 6), "WEA": (0, 0),
    "DOADO": nets(20, 16), "DOPADOP": (40, 41), "RSTRAMARSTRAM": (0,), "RSTREGARSTREG": (0,), "ENBWREN": (0,),
    "WEBWE": (0,) * 4,
}  # fmt: skip


def test_a_block_ram_that_is_read_is_a_table_and_a_register() -> None:
    rest = {f"INIT_{at:02X}": "x" * 256 for at in range(1, 64)} | {f"INITP_{at:02X}": "x" * 256 for at in range(1, 8)}
    block = block_ram("rom", "RAMB18E1", {**ROM, **rest}, READ)
    assert [one.initial for one in block.registers[:4]] == ["1", "1", "1", "0"]
    state: Bits = {one.out: 0 for one in block.registers}
    for word in range(16):
        _, state = after(block, state, {3: 1, **{10 + place: word >> place & 1 for place in range(4)}})
        assert number(state, nets(20, 16)) == 3 * word and number(state, (40, 41)) == word % 4
    _, same = after(block, state, {3: 0, **dict.fromkeys(range(10, 14), 0)})
    assert same == state


@pytest.mark.parametrize(("ports", "parameters"), [
    ({"WEA": (5, 0)}, {}), ({"ENBWREN": (1,), "WEBWE": (1,) * 4}, {}), ({"RSTRAMARSTRAM": (4,)}, {}),
    ({}, {"DOA_REG": "1"}), ({}, {"RAM_MODE": "SDP"}), ({}, {"IS_CLKARDCLK_INVERTED": "1"}),
    ({}, {"READ_WIDTH_B": f"{9:032b}"}), ({}, {"RAM_EXTENSION_A": "LOWER"}), ({"CASCADEINA": (4,)}, {}),
    ({"ADDRARDADDR": READ["ADDRARDADDR"][:7]}, {}),
])  # fmt: skip
def test_a_block_ram_that_is_written_or_read_otherwise_is_refused(ports: Ports, parameters: dict[str, str]) -> None:
    with pytest.raises(NotProven, match="rom: a RAMB18E1 in a mode that is not known: "):
        block_ram("rom", "RAMB18E1", {**ROM, **parameters}, {**READ, **ports})


# As Yosys makes them: A writes and B reads, or the other way round and twice as wide.
PLAIN = {
    "RAM_MODE": "TDP", "WRITE_WIDTH_A": f"{18:032b}", "READ_WIDTH_B": f"{18:032b}", "WRITE_MODE_A": "READ_FIRST",
    "INIT_00": "0" * 240 + f"{0x1234:016b}", "INITP_00": "0" * 254 + "10",
}  # fmt: skip
PLAIN_PORTS: Ports = {
    "CLKARDCLK": (2,), "ENARDEN": (3,), "WEA": (4, 5), "ADDRARDADDR": (0, 0, 0, 0, *nets(10, 3), *(0,) * 7),
    "CLKBWRCLK": (2,), "ENBWREN": (6,), "WEBWE": (0,) * 4, "ADDRBWRADDR": (0, 0, 0, 0, *nets(20, 3), *(0,) * 7),
    "DIADI": nets(100, 16), "DIPADIP": nets(116, 2), "DOBDO": nets(200, 16), "DOPBDOP": nets(216, 2),
    "RSTRAMB": (0,), "REGCEB": (0,),
}  # fmt: skip
WIDE = {
    "RAM_MODE": "SDP", "WRITE_WIDTH_B": f"{36:032b}", "READ_WIDTH_A": f"{36:032b}", "WRITE_MODE_A": "READ_FIRST",
    "WRITE_MODE_B": "READ_FIRST",
}  # fmt: skip
WIDE_PORTS: Ports = {
    "CLKARDCLK": (2,), "ENARDEN": (6,), "WEA": (0, 0), "ADDRARDADDR": (0,) * 5 + nets(20, 3) + (0,) * 6,
    "CLKBWRCLK": (2,), "ENBWREN": (3,), "WEBWE": (4, 5, 4, 5), "ADDRBWRADDR": (0,) * 5 + nets(10, 3) + (0,) * 6,
    "DIADI": nets(100, 16), "DIBDI": nets(116, 16), "DIPADIP": nets(132, 2), "DIPBDIP": nets(134, 2),
    "DOADO": nets(200, 16), "DOBDO": nets(216, 16), "DOPADOP": nets(232, 2), "DOPBDOP": nets(234, 2),
}  # fmt: skip


@pytest.mark.parametrize(("parameters", "ports", "width"), [(PLAIN, PLAIN_PORTS, 18), (WIDE, WIDE_PORTS, 36)])
def test_a_block_ram_is_written_byte_by_byte_and_read_as_it_was(
    parameters: dict[str, str], ports: Ports, width: int
) -> None:
    block, count = block_ram("m.mem.0.1", "RAMB18E1", parameters, ports), width // 9
    state: Bits = {one.out: {"0": 0, "1": 1}.get(one.initial) for one in block.registers}
    assert {one.clock for one in block.registers} == {2}
    words = [[(0, 0)] * count for _ in range(8)]
    if width == 18:
        words[0] = [(0x34, 0), (0x12, 1)]
    random, shown = np.random.default_rng(1), None
    for step in range(300):
        inputs: Bits = {net: int(random.integers(2)) for net in (3, 4, 5, 6, *range(10, 13), *range(20, 23),
                                                                 *range(100, 136))}  # fmt: skip
        if step < 8:  # every word is written once before what it holds is looked at
            inputs |= {3: 1, 4: 1, 5: 1, 6: 0, **{10 + bit: step >> bit & 1 for bit in range(3)}}
        _, state = after(block, state, inputs)
        if inputs[6]:
            shown = words[number(inputs, nets(20, 3))]
        if shown is not None:
            data = [number(state, nets(200 + 8 * at, 8)) for at in range(count)]
            parity = [state[200 + 8 * count + at] for at in range(count)]
            assert list(zip(data, parity, strict=True)) == shown
        came = [(number(inputs, nets(100 + 8 * at, 8)), inputs[100 + 8 * count + at]) for at in range(count)]
        where = number(inputs, nets(10, 3))
        words[where] = [new if inputs[3] and inputs[4 + at % 2] else old  # type: ignore[misc]
                        for at, (new, old) in enumerate(zip(came, words[where], strict=True))]  # fmt: skip
    assert {key for key, _ in block.named} == {f"m.mem[{word}]" for word in range(8)}
    assert {place for _, place in block.named} == set(range(width, 2 * width))
    # A byte has its parity above it.
    assert state[block.named["m.mem[3]", width + 8]] == words[3][0][1]
    assert state[block.named["m.mem[3]", width + 9]] == words[3][1][0] & 1


@pytest.mark.parametrize(("kind", "parameters", "ports", "why"), [
    ("RAMB18E1", {"WRITE_MODE_A": "WRITE_FIRST"}, {}, "read while it is written"),
    ("RAMB18E2", {}, {"DIADI": (), "DIPADIP": (), "DOBDO": (), "DOPBDOP": ()}, "read while it is written"),
    ("RAMB18E1", {}, {"WEBWE": (4, 4, 0, 0)}, "different sizes, or two sides write"),
    ("RAMB18E1", {"READ_WIDTH_B": f"{9:032b}"}, {}, "different sizes"),
    ("RAMB36E1", {}, {"WEA": (4, 5, 5, 4)}, "its bytes are written apart"),
    ("RAMB18E1", {"WRITE_WIDTH_A": f"{9:032b}", "READ_WIDTH_B": f"{9:032b}"}, {}, "its bytes are written apart"),
    ("RAMB18E1", {"RAM_MODE": "SDP"}, {}, "words of 18 bits, SDP"),
    ("RAMB18E1", {"EN_ECC": "TRUE"}, {}, "EN_ECC is TRUE"),
    ("RAMB18E1", {}, {"RSTRAMB": (7,)}, "RSTRAMB is used"),
])  # fmt: skip
def test_a_mode_that_is_not_known_is_refused(kind: str, parameters: dict[str, str], ports: Ports, why: str) -> None:
    with pytest.raises(NotProven, match=f"m: a {kind} in a mode that is not known: .*{why}"):
        block_ram("m", kind, PLAIN | parameters, {**PLAIN_PORTS, **ports})
