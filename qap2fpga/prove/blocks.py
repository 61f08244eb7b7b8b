# SPDX-License-Identifier: Apache-2.0
"""Blocks of netlists: memories of LUTs and block RAMs as registers and tables, DSPs as boxes that are not looked into.

Models that proofs trust, from AMD's UG474, UG473 and UG953. A memory that is written is one register per bit, named
like the words of the Verilog's memory: a hint. A mode that is not here is not proven.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from qap2fpga.prove.cells import (
    UNDRIVEN,
    Bits,
    NotProven,
    Parameters,
    Part,
    Ports,
    Register,
    far_net,
    flag,
    single,
)

# What DSPs give: with a register at P, every output that is connected is one.
DSPS = {"DSP48E1": "P", "DSP48E2": "P"}
DSP_OUTPUTS = frozenset({
    "ACOUT", "BCOUT", "CARRYCASCOUT", "CARRYOUT", "MULTSIGNOUT", "OVERFLOW", "PATTERNBDETECT", "PATTERNDETECT",
    "PCOUT", "UNDERFLOW", "XOROUT",
})  # fmt: skip
# A memory's name, and which of the cells that it is made of: which bits, lowest first.
PLACE = re.compile(r"(.*)\.(\d+)\.(\d+)")
# Memories of LUTs: their lanes, lowest bits first, and a lane's bits and words. The first one's address is that of
# writing, too.
LUTS = {
    "RAM32M": ("DCBA", 2, 32), "RAM64M": ("DCBA", 1, 64), "RAM32M16": ("HGFEDCBA", 2, 32),
    "RAM64M8": ("HGFEDCBA", 1, 64),
}  # fmt: skip
Named = Mapping[tuple[str, int], int]


@dataclass(frozen=True)
class Box:
    """A cell that gives the same outputs as another one with the same parameters, inputs and clock."""

    name: str
    kind: str
    parameters: Mapping[str, str]
    clock: int
    inputs: Mapping[str, Bits]
    output: Bits


@dataclass(frozen=True)
class Block:
    """What a memory is made of; `named` are registers by the word and the bit of the Verilog's memory."""

    parts: tuple[Part, ...]
    registers: tuple[Register, ...]
    named: Named


def box(name: str, kind: str, parameters: Parameters, ports: Ports) -> Box:
    """Return a DSP. Raises `NotProven` where an output has no register, or its clock is inverted."""
    connected = [port for port in sorted(DSP_OUTPUTS) if set(ports.get(port, ())) - {UNDRIVEN}]
    if "1" not in parameters.get("PREG", "") or flag(parameters, "IS_CLK_INVERTED") or connected:
        raise NotProven(f"{name}: a {kind} with an output but P, without a register there, or with an inverted clock")
    inputs = {port: bits for port, bits in ports.items() if port not in (*DSP_OUTPUTS, "P", "CLK")}
    return Box(name, kind, parameters, single(name, ports, "CLK")[0], inputs, ports["P"])


def memory(name: str, kind: str, parameters: Parameters, ports: Ports) -> Block | None:
    """Return the memory that a cell is; None if it is none."""
    if kind in LUTS:
        return _luts(name, kind, parameters, ports)
    if kind in ("RAMB18E1", "RAMB36E1", "RAMB18E2", "RAMB36E2"):
        return _rom(name, kind, parameters, ports)
    return None


def _luts(name: str, kind: str, parameters: Parameters, ports: Ports) -> Block:
    """Memories of LUTs, read at once, each at its own address, and written together at the address of one of them."""
    lanes, bits, depth = LUTS[kind]
    if flag(parameters, "IS_WCLK_INVERTED"):
        raise NotProven(f"{name}: a {kind} with an inverted clock")
    write, where = ports[f"ADDR{lanes[0]}"], PLACE.fullmatch(name)
    if set(ports.get(f"DO{lanes[0]}", ())) <= {UNDRIVEN}:
        lanes = lanes[1:]
    (clock,), (enable,) = single(name, ports, "WCLK"), single(name, ports, "WE")
    parts, registers, named = list[Part](), list[Register](), dict[tuple[str, int], int]()
    own = max(bit for lane in lanes for bit in ports[f"DO{lane}"])
    selects = {word: far_net(own, word) for word in range(depth) if _possible(write, word)}
    for word, select in selects.items():
        inner = far_net(own, depth + word)
        parts.append(Part(f"{name}.{word}", "table", (write,), (inner,), 1 << word))
        parts.append(Part(f"{name}.{word}", "and", ((inner,), (enable,)), (select,)))
    for place in range(len(lanes) * bits):
        lane, bit = lanes[place // bits], place % bits
        begins = parameters.get(f"INIT_{lane}", "").rjust(64, "x")[::-1][bit::bits]
        data, out = ports[f"DI{lane}"][bit], ports[f"DO{lane}"][bit]
        entries = [{"0": 0, "1": 1}.get(one, UNDRIVEN) for one in begins]
        for word, select in selects.items():
            entries[word] = far_net(own, (2 + place) * depth + word)
            registers.append(Register(f"{name}.{word}", clock, select, 0, 0, data, entries[word], initial=begins[word]))
            if where:
                named[f"{where[1]}[{word}]", len(lanes) * bits * int(where[3]) + place] = entries[word]
        if out != UNDRIVEN:
            parts.append(Part(f"{name}.{lane}", "pick", (ports[f"ADDR{lane}"], tuple(entries)), (out,)))
    return Block(tuple(parts), tuple(registers), named)


def _possible(address: Bits, word: int) -> bool:
    """Return whether an address, some of whose bits are constants, may be `word`."""
    return all(bit not in (0, 1) or bit == word >> place & 1 for place, bit in enumerate(address))


def _rom(name: str, kind: str, parameters: Parameters, ports: Ports) -> Block:
    """A block RAM that nothing writes, read at port A: a register per bit after a table."""
    width = int(parameters.get("READ_WIDTH_A", "0"), 2)
    extra = width // 9
    data, parity = _contents(parameters, "INIT"), _contents(parameters, "INITP")
    half, clock = kind.startswith("RAMB18"), single(name, ports, "CLKARDCLK")[0]
    pins = [("DOADO", data, width - extra), ("DOPADOP", parity, extra)]
    if kind.endswith("E2"):
        pins = [("DOUTADOUT", data, width - extra), ("DOUTPADOUTP", parity, extra)]
    _require_read_only(name, kind, parameters, ports, half=half)
    address = ports["ADDRARDADDR"][(width - extra).bit_length() - 1 : 14 if half else 15]
    parts, registers = list[Part](), list[Register]()
    for first, (port, content, size) in zip((0, width - extra), pins, strict=True):
        for bit, out in enumerate(ports.get(port, ())[:size]):
            if out == UNDRIVEN:
                continue
            entries = tuple(content[word * size + bit] for word in range(1 << len(address)))
            inner = far_net(out, 0)
            parts.append(Part(name, "pick", (address, entries), (inner,)))
            begins = parameters.get("INIT_A", "").rjust(72, "x")[::-1][first + bit]
            registers.append(Register(name, clock, single(name, ports, "ENARDEN")[0], 0, 0, inner, out, initial=begins))
    return Block(tuple(parts), tuple(registers), {})


def _require_read_only(name: str, kind: str, parameters: Parameters, ports: Ports, *, half: bool) -> None:
    zero = ("RSTRAMARSTRAM", "RSTREGARSTREG", "WEA")
    plain = ("DOA_REG", "IS_CLKARDCLK_INVERTED", "IS_ENARDEN_INVERTED")
    used = any(set(ports.get(pin, ())) - {0} for pin in zero) or any(flag(parameters, key) for key in plain)
    written = {"WEBWE", "ENBWREN"} <= ports.keys() and 0 not in (*ports["ENBWREN"], *ports["WEBWE"][:1])
    if used or written or parameters.get("RAM_MODE", "TDP").strip() != "TDP":
        raise NotProven(f"{name}: a {kind} that is written, or that is read in another way than a ROM at port A")


def _contents(parameters: Parameters, key: str) -> list[int]:
    """Return the bits of a block RAM's content, those without a value as `UNDRIVEN`."""
    bits: list[int] = []
    for at in range(128):
        text = parameters.get(f"{key}_{at:02X}")
        if text is None:
            break
        bits += [{"0": 0, "1": 1}.get(one, UNDRIVEN) for one in text.rjust(256, "0")[::-1]]
    return bits
