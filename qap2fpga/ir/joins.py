# SPDX-License-Identifier: Apache-2.0
"""Nodes that join branches: weighted sums of tensors of one shape, and channels side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from qap2fpga.exact import integers as exact
from qap2fpga.ir.nodes import Node
from qap2fpga.ir.tensors import Code, Range, Shape


@dataclass(frozen=True, eq=False, kw_only=True)
class Sum(Node):
    """Sums of the sources' values, each times its integer in `multipliers`: residuals, also of unequal scales."""

    kind = "sum"
    multipliers: tuple[int, ...]

    def check(self) -> None:
        """Raise `ValueError` if there is no multiplier for each source, or one of 0."""
        if len(self.multipliers) != len(self.sources):
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

    def range(self, sources: Sequence[Range]) -> Range:
        """Return the range of the sums where every source may have any value of its range."""
        turned = [
            source if multiplier > 0 else Range(source.high, source.low)
            for source, multiplier in zip(sources, self.multipliers, strict=True)
        ]
        return Range(self._sum([one.low for one in turned]), self._sum([one.high for one in turned]))

    def recoded(self, codes: Sequence[Code]) -> tuple[Self, Code]:
        """Return the node whose multipliers take up the steps; what the bases sum up to is left to who reads it."""
        steps = [multiplier * code.common_step for multiplier, code in zip(self.multipliers, codes, strict=True)]
        return replace(self, multipliers=tuple(steps)), Code.shifted(self._sum([code.base for code in codes]))

    def wants(self, kept: np.ndarray, constant: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
        """Return `kept`, but nothing of a source that is a constant as a whole."""
        return [kept & ~fixed.all() for fixed in constant]

    def tied(self, kept: Sequence[np.ndarray], constant: Sequence[np.ndarray]) -> np.ndarray:
        """Return what those sources keep that are no constants."""
        stay = [one for one, fixed in zip(kept, constant, strict=True) if not fixed.all()]
        return np.asarray(np.logical_or.reduce(stay)) if stay else np.zeros_like(kept[0])

    def narrowed(
        self, kept: np.ndarray, taken: Sequence[np.ndarray], values: Sequence[np.ndarray]
    ) -> tuple[Self, np.ndarray | None]:
        """Return the node without sources of which nothing is taken; those were constants, which its sums miss."""
        # Another reader may keep channels of a constant.
        stay = [np.array_equal(one, kept) for one in taken]
        fewer = replace(
            self.select(kept),
            sources=tuple(one for one, stays in zip(self.sources, stay, strict=True) if stays),
            multipliers=tuple(one for one, stays in zip(self.multipliers, stay, strict=True) if stays),
        )
        nothing = np.zeros(int(kept.sum()), np.int64)
        gone = [nothing if stays else value[kept] for value, stays in zip(values, stay, strict=True)]
        return fewer, self._sum(gone)

    def _sum(self, values: Sequence[np.ndarray]) -> np.ndarray:
        total = np.zeros((), np.int64)
        for value, multiplier in zip(values, self.multipliers, strict=True):
            total = exact.multiply_add(value, multiplier, total, f"the sums of node {self.name}")
        return total


@dataclass(frozen=True, eq=False, kw_only=True)
class Concat(Node):
    """The channels of all sources, one after the other, at every position."""

    kind = "concat"
    hands_on = True
    joins_channels = True

    def shape(self, sources: Sequence[Shape]) -> Shape:
        """Return the sources' rows and columns, with all their channels."""
        first = sources[0]
        if any((one.height, one.width) != (first.height, first.width) for one in sources):
            raise ValueError(f"its sources have the shapes {' and '.join(map(str, sources))}: other rows or columns")
        return Shape(sum(one.channels for one in sources), first.height, first.width)

    def evaluate(self, sources: Sequence[np.ndarray]) -> np.ndarray:
        """Return the values side by side."""
        return np.concatenate(list(sources), axis=-1)

    def range(self, sources: Sequence[Range]) -> Range:
        """Return the sources' ranges, one after the other."""
        return Range(np.concatenate([one.low for one in sources]), np.concatenate([one.high for one in sources]))

    def recoded(self, codes: Sequence[Code]) -> tuple[Self, Code]:
        """Return the node: each channel keeps the code that it comes with."""
        return self, Code(np.concatenate([one.step for one in codes]), np.concatenate([one.base for one in codes]))

    def wants(self, kept: np.ndarray, constant: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
        """Return each source's part of `kept`."""
        parts, rest = [], kept
        for one in constant:
            parts.append(rest[: len(one)])
            rest = rest[len(one) :]
        return parts

    def tied(self, kept: Sequence[np.ndarray], constant: Sequence[np.ndarray]) -> np.ndarray:
        """Return what the sources keep, one after the other."""
        return np.concatenate(list(kept))

    def narrowed(
        self, kept: np.ndarray, taken: Sequence[np.ndarray], values: Sequence[np.ndarray]
    ) -> tuple[Self, np.ndarray | None]:
        """Return the node without sources of which nothing is taken."""
        sources = tuple(name for name, one in zip(self.sources, taken, strict=True) if one.any())
        return replace(self.select(kept), sources=sources), None
