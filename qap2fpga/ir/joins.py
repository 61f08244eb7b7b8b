# SPDX-License-Identifier: Apache-2.0
"""Nodes that join branches: weighted sums of tensors of one shape, and channels side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from qap2fpga.exact import integers as exact
from qap2fpga.ir.nodes import Node
from qap2fpga.ir.tensors import Range, Shape


@dataclass(frozen=True, eq=False, kw_only=True)
class Sum(Node):
    """Sums of the sources' values, each times its integer in `multipliers`: residuals, also of unequal scales."""

    kind = "sum"
    multipliers: tuple[int, ...]

    def check(self) -> None:
        """Raise `ValueError` if there is no multiplier for each source, or one of 0."""
        if len(self.multipliers) != len(self.sources) or len(self.sources) < 2:
            raise ValueError(f"it has {len(self.multipliers)} multipliers for {len(self.sources)} sources")
        if 0 in self.multipliers:
            raise ValueError("a multiplier is 0")

    def shape(self, sources: Sequence[Shape]) -> Shape:
        """Return the sources' one shape."""
        if len(set(sources)) != 1:
            raise ValueError(f"its sources have the shapes {' and '.join(map(str, sources))}, which must be equal")
        return sources[0]

    def evaluate(self, sources: Sequence[np.ndarray]) -> np.ndarray:
        """Return the sums."""
        return self._sum(sources)

    def reach(self, sources: Sequence[Range]) -> Range:
        """Return the range of the sums where every source may have any value of its range."""
        turned = [
            source if multiplier > 0 else Range(source.high, source.low)
            for source, multiplier in zip(sources, self.multipliers, strict=True)
        ]
        return Range(self._sum([one.low for one in turned]), self._sum([one.high for one in turned]))

    def _sum(self, values: Sequence[np.ndarray]) -> np.ndarray:
        total = np.zeros((), np.int64)
        for value, multiplier in zip(values, self.multipliers, strict=True):
            total = exact.multiply_add(value, multiplier, total, f"the sums of node {self.name}")
        return total


@dataclass(frozen=True, eq=False, kw_only=True)
class Concat(Node):
    """The channels of all sources, one after the other, at every position."""

    kind = "concat"

    def shape(self, sources: Sequence[Shape]) -> Shape:
        """Return the sources' rows and columns, with all their channels."""
        first = sources[0]
        if any((one.height, one.width) != (first.height, first.width) for one in sources):
            raise ValueError(f"its sources have the shapes {' and '.join(map(str, sources))}: other rows or columns")
        return Shape(sum(one.channels for one in sources), first.height, first.width)

    def evaluate(self, sources: Sequence[np.ndarray]) -> np.ndarray:
        """Return the values side by side."""
        return np.concatenate(list(sources), axis=-1)

    def reach(self, sources: Sequence[Range]) -> Range:
        """Return the sources' ranges, one after the other."""
        return Range(np.concatenate([one.low for one in sources]), np.concatenate([one.high for one in sources]))
