# SPDX-License-Identifier: Apache-2.0
"""Verilog as Yosys reads it, and netlists: modules of cells between bits.

A bit is a number: 0 and 1 are constants, `UNDRIVEN` is a bit without a value, others are nets of the module.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import chain
from pathlib import Path
from typing import Any

from qap2fpga.prove.attempts import side_by_side
from qap2fpga.prove.blocks import DSPS, Box, box, memory
from qap2fpga.prove.cells import UNDRIVEN, Bits, NotProven, Parameters, Part, Ports, Register, cells, clocked, split
from qap2fpga.prove.primitives import primitive, registers
from qap2fpga.prove.selections import KINDS as SELECTIONS
from qap2fpga.prove.selections import selections
from qap2fpga.synth.jobs import Job, ask
from qap2fpga.system.codec import Record
from qap2fpga.system.errors import QapError

WORKER = Path(__file__).with_name("worker.py")
LIMIT_S = 600.0
# What can be read of a design.
FLAT, VERILOG, NETLIST = ALL = ("flat", "verilog", "netlist")
# Where a backquote or a dollar means something else than to Verilog's preprocessor and its system tasks.
SKIPPED = re.compile(rb'"(?:\\.|[^"\\])*"|\\[!-~]+|//[^\n]*|/\*.*?\*/', re.DOTALL)
# Directives include files, and can put any word together; these tasks read memories.
OTHER_FILES = re.compile(rb"`|\$readmem[bh]\b")


@dataclass(frozen=True, kw_only=True)
class OneReading(Record):
    """Verilog files to read, and where Yosys' JSON of them goes.

    They are flattened if `flat`; else modules with a reset alone are, which are those of the control.
    """

    sources: tuple[str, ...]
    flat: bool
    result: str


@dataclass(frozen=True, kw_only=True)
class ReadVerilog(Job):
    """Read several times; answered by `Read`."""

    readings: tuple[OneReading, ...]


@dataclass(frozen=True, kw_only=True)
class Read(Record):
    """How many modules there are."""

    modules: int


@dataclass(frozen=True)
class Instance:
    """An instance of another module of the design; `outputs` are the names of what it gives."""

    name: str
    module: str
    ports: Mapping[str, Bits]
    outputs: frozenset[str] = frozenset()


@dataclass(frozen=True, eq=False)
class Module:
    """A module. `named` are its wires by name: hints of where to look, on which no proof rests.

    `choices` are the conditions of each `$pmux`, of which one at most may hold, by the name of the cell.
    """

    name: str
    inputs: Mapping[str, Bits]
    outputs: Mapping[str, Bits]
    parts: tuple[Part, ...]
    registers: tuple[Register, ...]
    instances: tuple[Instance, ...]
    named: Mapping[str, Bits] = field(repr=False)
    boxes: tuple[Box, ...] = ()
    choices: tuple[tuple[str, Bits], ...] = ()

    def single(self, port: str) -> int:
        """Return the one bit of an input. Raises `NotProven` where there is no such port."""
        bits = self.inputs.get(port, ())
        if len(bits) != 1:
            raise NotProven(f"{self.name}: no port '{port}' of one bit")
        return bits[0]

    def wire(self, bit: int) -> int:
        """Return the bit that `bit` is a wire of."""
        while isinstance(part := self.drivers.get(bit), Part) and part.kind == "same":
            bit = part.operands[0][part.driven.index(bit)]
        return bit

    @cached_property
    def drivers(self) -> Mapping[int, Part | Register]:
        """What drives each net. Raises `NotProven` for one that two drive."""
        drivers: dict[int, Part | Register] = {}
        leaves = {bit for port in self.inputs.values() for bit in port}
        every: tuple[Part | Register, ...] = (*self.parts, *self.registers)
        for one in every:
            for bit in one.driven:
                if bit in drivers or bit in leaves or bit in (UNDRIVEN, 0, 1):
                    raise NotProven(f"{self.name}: a net at {one.name} has two drivers")
                drivers[bit] = one
        given = [bit for one in self.instances for port in one.outputs for bit in one.ports.get(port, ())]
        given += [bit for one in self.boxes for bit in one.output]
        if len(set(given)) < len(given) or not {*leaves, *drivers, UNDRIVEN, 0, 1}.isdisjoint(given):
            raise NotProven(f"{self.name}: a net at an instance has two drivers")
        return drivers

    @cached_property
    def readers(self) -> Mapping[int, list[Part]]:
        """The logic that reads each net, or a constant."""
        readers: dict[int, list[Part]] = {}
        for part in self.parts:
            for bit in {bit for operand in part.operands for bit in operand}:
                readers.setdefault(bit, []).append(part)
        return readers


class Modules(dict[str, Module]):
    """Modules by name. To ask for another one is `NotProven`."""

    def __missing__(self, name: str) -> Module:
        raise NotProven(f"there is no module {name}")


@dataclass(frozen=True)
class Reading:
    """A design as `elaborated` gave it. What is asked for is made of it then, so that only its proof fails with it."""

    contents: Mapping[str, Any]
    top: str

    @cached_property
    def flat(self) -> Module:
        """The Verilog in one module."""
        return modules(self.contents[FLAT])[self.top]

    @cached_property
    def verilog(self) -> Modules:
        """The Verilog's modules."""
        return modules(self.contents[VERILOG])

    @cached_property
    def netlist(self) -> Modules:
        """The netlist's modules; none where there is no netlist."""
        return modules(self.contents[NETLIST]) if NETLIST in self.contents else Modules()


def elaborated(
    verilog: Sequence[Path], netlist: Sequence[Path], top: str, place: Path, limit_s: float = LIMIT_S,
    wanted: Sequence[str] = ALL,
) -> dict[str, Any]:  # fmt: skip
    """Return Yosys' JSON of what is `wanted`: of the `verilog`, the same `flat`, and of the `netlist`, if there is one.

    Raises `QapError` for a file that may make Yosys read others: what was read is all in the certificate.
    """
    for path in (*verilog, *netlist):
        require_alone(path)
    return _read(verilog, netlist, top, place, limit_s, wanted)


def flattened(verilog: Sequence[Path], top: str, place: Path, limit_s: float = LIMIT_S) -> Module:
    """Return the module `top` of Verilog that reads no other files, as the caller has seen, with all that is below."""
    return Reading(_read(verilog, (), top, place, limit_s, (FLAT,)), top).flat


def _read(
    verilog: Sequence[Path], netlist: Sequence[Path], top: str, place: Path, limit_s: float,
    wanted: Sequence[str],
) -> dict[str, Any]:  # fmt: skip
    """Return Yosys' JSON of what is `wanted`."""
    jobs = {FLAT: (verilog, True), VERILOG: (verilog, False), NETLIST: (netlist, False)}
    readings = {
        name: OneReading(sources=tuple(str(path.resolve()) for path in sources), flat=flat,
                         result=str((place / f"{name}.json").resolve()))
        for name, (sources, flat) in jobs.items() if sources and name in wanted
    }  # fmt: skip

    def read(name: str, one: OneReading) -> dict[str, Any]:
        job = ReadVerilog(top=top, readings=(one,))
        what = "reading for a proof"
        ask(WORKER, job, Read, name=f"read-{name}", what=what, logs=place, place=place, limit_s=limit_s)
        content: dict[str, Any] = json.loads(Path(one.result).read_text())
        return content

    contents = side_by_side([partial(read, name, one) for name, one in readings.items()])
    return dict(zip(readings, contents, strict=True))


def require_alone(path: Path) -> None:
    """Raise `QapError` for Verilog that is more than its own text."""
    text = path.read_bytes()
    if OTHER_FILES.search(text) and (match := OTHER_FILES.search(SKIPPED.sub(b" ", text))):
        what = "a directive" if match[0] == b"`" else match[0].decode()
        raise QapError(
            f"{path}: {what}, by which other files may be read; a certificate names every file that was",
            "write out what it stands for, or build the model again",
        )


def modules(content: Mapping[str, Any]) -> Modules:
    """Return the modules of Yosys' JSON."""
    known = content["modules"]
    return Modules({name: module_of(name, known) for name in known})


def module_of(name: str, known: Mapping[str, Any]) -> Module:
    """Return one of the modules that Yosys' JSON has. Raises `NotProven` where there is none."""
    if name not in known:
        raise NotProven(f"there is no module {name}")
    content = known[name]
    named = {wire: _bits(one["bits"]) for wire, one in content["netnames"].items()}
    initial = dict(_initial(content["netnames"]))
    ports = content["ports"]
    parts: list[Part] = []
    registers: list[Register] = []
    instances: list[Instance] = []
    boxes: list[Box] = []
    choices: list[tuple[str, Bits]] = []
    for cell, one in content["cells"].items():
        connections = {port: _bits(bits) for port, bits in one["connections"].items()}
        kind = one["type"]
        if kind in known and "blackbox" not in known[kind].get("attributes", {}):
            directions = known[kind]["ports"].items()
            outputs = frozenset(port for port, its in directions if its["direction"] != "input")
            instances.append(Instance(cell, kind, connections, outputs))
            continue
        try:
            if kind in DSPS:
                boxes.append(box(cell, kind, one["parameters"], connections))
            elif (block := memory(cell, kind, one["parameters"], connections)) is not None:
                parts += chain.from_iterable(map(split, _fitting(block.parts)))
                registers += block.registers
                _add(named, block.named)
            else:
                logic, clocked_bits = _cell(cell, kind, one["parameters"], connections, initial)
                parts += logic
                registers += clocked_bits
                choices += [(cell, connections["S"])] if kind == "$pmux" else []
        except (KeyError, IndexError, ValueError) as error:
            raise NotProven(f"{cell}: its ports or parameters are not those of a {kind}") from error
    by_direction = {
        direction: {port: _bits(one["bits"]) for port, one in ports.items() if one["direction"] == direction}
        for direction in ("input", "output")
    }
    if len(ports) != sum(map(len, by_direction.values())):
        raise NotProven(f"{name}: a port is neither input nor output")
    return Module(name, by_direction["input"], by_direction["output"], tuple(parts), tuple(registers), tuple(instances),
                  named, tuple(boxes), tuple(choices))  # fmt: skip


def _add(named: dict[str, Bits], more: Mapping[tuple[str, int], int]) -> None:
    """Add bits of the words of a memory, by word and place, to the wires by name."""
    for (word, place), bit in more.items():
        bits = named.get(word, ())
        bits += (UNDRIVEN,) * (place + 1 - len(bits))
        named[word] = (*bits[:place], bit, *bits[place + 1 :])


def _cell(
    name: str, kind: str, parameters: Parameters, ports: Ports, initial: Mapping[int, str]
) -> tuple[list[Part], list[Register]]:
    """Return what a cell is made of. Raises `NotProven`, or whatever comes of ports and parameters that it lacks."""
    if kind == "$dff":
        return [], clocked(name, parameters, ports, initial)
    if every := registers(name, kind, parameters, ports):
        return [], every
    model = selections if kind in SELECTIONS else cells
    parts = primitive(name, kind, parameters, ports) or model(name, kind, parameters, ports)
    return list(chain.from_iterable(map(split, _fitting(parts)))), []


def _fitting(parts: Iterable[Part]) -> list[Part]:
    """Return `parts`. Raises `ValueError` where one has operands of other sizes than its function takes."""
    every = list(parts)
    if not all(part.fits for part in every):
        raise ValueError("operands of other sizes")
    return every


def _bits(bits: Sequence[int | str]) -> Bits:
    return tuple(bit if isinstance(bit, int) else {"0": 0, "1": 1}.get(bit, UNDRIVEN) for bit in bits)


def _initial(wires: Mapping[str, Any]) -> Iterator[tuple[int, str]]:
    """Yield the bits that have a value at the start, and that value."""
    for wire in wires.values():
        value = wire.get("attributes", {}).get("init")
        if value is not None:
            yield from zip(_bits(wire["bits"]), reversed(value), strict=False)
