# SPDX-License-Identifier: Apache-2.0
"""Nets, what they mean, and the vectors of bits that are made of them.

A net is a vector of bits with one driver. A wire is what a net means: an integer in a range, in a pipeline stage.
Vectors are nets, parts of them and constants put together: integers extended, shifted and cut, which cost nothing.
All are told apart by identity, which makes looking them up fast.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from qap2fpga.exact.integers import width


@dataclass(frozen=True, eq=False)
class Net:
    """`bits` bits with one driver; the object is the identity, the name is its own within the module."""

    name: str
    bits: int


@dataclass(frozen=True, eq=False)
class Slice:
    """Bits `first` to `first + bits - 1` of `net`."""

    net: Net
    first: int
    bits: int


@dataclass(frozen=True, eq=False)
class Copies:
    """Bit `place` of `net`, `bits` times: what a sign is extended with."""

    net: Net
    place: int
    bits: int


@dataclass(frozen=True, eq=False)
class Constant:
    """The pattern `value`, which is not negative, in `bits` bits; `radix` is how it is printed."""

    value: int
    bits: int
    radix: Literal["b", "d", "h"] = "h"


@dataclass(frozen=True, eq=False)
class Concat:
    """`parts` put together, the highest first."""

    parts: tuple[Vector, ...]

    @property
    def bits(self) -> int:
        """Bits of all parts."""
        return sum(part.bits for part in self.parts)


Vector = Net | Slice | Copies | Constant | Concat


def nets_of(vector: Vector) -> Iterator[Net]:
    """Yield the nets that `vector` is made of."""
    if isinstance(vector, Net):
        yield vector
    elif isinstance(vector, Slice | Copies):
        yield vector.net
    elif isinstance(vector, Concat):
        for part in vector.parts:
            yield from nets_of(part)


@dataclass(frozen=True)
class Wire:
    """An integer `low..high` on `net` in stage `stage`, valid `ready` nanoseconds into it.

    Two's complement if `low < 0`, in the lowest `bits` of the net.
    """

    net: Net
    low: int
    high: int
    stage: int = 0
    ready: float = 0.0

    @property
    def signed(self) -> bool:
        """Whether the highest bit is a sign."""
        return self.low < 0

    @property
    def bits(self) -> int:
        """Bits that the range needs."""
        return width(self.low, self.high)


def zeros(bits: int) -> Constant:
    """Return `bits` zeros."""
    return Constant(0, bits, "d")


def literal(value: int, bits: int) -> Constant:
    """Return `value` in two's complement of `bits`."""
    return Constant(value & ((1 << bits) - 1), bits)


def extended(wire: Wire, bits: int) -> Vector:
    """Return `wire` with its sign or with zeros up to `bits`, or its lowest `bits`."""
    if bits == wire.bits:
        return wire.net
    if bits < wire.bits:
        return Slice(wire.net, 0, bits)
    return Concat((_fill(wire, bits - wire.bits), wire.net))


def shifted(wire: Wire, shift: int, bits: int) -> Vector:
    """Return `wire << shift` in exactly `bits` bits."""
    if shift >= bits:
        return zeros(bits)
    if not shift:
        return extended(wire, bits)
    return Concat((extended(wire, bits - shift), zeros(shift)))


def sliced(wire: Wire, first: int, bits: int) -> Vector:
    """Return bits `first` to `first + bits - 1` of `wire`, extended beyond its end."""
    have = max(0, min(bits, wire.bits - first))
    if not have:
        return _fill(wire, bits)
    part = wire.net if have == wire.bits else Slice(wire.net, first, have)
    return part if have == bits else Concat((_fill(wire, bits - have), part))


def _fill(wire: Wire, bits: int) -> Vector:
    return Copies(wire.net, wire.bits - 1, bits) if wire.signed else zeros(bits)
