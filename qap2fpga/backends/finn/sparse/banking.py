# SPDX-License-Identifier: Apache-2.0
"""Which bank each input of a sparse matrix lies in, so that the lanes of a group seldom wait for each other.

An output takes as many slots as it has weights in the bank that has most of them. Moving an input to another bank, in
exchange for the one of its beat that goes there, changes this for the outputs that have a weight for either. The search
tries random moves, and takes those that make things worse less and less often. It is compiled: it looks at some ten
thousand moves for each folding of a layer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qap2fpga.backends.finn.stream.handshakes import compiled

SEED = 2026
# Moves that are tried per input and bank that it may go to, and in all.
MOVES_PER_CHOICE, MOST_MOVES = 40, 15_000
# Slots that a move may cost when the search begins.
WARMTH = 0.3


@dataclass(frozen=True)
class Fold:
    """How a matrix is folded: `simd` inputs per beat, `pe` outputs per beat, `banks` lanes for each of them.

    `simd` is less than `banks` or a multiple of it. With `cross` any input of a beat may go to any bank, as it must
    where there are more banks than inputs.
    """

    simd: int
    pe: int
    banks: int
    cross: bool = False

    def __post_init__(self) -> None:
        if self.simd % self.banks if self.simd >= self.banks else not self.cross:
            raise AssertionError(f"{self} cannot be built")

    @property
    def lanes(self) -> int:
        """Multipliers."""
        return self.pe * self.banks

    @property
    def values(self) -> int:
        """Inputs in a word of a bank."""
        return max(self.simd // self.banks, 1)

    @property
    def positions(self) -> int:
        """Inputs that the words of all banks have room for, side by side: position `p` is in bank `p % banks`."""
        return self.values * self.banks


def positions(weights: np.ndarray, fold: Fold) -> np.ndarray:
    """Return the position in the banks' words of each input of `weights` (inputs, outputs).

    No two inputs of a beat have the same.
    """
    inputs = len(weights)
    number = np.arange(inputs)
    if not fold.cross or fold.banks == 1:
        return number % fold.simd
    beat, element = np.divmod(number, fold.simd)
    # In turns; or one bank after the other, which is even where each stretch of an output has as many weights.
    choices = fold.positions // fold.simd
    starts_from = [number % fold.positions, element + fold.simd * (beat * choices // (inputs // fold.simd))]
    first = min(starts_from, key=lambda one: _slowest(weights, one, fold))
    moves = min(MOVES_PER_CHOICE * inputs * fold.banks, MOST_MOVES)
    random = np.random.default_rng(SEED)
    moved, where = random.integers(inputs, size=moves), random.integers(fold.positions, size=moves)
    outputs, starts = _rows(weights != 0)
    there = np.full((inputs // fold.simd, fold.positions), -1)
    there[beat, first] = number
    _search(
        outputs, starts, first, there, weights.shape[1], fold.pe, fold.banks, fold.simd, moved, where,
        random.random(moves),
    )  # fmt: skip
    return first


def lengths(weights: np.ndarray, position: np.ndarray, fold: Fold) -> np.ndarray:
    """Return the slots of each output: its weights in the bank that has most, and one if it has none."""
    bank = position % fold.banks
    by_bank = np.stack([(weights[bank == one] != 0).sum(axis=0) for one in range(fold.banks)])
    return np.maximum(by_bank.max(axis=0), 1).astype(np.int64)


def _slowest(weights: np.ndarray, position: np.ndarray, fold: Fold) -> int:
    """The slots of the group that takes most."""
    return int(lengths(weights, position, fold).reshape(-1, fold.pe).sum(axis=0).max())


def _rows(there: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The outputs that have a weight for each input, one input after the other, and where those of each input begin."""
    _, outputs = np.nonzero(there)
    return outputs.astype(np.int64), np.concatenate([[0], np.cumsum(there.sum(axis=1))]).astype(np.int64)


@compiled
def _most(counts: np.ndarray, output: int) -> int:
    most = 1
    for bank in range(counts.shape[1]):
        most = max(most, counts[output, bank])
    return most


@compiled
def _price(slots: np.ndarray, scale: float) -> float:
    """The slots of all groups, each to the eighth power: the slowest one counts most, and the others a little."""
    total = 0.0
    for one in slots:
        square = (one / scale) ** 2
        total += scale * (square * square) ** 2
    return total


@compiled
def _move(
    outputs: np.ndarray, begin: int, end: int, counts: np.ndarray, most: np.ndarray, slots: np.ndarray, old: int,
    new: int,
) -> None:  # fmt: skip
    """Count the weights of an input in the bank `new`; `most` of each output's are in one bank, or 1."""
    for at in range(begin, end):
        output = outputs[at]
        before = most[output]
        counts[output, old] -= 1
        counts[output, new] += 1
        after = max(before, counts[output, new])
        if after == before and counts[output, old] + 1 == before:
            after = _most(counts, output)
        most[output] = after
        if after != before:
            slots[output % len(slots)] += after - before


@compiled
def _search(
    outputs: np.ndarray, starts: np.ndarray, position: np.ndarray, there: np.ndarray, rows: int, groups: int,
    banks: int, simd: int, moved: np.ndarray, where: np.ndarray, luck: np.ndarray,
) -> None:  # fmt: skip
    """Improve `position` in place; `there` has the input at each position of each beat, -1 for none."""
    counts = np.zeros((rows, banks), np.int64)
    for number in range(len(position)):
        for at in range(starts[number], starts[number + 1]):
            counts[outputs[at], position[number] % banks] += 1
    most, slots = np.ones(rows, np.int64), np.zeros(groups, np.int64)
    for output in range(rows):
        most[output] = _most(counts, output)
        slots[output % groups] += most[output]
    best, best_position = slots.max() + slots.sum() / len(slots) / 1000, position.copy()
    changed, scale = slots.copy(), float(slots.max())
    price = _price(slots, scale)
    for trial in range(len(moved)):
        number, new = moved[trial], where[trial]
        old = position[number]
        if old % banks == new % banks:
            continue
        beat = number // simd
        other = there[beat, new]
        changed[:] = slots
        _move(outputs, starts[number], starts[number + 1], counts, most, changed, old % banks, new % banks)
        if other >= 0:
            _move(outputs, starts[other], starts[other + 1], counts, most, changed, new % banks, old % banks)
        worse = _price(changed, scale) - price
        warmth = WARMTH * (1 - trial / len(moved)) + 1e-9
        if worse <= 0 or luck[trial] < np.exp(-worse / warmth):
            there[beat, old], there[beat, new] = other, number
            position[number] = new
            if other >= 0:
                position[other] = old
            slots[:] = changed
            scale = float(slots.max())
            price = _price(slots, scale)
            value = slots.max() + slots.sum() / len(slots) / 1000
            if value < best:
                best = value
                best_position[:] = position
        else:
            if other >= 0:
                _move(outputs, starts[other], starts[other + 1], counts, most, changed, old % banks, new % banks)
            _move(outputs, starts[number], starts[number + 1], counts, most, changed, new % banks, old % banks)
    position[:] = best_position
