# SPDX-License-Identifier: Apache-2.0
"""The netlist of a folded design is its Verilog: each instance of the top module, and what joins them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from qap2fpga.prove import states
from qap2fpga.prove.attempts import side_by_side
from qap2fpga.prove.cells import NotProven
from qap2fpga.prove.equivalence import Equality
from qap2fpga.prove.reading import Modules, module_of

CLOCK = "ap_clk"
Content = Mapping[str, Any]


def prove(contents: Mapping[str, Content], top: str, place: Path, limit_s: float) -> str:
    """Prove that every module of the netlist is the Verilog's, register by register.

    `contents` are what Yosys reads of both. Raises `NotProven` with those that are not, and why. ABC has `limit_s` for
    each module, and its files go to `place`.
    """
    if "netlist" not in contents:
        raise NotProven("there is none yet")
    sides = contents["verilog"], contents["netlist"]

    def compared(name: str, modules: tuple[str, str]) -> Equality | str:
        try:
            return _compare(sides, modules, place, name, limit_s, whole=name == top)
        except NotProven as error:
            return str(error)

    results = side_by_side([partial(compared, name, modules) for name, modules in _modules(sides, top)])
    done = [one for one in results if not isinstance(one, str)]
    left = [one for one in results if isinstance(one, str)]
    if left:
        raise NotProven(f"{'; '.join(left)}; the other {len(done)} of {len(done) + len(left)} modules are")
    outputs, solved = (sum(getattr(one, key) for one in done) for key in ("outputs", "solved"))
    how = "register by register; DSPs have the same parameters and inputs"
    return f"{how}; {len(done)} modules, {outputs:,} bits between them, {solved:,} of them by SAT"


def _modules(sides: tuple[Content, Content], top: str) -> Iterator[tuple[str, tuple[str, str]]]:
    """Yield the instances of the top module, with their modules in Verilog and netlist, and the top module itself."""
    if not all(top in side for side in sides):
        raise NotProven(f"there is no module {top}")
    verilog, netlist = (side[top]["cells"] for side in sides)
    for name, cell in verilog.items():
        if cell["type"] in sides[0]:
            if name not in netlist:
                raise NotProven(f"{top}: there is no {name} in the netlist")
            yield name, (cell["type"], netlist[name]["type"])
    yield top, (top, top)


def _compare(
    sides: tuple[Content, Content], modules: tuple[str, str], place: Path, name: str, limit_s: float, *, whole: bool
) -> Equality:
    """Prove that a module is the Verilog's; `whole`: it is the top module, with the others inside."""
    gold, gate = (
        states.State(module_of(module, side), _inside(side, module) if whole else Modules(), CLOCK)
        for module, side in zip(modules, sides, strict=True)
    )
    return states.compare(gold, gate, place, name, limit_s)


def _inside(side: Content, top: str) -> Modules:
    """Return the modules of a top module's instances."""
    kinds = {cell["type"] for cell in side[top]["cells"].values()}
    return Modules({kind: module_of(kind, side) for kind in kinds if kind in side})
