# SPDX-License-Identifier: Apache-2.0
"""The kinds of nodes: each knows how to compute itself, its range, its bit operations, and what it reads.

A node's identity is its `name`, unique in its graph. `channels` are the numbers that its channels have in the model,
once a pass has dropped some; they are only shown. Values between nodes are tensors (frames, height, width, channels).

Linear nodes are in `linear.py`, kinds that take each channel by itself in `channelwise.py`, those that join branches in
`joins.py`. A new kind is one class, one entry in `storage.KINDS`, and one handler in each backend that can do it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np

from qap2fpga.ir.bops import Bops, Sizes
from qap2fpga.ir.functions import Function
from qap2fpga.ir.quantizer import InputQuantizer
from qap2fpga.ir.tensors import Code, Range, Shape


@dataclass(frozen=True, eq=False, kw_only=True)
class Node(ABC):
    """What every kind has. `sources` are the names of the nodes whose results it takes, in order."""

    kind: ClassVar[str]
    # Whether what comes may be any code of its values, while what leaves stays as it is.
    absorbs: ClassVar[bool] = False
    # Whether its values are some of its sources' values, or repeat them.
    hands_on: ClassVar[bool] = False
    # Whether its channels are those of several sources, which may have codes of their own.
    joins_channels: ClassVar[bool] = False
    name: str
    sources: tuple[str, ...] = ()
    channels: tuple[int, ...] | None = None

    @property
    def word(self) -> str:
        """What messages call one of its results."""
        return "result"

    @property
    def padded_with(self) -> set[int]:
        """The values that it puts beyond the borders of its sources."""
        return set()

    @property
    def spreads_codes(self) -> bool:
        """Whether channels of the result differ in their code where those of the source do not."""
        return False

    @property
    def takes_any_codes(self) -> bool:
        """Whether each channel that comes may be another code of its values."""
        return self.absorbs

    @property
    def taps(self) -> int:
        """Positions of its sources that one position of the result sees."""
        return 1

    @abstractmethod
    def shape(self, sources: Sequence[Shape]) -> Shape:
        """Return the shape of the result. Raises `ValueError` with the reason if the sources do not fit."""

    @abstractmethod
    def evaluate(self, sources: Sequence[np.ndarray]) -> np.ndarray:
        """Return the result for the sources' integers, all (frames, height, width, channels), exactly."""

    @abstractmethod
    def range(self, sources: Sequence[Range]) -> Range:
        """Return the range of each channel of the result, by interval arithmetic over the actual parameters."""

    def bops(
        self,
        positions: int,
        *,
        first: bool = False,
        stored_density: float | None = None,
        groups: int = 1,
        sizes: Sizes | None = None,
    ) -> Bops:
        """Return the bit operations of one frame, see `Bops`; none for a kind that multiplies by no constants.

        `positions`: rows times columns of the result. `first`: whether it takes the network's inputs.
        `stored_density`: the share of what the model's file stores for the node that is not 0; None: that of its
        integers. `groups` of channels and outputs, between which the model has no weights. `sizes`: bits of each
        input and weight, where they differ.
        """
        return Bops()

    @abstractmethod
    def recoded(self, codes: Sequence[Code]) -> tuple[Self, Code]:
        """Return the node that takes `codes` of its sources' values, and what code of its own values then leaves it.

        Raises `ValueError` with the reason where there is no such node.
        """

    def wants(self, kept: np.ndarray, constant: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
        """Return which channels of each source it takes when it keeps the channels `kept` of its result.

        All are bool arrays; `constant` says which channels of each source hold one value that the node may fold.
        """
        return [kept] * len(constant)

    def tied(self, kept: Sequence[np.ndarray], constant: Sequence[np.ndarray]) -> np.ndarray | None:
        """Return which channels of its result stand since its sources keep theirs; None for a kind that may choose."""
        return np.asarray(np.logical_or.reduce(list(kept)))

    def narrowed(
        self, kept: np.ndarray, taken: Sequence[np.ndarray], values: Sequence[np.ndarray]
    ) -> tuple[Self, np.ndarray | None]:
        """Return the node with the channels `kept` that takes those `taken` of each source, and what it then misses.

        `values` (channels,) are what each source's constant channels hold. What is missing is per kept channel, None
        where there is nothing.
        """
        return self.select(kept), None

    def select(self, kept: np.ndarray) -> Self:
        """Return the node without the channels that are not `kept` (channels,) bool."""
        return replace(self, channels=self._selected(kept))

    def check(self) -> None:  # noqa: B027 - a kind without parameters has nothing to check
        """Raise `ValueError` with the reason if the node's own parameters are not valid."""

    def channel_name(self, channel: int) -> str:
        """Return the channel's number in the model, for messages."""
        return str(channel if self.channels is None else self.channels[channel])

    def _selected(self, kept: np.ndarray) -> tuple[int, ...] | None:
        """The numbers in the model of the channels that are `kept` (channels,) bool; None: those of their places."""
        if kept.all():
            return self.channels
        numbers = range(len(kept)) if self.channels is None else self.channels
        return tuple(number for number, keep in zip(numbers, kept, strict=True) if keep)


@dataclass(frozen=True, eq=False, kw_only=True)
class Input(Node):
    """Where integers of one frame come in; `quantizer` says what they mean."""

    kind = "input"
    size: Shape
    quantizer: InputQuantizer

    def shape(self, sources: Sequence[Shape]) -> Shape:
        """Return the shape of a frame."""
        return self.size

    def evaluate(self, sources: Sequence[np.ndarray]) -> np.ndarray:
        """Return the one source, the frames themselves."""
        return sources[0]

    def range(self, sources: Sequence[Range]) -> Range:
        """Return the quantizer's range per channel, over all positions."""
        if not self.quantizer.ends:
            return Range.uniform(self.quantizer.low, self.quantizer.high, self.size.channels)
        shape = self.size.positions, self.size.channels
        return Range(self.quantizer.lows.reshape(shape).min(axis=0), self.quantizer.highs.reshape(shape).max(axis=0))

    def recoded(self, codes: Sequence[Code]) -> tuple[Self, Code]:
        """Return the node: frames come as they are."""
        return self, Code.plain(self.size.channels)

    def tied(self, kept: Sequence[np.ndarray], constant: Sequence[np.ndarray]) -> np.ndarray:
        """Return all channels: frames come whole."""
        return np.ones(self.size.channels, bool)

    def narrowed(
        self, kept: np.ndarray, taken: Sequence[np.ndarray], values: Sequence[np.ndarray]
    ) -> tuple[Self, np.ndarray | None]:
        """Return the node."""
        return self, None


@dataclass(frozen=True, eq=False, kw_only=True)
class Requantizer(Node):
    """A monotone `function` per channel, of anything; a `Step` where the network quantizes, `Logits` at its end.

    `bits` is the quantizer's width in the model, None where there is none.
    """

    kind = "requantizer"
    absorbs = True
    function: Function
    bits: int | None = None

    @property
    def word(self) -> str:
        """What messages call one of its results."""
        return self.function.word

    def check(self) -> None:
        """Raise `ValueError` with the reason if the function's parameters are not valid."""
        self.function.check()

    def shape(self, sources: Sequence[Shape]) -> Shape:
        """Return the source's shape."""
        (source,) = sources
        if source.channels != self.function.channels:
            raise ValueError(f"it has {self.function.channels} channels, its source gives {source}")
        return source

    def evaluate(self, sources: Sequence[np.ndarray]) -> np.ndarray:
        """Return the function of every value."""
        (values,) = sources
        return self.function.apply(values.reshape(-1, self.function.channels)).reshape(values.shape)

    def range(self, sources: Sequence[Range]) -> Range:
        """Return the function at both ends of the source's range, in order."""
        (source,) = sources
        return Range(*self.function.range(source.low, source.high))

    def select(self, kept: np.ndarray) -> Self:
        """Return the node without the channels that are not `kept` (channels,) bool."""
        return replace(self, function=self.function.select(kept), channels=self._selected(kept))

    def recoded(self, codes: Sequence[Code]) -> tuple[Self, Code]:
        """Return the node whose function does the same to codes."""
        (code,) = codes
        function = self.function.fed(code.step, code.base, f"what leaves {self.name}")
        return replace(self, function=function), Code.plain(self.function.channels)
