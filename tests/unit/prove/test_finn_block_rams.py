# SPDX-License-Identifier: Apache-2.0
"""A netlist with block RAMs that are written is its Verilog; single faults in them are rejected."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from qap2fpga.backends.finn.sparse.banking import Fold
from qap2fpga.backends.finn.stream.blocks import Kind
from qap2fpga.prove.cells import NotProven
from qap2fpga.prove.finn import netlist, reading
from qap2fpga.synth import yosys
from tests.support.folded import BOARD
from tests.support.sparse import Deep, block_of, sparse_matrix, unit

pytestmark = pytest.mark.slow
TOP = "finn_design"
Contents = dict[str, dict[str, Any]]
Cell = dict[str, Any]


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> Contents:
    """What Yosys reads of a sparse unit and of its netlist."""
    place = tmp_path_factory.mktemp("block_rams")
    block = block_of(sparse_matrix(64, 8, 0.4, 4), Fold(4, 2, 2), 1, Kind(4, True))
    design = unit(place, Deep.of(block)).design
    mapped = yosys.map_design(design, BOARD, place / "synthesize", threads=1)
    return reading.elaborated(design, mapped.netlist, place).contents


def test_it_is_the_verilog(read: Contents, tmp_path: Path) -> None:
    every = [cell for module in read["netlist"].values() for cell in module["cells"].values()]
    written = [cell for cell in every if cell["type"].startswith("RAMB") and "1" in cell["parameters"]["WRITE_WIDTH_A"]]
    assert len(written) == 4
    netlist.prove(read, TOP, tmp_path, 60)


def _swapped(pin: str, other: str, at: int, place: int) -> Callable[[Cell], None]:
    def fault(cell: Cell) -> None:
        pins = cell["connections"]
        assert pins[pin][at] != pins[other][place]
        pins[pin][at], pins[other][place] = pins[other][place], pins[pin][at]

    return fault


def _tied(pin: str, value: str) -> Callable[[Cell], None]:
    def fault(cell: Cell) -> None:
        assert cell["connections"][pin] != [value] * len(cell["connections"][pin])
        cell["connections"][pin] = [value] * len(cell["connections"][pin])

    return fault


def _set(parameter: str, value: str) -> Callable[[Cell], None]:
    def fault(cell: Cell) -> None:
        assert cell["parameters"][parameter] != value
        cell["parameters"][parameter] = value

    return fault


FAULTS = {
    "two bits of data": _swapped("DIADI", "DIADI", 0, 1),
    "two bits that are read": _swapped("DOBDO", "DOBDO", 2, 3),
    "two bits of the address of writing": _swapped("ADDRARDADDR", "ADDRARDADDR", 3, 4),
    "two bits of the address of reading": _swapped("ADDRBWRADDR", "ADDRBWRADDR", 3, 7),
    "always written": _tied("WEA", "1"),
    "never written": _tied("WEA", "0"),
    "always read": _tied("ENBWREN", "1"),
    "never read": _tied("ENBWREN", "0"),
    "written first": _set("WRITE_MODE_A", "WRITE_FIRST"),
    "a register more": _set("DOB_REG", "1"),
    "words of another size": _set("READ_WIDTH_B", f"{18:032b}"),
    "another clock": _swapped("CLKBWRCLK", "ENBWREN", 0, 0),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_rejected(read: Contents, name: str, tmp_path: Path) -> None:
    other = copy.deepcopy(read)
    cells = other["netlist"][other["netlist"][TOP]["cells"]["u_end"]["type"]]["cells"]
    FAULTS[name](next(cell for cell in cells.values() if "1" in cell["parameters"].get("WRITE_WIDTH_A", "")))
    with pytest.raises(NotProven):
        netlist.prove(other, TOP, tmp_path, 60)


def test_a_word_of_the_program_is_rejected(read: Contents, tmp_path: Path) -> None:
    other = copy.deepcopy(read)
    cells = other["netlist"][other["netlist"][TOP]["cells"]["u_end"]["type"]]["cells"]
    rom = next(cell for cell in cells.values() if "1" in cell["parameters"].get("READ_WIDTH_A", ""))
    bits = rom["parameters"]["INIT_00"]
    at = bits.index("1")
    rom["parameters"]["INIT_00"] = f"{bits[:at]}0{bits[at + 1 :]}"
    with pytest.raises(NotProven, match="u_end"):
        netlist.prove(other, TOP, tmp_path, 60)
