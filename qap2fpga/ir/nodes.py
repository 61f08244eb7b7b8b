# SPDX-License-Identifier: Apache-2.0
"""The kinds of nodes: each knows how to compute itself, its range, its bit operations, and what it reads.

A node's identity is its `name`, unique in its graph. `channels` are the numbers that its channels have in the model,
once a pass has dropped some; they are only shown. Values are rows of integers, one per frame, see `tensors.Shape`.

A new kind is one class here, one entry in `storage.KINDS`, and one handler in each backend that can do it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np

from qap2fpga.exact import integers as exact
from qap2fpga.exact.integers import width
from qap2fpga.ir.bops import Bops, of_counts
from qap2fpga.ir.functions import Function
from qap2fpga.ir.quantizer import InputQuantizer
from qap2fpga.ir.tensors import Range, Shape


@dataclass(frozen=True, eq=False, kw_only=True)
class Node(ABC):
    """What every kind has. `sources` are the names of the nodes whose results it takes, in order."""

    kind: ClassVar[str]
    name: str
    sources: tuple[str, ...] = ()
    channels: tuple[int, ...] | None = None

    @abstractmethod
    def shape(self, sources: Sequence[Shape]) -> Shape:
        """Return the shape of the result. Raises `ValueError` with the reason if the sources do not fit."""

    @abstractmethod
    def evaluate(self, sources: Sequence[np.ndarray]) -> np.ndarray:
        """Return the result (frames, size) for the sources' integers (frames, size), exactly."""

    @abstractmethod
    def range(self, sources: Sequence[Range]) -> Range:
        """Return the range of each channel of the result, by interval arithmetic over the actual parameters."""

    def bops(self, *, first: bool = False, stored_density: float | None = None) -> Bops:
        """Return the bit operations of one frame, see `Bops`; none for a kind that multiplies by no constants.

        `first`: whether it takes the network's inputs. `stored_density`: the share of what the model's file stores for
        the node that is not 0; None: that of its integers.
        """
        return Bops()

    def reads(self, source: str) -> np.ndarray | None:
        """Return which channels of `source` can change the result, (channels,) bool; None: all of them."""
        return None

    def check(self) -> None:  # noqa: B027 - a kind without parameters has nothing to check
        """Raise `ValueError` with the reason if the node's own parameters are not valid."""

    def channel_name(self, channel: int) -> str:
        """Return the channel's number in the model, for messages."""
        return str(channel if self.channels is None else self.channels[channel])

    def _selected(self, kept: np.ndarray) -> tuple[int, ...]:
        """The numbers in the model of the channels that are `kept` (channels,) bool."""
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
        """Return the quantizer's range, for every channel."""
        return Range.uniform(self.quantizer.low, self.quantizer.high, self.size.channels)


@dataclass(frozen=True, eq=False, kw_only=True)
class Linear(Node):
    """Sums of products with constants: `source @ weights`, `weights` (inputs, outputs); a zero is a pruned weight.

    `weight_bits` and `input_bits` are the quantizers' widths, by which bit operations are counted. The integers
    themselves may need fewer bits or, after a sign was moved into them, one more: hardware asks `weight_width`.
    """

    kind = "linear"
    weights: np.ndarray
    weight_bits: int
    input_bits: int

    @property
    def inputs(self) -> int:
        """Channels that come in."""
        return int(self.weights.shape[0])

    @property
    def outputs(self) -> int:
        """Channels that go out."""
        return int(self.weights.shape[1])

    @property
    def nonzeros(self) -> int:
        """Weights that are not zero."""
        return int(np.count_nonzero(self.weights))

    @property
    def weight_width(self) -> int:
        """Bits of a signed type that holds every weight."""
        return width(min(int(self.weights.min()), -1), int(self.weights.max()))

    def check(self) -> None:
        """Raise `ValueError` for weights that are no matrix of integers."""
        if self.weights.ndim != 2 or 0 in self.weights.shape or self.weights.dtype != np.int64:
            raise ValueError(f"its weights have shape {self.weights.shape} and type {self.weights.dtype}")

    def shape(self, sources: Sequence[Shape]) -> Shape:
        """Return a vector of `outputs`."""
        (source,) = sources
        if source != Shape(self.inputs):
            raise ValueError(f"it takes {self.inputs} channels, its source gives {source}")
        return Shape(self.outputs)

    def evaluate(self, sources: Sequence[np.ndarray]) -> np.ndarray:
        """Return the accumulators."""
        return exact.matmul(sources[0], self.weights, f"the accumulators of layer {self.name}")

    def range(self, sources: Sequence[Range]) -> Range:
        """Return the accumulators' range."""
        (source,) = sources
        return Range(
            *exact.matmul_range(source.low, source.high, self.weights, f"the accumulators of layer {self.name}")
        )

    def bops(self, *, first: bool = False, stored_density: float | None = None) -> Bops:
        """Return the bit operations of the products and sums."""
        return of_counts(
            self.inputs, self.outputs, self.nonzeros, stored_density,
            weight_bits=self.weight_bits, input_bits=self.input_bits, first=first,
        )  # fmt: skip

    def reads(self, source: str) -> np.ndarray:
        """Return which inputs have a weight that is not zero."""
        return np.asarray(self.weights.any(axis=1))

    def select(self, kept: np.ndarray) -> Self:
        """Return the node without the outputs that are not `kept` (outputs,) bool."""
        return replace(self, weights=self.weights[:, kept], channels=self._selected(kept))

    def without_inputs(self, kept: np.ndarray, constant: np.ndarray) -> tuple[Self, np.ndarray]:
        """Return the node without the inputs that are not `kept` (inputs,) bool, and what is then missing (outputs,).

        `constant` (inputs,) are the values that those inputs had.
        """
        missing = exact.matmul(constant[~kept], self.weights[~kept], f"layer {self.name}")
        return replace(self, weights=self.weights[kept]), missing

    def of(self, value: int) -> np.ndarray:
        """Return the accumulators (outputs,) where every input is `value`."""
        name = f"layer {self.name}"
        return exact.multiply_add(exact.column_sums(self.weights, name), value, 0, name)


@dataclass(frozen=True, eq=False, kw_only=True)
class Requantizer(Node):
    """A monotone `function` per channel, of anything; a `Step` where the network quantizes, `Logits` at its end.

    `bits` is the quantizer's width in the model, None where there is none.
    """

    kind = "requantizer"
    function: Function
    bits: int | None = None

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

    def fed(self, step: int, constant: np.ndarray) -> Self:
        """Return the node that does the same when x comes instead of `step * x + constant` (channels,)."""
        return replace(self, function=self.function.fed(step, constant, f"what leaves {self.name}"))
