# SPDX-License-Identifier: Apache-2.0
"""Block RAMs of AMD's netlists: a register per bit that may be written, and one behind what is read.

Models that proofs trust, from UG473, UG573 and UG953. Each of the sides A and B reads or writes words of one size; or A
reads and B writes words as wide as both (SDP). A word that is read while the other side writes it is read as it was:
that holds of 7 series where the side that writes says READ_FIRST and both have one clock, to which the proofs see. What
is not written is a table. A mode that is not here is not proven.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from qap2fpga.prove.cells import UNDRIVEN, Bits, NotProven, Parameters, Part, Ports, Register, far_net, single

BLOCK_RAMS = ("RAMB18E1", "RAMB36E1", "RAMB18E2", "RAMB36E2")
# A memory's name, which copy of it a cell is, each for other readers, and which of the copy's bits, lowest first.
PLACE = re.compile(r"(.*)\.(\d{1,4})\.(\d{1,4})")
# Pins of a side: address, clock, enable, enables of writing. Then data and parity that come in, and that go out.
SIDES = {"A": ("ADDRARDADDR", "CLKARDCLK", "ENARDEN", "WEA"), "B": ("ADDRBWRADDR", "CLKBWRCLK", "ENBWREN", "WEBWE")}
DATA = {"E1": (("DI{0}DI", "DIP{0}DIP"), ("DO{0}DO", "DOP{0}DOP")),
        "E2": (("DIN{0}DIN", "DINP{0}DINP"), ("DOUT{0}DOUT", "DOUTP{0}DOUTP"))}  # fmt: skip
# Pins and parameters that say nothing of what is done here; those that must be 1; all others must be 0.
FREE_PINS, ONE_PINS = ("REGCEAREGCE", "REGCEB"), ("ADDRENA", "ADDRENB")
FREE = re.compile(r"INITP?_\w+|SRVAL_[AB]|(READ|WRITE)_(WIDTH|MODE)_[AB]|SIM_\w+|RAM_MODE")
# Numbers of nets inside: registers, what selects them, and what is read.
SELECTS, READ = 1 << 16, 1 << 19


@dataclass(frozen=True)
class Block:
    """What a memory is made of; `named` are registers by the word and the bit of the Verilog's memory."""

    parts: tuple[Part, ...]
    registers: tuple[Register, ...]
    named: Mapping[tuple[str, int], int]


@dataclass(frozen=True)
class _Ram:
    """A block RAM as it is set: the sides that read and the one that writes, if any; bits of a word, with parity."""

    name: str
    kind: str
    parameters: Parameters
    ports: Ports
    reads: str
    writes: str
    width: int

    @property
    def bytes(self) -> int:
        """Bytes with a bit of parity above each; 0 for words of fewer bits."""
        return self.width // 9

    @property
    def wide(self) -> int:
        """Bits of a word of both sides."""
        return 36 if self.kind.startswith("RAMB18") else 72

    def address(self, side: str) -> Bits:
        """Return the bits of a side's address that say which word."""
        lowest = (self.width - self.bytes).bit_length() - 1
        return self.ports[SIDES[side][0]][lowest : 14 if self.wide == 36 else 15]

    def pins(self, side: str, *, out: bool) -> Bits:
        """Return the nets of a word that a side takes or gives."""
        sides = "AB" if self.width == self.wide else side
        data, parity = (tuple(bit for one in sides for bit in self.ports.get(name.format(one), ()))
                        for name in DATA[self.kind[-2:]][out])  # fmt: skip
        return _joined(self, data, parity)

    def contents(self) -> list[list[int]]:
        """Return the words that it begins with; bits without a value are `UNDRIVEN`."""
        data, parity = (_bits(self.parameters, key) for key in ("INIT", "INITP"))
        size = self.width - self.bytes
        return [list(_joined(self, data[word * size :][:size], parity[word * self.bytes :][: self.bytes]))
                for word in range(1 << len(self.address(self.reads[0])))]  # fmt: skip


def _joined(ram: _Ram, data: Bits, parity: Bits) -> Bits:
    """Return a word of data and parity; what is missing is `UNDRIVEN`."""
    data += (UNDRIVEN,) * ram.width
    parity += (UNDRIVEN,) * ram.bytes
    if not ram.bytes:
        return data[: ram.width]
    return tuple(bit for at in range(ram.bytes) for bit in (*data[8 * at : 8 * at + 8], parity[at]))


def block_ram(name: str, kind: str, parameters: Parameters, ports: Ports) -> Block:
    """Return what a block RAM is made of. Raises `NotProven` for a mode that is not known."""
    ram = _as_set(name, kind, parameters, ports)
    outs = {side: ram.pins(side, out=True) for side in ram.reads}
    own = max(bit for out in outs.values() for bit in out)
    words, parts, registers, named = ram.contents(), list[Part](), list[Register](), dict[tuple[str, int], int]()
    # Bits that nothing reads are left out.
    used = [place for place in range(ram.width) if any(out[place] != UNDRIVEN for out in outs.values())]
    if ram.writes and used:
        parts += _selects(ram, own)
        taken = ram.pins(ram.writes, out=False)
        clock = single(name, ports, SIDES[ram.writes][1])[0]
        for word, bits in enumerate(words):
            for place in used if possible(ram.address(ram.writes), word) else ():
                select, net = _select(own, ram, word, place), far_net(own, word * ram.width + place)
                initial = {0: "0", 1: "1"}.get(bits[place], "x")
                registers.append(Register(f"{name}.{word}", clock, select, 0, 0, taken[place], net, initial=initial))
                bits[place] = net
                named.update(dict.fromkeys(hint(name, word, ram.width, place), net))
    for side, out in outs.items():
        clock, enable = (single(name, ports, port)[0] for port in SIDES[side][1:3])
        text = parameters.get(f"INIT_{side}", "").rjust(72, "x")[::-1]
        size = ram.width - ram.bytes
        begins = _joined(ram, tuple(map(ord, text[:size])), tuple(map(ord, text[size : ram.width])))
        for place in (place for place in used if out[place] != UNDRIVEN):
            inner = far_net(out[place], READ)
            parts.append(Part(name, "pick", (ram.address(side), tuple(bits[place] for bits in words)), (inner,)))
            registers.append(Register(name, clock, enable, 0, 0, inner, out[place], initial=chr(begins[place])))
    return Block(tuple(parts), tuple(registers), named)


def _select(own: int, ram: _Ram, word: int, place: int) -> int:
    """Return the net that says that a word's byte with the bit `place` is written."""
    return far_net(own, SELECTS + word * max(ram.bytes, 1) + (place // 9 if ram.bytes else 0))


def _selects(ram: _Ram, own: int) -> Iterator[Part]:
    """Yield what says of each word and byte that it is written."""
    address, (_, _, pin, enables) = ram.address(ram.writes), SIDES[ram.writes]
    enable, count = single(ram.name, ram.ports, pin), max(ram.bytes, 1)
    for word in (word for word in range(1 << len(address)) if possible(address, word)):
        constant = tuple(word >> place & 1 for place in range(len(address)))
        here, writes = ((far_net(own, 2 * SELECTS + 2 * word + which),) for which in (0, 1))
        yield Part(f"{ram.name}.{word}", "equal", (address, constant), here)
        yield Part(f"{ram.name}.{word}", "and", (here, enable), writes)
        for at in range(count):
            out = (_select(own, ram, word, 9 * at),)
            yield Part(f"{ram.name}.{word}", "and", (writes, ram.ports[enables][at : at + 1]), out)


def hint(name: str, word: int, width: int, place: int) -> Iterator[tuple[str, int]]:
    """Yield which word of the Verilog's memory, and which bit, one of a cell of `width` bits is: from its name."""
    if where := PLACE.fullmatch(name):
        copy = "" if where[2] == "0" else f"#{where[2]}"
        yield f"{where[1]}{copy}[{word}]", width * int(where[3]) + place


def possible(address: Bits, word: int) -> bool:
    """Return whether an address, some of whose bits are constants, may be `word`."""
    return all(bit not in (0, 1) or bit == word >> place & 1 for place, bit in enumerate(address))


def _as_set(name: str, kind: str, parameters: Parameters, ports: Ports) -> _Ram:
    widths = {(what, side): int(parameters.get(f"{what}_WIDTH_{side}", "0"), 2)
              for what in ("READ", "WRITE") for side in "AB"}  # fmt: skip
    writes = "".join(side for side, (_, _, enable, every) in SIDES.items()
                     if all(set(ports.get(pin, ())) - {0} for pin in (enable, every)))  # fmt: skip
    reads = "".join(side for side in "AB" if widths["READ", side])
    sizes = {widths["READ", side] for side in reads} | {widths["WRITE", side] for side in writes}
    ram = _Ram(name, kind, parameters, ports, reads, writes, max(sizes, default=0))
    if why := _unknown(ram, sizes):
        raise NotProven(f"{name}: a {kind} in a mode that is not known: {why}")
    return ram


def _unknown(ram: _Ram, sizes: set[int]) -> str:
    """Return what is not known of a mode; nothing if all is."""
    parameters, ports = ram.parameters, ram.ports
    for key, value in parameters.items():
        if not FREE.fullmatch(key) and (value.strip("0") if set(value) <= {"0", "1"} else value.strip() != "NONE"):
            return f"{key} is {value}"
    names = [name.format(side) for pair in DATA[ram.kind[-2:]] for name in pair for side in "AB"]
    known = {*(pin for side in SIDES.values() for pin in side), *names, *FREE_PINS}
    for pin, bits in ports.items():
        if pin not in known and set(bits) - {UNDRIVEN, int(pin in ONE_PINS)}:
            return f"{pin} is used"
    if not ram.reads or len(sizes) > 1 or len(ram.writes) > 1:
        return "what is read and written are of different sizes, or two sides write"
    wide = ram.width == ram.wide
    mode = parameters.get("RAM_MODE", "TDP").strip()
    other_mode = ram.kind.endswith("E1") and mode != ("SDP" if wide else "TDP")
    if other_mode or (wide and (ram.reads != "A" or ram.writes == "A")):
        return f"words of {ram.width} bits, {mode}"
    if ram.writes and (why := _unknown_writing(ram, wide=wide)):
        return why
    whole = 14 if ram.wide == 36 else 15
    short = any(len(ports[SIDES[side][0]]) < whole for side in {*ram.reads, *ram.writes})
    return "an address lacks bits" if short else ""


def _unknown_writing(ram: _Ram, *, wide: bool) -> str:
    modes = {ram.parameters.get(f"WRITE_MODE_{side}", "").strip() for side in ("AB" if wide else ram.writes)}
    if modes != {"READ_FIRST"} or ram.kind.endswith("E2"):
        return "a word may be read while it is written"
    enables, count = ram.ports[SIDES[ram.writes][3]], max(ram.bytes, 1)
    enables = enables if wide else enables[: ram.wide // 18]
    if len(enables) < count or any(bit != enables[at % count] for at, bit in enumerate(enables)):
        return "its bytes are written apart"
    return ""


def _bits(parameters: Parameters, key: str) -> Bits:
    """Return the bits of a block RAM's content, those without a value as `UNDRIVEN`."""
    bits: list[int] = []
    for at in range(128):
        text = parameters.get(f"{key}_{at:02X}")
        if text is None:
            break
        bits += [{"0": 0, "1": 1}.get(one, UNDRIVEN) for one in text.rjust(256, "0")[::-1]]
    return tuple(bits)
