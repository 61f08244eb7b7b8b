# SPDX-License-Identifier: Apache-2.0
"""Blocks of netlists: memories of LUTs and block RAMs as registers and tables, DSPs as boxes that are not looked into.

Models that proofs trust, from AMD's UG474 and UG953; block RAMs are in `block_rams.py`. A memory that is written is
one register per bit, named like the words of the Verilog's memory: a hint. A mode that is not here is not proven.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from qap2fpga.prove.block_rams import BLOCK_RAMS, Block, block_ram, hint, possible
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
# Memories of LUTs: their lanes, lowest bits first, and a lane's bits and words. The first one's address is that of
# writing, too.
LUTS = {
    "RAM32M": ("DCBA", 2, 32), "RAM64M": ("DCBA", 1, 64), "RAM32M16": ("HGFEDCBA", 2, 32),
    "RAM64M8": ("HGFEDCBA", 1, 64),
}  # fmt: skip


@dataclass(frozen=True)
class Box:
    """A cell that gives the same outputs as another one with the same parameters, inputs and clock."""

    name: str
    kind: str
    parameters: Mapping[str, str]
    clock: int
    inputs: Mapping[str, Bits]
    output: Bits


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
    if kind in BLOCK_RAMS:
        return block_ram(name, kind, parameters, ports)
    return None


def _luts(name: str, kind: str, parameters: Parameters, ports: Ports) -> Block:
    """Memories of LUTs, read at once, each at its own address, and written together at the address of one of them."""
    lanes, bits, depth = LUTS[kind]
    if flag(parameters, "IS_WCLK_INVERTED"):
        raise NotProven(f"{name}: a {kind} with an inverted clock")
    write = ports[f"ADDR{lanes[0]}"]
    if set(ports.get(f"DO{lanes[0]}", ())) <= {UNDRIVEN}:
        lanes = lanes[1:]
    (clock,), (enable,) = single(name, ports, "WCLK"), single(name, ports, "WE")
    parts, registers, named = list[Part](), list[Register](), dict[tuple[str, int], int]()
    own = max(bit for lane in lanes for bit in ports[f"DO{lane}"])
    selects = {word: far_net(own, word) for word in range(depth) if possible(write, word)}
    for word, select in selects.items():
        inner = far_net(own, depth + word)
        parts.append(Part(f"{name}.{word}", "table", (write,), (inner,), 1 << word))
        parts.append(Part(f"{name}.{word}", "and", ((inner,), (enable,)), (select,)))
    begins = {lane: parameters.get(f"INIT_{lane}", "").rjust(64, "x")[::-1] for lane in lanes}
    # Lanes that hold the same, each read at its own address, are one.
    shared = len({(ports[f"DI{lane}"], begins[lane]) for lane in lanes}) == 1 and "x" not in begins[lanes[0]]
    width = bits if shared else len(lanes) * bits
    for place in range(width):
        lane, bit = lanes[place // bits], place % bits
        data, first = ports[f"DI{lane}"][bit], begins[lane][bit::bits]
        # What has no value may be another one in each lane.
        unknown = shared and data == UNDRIVEN
        entries = [UNDRIVEN if unknown else {"0": 0, "1": 1}.get(one, UNDRIVEN) for one in first]
        for word, select in selects.items() if not unknown else ():
            entries[word] = far_net(own, (2 + place) * depth + word)
            registers.append(Register(f"{name}.{word}", clock, select, 0, 0, data, entries[word], initial=first[word]))
            named.update(dict.fromkeys(hint(name, word, width, place), entries[word]))
        for reader in lanes if shared else lane:
            if (out := ports[f"DO{reader}"][bit]) != UNDRIVEN:
                parts.append(Part(f"{name}.{reader}", "pick", (ports[f"ADDR{reader}"], tuple(entries)), (out,)))
    return Block(tuple(parts), tuple(registers), named)
