# SPDX-License-Identifier: Apache-2.0
"""The cells of a pipelined module. Each drives one wire and reads vectors; cells are told apart by identity."""

from __future__ import annotations

from dataclasses import dataclass, field

from qap2fpga.backends.rtl.netlist.wiring import Constant, Net, Slice, Vector, Wire


@dataclass(frozen=True, eq=False)
class Input:
    """A lane of the module's input, from bit `first` on."""

    out: Wire
    first: int

    @property
    def operands(self) -> tuple[Vector, ...]:
        """Nothing within the module."""
        return ()


@dataclass(frozen=True, eq=False)
class Wiring:
    """`vector` as it is: slices, shifts, extensions, concatenations and constants."""

    out: Wire
    vector: Vector

    @property
    def operands(self) -> tuple[Vector, ...]:
        """What is read."""
        return (self.vector,)


@dataclass(frozen=True, eq=False)
class Complement:
    """All bits of `vector` inverted: -1 - vector."""

    out: Wire
    vector: Vector

    @property
    def operands(self) -> tuple[Vector, ...]:
        """What is read."""
        return (self.vector,)


@dataclass(frozen=True, eq=False)
class Sum:
    """`left + right`, or `left - right`, modulo the output's bits; -1 minus that if `complemented`."""

    out: Wire
    left: Vector
    right: Vector
    subtract: bool = False
    complemented: bool = False

    @property
    def operands(self) -> tuple[Vector, ...]:
        """What is read."""
        return self.left, self.right


@dataclass(frozen=True, eq=False)
class Level:
    """`base + step * count` modulo the output's bits."""

    out: Wire
    base: Constant
    step: Constant
    count: Vector

    @property
    def operands(self) -> tuple[Vector, ...]:
        """What is read."""
        return (self.count,)


@dataclass(frozen=True, eq=False)
class Compare:
    """`left >= right`; both have equal bits."""

    out: Wire
    left: Vector
    right: Vector
    signed: bool

    @property
    def operands(self) -> tuple[Vector, ...]:
        """What is read."""
        return self.left, self.right


@dataclass(frozen=True, eq=False)
class AtLeast:
    """`value >= constant`, of single bits without a carry chain; `constant` is one of the integers of `value`."""

    out: Wire
    value: Net
    signed: bool
    constant: int

    def __post_init__(self) -> None:
        half = 1 << self.value.bits - 1
        low, high = (-half, half - 1) if self.signed else (0, 2 * half - 1)
        if not low <= self.constant <= high:
            raise AssertionError(f"{self.value.name} of {self.value.bits} bits compared with {self.constant}")

    def terms(self) -> list[tuple[int, bool, bool]]:
        """Return (bit, inverted, and) of the bits that are read, the lowest first.

        The result is the lowest bit; each bit above it is combined with the result by `and`, or else by or. No bits:
        every value is at least the constant.
        """
        terms: list[tuple[int, bool, bool]] = []
        for bit in range(self.value.bits):
            sign = self.signed and bit == self.value.bits - 1
            needed = bool(self.constant >> bit & 1) != sign
            if needed or terms:
                terms.append((bit, sign, needed))
        return terms

    @property
    def operands(self) -> tuple[Vector, ...]:
        """The bits that are read, the highest first."""
        return tuple(Slice(self.value, bit, 1) for bit, _, _ in reversed(self.terms()))


@dataclass(frozen=True, eq=False)
class Table:
    """Entry number `index`: bit i of a column is what the output's bit is for index i; the lowest bit's column first.

    There are as many entries as `index` has values.
    """

    out: Wire
    index: Net
    columns: tuple[int, ...]

    @property
    def entries(self) -> int:
        """How many there are."""
        return 1 << self.index.bits

    @property
    def operands(self) -> tuple[Vector, ...]:
        """What is read."""
        return (self.index,)


@dataclass(frozen=True, eq=False)
class Choose:
    """`then` where the bit `condition` is 1, `otherwise` where it is 0."""

    out: Wire
    condition: Net
    then: Vector
    otherwise: Vector

    @property
    def operands(self) -> tuple[Vector, ...]:
        """What is read."""
        return self.condition, self.then, self.otherwise


@dataclass(frozen=True, eq=False)
class Limit:
    """0 where the bit `inside` is 0, else `top` where the bit `above` is 1, else `value`; None: never."""

    out: Wire
    value: Net
    inside: Net | None
    above: Net | None
    top: Constant

    @property
    def operands(self) -> tuple[Vector, ...]:
        """What is read."""
        return tuple(one for one in (self.inside, self.above, self.value) if one is not None)


@dataclass(frozen=True, eq=False)
class Register:
    """The lowest bits of `source` one cycle before."""

    out: Wire
    source: Net

    @property
    def operands(self) -> tuple[Vector, ...]:
        """What is read."""
        return (self.source,)


Cell = Input | Wiring | Complement | Sum | Level | Compare | AtLeast | Table | Choose | Limit | Register


def conditions_of(cell: Cell) -> list[Net]:
    """Return the single bits that a choice is made by; they are its first operands."""
    if isinstance(cell, Choose):
        return [cell.condition]
    return [one for one in (cell.inside, cell.above) if one] if isinstance(cell, Limit) else []


@dataclass(frozen=True, eq=False)
class Netlist:
    """The cells of one module in the order of their making, each after those that it reads; and its outputs.

    `headings` stand before the cell of that number, `remarks` after the cell that drives the net: both for people.
    """

    cells: tuple[Cell, ...]
    outputs: tuple[Wire, ...]
    headings: dict[int, list[str]] = field(default_factory=dict)
    remarks: dict[Net, str] = field(default_factory=dict)

    @property
    def inputs(self) -> list[Wire]:
        """The lanes of the input, in order."""
        return [cell.out for cell in self.cells if isinstance(cell, Input)]

    @property
    def stages(self) -> int:
        """Cycles from the input to the output."""
        return self.outputs[0].stage
