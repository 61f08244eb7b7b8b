# SPDX-License-Identifier: Apache-2.0
"""The instances of a design's top module, their parameters, and the contents of their memories, as Yosys reads them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from qap2fpga.prove.cells import NotProven

Content = Mapping[str, Any]


@dataclass(frozen=True)
class Memory:
    """A memory that nothing writes: its words, as bits (words, width) with the lowest one first."""

    name: str
    bits: np.ndarray

    def fields(self, count: int, size: int, *, signed: bool) -> np.ndarray:
        """Return `count` numbers of `size` bits of every word (words, count); what lies above them is padding."""
        words, width = self.bits.shape
        if count * size > width:
            raise NotProven(f"{self.name}: {width} bits do not hold {count} numbers of {size} bits")
        worth = 1 << np.arange(size, dtype=np.int64)
        if signed:
            worth[-1] = -worth[-1]
        return self.bits[:, : count * size].reshape(words, count, size).astype(np.int64) @ worth


@dataclass(frozen=True)
class Instance:
    """An instance of the top module: `kind` is FINN's or our module that does the work, called with `parameters`.

    `nets` are what its ports are connected with; `module` of `contents` is what Yosys made of its SystemVerilog.
    """

    name: str
    kind: str
    parameters: Mapping[str, str]
    nets: Mapping[str, tuple[int | str, ...]]
    module: str
    contents: Content

    def number(self, parameter: str) -> int:
        """Return the value of a parameter that is no negative number. Raises `NotProven` where there is none."""
        text = self.parameters.get(parameter, "")
        if not text or not set(text) <= {"0", "1"}:
            raise NotProven(f"{self.name}: {self.kind} has no number {parameter}")
        return int(text, 2)

    def require(self, **values: int) -> None:
        """Raise `NotProven` unless parameters have these `values`."""
        for parameter, value in values.items():
            if self.number(parameter) != value:
                raise NotProven(f"{self.name}: {parameter} is {self.number(parameter)}, not {value}")

    def memory(self, name: str) -> Memory:
        """Return the memory `name` of the instance, or of the one module below it that has one of this name."""
        holding = [one for one in self._below if name in self.contents[one].get("memories", {})]
        if len(holding) != 1:
            raise NotProven(f"{self.name}: {len(holding)} modules in it have a memory {name}")
        return _memory(f"{self.name}: {name}", self.contents[holding[0]], name)

    @cached_property
    def _below(self) -> tuple[str, ...]:
        """The modules that it is made of."""
        waiting, below = [self.module], dict[str, None]()
        while waiting:
            module = waiting.pop()
            below[module] = None
            kinds = {cell["type"] for cell in self.contents[module]["cells"].values()}
            waiting += sorted(kind for kind in kinds if kind in self.contents and kind not in below)
        return tuple(below)


def instances(calls: Content, contents: Content, top: str) -> Mapping[str, Instance]:
    """Return the instances of `top`, by name.

    `calls` is Yosys' JSON of the plain Verilog alone, where parameters are seen, `contents` that of all sources. A
    wrapper, plain Verilog with one instance, stands for what it wraps.
    """
    if top not in calls or top not in contents:
        raise NotProven(f"there is no module {top}")
    read, every = contents[top]["cells"], calls[top]["cells"]
    if set(every) != {name for name, cell in read.items() if not cell["type"].startswith("$")}:
        raise NotProven(f"{top}: Yosys' two readers see other instances")
    return {name: _instance(name, cell, calls, read[name], contents) for name, cell in every.items()}


def _instance(name: str, cell: Content, calls: Content, read: Content, contents: Content) -> Instance:
    core = cell
    if cell["type"] in calls:
        inside = list(calls[cell["type"]]["cells"].values())
        if len(inside) == 1:
            core = inside[0]
    nets = {port: tuple(bits) for port, bits in read["connections"].items()}
    return Instance(name, core["type"], core["parameters"], nets, read["type"], contents)


def _memory(what: str, module: Content, name: str) -> Memory:
    about = module["memories"][name]
    width, size, start = about["width"], about["size"], about["start_offset"]
    bits = np.full((size, width), -1, np.int8)
    for kind, cell in _ports(module, name):
        if kind != "$meminit_v2":
            raise NotProven(f"{what} is written")
        address = _number(what, cell["connections"]["ADDR"]) - start
        data = np.array([{"0": 0, "1": 1}.get(bit, -1) for bit in cell["connections"]["DATA"]], np.int8)
        if set(cell["connections"]["EN"]) != {"1"} or not 0 <= address <= size - len(data) // width:
            raise NotProven(f"{what}: its content lies elsewhere")
        bits[address : address + len(data) // width] = data.reshape(-1, width)
    if (bits < 0).any():
        raise NotProven(f"{what}: the word at address {np.argwhere(bits < 0)[0][0]} has no content")
    return Memory(what, bits)


def _ports(module: Content, name: str) -> Iterator[tuple[str, Content]]:
    """Yield what gives a memory its contents, or changes them."""
    for cell in module["cells"].values():
        if cell["type"].startswith(("$meminit", "$memwr")) and cell["parameters"]["MEMID"] == f"\\{name}":
            yield cell["type"], cell


def _number(what: str, bits: list[int | str]) -> int:
    if not set(bits) <= {"0", "1"}:
        raise NotProven(f"{what}: its content lies at an address that is no constant")
    return sum(int(bit) << place for place, bit in enumerate(bits))
