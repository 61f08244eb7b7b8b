# SPDX-License-Identifier: Apache-2.0
"""The blocks that a design is made of and the streams between them; each knows its part of the RTL and its cycles.

A block belongs to a node of the graph, whose name it shows. Its streams are edges, known by name.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from qap2fpga.backends.finn.stream.models import Model
from qap2fpga.exact.integers import width

Attributes = dict[str, Any]


@dataclass(frozen=True)
class Kind:
    """An integer type: `bits` in two's complement if `signed`."""

    bits: int
    signed: bool

    @staticmethod
    def of(low: int, high: int, *, signed: bool = False) -> Kind:
        """Return the narrowest type that holds `low` to `high`; a signed one if `signed`."""
        signed = signed or low < 0
        return Kind(width(min(low, -1) if signed else low, high), signed)

    @property
    def low(self) -> int:
        """The smallest value."""
        return -(1 << (self.bits - 1)) if self.signed else 0

    @property
    def high(self) -> int:
        """The largest value."""
        return (1 << (self.bits - self.signed)) - 1

    def holding(self, low: int, high: int) -> Kind:
        """Return the narrowest type that holds this one's values and `low` to `high`."""
        return Kind.of(min(self.low, low), max(self.high, high), signed=self.signed)

    @property
    def finn(self) -> str:
        """FINN's name for it."""
        if self.bits == 1 and not self.signed:
            return "BINARY"
        return f"{'INT' if self.signed else 'UINT'}{self.bits}"


@dataclass(frozen=True)
class Stream:
    """A tensor (rows, columns, channels) as beats of `lanes` values, a position after the other."""

    shape: tuple[int, int, int]
    lanes: int
    kind: Kind

    @property
    def channels(self) -> int:
        """Values per position."""
        return self.shape[2]

    @property
    def positions(self) -> int:
        """Rows times columns."""
        return self.shape[0] * self.shape[1]

    @property
    def fold(self) -> int:
        """Beats per position; of a stream whose beats span positions, none."""
        return self.channels // self.lanes

    @property
    def beats(self) -> int:
        """Beats of a frame."""
        return self.positions * self.channels // self.lanes

    @property
    def bits(self) -> int:
        """Bits of a beat."""
        return self.lanes * self.kind.bits

    @property
    def bus(self) -> int:
        """Bits of the wires: whole bytes."""
        return -(-self.bits // 8) * 8


@dataclass(frozen=True, kw_only=True)
class Block(ABC):
    """A part of a design. `node` is the graph's node that it belongs to; `shows` says that its result is the node's."""

    op: ClassVar[str]
    # Whether FINN generates it; else `op` names a module in flows/finn.
    library: ClassVar[bool] = True
    name: str
    node: str
    sources: tuple[str, ...]
    taken: Stream
    given: Stream
    shows: bool = False

    @property
    def targets(self) -> tuple[str, ...]:
        """The edges that it gives its results to."""
        return (self.name,)

    @property
    def cycles(self) -> int:
        """Cycles per frame that it takes at least."""
        return max(self.taken.beats, self.given.beats)

    @abstractmethod
    def model(self) -> Model:
        """Return what it does with beats."""

    def attributes(self) -> Attributes:
        """Return the attributes of FINN's node, or what our node needs to be executed."""
        return {}

    def parameters(self) -> Mapping[str, int]:
        """Return the parameters of our module."""
        return {}

    def constants(self) -> dict[str, tuple[np.ndarray, Kind]]:
        """Return the constant tensors that it takes beside its streams, in order."""
        return {}


def text_of(values: Mapping[str, int]) -> str:
    """Return the parameters of an instance, as Verilog has them."""
    return ", ".join(f".{name}({value})" for name, value in values.items())
