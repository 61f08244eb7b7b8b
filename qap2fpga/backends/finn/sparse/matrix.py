# SPDX-License-Identifier: Apache-2.0
"""A matrix of weights with what is known of its foldings: each schedule is looked for once."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

import numpy as np

from qap2fpga.backends.finn.sparse import banking, schedule
from qap2fpga.backends.finn.sparse.check import check
from qap2fpga.backends.finn.sparse.schedule import Fold
from qap2fpga.backends.finn.sparse.words import Memories, memories

T = TypeVar("T")


class Matrix:
    """`weights` (inputs, outputs), of `bits` bits each."""

    def __init__(self, name: str, weights: np.ndarray, bits: int) -> None:
        self.name, self.weights, self.bits = name, weights, bits
        self._known: dict[Hashable, Any] = {}

    @property
    def products(self) -> int:
        """Weights that are not zero."""
        return int(np.count_nonzero(self.weights))

    def slots(self, fold: Fold, queue: int) -> int:
        """Return the cycles per vector."""
        return self._once((fold, queue), lambda: schedule.slots(self._lengths(fold), fold.pe, queue))

    def places(self, fold: Fold) -> int:
        """Return the words of a page of a bank."""
        if fold.banks <= fold.simd:
            return len(self.weights) // fold.simd
        return int(np.bincount(self._banks(fold)).max())

    def memories(self, fold: Fold, queue: int) -> Memories:
        """Return the memories of the module that computes it. Raises `CheckFailed` if they do not."""
        return self._once((fold, queue, "memories"), lambda: self._checked(fold, queue))

    def _checked(self, fold: Fold, queue: int) -> Memories:
        bank = self._banks(fold)
        found = memories(schedule.find(self.weights, bank, fold, queue), self.weights, self.bits)
        check(found, self.weights, self.name)
        return found

    def _lengths(self, fold: Fold) -> np.ndarray:
        return self._once((fold, "lengths"), lambda: banking.lengths(self.weights, self._banks(fold), fold.banks))

    def _banks(self, fold: Fold) -> np.ndarray:
        return self._once(
            (fold, "banks"), lambda: banking.banks(self.weights, fold.pe, fold.banks, fold.simd)
        )  # fmt: skip

    def _once(self, key: Hashable, make: Callable[[], T]) -> T:
        if key not in self._known:
            self._known[key] = make()
        found: T = self._known[key]
        return found
