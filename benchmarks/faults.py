# SPDX-License-Identifier: Apache-2.0
"""Single faults in hardware as Yosys reads it: in Verilog, and in netlists of 7 series and ECP5."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

Content = dict[str, Any]
Cell = dict[str, Any]
Random = np.random.Generator
OUTPUTS = ("Y", "Q", "O", "CO", "Z", "S0", "S1", "COUT", "Q31")
# What each kind of register calls its data and its enable.
CLOCKED = {
    "$dff": ("D", ""), "FDRE": ("D", "CE"), "FDSE": ("D", "CE"), "SRL16E": ("D", "CE"), "SRLC32E": ("D", "CE"),
    "TRELLIS_FF": ("DI", "CE"),
}  # fmt: skip
SWAPS = {
    "$add": "$sub", "$sub": "$add", "$and": "$or", "$or": "$and", "$xor": "$or", "$ge": "$gt", "$gt": "$ge",
    "$lt": "$le", "$le": "$lt", "$eq": "$ne", "$ne": "$eq", "$not": "$pos", "$pos": "$not", "INV": "BUF",
    "$logic_not": "$reduce_bool", "$logic_and": "$logic_or", "$logic_or": "$logic_and", "FDRE": "FDSE",
}  # fmt: skip


@dataclass(frozen=True)
class Fault:
    """One fault: its kind, the cell that it is in, the line of the source that the cell is of, and what was changed."""

    kind: str
    module: str
    cell: str
    type: str
    line: str
    change: str


def faulty(content: Content, seed: int) -> tuple[Fault, Content]:
    """Return a fault in `content`, drawn by `seed`, and the content with it; every kind that there is is as likely."""
    random, mutant = np.random.default_rng(seed), copy.deepcopy(content)
    cells = [(module, cell) for module, one in sorted(mutant["modules"].items()) for cell in sorted(one["cells"])]
    for kind in random.permutation(sorted(FAULTS)).tolist():
        for place in random.permutation(len(cells)).tolist():
            name, cell_name = cells[place]
            module = mutant["modules"][name]
            cell = module["cells"][cell_name]
            before = cell["type"]
            if change := FAULTS[kind](cell, module, random):
                return Fault(kind, name, cell_name, before, _line(cell), change), mutant
    raise ValueError("no fault fits")


def _line(cell: Cell) -> str:
    """Return the file and the line that a cell is of."""
    source = cell.get("attributes", {}).get("src", "").split("|")[0]
    file, _, place = source.rpartition(":")
    return f"{Path(file).name}:{place.partition('.')[0]}" if file else ""


def inputs(cell: Cell) -> list[str]:
    """Return the ports of a cell that it reads."""
    directions = cell.get("port_directions", {})
    return [
        port
        for port in cell["connections"]
        if directions.get(port, "output" if port in OUTPUTS else "input") == "input"
    ]


def _operator(cell: Cell, module: Content, random: Random) -> str:
    kind, ports = cell["type"], cell["connections"]
    if kind == "$mux":
        ports["A"], ports["B"] = ports["B"], ports["A"]
        return "A and B in each other's place"
    if kind not in SWAPS:
        return ""
    cell["type"] = SWAPS[kind]
    if kind == "FDRE":
        ports["S"] = ports.pop("R", ["0"])
    return f"{kind} became {cell['type']}"


def _constant(cell: Cell, module: Content, random: Random) -> str:
    if cell["type"] == "$shiftx":
        return ""
    places = [
        (port, at) for port in inputs(cell) for at, bit in enumerate(cell["connections"][port]) if bit in ("0", "1")
    ]
    return _flipped(cell, places, random)


def _memory(cell: Cell, module: Content, random: Random) -> str:
    """Change a bit of a constant that is read by index."""
    if cell["type"] != "$shiftx":
        return ""
    places = [("A", at) for at, bit in enumerate(cell["connections"]["A"]) if bit in ("0", "1")]
    return _flipped(cell, places, random)


def _flipped(cell: Cell, places: list[tuple[str, int]], random: Random) -> str:
    if not places:
        return ""
    port, at = places[random.integers(len(places))]
    bits = cell["connections"][port]
    bits[at] = _other(bits[at])
    return f"{port}[{at}] became {bits[at]}"


def _other(bit: str) -> str:
    return {"0": "1", "1": "0"}[bit]


def _index(cell: Cell, module: Content, random: Random) -> str:
    """Read the bit beside the right one."""
    read = inputs(cell)
    if not read:
        return ""
    port = read[random.integers(len(read))]
    bits = cell["connections"][port]
    at = int(random.integers(len(bits))) if bits else 0
    if not bits or isinstance(bits[at], str):
        return ""
    beside = [
        (name, place)
        for name, net in sorted(module["netnames"].items())
        for here, one in enumerate(net["bits"])
        if one == bits[at]
        for place in (here - 1, here + 1)
        if 0 <= place < len(net["bits"]) and net["bits"][place] not in (one, "x")
    ]
    if not beside:
        return ""
    name, place = beside[random.integers(len(beside))]
    bits[at] = module["netnames"][name]["bits"][place]
    return f"{port}[{at}] reads {name}[{place}]"


def _extension(cell: Cell, module: Content, random: Random) -> str:
    """Fill with zeros where the sign is repeated."""
    for port in inputs(cell):
        bits = cell["connections"][port]
        if len(bits) > 1 and bits[-1] == bits[-2] and not isinstance(bits[-1], str):
            bits[-1] = "0"
            return f"{port}[{len(bits) - 1}], a repeated sign, became 0"
    return ""


def _table(cell: Cell, module: Content, random: Random) -> str:
    """Change a bit of a LUT's table."""
    tables = [name for name in sorted(cell["parameters"]) if name.startswith("INIT")]
    if not tables or not (cell["type"].startswith("LUT") or cell["type"] == "CCU2C"):
        return ""
    name = tables[random.integers(len(tables))]
    entries = cell["parameters"][name]
    at = int(random.integers(len(entries)))
    place = len(entries) - 1 - at
    cell["parameters"][name] = f"{entries[:place]}{_other(entries[place])}{entries[place + 1 :]}"
    return f"{name}[{at}] became {_other(entries[place])}"


def _pins(cell: Cell, module: Content, random: Random) -> str:
    """Swap two bits that the cell reads."""
    places = [(port, at) for port in inputs(cell) for at in range(len(cell["connections"][port]))]
    if len(places) < 2:
        return ""
    first, second = (places[index] for index in random.choice(len(places), 2, replace=False))
    ports = cell["connections"]
    a, b = ports[first[0]][first[1]], ports[second[0]][second[1]]
    ports[first[0]][first[1]], ports[second[0]][second[1]] = b, a
    return f"{first[0]}[{first[1]}] and {second[0]}[{second[1]}] swapped" if a != b else ""


def _bypass(cell: Cell, module: Content, random: Random) -> str:
    """Leave a register out: what reads it reads what it would become."""
    if cell["type"] not in CLOCKED:
        return ""
    at = int(random.integers(len(cell["connections"]["Q"])))
    out, data = cell["connections"]["Q"][at], cell["connections"][CLOCKED[cell["type"]][0]][at]
    for other in module["cells"].values() if cell["type"] == "$dff" else ():
        if other["type"] == "$mux" and data in other["connections"]["Y"]:
            data = other["connections"]["B"][other["connections"]["Y"].index(data)]
            break
    for bits in _readings(module):
        bits[:] = [data if bit == out else bit for bit in bits]
    return f"the register of Q[{at}] left out"


def _readings(module: Content) -> Iterator[list[int | str]]:
    """Yield all places where nets of a module are read."""
    for cell in module["cells"].values():
        yield from (cell["connections"][port] for port in inputs(cell))
    yield from (port["bits"] for port in module["ports"].values() if port["direction"] == "output")


def _enable(cell: Cell, module: Content, random: Random) -> str:
    port = "S" if cell["type"] == "$mux" else CLOCKED.get(cell["type"], ("", ""))[1]
    if not port or isinstance(cell["connections"].get(port, "0")[0], str):
        return ""
    cell["connections"][port] = [str(random.integers(2))]
    return f"{port} became {cell['connections'][port][0]}"


def _reset(cell: Cell, module: Content, random: Random) -> str:
    port = {"FDRE": "R", "FDSE": "S", "TRELLIS_FF": "LSR"}.get(cell["type"])
    if port is None:
        return ""
    nets = [(name, at) for name, net in sorted(module["netnames"].items()) for at, bit in enumerate(net["bits"])
            if not isinstance(bit, str)]  # fmt: skip
    name, at = nets[random.integers(len(nets))]
    cell["connections"][port] = [module["netnames"][name]["bits"][at]]
    return f"{port} reads {name}[{at}]"


FAULTS: Mapping[str, Callable[[Cell, Content, Random], str]] = {
    "operator": _operator, "constant": _constant, "bit index": _index, "sign extension": _extension,
    "memory word": _memory, "LUT entry": _table, "swapped pins": _pins, "register left out": _bypass,
    "enable": _enable, "reset": _reset,
}  # fmt: skip
