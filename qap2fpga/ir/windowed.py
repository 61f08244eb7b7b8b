# SPDX-License-Identifier: Apache-2.0
"""What nodes with a kernel have in common."""

from __future__ import annotations

import numpy as np

from qap2fpga.ir.geometry import Geometry
from qap2fpga.ir.nodes import Node


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


def check_weights(weights: np.ndarray) -> None:
    """Raise `ValueError` for weights that are no matrix of integers."""
    if weights.ndim != 2 or 0 in weights.shape or weights.dtype != np.int64:
        raise ValueError(f"its weights have shape {weights.shape} and type {weights.dtype}")
