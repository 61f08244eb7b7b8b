# SPDX-License-Identifier: Apache-2.0
"""What nodes with a kernel have in common."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

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

    def check(self) -> None:
        """Raise `ValueError` with the reason if there is no such kernel."""
        self.geometry.check()


def check_weights(weights: np.ndarray) -> None:
    """Raise `ValueError` for weights that are no matrix of integers."""
    if weights.ndim != 2 or 0 in weights.shape or weights.dtype != np.int64:
        raise ValueError(f"its weights have shape {weights.shape} and type {weights.dtype}")


def by_rows(windows: np.ndarray, evaluate: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Return `evaluate` of `windows` (frames, rows, columns, ...), a few rows at a time.

    What a kernel sees is as many times its source as it has taps; all at once, a large image would fill the memory.
    """
    rows = max(1, MOST_SEEN // max(1, windows[:, :1].size))
    parts = [evaluate(windows[:, first : first + rows]) for first in range(0, windows.shape[1], rows)]
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
