# SPDX-License-Identifier: Apache-2.0
"""What logic makes of data, where control decides which: sums over a frame, an element after the other.

A bit of a result is a number from `FIRST` on. It stands for one bit of one function of other bits; the same function of
the same bits is one. So what a register holds after some moves is logic again, without a register.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from qap2fpga.prove.cells import Bits, Part
from qap2fpga.prove.reading import Module

Code = int | None
Codes = tuple[Code, ...]
FIRST = 1 << 40


@dataclass(frozen=True)
class Function:
    """The function `kind` of `operands`, of so many bits from `first` on."""

    kind: str
    operands: tuple[Codes, ...]
    entries: int
    size: int


@dataclass
class Expressions:
    """All functions that there are, in an order in which each comes after those that it takes."""

    functions: dict[Function, int] = field(default_factory=dict)
    of: list[Function] = field(default_factory=list)

    def result(self, part: Part, operands: list[list[Code]], known: list[Code]) -> list[Code]:
        """Return what `part` makes of `operands`: as far as it is `known`, else expressions.

        What depends on a bit that is not known is not known.
        """
        if None not in known or any(None in operand for operand in operands):
            return known
        size = len(known)
        first = self._first(Function(part.kind, tuple(map(tuple, operands)), part.entries, size))
        # The bits of a number stay together.
        return [first + at for at in range(size)]

    def _first(self, function: Function) -> int:
        if function not in self.functions:
            self.functions[function] = FIRST + len(self.of)
            self.of += [function] * function.size
        return self.functions[function]

    def replaced(self, codes: Iterable[Code], name: Callable[[int], Code], known: dict[int, Code]) -> Codes:
        """Return `codes` with other names of what came in; `known` are the results so far, for the same `name`."""

        def new(code: Code) -> Code:
            return code if code is None or code < 2 else known[code] if code >= FIRST else name(code)

        codes = tuple(codes)
        for function in self._below(codes, known):
            operands = tuple(tuple(map(new, operand)) for operand in function.operands)
            whole = not any(None in operand for operand in operands)
            other = Function(function.kind, operands, function.entries, function.size)
            old, first = self.functions[function], self._first(other) if whole else 0
            known.update((old + at, first + at if whole else None) for at in range(function.size))
        return tuple(map(new, codes))

    def module(self, name: str, codes: Bits, inputs: Bits, named: dict[str, Bits]) -> Module:
        """Return the logic of `codes` as a module in which they are the nets."""
        parts = [
            Part(f"{name}.{number}", one.kind, tuple(tuple(code or 0 for code in operand) for operand in one.operands),
                 tuple(range(self.functions[one], self.functions[one] + one.size)), one.entries)
            for number, one in enumerate(self._below(codes, {}))
        ]  # fmt: skip
        return Module(name, {"x": inputs}, {"y": codes}, tuple(parts), (), (), named)

    def _below(self, codes: Iterable[Code], known: dict[int, Code]) -> Iterator[Function]:
        """Yield the functions that `codes` are made of, but those whose results are `known`, in their order."""
        seen: dict[int, Function] = {}
        waiting = [code for code in codes if code is not None and code >= FIRST]
        while waiting:
            code = waiting.pop()
            function = self.of[code - FIRST]
            first = self.functions[function]
            if first not in seen and first not in known:
                seen[first] = function
                waiting += [one for operand in function.operands for one in operand if one is not None and one >= FIRST]
        return (seen[first] for first in sorted(seen))
