# SPDX-License-Identifier: Apache-2.0
"""When each weight of a sparse matrix is multiplied, and by which lane: what flows/finn/qap_sparse.sv runs.

Output `i` belongs to group `i % pe`, so that results leave in the order of the outputs. A group takes its outputs one
after the other. A beat of results leaves when the slowest group has finished its sum of it; up to `queue` finished sums
of the other groups wait for that.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qap2fpga.backends.finn.sparse import banking
from qap2fpga.backends.finn.sparse.banking import Fold

# Finished sums that may wait: none, in a register, or in LUT RAM, which is as large for 2 as for 32.
QUEUES = (0, 1, 32)


@dataclass(frozen=True, eq=False)
class Schedule:
    """What each lane does in each slot.

    `position` (inputs) and `place` (inputs) are where an input lies: in which bank, at which of its words, and which
    part of that. `product` (slots, pe, banks) is the number of the input that a lane multiplies, -1 for none. `last`
    (slots, pe) says which groups finish a sum, `emit` (slots) whether a beat of results is complete then.
    """

    fold: Fold
    queue: int
    position: np.ndarray
    place: np.ndarray
    product: np.ndarray
    last: np.ndarray
    emit: np.ndarray

    @property
    def slots(self) -> int:
        """Cycles per vector."""
        return len(self.emit)


def places(position: np.ndarray, fold: Fold) -> np.ndarray:
    """Return the place of each input in its bank: its beat, where each bank takes a word of every beat."""
    if fold.banks <= fold.simd:
        return np.arange(len(position)) // fold.simd
    place = np.zeros(len(position), np.int64)
    for one in range(fold.banks):
        place[position == one] = np.arange((position == one).sum())
    return place


def finishes(lengths: np.ndarray, pe: int, queue: int) -> np.ndarray:
    """Return the slot in which each sum is finished, as (beats of results, pe), for outputs of so many slots each."""
    rows = lengths.reshape(-1, pe)
    ends = np.zeros_like(rows)
    before = np.full(pe, -1)
    for beat, row in enumerate(rows):
        before = before + row
        if queue == 0:
            before = np.full(pe, before.max())
        elif beat >= queue:
            # A sum takes the place of one that leaves a slot after it was complete.
            before = np.maximum(before, ends[beat - queue].max() + 1)
        ends[beat] = before
    return ends


def slots(lengths: np.ndarray, pe: int, queue: int) -> int:
    """Return the cycles per vector."""
    return int(finishes(lengths, pe, queue)[-1].max()) + 1


def find(weights: np.ndarray, position: np.ndarray, fold: Fold, queue: int) -> Schedule:
    """Return a schedule for `weights` (inputs, outputs), whose inputs lie at these positions."""
    bank = position % fold.banks
    ends = finishes(banking.lengths(weights, position, fold), fold.pe, queue)
    count = int(ends[-1].max()) + 1
    product = np.full((count, fold.pe, fold.banks), -1, np.int64)
    last = np.zeros((count, fold.pe), np.bool_)
    for (row, group), end in np.ndenumerate(ends):
        last[end, group] = True
        column = weights[:, row * fold.pe + group]
        for one in range(fold.banks):
            found = np.flatnonzero((column != 0) & (bank == one))
            product[end - len(found) + 1 : end + 1, group, one] = found
    emit = np.zeros(count, np.bool_)
    emit[ends.max(axis=1)] = True
    return Schedule(fold, queue, position, places(position, fold), product, last, emit)
