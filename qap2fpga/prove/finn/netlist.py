# SPDX-License-Identifier: Apache-2.0
"""The netlist of a folded design is its Verilog: each instance of the top module, and what joins them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from qap2fpga.prove import states
from qap2fpga.prove.attempts import side_by_side
from qap2fpga.prove.cells import NotProven
from qap2fpga.prove.equivalence import Equality
from qap2fpga.prove.reading import Module, Modules, module_of

CLOCK = "ap_clk"
Content = Mapping[str, Any]
Compared = dict[str, Equality | str]


def everything(_name: str) -> bool:
    """Take every module."""
    return True


def prove(
    contents: Mapping[str, Content], top: str, place: Path, limit_s: float,
    take: Callable[[str], bool] = everything, others: Callable[[], Compared] = dict,
) -> str:  # fmt: skip
    """Prove that every module of the netlist is the Verilog's, register by register.

    `contents` are what Yosys reads of both. Raises `NotProven` with those that are not, and why. ABC has `limit_s` for
    each module, and its files go to `place`. What `take` refuses is among `others`, which another process has compared.
    """
    results = compared(contents, top, place, limit_s, take)
    names = [name for name, _ in _modules(contents, top)]
    if len(results) < len(names):
        results |= others()
    done = [one for name in names if not isinstance(one := results[name], str)]
    left = [one for name in names if isinstance(one := results[name], str)]
    if left:
        raise NotProven(f"{'; '.join(left)}; the other {len(done)} of {len(done) + len(left)} modules are")
    outputs, solved = (sum(getattr(one, key) for one in done) for key in ("outputs", "solved"))
    how = "register by register; DSPs have the same parameters and inputs"
    return f"{how}; {len(done)} modules, {outputs:,} bits between them, {solved:,} of them by SAT"


def compared(
    contents: Mapping[str, Content], top: str, place: Path, limit_s: float, take: Callable[[str], bool] = everything
) -> Compared:
    """Compare the modules that `take` accepts, by instance, the largest first: what came of it, or why it did not."""
    if "netlist" not in contents:
        raise NotProven("there is none yet")
    sides = contents["verilog"], contents["netlist"]

    def one(name: str, modules: tuple[str, str]) -> Equality | str | None:
        if not take(name):
            return None
        try:
            gold, gate = (_state(side, module, whole=name == top) for side, module in zip(sides, modules, strict=True))
            return states.compare(gold, gate, place, name, limit_s)
        except NotProven as error:
            return str(error)

    parts = sorted(_modules(contents, top), key=lambda part: -len(sides[0][part[1][0]]["cells"]))
    results = side_by_side([partial(one, *part) for part in parts])
    return {name: result for (name, _), result in zip(parts, results, strict=True) if result is not None}


def _state(side: Content, name: str, *, whole: bool) -> states.State:
    """Return a module to be compared; `whole`: it is the top module, between the ports of the others."""
    module = module_of(name, side)
    kinds = {one.module for one in module.instances} if whole else set()
    return states.State(module, Modules({kind: _ports(side, kind) for kind in kinds}), CLOCK)


def _ports(side: Content, name: str) -> Module:
    """Return a module's ports without what is between them."""
    return module_of(name, {name: {**side[name], "cells": {}}})


def _modules(contents: Mapping[str, Content], top: str) -> Iterator[tuple[str, tuple[str, str]]]:
    """Yield the instances of the top module, with their modules in Verilog and netlist, and the top module itself."""
    sides = contents["verilog"], contents["netlist"]
    if not all(top in side for side in sides):
        raise NotProven(f"there is no module {top}")
    verilog, netlist = (side[top]["cells"] for side in sides)
    for name, cell in verilog.items():
        if cell["type"] in sides[0]:
            if name not in netlist:
                raise NotProven(f"{top}: there is no {name} in the netlist")
            yield name, (cell["type"], netlist[name]["type"])
    yield top, (top, top)
