# SPDX-License-Identifier: Apache-2.0
"""Hardware as Yosys reads it, simulated cycle by cycle in many streams at once. It shares no code with the proofs.

A net is an integer with a bit per stream, and a clock cycle is straight Python code. Registers without a value at the
start begin with random ones; a register of another clock has other random values in every cycle. What no output depends
on is not simulated.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.faults import CLOCKED, OUTPUTS, inputs

Content = dict[str, Any]
Bit = int | str
Ports = dict[str, list[Bit]]
Cell = tuple[str, Mapping[str, str], Ports]
CLOCK = "ap_clk"
# Code of the constants; `ones` has the bits of all streams.
CONSTANTS = {"0": "0", "1": "ones", "x": "0", "z": "0"}


class NoSimulation(Exception):
    """Hardware that is no synchronous logic."""


class Simulator:
    """A design; `streams` copies of it run beside each other."""

    def __init__(self, content: Content, top: str, streams: int, random: np.random.Generator) -> None:
        self.streams, self.random, self.count = streams, random, 0
        self.ports: Ports = {}
        self.cells: list[Cell] = []
        self.begins: dict[Bit, str] = {}
        self._place(content["modules"], top, None)
        self.cells = self._needed(content["modules"][top])
        lines = [line for cell in self._sorted() for line in _logic(*cell)]
        self.state: dict[str, int] = {}
        self.wild: list[str] = []
        after = []
        for kind, parameters, ports in self.cells:
            for at, out in enumerate(ports["Q"] if kind in CLOCKED else []):
                if (ports.get("CLK") or ports.get("C")) != self.ports[CLOCK]:
                    self.wild.append(_name(out))
                    continue
                begin = self._begin(kind, parameters, out)
                for name, code in _register(kind, parameters, ports, at):
                    self.state[name] = begin
                    after.append((name, code))
        self.cycle = _compiled(self.ports, lines, dict(after), (1 << streams) - 1)

    def run(self, given: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return the ports' bits (streams, bits) where inputs are the bits `given`, and go on by a clock."""
        bits = {name: integer for port, columns in given.items()
                for name, integer in zip(map(_name, self.ports[port]), _packed(columns), strict=True)}  # fmt: skip
        bits |= {name: self._any() for name in self.wild}
        results, self.state = self.cycle({**self.state, **bits})
        return {port: _unpacked(results[port], self.streams) for port in self.ports}

    def _any(self) -> int:
        return int.from_bytes(self.random.bytes(self.streams // 8 + 1), "little") & (1 << self.streams) - 1

    def _needed(self, top: Content) -> list[Cell]:
        """Return the cells that outputs depend on."""
        drivers = {bit: cell for cell in self.cells for port in OUTPUTS for bit in cell[2].get(port, [])}
        waiting = [bit for port, one in top["ports"].items() if one["direction"] == "output"
                   for bit in self.ports[port]]  # fmt: skip
        needed: dict[int, Cell] = {}
        while waiting:
            cell = drivers.get(waiting.pop())
            if cell is not None and id(cell) not in needed:
                needed[id(cell)] = cell
                waiting += [bit for port in inputs({"connections": cell[2]}) for bit in cell[2][port]]
        return [cell for cell in self.cells if id(cell) in needed]

    def _begin(self, kind: str, parameters: Mapping[str, str], bit: Bit) -> int:
        usual = {"$dff": self.begins.get(bit, "x"), "TRELLIS_FF": str(int(parameters.get("REGSET") == "SET"))}
        value = usual.get(kind, parameters.get("INIT", "x")[-1])
        if value == "x":
            return self._any()
        return (1 << self.streams) - 1 if value == "1" else 0

    def _new(self) -> int:
        self.count += 1
        return self.count

    def _place(self, modules: Content, name: str, outer: Ports | None) -> None:
        module, nets = modules[name], dict[Bit, Bit]()

        def of(bits: list[Bit]) -> list[Bit]:
            return [bit if isinstance(bit, str) else nets.setdefault(bit, self._new()) for bit in bits]

        for port, one in module["ports"].items():
            if outer is None:
                self.ports[port] = of(one["bits"])
            elif one["direction"] == "input":
                nets.update(zip(one["bits"], outer.get(port, ["x"] * len(one["bits"])), strict=True))
        for wire in module["netnames"].values():
            values = wire.get("attributes", {}).get("init", "")
            self.begins.update(zip(of(wire["bits"]), reversed(values), strict=False))
        for cell in module["cells"].values():
            ports = {port: of(bits) for port, bits in cell["connections"].items()}
            if cell["type"] in modules:
                self._place(modules, cell["type"], ports)
            else:
                self.cells.append((cell["type"], cell["parameters"], ports))
        for port, one in module["ports"].items():
            if outer is not None and one["direction"] == "output" and port in outer:
                self.cells.append(("$pos", {}, {"A": of(one["bits"]), "Y": outer[port]}))

    def _sorted(self) -> Iterator[Cell]:
        """Yield logic after what it reads. Raises `NoSimulation` for a loop."""
        known = {bit for kind, _, ports in self.cells if kind in CLOCKED for bit in ports["Q"]}
        waiting = [one for one in self.cells if one[0] not in CLOCKED]
        driven = {bit for _, _, ports in waiting for port in OUTPUTS for bit in ports.get(port, [])}
        while waiting:
            later = []
            for one in waiting:
                reads = {bit for port in inputs({"connections": one[2]}) for bit in one[2][port]}
                if any(bit in driven and bit not in known for bit in reads if not isinstance(bit, str)):
                    later.append(one)
                else:
                    known |= {bit for port in OUTPUTS for bit in one[2].get(port, [])}
                    yield one
            if len(later) == len(waiting):
                raise NoSimulation("a loop of logic")
            waiting = later


def _name(bit: Bit) -> str:
    return CONSTANTS[bit] if isinstance(bit, str) else f"n{bit}"


def _compiled(
    ports: Ports, lines: Sequence[str], after: Mapping[str, str], ones: int
) -> Callable[[dict[str, int]], tuple[dict[str, list[int]], dict[str, int]]]:
    """Return a clock cycle: from registers and inputs by name to the ports' bits, and what the registers become."""
    results = ", ".join(f"{port!r}: [{', '.join(map(_name, bits))}]" for port, bits in ports.items())
    becomes = ", ".join(f"{name!r}: {code}" for name, code in after.items())
    driven = {line.partition(" =")[0] for line in lines}
    used = set(re.findall(r"\b[nh]\d\w*", " ".join([*lines, results, becomes])))
    # A net that nothing drives is 0, as is an input that is not given.
    reads = [f"{name} = given.get({name!r}, 0)" for name in sorted(used - driven)]
    body = "\n    ".join([*reads, *lines, f"return {{{results}}}, {{{becomes}}}"])
    scope: dict[str, Any] = {"ones": ones}
    exec(f"def cycle(given):\n    {body}\n", scope)
    return scope["cycle"]


def _packed(columns: np.ndarray) -> list[int]:
    """Return bits (streams, n) as n integers."""
    rows = np.packbits(columns, axis=0, bitorder="little").T
    return [int.from_bytes(row.tobytes(), "little") for row in rows]


def _unpacked(integers: Sequence[int], streams: int) -> np.ndarray:
    """Return integers as the bits (streams, n) that they are of."""
    size = -(-streams // 8)
    rows = np.frombuffer(b"".join(one.to_bytes(size, "little") for one in integers), np.uint8).reshape(-1, size)
    return np.unpackbits(rows, axis=1, count=streams, bitorder="little").T.astype(bool)


def _register(kind: str, parameters: Mapping[str, str], ports: Ports, at: int) -> Iterator[tuple[str, str]]:
    """Yield the bits of memory of a register, the one that it shows last, and code for what they become."""
    data, enable = (ports.get(port, []) for port in CLOCKED[kind])
    own, value = _name(ports["Q"][at]), _name(data[at])
    if kind in ("SRL16E", "SRLC32E"):
        address = ports.get("A") or [ports[f"A{place}"][0] for place in range(4)]
        length = sum((bit == "1") << place for place, bit in enumerate(address))
        names = [f"h{own[1:]}_{place}" for place in range(length)] + [own]
        for name, before in zip(names, [value, *names], strict=False):
            yield name, _choice(_name(enable[0]), name, before)
        return
    if enable and parameters.get("CEMUX", "CE") == "CE":
        value = _choice(_name(enable[0]), own, value)
    reset = ports.get({"FDRE": "R", "FDSE": "S", "TRELLIS_FF": "LSR"}.get(kind, ""), ["0"])[0]
    if parameters.get("SRMODE") == "CE_OVER_LSR":
        raise NoSimulation("an enable before a reset")
    if reset != "0":
        sets = kind == "FDSE" or parameters.get("REGSET") == "SET"
        value = f"({value}) | {_name(reset)}" if sets else f"({value}) & (ones ^ {_name(reset)})"
    yield own, value


def _choice(select: str, otherwise: str, then: str) -> str:
    return f"({otherwise} ^ (({otherwise} ^ ({then})) & {select}))"


def _operands(parameters: Mapping[str, str], ports: Ports, size: int) -> list[list[str]]:
    """Return the operands A and B with `size` bits each: both are signed, or neither is."""
    signed = all(parameters[name].endswith("1") for name in ("A_SIGNED", "B_SIGNED") if name in parameters)
    every = []
    for port in "AB":
        bits = [_name(bit) for bit in ports.get(port, [])]
        fill = bits[-1] if bits and signed and f"{port}_SIGNED" in parameters else "0"
        every.append((bits + [fill] * size)[:size])
    return every


def _logic(kind: str, parameters: Mapping[str, str], ports: Ports) -> Iterator[str]:
    """Yield the code of a cell."""
    if kind.startswith("LUT"):
        pins = "ABCD" if "Z" in ports else [f"I{place}" for place in range(int(kind[3:]))]
        codes = [_name(ports[pin][0]) for pin in pins]
        yield from _to(ports["Z" if "Z" in ports else "O"], [_looked_up(parameters["INIT"][::-1], codes)])
    elif kind == "$shiftx":
        entries = [*ports["A"], *["x"] * ((1 << len(ports["B"])) - len(ports["A"]))]
        yield from _to(ports["Y"], [_looked_up(entries, [_name(bit) for bit in ports["B"]])])
    elif kind == "$bmux":
        size, index = len(ports["Y"]), [_name(bit) for bit in ports["S"]]
        yield from _to(ports["Y"], [_looked_up(ports["A"][at::size], index) for at in range(size)])
    elif kind == "$shr":
        # Bits of the index that are 0 shift nothing.
        vector, used = ports["A"], {1 << place: _name(bit) for place, bit in enumerate(ports["B"]) if bit != "0"}
        shifts = [sum(by for at, by in enumerate(used) if word >> at & 1) for word in range(1 << len(used))]
        rows = [[vector[at + by] if at + by < len(vector) else "0" for by in shifts] for at in range(len(ports["Y"]))]
        yield from _to(ports["Y"], [_looked_up(row, list(used.values())) for row in rows])
    elif kind == "CARRY4":
        yield from _carry4(ports)
    elif kind == "CCU2C":
        yield from _ccu2c(parameters, ports)
    elif kind in CHOICES:
        out, select, otherwise, then = (ports[port] for port in CHOICES[kind])
        codes = [_choice(_name(select[0]), _name(a), _name(b)) for a, b in zip(otherwise, then, strict=True)]
        yield from _to(out, codes)
    elif kind in ("$add", "$sub"):
        yield from _sum(parameters, ports, subtract=kind == "$sub")
    elif kind == "$mul":
        yield from _product(parameters, ports)
    elif kind in ("INV", "BUF"):
        yield from _to(ports["O"], [f"{'ones ^ ' if kind == 'INV' else ''}{_name(ports['I'][0])}"])
    elif kind in BITWISE:
        pairs = zip(*_operands(parameters, ports, len(ports["Y"])), strict=True)
        yield from _to(ports["Y"], [BITWISE[kind].format(a=a, b=b) for a, b in pairs])
    else:
        yield from _truth(kind, parameters, ports)


def _to(bits: Sequence[Bit], codes: Sequence[str]) -> Iterator[str]:
    """Yield assignments of codes to bits, zeros above them."""
    codes = [*codes, *["0"] * (len(bits) - len(codes))]
    yield from (f"{_name(bit)} = {code}" for bit, code in zip(bits, codes, strict=False) if not isinstance(bit, str))


def _looked_up(entries: Sequence[Bit], index: Sequence[str]) -> str:
    """Return code for an entry of a table, the first of which is number 0."""
    if len(set(entries)) == 1 or not index:
        return _name(entries[0])
    half = len(entries) // 2
    low, high = entries[:half], entries[half:]
    if low == high:
        return _looked_up(low, index[:-1])
    if set(low) == {"0"} and set(high) == {"1"}:
        return index[-1]
    return _choice(index[-1], _looked_up(low, index[:-1]), _looked_up(high, index[:-1]))


def _carry4(ports: Ports) -> Iterator[str]:
    begin, own = [ports.get(port, ["0"])[0] for port in ("CI", "CYINIT")], _new_name(ports["O"], ports["CO"])
    yield f"{own} = {_name(begin[0])} | {_name(begin[1])}"
    for place in range(4):
        select, data = (_name(ports[port][place]) for port in ("S", "DI"))
        if place < len(ports["O"]):
            yield from _to(ports["O"][place : place + 1], [f"{select} ^ {own}"])
        yield f"{own} = {_choice(select, data, own)}"
        if place < len(ports["CO"]):
            yield from _to(ports["CO"][place : place + 1], [own])


def _ccu2c(parameters: Mapping[str, str], ports: Ports) -> Iterator[str]:
    own = _new_name(*(ports.get(port, []) for port in ("S0", "S1", "COUT")))
    yield f"{own} = {_name(ports['CIN'][0])}"
    for half in (0, 1):
        entries, plain = parameters[f"INIT{half}"][::-1], parameters[f"INJECT1_{half}"] == "NO"
        index = [_name(ports[f"{pin}{half}"][0]) for pin in "ABCD"]
        yield f"{own}w = {_looked_up(entries, index)}"
        yield from _to(ports.get(f"S{half}", []), [f"{own}w ^ {own}" if plain else f"{own}w"])
        yield f"{own} = {_choice(f'{own}w', _looked_up(entries[:4], index[:2]) if plain else '0', own)}"
    yield from _to(ports.get("COUT", []), [own])


def _new_name(*outputs: Sequence[Bit]) -> str:
    """Return a name that no other cell has."""
    return f"c{max(bit for bits in outputs for bit in bits if not isinstance(bit, str))}"


def _sum(parameters: Mapping[str, str], ports: Ports, *, subtract: bool) -> Iterator[str]:
    own = _new_name(ports["Y"])
    yield f"{own} = {'ones' if subtract else '0'}"
    for bit, a, b in zip(ports["Y"], *_operands(parameters, ports, len(ports["Y"])), strict=True):
        yield f"{own}b = {'ones ^ ' if subtract else ''}{b}"
        yield from _to([bit], [f"{a} ^ {own}b ^ {own}"])
        yield f"{own} = ({a} & {own}b) | ({own} & ({a} | {own}b))"


def _product(parameters: Mapping[str, str], ports: Ports) -> Iterator[str]:
    size, own = len(ports["Y"]), _new_name(ports["Y"])
    left, right = _operands(parameters, ports, size)
    yield from (f"{own}_{at} = 0" for at in range(size))
    for place, b in enumerate(right):
        yield f"{own} = 0"
        for at in range(place, size):
            yield f"{own}b = {left[at - place]} & {b}"
            yield f"{own}s = {own}_{at} ^ {own}b ^ {own}"
            yield f"{own} = ({own}_{at} & {own}b) | ({own} & ({own}_{at} | {own}b))"
            yield f"{own}_{at} = {own}s"
    yield from _to(ports["Y"], [f"{own}_{at}" for at in range(size)])


def _truth(kind: str, parameters: Mapping[str, str], ports: Ports) -> Iterator[str]:
    """Yield a comparison, or a truth value."""
    size = max(len(ports.get(port, [])) for port in "AB")
    a, b = _operands(parameters, ports, size)
    if kind in ("$eq", "$ne"):
        differs = " | ".join(f"({x} ^ {y})" for x, y in zip(a, b, strict=True))
        yield from _to(ports["Y"], [differs if kind == "$ne" else f"ones ^ ({differs})"])
    elif kind in ("$ge", "$gt", "$le", "$lt"):
        if all(parameters[f"{port}_SIGNED"].endswith("1") for port in "AB"):
            a, b = [*a[:-1], f"(ones ^ {a[-1]})"], [*b[:-1], f"(ones ^ {b[-1]})"]
        first, second = (a, b) if kind in ("$ge", "$lt") else (b, a)
        own = _new_name(ports["Y"])
        # Whether the first is at least the second, from the lowest bit up.
        yield f"{own} = ones"
        yield from (f"{own} = ({x} & (ones ^ {y})) | ({own} & ({x} | (ones ^ {y})))"
                    for x, y in zip(first, second, strict=True))  # fmt: skip
        yield from _to(ports["Y"], [own if kind in ("$ge", "$le") else f"ones ^ {own}"])
    elif kind in TRUTHS:
        first, second = (" | ".join(["0", *map(_name, ports.get(port, []))]) for port in "AB")
        yield from _to(ports["Y"], [TRUTHS[kind].format(a=first, b=second)])
    else:
        raise NoSimulation(f"a cell of the kind {kind}")


CHOICES = {
    "$mux": ("Y", "S", "A", "B"), "MUXF7": ("O", "S", "I0", "I1"), "MUXF8": ("O", "S", "I0", "I1"),
    "PFUMX": ("Z", "C0", "BLUT", "ALUT"), "L6MUX21": ("Z", "SD", "D0", "D1"),
}  # fmt: skip
BITWISE = {
    "$not": "ones ^ {a}",
    "$pos": "{a}",
    "$buf": "{a}",
    "$and": "{a} & {b}",
    "$or": "{a} | {b}",
    "$xor": "{a} ^ {b}",
}
TRUTHS = {
    "$logic_and": "({a}) & ({b})", "$logic_or": "({a}) | ({b})", "$logic_not": "ones ^ ({a})", "$reduce_bool": "{a}",
    "$reduce_or": "{a}",
}  # fmt: skip
