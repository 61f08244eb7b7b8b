# SPDX-License-Identifier: Apache-2.0
"""Nodes that take each channel by itself: products with a kernel per channel, the largest of a window, repetition."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Self

import numpy as np

from qap2fpga.exact import integers as exact
from qap2fpga.ir.bops import Bops, Sizes, of_counts
from qap2fpga.ir.geometry import Geometry
from qap2fpga.ir.nodes import Node
from qap2fpga.ir.tensors import Code, Range, Shape
from qap2fpga.ir.windowed import Weighted, Windowed


@dataclass(frozen=True, eq=False, kw_only=True)
class Depthwise(Weighted):
    """Sums of products of each channel with its own kernel: `weights` (taps, channels), rows before columns.

    Weights of one are a sum over the window: the average before its division. What is not the model's weights has
    `weight_bits` 0.
    """

    kind = "depthwise"
    weights: np.ndarray
    weight_bits: int
    input_bits: int
    geometry: Geometry

    def check(self) -> None:
        """Raise `ValueError` with the reason for weights that do not fit the kernel."""
        super().check()
        if len(self.weights) != self.geometry.taps:
            raise ValueError(f"it has {len(self.weights)} weights per channel for a kernel of {self.geometry.taps}")

    def shape(self, sources: Sequence[Shape]) -> Shape:
        """Return a value per position of the kernel and channel."""
        (source,) = sources
        if source.channels != self.weights.shape[1]:
            raise ValueError(f"it takes {self.weights.shape[1]} channels, its source gives {source}")
        return self.geometry.output(source, source.channels)

    def evaluate(self, sources: Sequence[np.ndarray]) -> np.ndarray:
        """Return the sums, tap by tap."""
        values = exact.for_products(self.geometry.padded(sources[0]), self.weights)
        return exact.weighted_sums(self.geometry.by_tap(values), self.weights, f"the accumulators of layer {self.name}")

    def range(self, sources: Sequence[Range]) -> Range:
        """Return the range of the sums; each tap may see any value of its channel, or the pad."""
        seen = self.geometry.seen(sources[0])
        name = f"the accumulators of layer {self.name}"
        by_sign = np.stack([exact.column_sums(side(self.weights, 0), name) for side in (np.maximum, np.minimum)])
        ends = np.stack([seen.low, seen.high])
        low, high = exact.weighted_sums([ends, ends[::-1]], by_sign, name)
        return Range(low, high)

    def bops(
        self,
        positions: int,
        *,
        first: bool = False,
        stored_density: float | None = None,
        groups: int = 1,
        sizes: Sizes | None = None,
    ) -> Bops:
        """Return the bit operations: each channel is a layer of `taps` inputs and one output.

        None where `weight_bits` is 0: sums, signs and factors that are no weights of the model.
        """
        if self.weight_bits == 0:
            return Bops()
        taps, channels = self.weights.shape
        input_bits, weight_bits = sizes.means(self.weights) if sizes else (self.input_bits, self.weight_bits)
        return positions * of_counts(
            taps, channels, self.nonzeros, stored_density, weight_bits=weight_bits, input_bits=input_bits, first=first,
        )  # fmt: skip

    def recoded(self, codes: Sequence[Code]) -> tuple[Self, Code]:
        """Return the node over codes: the weights are what they were."""
        (code,) = codes
        name = f"layer {self.name}"
        base = exact.multiply_add(code.base, exact.column_sums(self.weights, name), 0, name)
        return replace(self, geometry=self.geometry.recoded(code)), Code(code.step, base)

    def select(self, kept: np.ndarray) -> Self:
        """Return the node without the channels that are not `kept` (channels,) bool."""
        return replace(self, weights=self.weights[:, kept], channels=self._selected(kept))


@dataclass(frozen=True, eq=False, kw_only=True)
class Max(Windowed):
    """The largest value that a kernel sees, per channel."""

    kind = "max"
    hands_on = True
    geometry: Geometry

    def shape(self, sources: Sequence[Shape]) -> Shape:
        """Return a value per position of the kernel and channel."""
        (source,) = sources
        return self.geometry.output(source, source.channels)

    def evaluate(self, sources: Sequence[np.ndarray]) -> np.ndarray:
        """Return the largest of each window."""
        return reduce(np.maximum, self.geometry.by_tap(self.geometry.padded(sources[0])))

    def range(self, sources: Sequence[Range]) -> Range:
        """Return the source's range, up to the pad where that is larger: every window sees a value beside pads."""
        (source,) = sources
        return Range(source.low, self.geometry.seen(source).high)

    def recoded(self, codes: Sequence[Code]) -> tuple[Self, Code]:
        """Return the node over codes: the largest value has the largest code."""
        (code,) = codes
        return replace(self, geometry=self.geometry.recoded(code)), code


@dataclass(frozen=True, eq=False, kw_only=True)
class Repeat(Node):
    """Every row `rows` times and every column `columns` times: upsampling by the nearest neighbour."""

    kind = "repeat"
    hands_on = True
    rows: int
    columns: int

    def check(self) -> None:
        """Raise `ValueError` if a factor is not positive."""
        if min(self.rows, self.columns) < 1:
            raise ValueError(f"it repeats rows {self.rows} times and columns {self.columns} times")

    def shape(self, sources: Sequence[Shape]) -> Shape:
        """Return the source's shape, as many times as large."""
        (source,) = sources
        return Shape(source.channels, source.height * self.rows, source.width * self.columns)

    def evaluate(self, sources: Sequence[np.ndarray]) -> np.ndarray:
        """Return the repeated values."""
        return sources[0].repeat(self.rows, axis=1).repeat(self.columns, axis=2)

    def range(self, sources: Sequence[Range]) -> Range:
        """Return the source's range."""
        return sources[0]

    def recoded(self, codes: Sequence[Code]) -> tuple[Self, Code]:
        """Return the node: codes are repeated as values are."""
        return self, codes[0]
