# SPDX-License-Identifier: Apache-2.0
"""Three readings of the same logic: known bits, all values of a number at once, and a graph of ANDs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Generic, TypeVar

import numpy as np

B = TypeVar("B")
WORD = 64


class Algebra(ABC, Generic[B]):
    """What logic is made of, of bits of one type."""

    zero: B
    one: B

    @abstractmethod
    def both(self, a: B, b: B) -> B:
        """Return a AND b."""

    @abstractmethod
    def invert(self, a: B) -> B:
        """Return NOT a."""

    def either(self, a: B, b: B) -> B:
        """Return a OR b."""
        return self.invert(self.both(self.invert(a), self.invert(b)))

    @abstractmethod
    def choose(self, condition: B, otherwise: B, then: B) -> B:
        """Return `then` where `condition`, else `otherwise`."""

    def differ(self, a: B, b: B) -> B:
        """Return a XOR b."""
        return self.choose(a, b, self.invert(b))


class Known(Algebra[int | None]):
    """Bits of which some are known by value, 0 or 1, some by a name, any other number, and some not at all: None."""

    zero, one = 0, 1

    def both(self, a: int | None, b: int | None) -> int | None:
        """Return a AND b as far as it is known."""
        if a == 0 or b == 0:
            return 0
        return b if a == 1 else a if b == 1 or a == b else None

    def either(self, a: int | None, b: int | None) -> int | None:
        """Return a OR b as far as it is known."""
        if a == 1 or b == 1:
            return 1
        return b if a == 0 else a if b == 0 or a == b else None

    def invert(self, a: int | None) -> int | None:
        """Return NOT a."""
        return 1 - a if a in (0, 1) else None

    def choose(self, condition: int | None, otherwise: int | None, then: int | None) -> int | None:
        """Return what comes out, also where the condition is not known and does not matter."""
        if condition in (0, 1):
            return then if condition else otherwise
        if then == otherwise or condition is None:
            return then if then == otherwise else None
        if otherwise == condition:
            return self.both(condition, then)
        return self.either(condition, otherwise) if then == condition else None

    def differ(self, a: int | None, b: int | None) -> int | None:
        """Return a XOR b as far as it is known."""
        if a == b and a is not None:
            return 0
        return b if a == 0 else a if b == 0 else self.invert(b) if a == 1 else self.invert(a) if b == 1 else None


class Sliced(Algebra[np.ndarray]):
    """Bits of many cases at once, 64 in a machine word."""

    zero = np.zeros(1, np.uint64)
    one = ~zero

    def both(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Return a AND b."""
        return a & b

    def either(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Return a OR b."""
        return a | b

    def invert(self, a: np.ndarray) -> np.ndarray:
        """Return NOT a."""
        return ~a

    def differ(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Return a XOR b."""
        return a ^ b

    def choose(self, condition: np.ndarray, otherwise: np.ndarray, then: np.ndarray) -> np.ndarray:
        """Return `then` where `condition`, else `otherwise`."""
        return otherwise ^ (condition & (otherwise ^ then))


# What bits of many cases are at least, and at most.
Bounds = tuple[np.ndarray, np.ndarray]


class Bounded(Algebra[Bounds]):
    """Bits of many cases at once, of which some are known, and others may be 0 or 1 at each place that reads them."""

    zero, one = (Sliced.zero, Sliced.zero), (Sliced.one, Sliced.one)
    any = (Sliced.zero, Sliced.one)

    def both(self, a: Bounds, b: Bounds) -> Bounds:
        """Return a AND b."""
        return a[0] & b[0], a[1] & b[1]

    def either(self, a: Bounds, b: Bounds) -> Bounds:
        """Return a OR b."""
        return a[0] | b[0], a[1] | b[1]

    def invert(self, a: Bounds) -> Bounds:
        """Return NOT a."""
        return ~a[1], ~a[0]

    def choose(self, condition: Bounds, otherwise: Bounds, then: Bounds) -> Bounds:
        """Return `then` where `condition`, else `otherwise`."""
        return self.either(self.both(condition, then), self.both(self.invert(condition), otherwise))


def packed(numbers: np.ndarray, bits: int) -> list[np.ndarray]:
    """Return the lowest `bits` of int64 `numbers`, each for all of them, padded with zeros to whole words."""
    padded = np.zeros(-(-len(numbers) // WORD) * WORD, np.int64)
    padded[: len(numbers)] = numbers
    return [np.packbits((padded >> bit & 1).astype(bool), bitorder="little").view(np.uint64) for bit in range(bits)]


def unpacked(bits: list[np.ndarray], count: int, *, signed: bool) -> np.ndarray:
    """Return the first `count` numbers of `bits`, lowest first."""
    total = np.zeros(count, np.int64)
    for place, bit in enumerate(bits):
        words = np.broadcast_to(bit, (-(-count // WORD),)) if len(bit) == 1 else bit
        column = np.unpackbits(np.ascontiguousarray(words).view(np.uint8), bitorder="little")[:count].astype(np.int64)
        total += column * (-(1 << place) if signed and place == len(bits) - 1 else 1 << place)
    return total


class Ands(Algebra[int]):
    """A graph of ANDs of two: a bit is twice its node's number, plus 1 where it is inverted. Equal nodes are one."""

    zero, one = 0, 1

    def __init__(self, inputs: int) -> None:
        self.inputs = inputs
        self.gates: list[tuple[int, int]] = []
        self._known: dict[tuple[int, int], int] = {}

    def input(self, number: int) -> int:
        """Return the bit of an input."""
        return 2 * (number + 1)

    def both(self, a: int, b: int) -> int:
        """Return a AND b."""
        a, b = max(a, b), min(a, b)
        if b == 0 or a == b ^ 1:
            return 0
        if b == 1 or a == b:
            return a
        if (a, b) not in self._known:
            self.gates.append((a, b))
            self._known[a, b] = 2 * (self.inputs + len(self.gates))
        return self._known[a, b]

    def invert(self, a: int) -> int:
        """Return NOT a."""
        return a ^ 1

    def choose(self, condition: int, otherwise: int, then: int) -> int:
        """Return `then` where `condition`, else `otherwise`."""
        if otherwise == then:
            return then
        return self.either(self.both(condition, then), self.both(condition ^ 1, otherwise))

    def aiger(self, outputs: list[int]) -> bytes:
        """Return the binary AIGER file of `outputs`."""
        head = f"aig {self.inputs + len(self.gates)} {self.inputs} 0 {len(outputs)} {len(self.gates)}\n"
        body = bytearray()
        for number, (a, b) in enumerate(self.gates, start=self.inputs + 1):
            for delta in (2 * number - a, a - b):
                while delta >= 128:
                    body.append(delta & 127 | 128)
                    delta >>= 7
                body.append(delta)
        return head.encode() + "".join(f"{one}\n" for one in outputs).encode() + bytes(body)


# What a bit of a graph is at least, and at most: both are one bit where nothing is open.
Ends = tuple[int, int]


class Open(Algebra[Ends]):
    """Bits of a graph of ANDs of which some are left open: these may be 0 or 1, at each place that reads them.

    A result holds every value that it may have then, and perhaps others: where an open bit is read twice, it may be
    taken for two.
    """

    zero, one, any = (0, 0), (1, 1), (0, 1)

    def __init__(self, graph: Ands) -> None:
        self.graph = graph

    def both(self, a: Ends, b: Ends) -> Ends:
        """Return a AND b."""
        return self._pair(a, b, self.graph.both)

    def either(self, a: Ends, b: Ends) -> Ends:
        """Return a OR b."""
        return self._pair(a, b, self.graph.either)

    def invert(self, a: Ends) -> Ends:
        """Return NOT a."""
        return a[1] ^ 1, a[0] ^ 1

    def choose(self, condition: Ends, otherwise: Ends, then: Ends) -> Ends:
        """Return `then` where `condition`, else `otherwise`; either one where that is open."""
        graph = self.graph
        low, high = condition
        if low == high:
            least = graph.choose(low, otherwise[0], then[0])
            known = otherwise[0] == otherwise[1] and then[0] == then[1]
            return least, least if known else graph.choose(low, otherwise[1], then[1])
        return tuple(
            graph.choose(low, graph.choose(high, otherwise[end], join(otherwise[end], then[end])), then[end])
            for end, join in enumerate((graph.both, graph.either))
        )  # type: ignore[return-value]

    def _pair(self, a: Ends, b: Ends, function: Callable[[int, int], int]) -> Ends:
        least = function(a[0], b[0])
        return least, least if a[0] == a[1] and b[0] == b[1] else function(a[1], b[1])
