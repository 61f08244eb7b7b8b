# SPDX-License-Identifier: Apache-2.0
"""Which bank each input of a sparse matrix lies in, so that the lanes of a group seldom wait for each other.

An output takes as many slots as it has weights in the bank that has most of them. Moving an input to another bank
changes this for the outputs that have a weight for it. The search tries random moves, and takes those that make things
worse less and less often. It is compiled: it looks at some ten thousand moves for each folding of a layer.
"""

from __future__ import annotations

import numpy as np

from qap2fpga.backends.finn.stream.handshakes import compiled

SEED = 2026
# Moves that are tried per input and bank that it may go to, and in all.
MOVES_PER_CHOICE, MOST_MOVES = 40, 60_000
# Slots that a move may cost when the search begins.
WARMTH = 0.3
# The power with which the slots of a group count: the slowest one counts most, and the others a little.
POWER = 8.0


def banks(weights: np.ndarray, groups: int, count: int, simd: int) -> np.ndarray:
    """Return the bank of each input of `weights` (inputs, outputs), of `count` banks.

    Inputs come in beats of `simd`. Element `k` of a beat may go to the banks `k`, `k + simd`, ...; where there are
    fewer banks than `simd`, it goes to bank `k % count`.
    """
    inputs = len(weights)
    lane = np.arange(inputs) % simd
    choices = count // simd
    if choices < 2:
        return lane % count
    beat, beats = np.arange(inputs) // simd, inputs // simd
    # In turns; or one bank after the other, which is even where each stretch of an output has as many weights.
    starts_from = [lane + simd * one for one in (beat % choices, beat * choices // beats)]
    first = min(starts_from, key=lambda one: _slowest(weights, one, groups, count))
    moves = min(MOVES_PER_CHOICE * inputs * choices, MOST_MOVES)
    random = np.random.default_rng(SEED)
    moved, where = random.integers(inputs, size=moves), random.integers(choices, size=moves)
    outputs, starts = _rows(weights != 0)
    _search(outputs, starts, first, weights.shape[1], groups, count, simd, moved, where, random.random(moves))
    return first


def lengths(weights: np.ndarray, bank: np.ndarray, count: int) -> np.ndarray:
    """Return the slots of each output: its weights in the bank that has most, and one if it has none."""
    by_bank = np.stack([(weights[bank == one] != 0).sum(axis=0) for one in range(count)])
    return np.maximum(by_bank.max(axis=0), 1).astype(np.int64)


def _slowest(weights: np.ndarray, bank: np.ndarray, groups: int, count: int) -> int:
    """The slots of the group that takes most."""
    return int(lengths(weights, bank, count).reshape(-1, groups).sum(axis=0).max())


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
    total = 0.0
    for one in slots:
        total += scale * (one / scale) ** POWER
    return total


@compiled
def _search(
    outputs: np.ndarray, starts: np.ndarray, bank: np.ndarray, rows: int, groups: int, count: int, simd: int,
    moved: np.ndarray, where: np.ndarray, luck: np.ndarray,
) -> None:  # fmt: skip
    """Improve `bank` in place."""
    counts = np.zeros((rows, count), np.int64)
    for number in range(len(bank)):
        for at in range(starts[number], starts[number + 1]):
            counts[outputs[at], bank[number]] += 1
    slots = np.zeros(groups, np.int64)
    for output in range(rows):
        slots[output % groups] += _most(counts, output)
    best, best_bank = slots.max() * 1.0 + slots.sum() / len(slots) / 1000, bank.copy()
    changed = slots.copy()
    for trial in range(len(moved)):
        number = moved[trial]
        old, new = bank[number], number % simd + simd * where[trial]
        if old == new:
            continue
        changed[:] = slots
        for at in range(starts[number], starts[number + 1]):
            output = outputs[at]
            before = _most(counts, output)
            counts[output, old] -= 1
            counts[output, new] += 1
            changed[output % groups] += _most(counts, output) - before
        scale = float(slots.max())
        worse = _price(changed, scale) - _price(slots, scale)
        warmth = WARMTH * (1 - trial / len(moved)) + 1e-9
        if worse <= 0 or luck[trial] < np.exp(-worse / warmth):
            bank[number] = new
            slots[:] = changed
            value = slots.max() * 1.0 + slots.sum() / len(slots) / 1000
            if value < best:
                best = value
                best_bank[:] = bank
        else:
            for at in range(starts[number], starts[number + 1]):
                counts[outputs[at], old] += 1
                counts[outputs[at], new] -= 1
    bank[:] = best_bank
