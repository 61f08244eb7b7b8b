# SPDX-License-Identifier: Apache-2.0
"""Netlists as Verilog."""

from __future__ import annotations

from collections.abc import Iterator
from typing import assert_never

from qap2fpga.backends.rtl.netlist.cells import (
    AtLeast,
    Choose,
    Compare,
    Complement,
    Input,
    Level,
    Limit,
    Netlist,
    Register,
    Sum,
    Table,
    Wiring,
)
from qap2fpga.backends.rtl.netlist.wiring import Concat, Constant, Copies, Net, Slice, Vector


def module(name: str, netlist: Netlist) -> str:
    """Return the text of the module `name`: `x` in, `y` out, all registers move together while `move`."""
    inputs = sum(wire.bits for wire in netlist.inputs)
    outputs = sum(wire.bits for wire in netlist.outputs)
    lanes = ", ".join(wire.net.name for wire in reversed(netlist.outputs))
    registers = [cell for cell in netlist.cells if isinstance(cell, Register)]
    ports = ",\n  ".join(
        ["input  wire  ap_clk", "input  wire  move", f"input  wire [{inputs - 1}:0]  x",
         f"output wire [{outputs - 1}:0]  y"]
    )  # fmt: skip
    # An assignment cuts bits that the register's range does not need.
    clocked = [f"    if(move)  {cell.out.net.name} <= {cell.source.name};" for cell in registers]
    block = ["  always @(posedge ap_clk) begin", *clocked, "  end"] if clocked else []
    body = _Printer(netlist).lines()
    return "\n".join([f"module {name} (\n  {ports}\n);", *body, f"  assign y = {{{lanes}}};", *block, "endmodule", ""])


def vector(value: Vector) -> str:
    """Return the expression of `value`."""
    match value:
        case Net(name):
            return name
        case Slice(net, first, bits):
            return f"{net.name}[{first + bits - 1}:{first}]"
        case Copies(net, place, times):
            return f"{{{times}{{{net.name}[{place}]}}}}"
        case Constant(number, bits, radix):
            digits = {"b": f"{number:b}", "d": str(number), "h": f"{number:x}"}
            return f"{bits}'{radix}{digits[radix]}"
        case Concat(parts):
            return f"{{{', '.join(map(vector, parts))}}}"
        case other:
            assert_never(other)


class _Printer:
    """`tables` are the columns that have a name, which all tables of the module share."""

    def __init__(self, netlist: Netlist) -> None:
        self.netlist = netlist
        self.tables: dict[tuple[int, int], str] = {}

    def lines(self) -> Iterator[str]:
        """Yield the declaration of every wire and register."""
        for number, cell in enumerate(self.netlist.cells):
            yield from (f"  // {text}" for text in self.netlist.headings.get(number, []))
            net = cell.out.net
            if isinstance(cell, Register):
                yield f"  reg [{net.bits - 1}:0] {net.name};"
                continue
            if isinstance(cell, Table):
                yield from self._columns(cell)
            remark = self.netlist.remarks.get(net)
            yield f"  wire [{net.bits - 1}:0] {net.name} = {self._value(cell)};{f'  // {remark}' if remark else ''}"
        yield from (f"  // {text}" for text in self.netlist.headings.get(len(self.netlist.cells), []))

    def _value(
        self, cell: Input | Wiring | Complement | Sum | Level | Compare | AtLeast | Table | Choose | Limit
    ) -> str:
        match cell:
            case Input(out, first):
                return f"x[{first + out.bits - 1}:{first}]"
            case Wiring():
                return vector(cell.vector)
            case Complement():
                return f"~{vector(cell.vector)}"
            case Sum():
                text = f"{vector(cell.left)} {'-' if cell.subtract else '+'} {vector(cell.right)}"
                return f"~({text})" if cell.complemented else text
            case Level():
                return f"{vector(cell.base)} + {vector(cell.step)} * {vector(cell.count)}"
            case Compare():
                sign = "$signed({})" if cell.signed else "{}"
                return f"{sign.format(vector(cell.left))} >= {sign.format(vector(cell.right))}"
            case AtLeast():
                return _at_least(cell)
            case Table():
                return self._looked_up(cell)
            case Choose():
                return f"{cell.condition.name} ? {vector(cell.then)} : {vector(cell.otherwise)}"
            case Limit():
                return _limited(cell)
            case other:
                assert_never(other)

    def _columns(self, cell: Table) -> Iterator[str]:
        """Yield the parameters of columns that are new."""
        for column in reversed(cell.columns):
            key = cell.entries, column
            if not _same(cell, column) and key not in self.tables:
                self.tables[key] = f"t{len(self.tables)}"
                yield f"  localparam [{cell.entries - 1}:0] {self.tables[key]} = {cell.entries}'h{column:x};"

    def _looked_up(self, cell: Table) -> str:
        """Return the output bit by bit, each a constant indexed by a vector.

        Yosys makes a tree of multiplexers of that at once, where it elaborates a shifter anew for every shifted
        constant.
        """
        parts = (
            f"1'b{column & 1}" if _same(cell, column) else f"{self.tables[cell.entries, column]}[{cell.index.name}]"
            for column in reversed(cell.columns)
        )
        return f"{{{', '.join(parts)}}}"


def _same(cell: Table, column: int) -> bool:
    """Return whether all entries have the same bit in `column`."""
    return column in (0, (1 << cell.entries) - 1)


def _at_least(cell: AtLeast) -> str:
    terms = cell.terms()
    if not terms:
        return "1'b1"
    texts = [f"{'~' * inverted}{cell.value.name}[{bit}]" for bit, inverted, _ in terms]
    result = texts[0]
    for text, (_, _, needed) in zip(texts[1:], terms[1:], strict=True):
        result = f"({text} {'&' if needed else '|'} {result})"
    return result


def _limited(cell: Limit) -> str:
    text = cell.value.name
    if cell.above is not None:
        text = f"({cell.above.name} ? {vector(cell.top)} : {text})"
    if cell.inside is not None:
        text = f"({cell.inside.name} ? {text} : {vector(Constant(0, cell.value.bits))})"
    return text
