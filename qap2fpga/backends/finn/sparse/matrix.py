# SPDX-License-Identifier: Apache-2.0
"""A matrix of weights with what is known of its foldings: each schedule is looked for once."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

import numpy as np

from qap2fpga.backends.finn.sparse import banking, schedule
from qap2fpga.backends.finn.sparse.banking import Fold
from qap2fpga.backends.finn.sparse.check import check
from qap2fpga.backends.finn.sparse.words import Memories, differing, memories

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

    def places(self, fold: Fold) -> tuple[int, ...]:
        """Return the words of a page of each bank."""
        return self._once((fold, "places"), lambda: self._words(fold))

    def differing(self, fold: Fold, queue: int) -> int:
        """Return the bits of the program's words that are not the same in all of them."""
        slots, position = self.slots(fold, queue), self._positions(fold)
        return self._once(
            (fold, queue, "differing"), lambda: differing(self.weights, position, fold, slots, self.bits)
        )  # fmt: skip

    def memories(self, fold: Fold, queue: int) -> Memories:
        """Return the memories of the module that computes it. Raises `CheckFailed` if they do not."""
        return self._once((fold, queue, "memories"), lambda: self._checked(fold, queue))

    def _checked(self, fold: Fold, queue: int) -> Memories:
        found = memories(schedule.find(self.weights, self._positions(fold), fold, queue), self.weights, self.bits)
        check(found, self.weights, self.name)
        return found

    def _words(self, fold: Fold) -> tuple[int, ...]:
        position = self._positions(fold)
        place, bank = schedule.places(position, fold), position % fold.banks
        return tuple(int(place[bank == one].max(initial=0)) + 1 for one in range(fold.banks))

    def _lengths(self, fold: Fold) -> np.ndarray:
        return self._once((fold, "lengths"), lambda: banking.lengths(self.weights, self._positions(fold), fold))

    def _positions(self, fold: Fold) -> np.ndarray:
        return self._once((fold, "positions"), lambda: banking.positions(self.weights, fold))

    @property
    def even(self) -> Matrix:
        """The matrix of which no lane ever waits: no schedule of this one takes less, and nothing is looked for."""
        return self._once("even", lambda: Even(self.name, self.weights, self.bits))

    def _once(self, key: Hashable, make: Callable[[], T]) -> T:
        if key not in self._known:
            self._known[key] = make()
        found: T = self._known[key]
        return found


class Even(Matrix):
    """A matrix as if the weights of each output lay evenly in the banks, and so did all inputs."""

    def _lengths(self, fold: Fold) -> np.ndarray:
        return np.maximum(-(-(self.weights != 0).sum(axis=0) // fold.banks), 1).astype(np.int64)

    def _words(self, fold: Fold) -> tuple[int, ...]:
        return (-(-len(self.weights) // max(fold.simd, fold.banks)),) * fold.banks

    def _positions(self, fold: Fold) -> np.ndarray:
        # In turns: of these the program's words have about as many bits that differ.
        return np.arange(len(self.weights)) % fold.positions
