# SPDX-License-Identifier: Apache-2.0
"""What nodes with a kernel have in common."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from qap2fpga.exact.integers import column_sums, width
from qap2fpga.ir.geometry import Geometry
from qap2fpga.ir.nodes import Node

# Integers that a kernel looks at in one go: 128 MiB of them.
MOST_SEEN = 1 << 24


class Windowed(Node):
    """A node whose kernel moves over its one source; each kind declares the field `geometry` itself."""

    geometry: Geometry

    @property
    def padded_with(self) -> set[int]:
        """The pad, where there is one."""
        return self.geometry.padded_with

    @property
    def taps(self) -> int:
        """Positions that the kernel sees."""
        return self.geometry.taps

    def check(self) -> None:
        """Raise `ValueError` with the reason if there is no such kernel."""
        self.geometry.check()


class Weighted(Windowed):
    """A node that multiplies by constants: `weights` (values seen, outputs), where a zero is a pruned weight.

    `weight_bits` and `input_bits` are the quantizers' widths, by which bit operations are counted. The integers
    themselves may need fewer bits or, after a sign was moved into them, one more: hardware asks `weight_width`. Each
    kind declares the fields itself.
    """

    weights: np.ndarray
    weight_bits: int
    input_bits: int

    @property
    def word(self) -> str:
        """What messages call one of its results."""
        return "accumulator"

    @property
    def inputs(self) -> int:
        """Values that one output sees at one position."""
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
    def spreads_codes(self) -> bool:
        """Whether a shift of all that is seen shifts the sums of channels by different values."""
        shifts = column_sums(self.weights, "the sums of weights")
        return bool((shifts != shifts[0]).any())

    @property
    def weight_width(self) -> int:
        """Bits of a signed type that holds every weight."""
        return width(min(int(self.weights.min()), -1), int(self.weights.max()))

    def check(self) -> None:
        """Raise `ValueError` for weights that are no matrix of integers."""
        super().check()
        if self.weights.ndim != 2 or 0 in self.weights.shape or self.weights.dtype != np.int64:
            raise ValueError(f"its weights have shape {self.weights.shape} and type {self.weights.dtype}")


def by_rows(windows: np.ndarray, evaluate: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Return `evaluate` of `windows` (frames, rows, columns, ...), a few rows at a time.

    What a kernel sees is as many times its source as it has taps; all at once, a large image would fill the memory.
    """
    rows = max(1, MOST_SEEN // max(1, windows[:, :1].size))
    parts = [evaluate(windows[:, first : first + rows]) for first in range(0, windows.shape[1], rows)]
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
