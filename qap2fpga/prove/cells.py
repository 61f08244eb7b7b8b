# SPDX-License-Identifier: Apache-2.0
"""What the cells of Yosys' Verilog reader compute, as a few kinds of parts; `primitives` has those of netlists.

These are models that proofs trust, from Yosys' documentation of its internal cells. A cell, or a mode of one, that is
not here is not proven.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from qap2fpga.prove.algebra import Algebra, B

Bits = tuple[int, ...]
UNDRIVEN = -1
Ports = Mapping[str, Bits]
Parameters = Mapping[str, str]


class NotProven(Exception):
    """A proof that does not go through: which part, and why."""


class Refuted(NotProven):
    """What was to be proven is not so: there is an input that shows it."""


@dataclass(frozen=True, eq=False)
class Part:
    """Logic: `driven` is the function `kind` of `operands`; a 'table' of n bits has 2**n entries in `entries`."""

    name: str
    kind: str
    operands: tuple[Bits, ...]
    driven: Bits
    entries: int = 0

    @property
    def fits(self) -> bool:
        """Whether there are as many operands, of as many bits, as the function takes."""
        sizes, size = [len(operand) for operand in self.operands], len(self.driven)
        match self.kind:
            case "table":
                return size == len(sizes) == 1 and self.entries < 1 << (1 << sizes[0])
            case "pick":
                return size == 1 and sizes[1:] == [1 << sizes[0]]
            case "choose":
                return sizes == [1, size, size]
            case "any":
                return size == 1
            case "at least" | "equal":
                return size == 1 and len(sizes) == 2 and sizes[0] == sizes[1]
        return size > 0 and sizes == [size] * (1 if self.kind in ("same", "not") else 2)

    def evaluate(self, algebra: Algebra[B], operands: list[list[B]]) -> list[B]:
        """Return the driven bits."""
        if self.kind == "table":
            return [lookup(algebra, operands[0], self.entries)]
        return FUNCTIONS[self.kind](algebra, operands)


def evaluate(algebra: Algebra[B], parts: Iterable[Part], bits: dict[int, B]) -> None:
    """Add what `parts`, in their order, drive to `bits`, which has what they read."""
    for part in parts:
        operands = [[bits[bit] for bit in operand] for operand in part.operands]
        bits.update(zip(part.driven, part.evaluate(algebra, operands), strict=True))


@dataclass(frozen=True, eq=False)
class Register:
    """A bit that becomes `value` where `reset`, else `data` where `enable`, `delay` rising edges of `clock` later.

    `initial` is what it begins with, of each of the bits that it is, the first one first.
    """

    name: str
    clock: int
    enable: int
    reset: int
    value: int
    data: int
    out: int
    delay: int = 1
    initial: str = "x"

    @property
    def driven(self) -> Bits:
        """The bit that it drives."""
        return (self.out,)


def lookup(algebra: Algebra[B], index: list[B], entries: int) -> B:
    """Return the bit of `entries` that `index`, lowest bit first, addresses."""
    if not index:
        return algebra.one if entries & 1 else algebra.zero
    half = 1 << len(index) - 1
    low, high = entries & ((1 << half) - 1), entries >> half
    if low == high:
        return lookup(algebra, index[:-1], low)
    return algebra.choose(index[-1], lookup(algebra, index[:-1], low), lookup(algebra, index[:-1], high))


def _sum(algebra: Algebra[B], left: list[B], right: list[B], carry: B) -> tuple[list[B], B]:
    total = []
    for a, b in zip(left, right, strict=True):
        half = algebra.differ(a, b)
        total.append(algebra.differ(half, carry))
        carry = algebra.choose(half, a, carry)
    return total, carry


def _difference(algebra: Algebra[B], left: list[B], right: list[B]) -> tuple[list[B], B]:
    """Return `left - right`, and whether that is not negative (unsigned)."""
    return _sum(algebra, left, [algebra.invert(bit) for bit in right], algebra.one)


def at_least(algebra: Algebra[B], left: list[B], right: list[B]) -> B:
    """Return whether `left`, unsigned, is at least `right`, of as many bits."""
    return _difference(algebra, left, right)[1]


def _any(algebra: Algebra[B], operands: list[list[B]]) -> list[B]:
    result = algebra.zero
    for bit in (bit for operand in operands for bit in operand):
        result = algebra.either(result, bit)
    return [result]


def _pick(algebra: Algebra[B], index: list[B], entries: list[B]) -> B:
    for bit in index:
        entries = [algebra.choose(bit, a, b) for a, b in zip(entries[::2], entries[1::2], strict=True)]
    return entries[0]


def _bitwise(function: Callable[[Algebra[B], B, B], B]) -> Callable[[Algebra[B], list[list[B]]], list[B]]:
    return lambda algebra, operands: [function(algebra, a, b) for a, b in zip(*operands, strict=True)]


def _differ(algebra: Algebra[B], operands: list[list[B]]) -> list[B]:
    return [algebra.differ(a, b) for a, b in zip(*operands, strict=True)]


def _product(algebra: Algebra[B], operands: list[list[B]]) -> list[B]:
    left, right = operands
    total = [algebra.zero] * len(left)
    for place, bit in enumerate(right):
        row = [algebra.zero] * place + [algebra.both(bit, other) for other in left[: len(left) - place]]
        total, _ = _sum(algebra, total, row, algebra.zero)
    return total


FUNCTIONS: Mapping[str, Callable[[Algebra, list[list]], list]] = {  # type: ignore[type-arg]
    "same": lambda algebra, operands: operands[0],
    "not": lambda algebra, operands: [algebra.invert(bit) for bit in operands[0]],
    "and": _bitwise(lambda algebra, a, b: algebra.both(a, b)),
    "or": _bitwise(lambda algebra, a, b: algebra.either(a, b)),
    "xor": _differ,
    "sum": lambda algebra, operands: _sum(algebra, operands[0], operands[1], algebra.zero)[0],
    "difference": lambda algebra, operands: _difference(algebra, operands[0], operands[1])[0],
    "product": _product,
    "at least": lambda algebra, operands: [at_least(algebra, operands[0], operands[1])],
    "equal": lambda algebra, operands: [algebra.invert(bit) for bit in _any(algebra, [_differ(algebra, operands)])],
    "any": _any,
    # The first operand is which of the second one comes out.
    "pick": lambda algebra, operands: [_pick(algebra, operands[0], operands[1])],
    # The first operand is one bit: which of the others comes out.
    "choose": lambda algebra, operands: [
        algebra.choose(operands[0][0], a, b) for a, b in zip(operands[1], operands[2], strict=True)
    ],
}
BITWISE = ("same", "not", "and", "or", "xor", "choose")
ARITHMETIC = {"$add": "sum", "$sub": "difference", "$mul": "product", "$and": "and", "$or": "or", "$xor": "xor"}
COMPARISONS = {
    "$ge": ("at least", 0, 1, False), "$le": ("at least", 1, 0, False), "$lt": ("at least", 0, 1, True),
    "$gt": ("at least", 1, 0, True), "$eq": ("equal", 0, 1, False), "$ne": ("equal", 0, 1, True),
}  # fmt: skip


def cells(name: str, kind: str, parameters: Parameters, ports: Ports) -> Iterator[Part]:
    """Yield the parts that a cell is made of. Raises `NotProven` for a kind that is not known."""
    if kind in ARITHMETIC:
        size = len(ports["Y"])
        operands = tuple(extended(ports[port], parameters, size) for port in "AB")
        yield Part(name, ARITHMETIC[kind], operands, ports["Y"])
    elif kind in COMPARISONS:
        yield from _comparison(name, kind, parameters, ports)
    elif kind == "$xnor":
        inner = tuple(inner_net(bit) for bit in ports["Y"])
        yield Part(name, "xor", tuple(extended(ports[port], parameters, len(inner)) for port in "AB"), inner)
        yield Part(name, "not", (inner,), ports["Y"])
    elif kind == "$buf":
        yield Part(name, "same", (ports["A"],), ports["Y"])
    elif kind == "$reduce_and":
        yield from _truth(name, "equal", (ports["A"], (1,) * len(ports["A"])), ports["Y"])
    elif kind in ("$not", "$pos"):
        operand = extended(ports["A"], parameters, len(ports["Y"]))
        yield Part(name, "not" if kind == "$not" else "same", (operand,), ports["Y"])
    elif kind in ("$reduce_or", "$reduce_bool", "$logic_or"):
        yield from _truth(name, "any", (ports["A"], ports.get("B", ())), ports["Y"])
    elif kind == "$logic_and":
        nets = [(inner_net(ports["Y"][0], number),) for number in range(2)]
        yield from (Part(name, "any", (ports[port],), net) for port, net in zip("AB", nets, strict=True))
        yield from _truth(name, "and", (nets[0], nets[1]), ports["Y"])
    elif kind == "$logic_not":
        nets = [(inner_net(ports["Y"][0]),)]
        yield Part(name, "any", (ports["A"],), nets[0])
        yield from _truth(name, "not", (nets[0],), ports["Y"])
    elif kind == "$mux":
        yield Part(name, "choose", (ports["S"], ports["A"], ports["B"]), ports["Y"])
    elif kind == "$neg":
        operand = extended(ports["A"], {"A_SIGNED": parameters.get("A_SIGNED", "")}, len(ports["Y"]))
        yield Part(name, "difference", ((0,) * len(operand), operand), ports["Y"])
    else:
        raise NotProven(f"{name}: a cell of kind {kind} is not known")


def split(part: Part) -> list[Part]:
    """Return a part whose bits have nothing to do with each other as one part per bit."""
    if part.kind not in BITWISE or len(part.driven) == 1:
        return [part]
    columns = zip(*(operand for operand in part.operands if len(operand) == len(part.driven)), strict=True)
    shared = part.operands[:1] if part.kind == "choose" else ()
    return [replace(part, operands=(*shared, *((bit,) for bit in column)), driven=(out,))
            for column, out in zip(columns, part.driven, strict=True)]  # fmt: skip


def extended(bits: Bits, parameters: Parameters, size: int) -> Bits:
    """Return an operand at `size` bits: both operands are signed, or neither counts as signed."""
    signs = [flag(parameters, f"{port}_SIGNED") for port in "AB" if f"{port}_SIGNED" in parameters]
    fill = bits[-1] if signs and all(signs) and bits else 0
    return (bits + (fill,) * size)[:size]


def flag(parameters: Parameters, name: str) -> bool:
    """Return whether a parameter is there and not 0."""
    return "1" in parameters.get(name, "")


def inner_net(driven: int, number: int = 0) -> int:
    """Return a net that no other cell has: the one with a `number` below 8 inside of the cell that drives `driven`."""
    return -2 - 8 * driven - number


def far_net(driven: int, number: int) -> int:
    """Return a net that no other cell has: one of the 2**20 numbered ones of the cell that drives `driven`."""
    return -(1 << 50) - (driven << 20) - number


def _truth(name: str, kind: str, operands: tuple[Bits, ...], driven: Bits) -> Iterator[Part]:
    """Yield a result of one bit, with zeros above it."""
    yield Part(name, kind, operands, driven[:1])
    if driven[1:]:
        yield Part(name, "same", ((0,) * len(driven[1:]),), driven[1:])


def _comparison(name: str, kind: str, parameters: Parameters, ports: Ports) -> Iterator[Part]:
    what, first, second, inverted = COMPARISONS[kind]
    size = max(len(ports["A"]), len(ports["B"]))
    pair = [extended(ports[port], parameters, size) for port in "AB"]
    left, right = pair[first], pair[second]
    if flag(parameters, "A_SIGNED") and flag(parameters, "B_SIGNED"):
        # Two's complement in the order of unsigned numbers: the top bits change places.
        left, right = (*left[:-1], right[-1]), (*right[:-1], left[-1])
    if not inverted:
        yield from _truth(name, what, (left, right), ports["Y"])
        return
    inner = inner_net(ports["Y"][0])
    yield Part(name, what, (left, right), (inner,))
    yield from _truth(name, "not", ((inner,),), ports["Y"])


def number(bits: Bits) -> int:
    """Return the unsigned number of constant bits."""
    return sum(bit << place for place, bit in enumerate(bits))


def single(name: str, ports: Ports, port: str) -> Bits:
    """Return the one bit at a port. Raises `NotProven` where there is not one."""
    bits = ports.get(port, ())
    if len(bits) != 1:
        raise NotProven(f"{name}: {len(bits)} bits at {port}")
    return bits


def clocked(name: str, parameters: Parameters, ports: Ports, initial: Mapping[int, str]) -> list[Register]:
    """Return the registers of a `$dff`."""
    if parameters["CLK_POLARITY"].strip("0") != "1":
        raise NotProven(f"{name}: a register of the falling edge")
    (clock,) = ports["CLK"]
    pairs = zip(ports["D"], ports["Q"], strict=True)
    return [Register(name, clock, 1, 0, 0, data, out, initial=initial.get(out, "x")) for data, out in pairs]
