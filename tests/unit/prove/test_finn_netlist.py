# SPDX-License-Identifier: Apache-2.0
"""Netlists of folded designs are their Verilog; single faults in LUTs, registers, DSPs and memories are rejected."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qap2fpga.prove.cells import NotProven
from qap2fpga.prove.finn import netlist, reading
from qap2fpga.prove.finn.run import Shares
from tests.support.folded import subject
from tests.support.graphs import small_chain

pytestmark = pytest.mark.slow
TOP = "finn_design"
RANDOM = np.random.default_rng(3)
# Products in DSPs, weights in block RAM, activations in memories of LUTs.
CHAIN = small_chain(
    [RANDOM.integers(-3, 4, (32, 16)).tolist(), RANDOM.integers(-7, 8, (16, 4)).tolist()],
    [np.sort(RANDOM.integers(-40, 40, (16, 3)), axis=1).tolist()],
)
FOLDS = {"MVAU_rtl_0": {"SIMD": 1, "PE": 1}, "Thresholding_rtl_0": {"PE": 1}, "MVAU_rtl_1": {"SIMD": 4, "PE": 2}}
Contents = dict[str, dict[str, Any]]
Fault = Callable[[dict[str, Any]], None]


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> Contents:
    """What Yosys reads of a design and of its netlist."""
    place = tmp_path_factory.mktemp("netlist")
    one = subject(CHAIN, place, folding=FOLDS)
    return reading.elaborated(one.design, one.netlist, place).contents


def test_the_whole_netlist_is_the_verilog(read: Contents, tmp_path: Path) -> None:
    kinds = {cell["type"] for module in read["netlist"].values() for cell in module["cells"].values()}
    assert {"DSP48E1", "RAMB18E1", "RAM32M", "FDRE", "LUT6"} <= kinds
    assert "DSPs have the same parameters and inputs; " in netlist.prove(read, TOP, tmp_path, 60)


def with_fault(read: Contents, instance: str, fault: Fault) -> Contents:
    """Return one instance alone in the top module, its netlist with a fault."""
    sides = copy.deepcopy({side: dict(read[side]) for side in ("verilog", "netlist")})
    for side in sides.values():
        side[TOP]["cells"] = {instance: side[TOP]["cells"][instance]}
    fault(sides["netlist"][sides["netlist"][TOP]["cells"][instance]["type"]]["cells"])
    return sides


def first(cells: dict[str, Any], kind: str, pin: str = "") -> dict[str, Any]:
    """Return the first cell of a kind that has nets at a pin."""
    every = (cell for cell in cells.values() if cell["type"] == kind)
    cell: dict[str, Any] = next(cell for cell in every if not pin or isinstance(cell["connections"][pin][0], int))
    return cell


def entry(kind: str, parameter: str, at: int) -> Fault:
    """Return what turns one bit of a table."""

    def fault(cells: dict[str, Any]) -> None:
        parameters = first(cells, kind)["parameters"]
        bits = parameters[parameter]
        parameters[parameter] = bits[: -at - 1] + str(1 - int(bits[-at - 1])) + bits[len(bits) - at :]

    return fault


def pins(kind: str, pin: str, other: str) -> Fault:
    """Return what swaps the lowest nets of two pins."""

    def fault(cells: dict[str, Any]) -> None:
        nets = first(cells, kind, pin)["connections"]
        nets[pin][0], nets[other][0] = nets[other][0], nets[pin][0]

    return fault


def constant(kind: str, pin: str, value: str) -> Fault:
    """Return what ties a pin."""

    def fault(cells: dict[str, Any]) -> None:
        first(cells, kind, pin)["connections"][pin][0] = value

    return fault


FAULTS: dict[str, tuple[str, Fault]] = {
    "an entry of a LUT": ("u_MVAU_rtl_0", entry("LUT6", "INIT", 0)),
    "an entry of a LUT of two": ("u_MVAU_rtl_1", entry("LUT6_2", "INIT", 3)),
    "swapped pins of a DSP": ("u_MVAU_rtl_1", pins("DSP48E1", "B", "D")),
    "a DSP's reset": ("u_MVAU_rtl_1", constant("DSP48E1", "RSTB", "0")),
    "a DSP's mode": ("u_MVAU_rtl_1", entry("DSP48E1", "MREG", 0)),
    "a register's enable": ("u_MVAU_rtl_1", constant("FDRE", "CE", "1")),
    "a register's reset": ("u_MVAU_rtl_1", constant("FDRE", "R", "0")),
    "a word in block RAM": ("u_MVAU_rtl_0_weights", entry("RAMB18E1", "INIT_01", 40)),
    "an address of a block RAM": ("u_MVAU_rtl_0_weights", constant("RAMB18E1", "ENARDEN", "1")),
    "data of a memory of LUTs": ("u_MVAU_rtl_0", pins("RAM32M", "DIB", "DIC")),
    "an address of a memory of LUTs": ("u_MVAU_rtl_0", pins("RAM32M", "ADDRA", "ADDRD")),
    "a memory of LUTs is always written": ("u_MVAU_rtl_0", constant("RAM32M", "WE", "1")),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_rejected(read: Contents, name: str, tmp_path: Path) -> None:
    instance, fault = FAULTS[name]
    netlist.prove(with_fault(read, instance, lambda cells: None), TOP, tmp_path, 60)
    with pytest.raises(NotProven, match=instance):
        netlist.prove(with_fault(read, instance, fault), TOP, tmp_path, 60)


def test_a_module_that_is_missing_is_named(read: Contents, tmp_path: Path) -> None:
    sides = with_fault(read, "u_MVAU_rtl_1", lambda cells: None)
    del sides["netlist"][TOP]["cells"]["u_MVAU_rtl_1"]
    with pytest.raises(NotProven, match="there is no u_MVAU_rtl_1 in the netlist"):
        netlist.prove(sides, TOP, tmp_path, 60)
    with pytest.raises(NotProven, match="there is none yet"):
        netlist.prove({"verilog": {}}, TOP, tmp_path, 60)


def test_two_processes_share_the_modules_out(read: Contents, tmp_path: Path) -> None:
    """What the other one has compared counts as if it had been compared here, a fault as well."""
    whole, shares = netlist.prove(read, TOP, tmp_path, 60), Shares(tmp_path)
    assert shares.take("u_MVAU_rtl_1") and not shares.take("u_MVAU_rtl_1")
    theirs = netlist.compared(read, TOP, tmp_path, 60, lambda name: name == "u_MVAU_rtl_1")
    assert list(theirs) == ["u_MVAU_rtl_1"]
    assert netlist.prove(read, TOP, tmp_path, 60, shares.take, lambda: theirs) == whole
    sides = with_fault(read, *FAULTS["a DSP's reset"])
    theirs = netlist.compared(sides, TOP, tmp_path, 60, lambda name: name == "u_MVAU_rtl_1")
    with pytest.raises(NotProven, match="u_MVAU_rtl_1"):
        netlist.prove(sides, TOP, tmp_path, 60, lambda name: name == TOP, lambda: theirs)
    with pytest.raises(KeyError, match="u_MVAU_rtl_1"):
        netlist.prove(sides, TOP, tmp_path, 60, lambda name: name == TOP)
