# SPDX-License-Identifier: Apache-2.0
"""What must hold in every netlist: one driver a net, fitting bits, and operands in the stage of what reads them."""

from __future__ import annotations

from collections.abc import Iterator

from qap2fpga.backends.rtl.netlist.cells import (
    Cell,
    Choose,
    Compare,
    Complement,
    Input,
    Limit,
    Netlist,
    Register,
    Table,
    Wiring,
    conditions_of,
)
from qap2fpga.backends.rtl.netlist.wiring import Concat, Copies, Net, Slice, Vector, nets_of


def verify(netlist: Netlist) -> None:
    """Raise `AssertionError`, naming the net, where the generator broke a rule."""
    stage_of: dict[Net, int] = {}
    names: set[str] = set()
    for cell in netlist.cells:
        net = cell.out.net
        fault = _fault(cell, stage_of)
        if net.name in names:
            fault = "is driven twice"
        if fault:
            raise AssertionError(f"net {net.name} {fault}")
        names.add(net.name)
        stage_of[net] = cell.out.stage
    for wire in netlist.outputs:
        if stage_of.get(wire.net) != netlist.stages:
            raise AssertionError(f"output {wire.net.name} is not in stage {netlist.stages}")
        if wire.net.bits != wire.bits:
            raise AssertionError(f"output {wire.net.name} has {wire.net.bits} bits, its range {wire.bits}")


def _fault(cell: Cell, stage_of: dict[Net, int]) -> str:
    """Return what is wrong with `cell`; the nets before it are driven in `stage_of`."""
    out = cell.out
    if out.net.bits != out.bits:
        return f"has {out.net.bits} bits, its range {out.bits}"
    late = isinstance(cell, Register)
    for vector in cell.operands:
        for net in nets_of(vector):
            if net not in stage_of:
                return f"reads {net.name} before it is driven"
            if stage_of[net] + late != out.stage:
                return f"of stage {out.stage} reads {net.name} of stage {stage_of[net]}"
        for part in _beyond(vector):
            return f"reads bits that {part} does not have"
    if isinstance(cell, Input) and out.stage:
        return f"is an input in stage {out.stage}"
    if isinstance(cell, Compare) and cell.left.bits != cell.right.bits:
        return f"compares {cell.left.bits} with {cell.right.bits} bits"
    for condition in conditions_of(cell):
        if condition.bits != 1:
            return f"is chosen by {condition.name} of {condition.bits} bits"
    if isinstance(cell, (Wiring, Complement, Choose, Limit)):
        for vector in cell.operands[len(conditions_of(cell)) :]:
            if vector.bits != out.bits:
                return f"has {out.bits} bits, its operand {vector.bits}"
    if isinstance(cell, Table) and len(cell.columns) != out.bits:
        return f"has {out.bits} bits, its table {len(cell.columns)}"
    return ""


def _beyond(vector: Vector) -> Iterator[str]:
    """Yield the nets of which `vector` takes bits that they do not have."""
    if isinstance(vector, Slice) and not 0 <= vector.first <= vector.first + vector.bits <= vector.net.bits:
        yield vector.net.name
    if isinstance(vector, Copies) and not 0 <= vector.place < vector.net.bits:
        yield vector.net.name
    if isinstance(vector, Concat):
        for part in vector.parts:
            yield from _beyond(part)
