# SPDX-License-Identifier: Apache-2.0
"""The real inputs that float executions are tried on, and how a message calls each of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from qap2fpga.ir.quantizer import InputQuantizer


@dataclass(frozen=True)
class Trial:
    """Real `rows` (n, inputs) float32, in groups one after the other: (name, number of rows) each."""

    rows: np.ndarray
    groups: tuple[tuple[str, int], ...]

    def __len__(self) -> int:
        return len(self.rows)

    def name(self, index: int) -> str:
        """Return what a message calls the vector: 'corner vector 3', counted from 0."""
        for group, count in self.groups:
            if index < count:
                return f"{group} vector {index}"
            index -= count
        raise IndexError(index)

    def first(self, group: str, count: int) -> Trial:
        """Return this with no more than the first `count` rows of `group`."""
        return self._selected(self.positions(group, count), group, count)

    def positions(self, group: str, count: int) -> np.ndarray:
        """Return where the rows of `first` stand in these."""
        kept, start = [], 0
        for name, size in self.groups:
            kept.append(np.arange(start, start + (min(size, count) if name == group else size)))
            start += size
        return np.concatenate(kept)

    def _selected(self, positions: np.ndarray, group: str, count: int) -> Trial:
        groups = tuple((name, min(size, count) if name == group else size) for name, size in self.groups)
        return Trial(self.rows[positions], groups)

    @property
    def words(self) -> str:
        """How many vectors of which group: '256 recorded, 1000 random and 90 corner vectors'."""
        parts = [f"{count} {name}" for name, count in self.groups if count]
        return f"{' and '.join(filter(None, [', '.join(parts[:-1]), parts[-1]]))} vectors"


def trial(quantizer: InputQuantizer, recorded: np.ndarray, drawn: Sequence[tuple[str, np.ndarray]]) -> Trial:
    """Return the `recorded` real rows, and real inputs for the integers of each group of `drawn`.

    Integers that no float32 quantizes to (an offset may leave it too few bits) are left out; a sign is never 0.
    """
    rows, groups = [recorded.astype(np.float32)], [("recorded", len(recorded))]
    for name, vectors in drawn:
        integers = np.where(vectors >= 0, 1, -1) if quantizer.rounding == "SIGN" else vectors
        reals = real_inputs(quantizer, integers)
        with np.errstate(invalid="ignore"):
            same = np.isfinite(reals).all(axis=1) & (quantizer.quantize(reals) == integers).all(axis=1)
        rows.append(reals[same])
        groups.append((name, int(same.sum())))
    return Trial(np.concatenate(rows), tuple(groups))


def real_inputs(quantizer: InputQuantizer, integers: np.ndarray) -> np.ndarray:
    """Return float32 values (n, inputs) in the middle of what quantizes to `integers` (n, inputs)."""
    middle = integers.astype(np.float64)
    if quantizer.rounding == "FLOOR":
        middle += 0.5
    elif quantizer.rounding == "CEIL":
        middle -= 0.5
    elif quantizer.rounding == "ROUND_TO_ZERO":
        middle += 0.5 * np.sign(integers + quantizer.zero_point)
    with np.errstate(over="ignore"):
        return (middle * np.asarray(quantizer.scale) + np.asarray(quantizer.offset)).astype(np.float32)
