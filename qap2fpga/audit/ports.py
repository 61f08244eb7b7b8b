# SPDX-License-Identifier: Apache-2.0
"""What the user says of the ports of hardware that another tool made: `ports.yaml`, beside its Verilog."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from qap2fpga.exact.integers import width
from qap2fpga.ir.tensors import Range
from qap2fpga.system import codec, documents
from qap2fpga.system.codec import Size, tree
from qap2fpga.system.errors import QapError
from qap2fpga.system.reading import is_file, shown, yaml_object

FILE = "ports.yaml"
HINT = f"{documents.place('audit')} has an example"
IDENTIFIER = re.compile(r"[A-Za-z_]\w*", re.ASCII)
# Files in the folder and below it, which Yosys takes for Verilog.
SOURCE = re.compile(r"(\w[\w.-]*/)*\w[\w.-]*\.(v|sv)", re.ASCII)
MOST_BITS, MOST_EXPONENT = 62, 31
# Cycles that a frame may be on its way, or apart from the next.
MOST_CYCLES = 10_000
# Verilog that reads other files, and comments, in which it is only spoken of.
READS = re.compile(r"`include\b|\$readmem[bh]\b|\$fopen\b|\$fread\b")
COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)

Ints = int | tuple[int, ...]
Signs = bool | tuple[bool, ...]


@dataclass(frozen=True)
class Port:
    """A port with all values of a beat, the first in the lowest bits.

    `bits` and `signed` are of each value, or of all; an input of 0 bits is not taken, an output of 0 bits is 0. A value
    times 2 to its `exponent` is the network's integer.
    `lanes`: values of a beat; None: a frame is one beat. `valid` and `ready` are the handshake's, empty without one.
    """

    port: str
    bits: Ints
    signed: Signs = False
    exponent: Ints = 0
    lanes: Size | None = None
    valid: str = ""
    ready: str = ""


@dataclass(frozen=True)
class Ports:
    """The module `top` and its ports. Without `latency`, in cycles, both ports have a handshake.

    `interval`: cycles between two frames, for how long a result is waited for.
    """

    top: str
    input: Port
    output: Port
    sources: tuple[str, ...] = ()
    clock: str = ""
    reset: str = ""
    reset_active: Literal["low", "high"] = "low"
    latency: Annotated[int, codec.Range(0, MOST_CYCLES)] | None = None
    interval: Annotated[int, codec.Range(1, MOST_CYCLES)] = 1


@dataclass(frozen=True)
class Lanes:
    """The values of a beat of one port: of each its bits, sign and exponent."""

    bits: tuple[int, ...]
    signed: tuple[bool, ...]
    exponents: tuple[int, ...]

    @property
    def total(self) -> int:
        """Bits of the port."""
        return sum(self.bits)


def load(path: Path) -> Ports:
    """Return what the file at `path` says. Raises `QapError` for what is missing, unknown, or contradicts itself."""
    ports = tree(Ports, yaml_object(path, HINT), "", str(path))
    names = {"top": ports.top, "clock": ports.clock, "reset": ports.reset}
    for kind, port in (("input", ports.input), ("output", ports.output)):
        names |= {f"{kind}.port": port.port, f"{kind}.valid": port.valid, f"{kind}.ready": port.ready}
        if bool(port.valid) != bool(port.ready) or bool(port.valid) == (ports.latency is not None):
            raise QapError(f"{path}: {kind} has no whole handshake, or a latency beside it",
                           "give valid and ready of both ports, or a latency and neither")  # fmt: skip
    for key, name in names.items():
        if (name or key in ("top", "input.port", "output.port")) and not IDENTIFIER.fullmatch(name):
            raise QapError(f"{path}: {key} = {shown(name)}", "give the name of a module or port: letters, digits, _")
    used = [name for key, name in names.items() if name and key != "top"]
    if len(set(used)) < len(used):
        raise QapError(f"{path}: two ports have one name", "give each its own")
    if not ports.clock and (ports.latency != 0 or ports.reset):
        raise QapError(f"{path}: no clock", "give clock, or latency: 0 of what has no registers")
    if ports.latency is not None and (ports.input.lanes or ports.output.lanes):
        raise QapError(f"{path}: lanes, beside a latency", "a frame is one beat where there is no handshake")
    if any(exponent for exponent in _each(ports.input.exponent, 1)):
        raise QapError(f"{path}: input.exponent", "the input takes the network's integers as they are")
    return ports


def sources(ports: Ports, folder: Path) -> list[Path]:
    """Return the Verilog files: those that are named, or all in the folder and below it."""
    every = (path.relative_to(folder).as_posix() for path in folder.rglob("*"))
    names = ports.sources or sorted(name for name in every if SOURCE.fullmatch(name))
    if not names:
        raise QapError(f"{folder}: no Verilog in it", "files that end in .v or .sv")
    for name in names:
        if not SOURCE.fullmatch(name) or not is_file(folder / name):
            raise QapError(f"{folder}: no file {shown(name)} in it", "sources are names of files there, .v or .sv")
        if not (folder / name).resolve().is_relative_to(folder.resolve()):
            raise QapError(f"{folder}: {shown(name)} leads out of it", "copy the file into the folder")
        reads = READS.search(COMMENT.sub("", (folder / name).read_text(encoding="latin-1")))
        if reads:
            what = f"{folder / name} has {reads[0]}, which reads another file"
            raise QapError(what, "write that file's content in its place")
    return [folder / name for name in names]


def lanes(port: Port, elements: int, kind: str) -> Lanes:
    """Return the values of a beat of `port`, of frames of `elements` values. Raises `QapError` where they do not fit.

    `kind` is what messages call the port.
    """
    count = port.lanes or elements
    if elements % count:
        raise QapError(f"{kind}: a frame of {elements} values is no number of beats of {count}", HINT)
    signs = tuple(map(bool, _each(port.signed, count)))
    side = Lanes(_each(port.bits, count), signs, _each(port.exponent, count))
    for name, values in (("bits", side.bits), ("signed", side.signed), ("exponent", side.exponents)):
        if len(values) != count:
            raise QapError(f"{kind}.{name} has {len(values)} values, a beat has {count}", HINT)
    if any(abs(exponent) > MOST_EXPONENT for exponent in side.exponents):
        raise QapError(f"{kind}.exponent is beyond {MOST_EXPONENT}", HINT)
    low = min(0, *side.exponents)
    if (
        not any(side.bits)
        or not all(0 <= bits <= MOST_BITS for bits in side.bits)
        or any(bits + exponent - low > MOST_BITS for bits, exponent in zip(side.bits, side.exponents, strict=True))
    ):
        raise QapError(f"{kind}: values of no bits, or of more than {MOST_BITS} with their exponents", HINT)
    return side


def given(lanes: Lanes, values: Range, positions: int) -> Lanes:
    """Return the values of a beat that come in, `values` at each of `positions`: also those that are not taken."""
    bits, signed = list(lanes.bits), list(lanes.signed)
    for index, (low, high) in enumerate(values.ends * positions):
        lane = index % len(bits)
        if not lanes.bits[lane]:
            bits[lane] = max(bits[lane], width(low, high) + (low >= 0))
            signed[lane] = signed[lane] or low < 0
    return Lanes(tuple(bits), tuple(signed), lanes.exponents)


def require_fit(lanes: Lanes, values: Range, positions: int) -> None:
    """Raise `QapError` where an input value of the network may not fit its bits."""
    ends = values.ends * positions
    for index, (bits, signed) in enumerate(zip(lanes.bits, lanes.signed, strict=True)):
        # Beats of some of the values repeat the lanes.
        for low, high in set(ends[index :: len(lanes.bits)]):
            if bits and ((low < 0 and not signed) or width(min(low, -1) if signed else low, high) > bits):
                what = f"{'signed' if signed else 'unsigned'} of {bits} bits"
                raise QapError(f"input: value {index} is {what}, the network's integers are {low} to {high}", HINT)


def _each(values: int | tuple[int, ...], count: int) -> tuple[int, ...]:
    return values if isinstance(values, tuple) else (values,) * count
