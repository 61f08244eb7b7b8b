# SPDX-License-Identifier: Apache-2.0
"""Linear nodes: sums of products with constants, over channels and what a kernel sees of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from qap2fpga.exact import integers as exact
from qap2fpga.ir.bops import Bops, Sizes, of_counts
from qap2fpga.ir.geometry import POINT, Geometry
from qap2fpga.ir.tensors import Code, Range, Shape
from qap2fpga.ir.windowed import Weighted, by_rows


@dataclass(frozen=True, eq=False, kw_only=True)
class Linear(Weighted):
    """Sums of products with constants: `window @ weights` at every position; a zero is a pruned weight.

    `weights` are (inputs, outputs), where the inputs are what the kernel of `geometry` sees: its rows, their columns,
    their channels. A dense layer's kernel is the whole frame.
    """

    kind = "linear"
    weights: np.ndarray
    weight_bits: int
    input_bits: int
    geometry: Geometry = POINT

    @property
    def takes_any_codes(self) -> bool:
        """Whether each channel may be another code: the weights take it up, but one pad is not many."""
        return not self.geometry.is_padded

    def check(self) -> None:
        """Raise `ValueError` with the reason for weights that do not fit the kernel."""
        super().check()
        if self.inputs % self.geometry.taps:
            raise ValueError(f"its {self.inputs} inputs are no whole number of channels per tap of its kernel")

    def shape(self, sources: Sequence[Shape]) -> Shape:
        """Return `outputs` channels per position of the kernel."""
        (source,) = sources
        if source.channels * self.geometry.taps != self.inputs:
            taken = self.inputs // self.geometry.taps
            raise ValueError(f"it takes {taken} channels, its source gives {source}")
        return self.geometry.output(source, self.outputs)

    def evaluate(self, sources: Sequence[np.ndarray]) -> np.ndarray:
        """Return the accumulators."""
        values = exact.for_products(self.geometry.padded(sources[0]), self.weights)
        return by_rows(self.geometry.windows_of(values), self._sums)

    def _sums(self, windows: np.ndarray) -> np.ndarray:
        sums = exact.matmul(windows.reshape(-1, self.inputs), self.weights, f"the accumulators of layer {self.name}")
        return sums.reshape(*windows.shape[:3], self.outputs)

    def range(self, sources: Sequence[Range]) -> Range:
        """Return the accumulators' range; every tap may see any value of its channel, or the pad."""
        seen, taps = self.geometry.seen(sources[0]), self.geometry.taps
        low, high = np.tile(seen.low, taps), np.tile(seen.high, taps)
        return Range(*exact.matmul_range(low, high, self.weights, f"the accumulators of layer {self.name}"))

    def bops(
        self,
        positions: int,
        *,
        first: bool = False,
        stored_density: float | None = None,
        groups: int = 1,
        sizes: Sizes | None = None,
    ) -> Bops:
        """Return the bit operations of the products and sums."""
        input_bits, weight_bits = sizes.means(self.weights) if sizes else (self.input_bits, self.weight_bits)
        return positions * of_counts(
            self.inputs // groups, self.outputs, self.nonzeros, stored_density,
            weight_bits=weight_bits, input_bits=input_bits, first=first,
        )  # fmt: skip

    def _by_tap(self) -> np.ndarray:
        """The weights as (taps, channels, outputs)."""
        return self.weights.reshape(self.geometry.taps, -1, self.outputs)

    def recoded(self, codes: Sequence[Code]) -> tuple[Self, Code]:
        """Return the node over codes: weights take up steps that differ, the sums' code what is common to them."""
        (code,) = codes
        name = f"layer {self.name}"
        step = int(np.gcd.reduce(code.step))
        rows = np.tile(code.step // step, self.geometry.taps)[:, None]
        weights = exact.multiply_add(self.weights, rows, 0, name)
        base = exact.matmul(np.tile(code.base, self.geometry.taps), self.weights, name)
        changed = replace(self, weights=weights, geometry=self.geometry.recoded(code))
        return changed, Code(np.full(self.outputs, step), base)

    def wants(self, kept: np.ndarray, constant: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
        """Return the channels with a weight that is not zero at some tap, but for constants that can be folded."""
        return [self._by_tap()[:, :, kept].any(axis=(0, 2)) & ~constant[0]]

    def tied(self, kept: Sequence[np.ndarray], constant: Sequence[np.ndarray]) -> None:
        """Return None: any output may go."""

    def narrowed(
        self, kept: np.ndarray, taken: Sequence[np.ndarray], values: Sequence[np.ndarray]
    ) -> tuple[Self, np.ndarray | None]:
        """Return the node without what is not `kept` or `taken`; constants that it read are missing in its sums."""
        (channels,), (constant,) = taken, values
        node = self.select(kept)
        weights, name = node._by_tap(), f"layer {self.name}"
        dropped = exact.column_sums(weights[:, ~channels].reshape(self.geometry.taps, -1), name)
        missing = exact.matmul(constant[~channels], dropped.reshape(-1, node.outputs), name)
        return replace(node, weights=weights[:, channels].reshape(-1, node.outputs)), missing

    def select(self, kept: np.ndarray) -> Self:
        """Return the node without the outputs that are not `kept` (outputs,) bool."""
        return replace(self, weights=self.weights[:, kept], channels=self._selected(kept))
