# SPDX-License-Identifier: Apache-2.0
"""Where integers may lie in logic that has no names to go by: the wires that are equal to their bits, on many vectors.

These are hints. Equal on vectors is not equal; what is proven of a wire rests on none of this.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np

from qap2fpga.exact.integers import width
from qap2fpga.prove.algebra import WORD, Sliced, packed
from qap2fpga.prove.cells import Part
from qap2fpga.prove.linear import Value, ranges

SLICED = Sliced()
SEED = 11
# Vectors of a layer, in all, and those of them that no channel asks for.
VECTORS, RANDOM = 64 * WORD, 24 * WORD
# Wires that are tried for a bit.
MOST_TRIED, MOST_TOGETHER = 4, 6


def vectors(values: Sequence[Value], weights: np.ndarray) -> np.ndarray:
    """Return integers (n, values) of `values`: of any kind, at their ends, and such that sums go from end to end.

    `weights` (values, channels) say what the sums are.
    """
    random = np.random.default_rng(SEED)
    lows, highs = ranges(values)
    rows = random.integers(lows, highs + 1, (VECTORS, len(values)))
    rows[0], rows[1] = lows, highs
    ends = random.random((RANDOM // 4, len(values))) < random.random((RANDOM // 4, 1))
    rows[2 : 2 + len(ends)] = np.where(ends, lows, highs)
    # How many of a channel's inputs push its sum to one side.
    channels = random.integers(0, weights.shape[1], VECTORS - RANDOM)
    upwards = (weights[:, channels].T > 0) == (random.random((len(channels), 1)) < 0.5)
    # Most of them far, since little happens between, and much at the ends.
    pushed = random.random(upwards.shape) < 1 - random.random((len(channels), 1)) ** 3
    rows[RANDOM:] = np.where(pushed, np.where(upwards, highs, lows), rows[RANDOM:])
    for at, value in enumerate(values):
        if value.among is not None:
            its = np.array(sorted(value.among))
            rows[:, at] = its[np.clip(np.searchsorted(its, rows[:, at]), 0, len(its) - 1)]
    return rows


def columns(values: Sequence[Value], rows: np.ndarray) -> dict[int, np.ndarray]:
    """Return the bits that hold `values` where they are `rows` (n, values)."""
    bits: dict[int, np.ndarray] = {}
    for value, column in zip(values, rows.T, strict=True):
        bits.update(zip(value.bits, packed(column, len(value.bits)), strict=True))
    return bits


class Signatures:
    """What logic makes of `given` bits, constants among them, for many vectors: all that depends on no others."""

    def __init__(self, parts: Iterable[Part], given: Mapping[int, np.ndarray]) -> None:
        self.bits: dict[int, np.ndarray] = dict(given)
        self.parts: list[Part] = []
        self._levels = dict.fromkeys(self.bits, 0)
        for part in parts:
            self._add(part)
        self._with: dict[bytes, list[int]] = {}
        for bit, values in self.bits.items():
            self._with.setdefault(_digest(values)[0], []).append(bit)

    def _add(self, part: Part) -> None:
        read = [bit for operand in part.operands for bit in operand]
        if not all(bit in self.bits for bit in read):
            return
        results = part.evaluate(SLICED, [[self.bits[bit] for bit in operand] for operand in part.operands])
        level = 1 + max((self._levels[bit] for bit in read), default=0)
        self.parts.append(part)
        for bit, values in zip(part.driven, results, strict=True):
            if bit not in self.bits:
                self.bits[bit], self._levels[bit] = np.broadcast_to(values, self.bits[0].shape), level

    def equal(self, values: np.ndarray) -> list[Wire]:
        """Return the bits that are equal to `values`, and those that are their inverse: what depends on least first."""
        digest, inverted = _digest(values)
        bits = sorted(self._with.get(digest, ()), key=lambda bit: self._levels[bit])
        return [(bit, _digest(self.bits[bit])[1] != inverted) for bit in bits]


def _digest(values: np.ndarray) -> tuple[bytes, bool]:
    """Return what stands for `values` and for their inverse, and which of the two they are."""
    inverted = bool(values[0] & 1)
    return blake2b((~values if inverted else values).tobytes(), digest_size=16).digest(), inverted


# A bit of the logic, and whether it is the inverse that is meant.
Wire = tuple[int, bool]


@dataclass(frozen=True)
class Guess:
    """Where a result may lie: `offset + factor * integer` of the integer on `bits`, each of them inverted or not."""

    bits: tuple[Wire, ...]
    signed: bool
    offset: int = 0
    factor: int = 1


def guesses(
    signatures: Signatures, named: Sequence[Sequence[int]], results: np.ndarray, ends: tuple[int, int],
    codes: Iterable[tuple[int, int]],
) -> Iterator[Guess]:  # fmt: skip
    """Yield where `results` (n,) between `ends` may lie, as one of the `codes`: offset and factor.

    Wires that are `named` together come before others, and each of these has what depends on least first.
    """
    for offset, factor in codes:
        low, high = sorted((end - offset) // factor for end in ends)
        every = [signatures.equal(bit) for bit in packed((results - offset) // factor, width(low, high))]
        if all(every):
            tried = [tuple(one[min(at, len(one) - 1)] for one in every) for at in range(MOST_TRIED)]
            tried = [*itertools.islice(_together(every, named), MOST_TOGETHER), *tried]
            for bits in dict.fromkeys(tried):
                yield Guess(bits, low < 0, offset, factor)


def _together(every: Sequence[Sequence[Wire]], named: Sequence[Sequence[int]]) -> Iterator[tuple[Wire, ...]]:
    """Yield a wire of each of `every` such that all lie side by side in a vector; constants lie anywhere."""
    first = next((at for at, one in enumerate(every) if one[0][0] not in (0, 1)), None)
    if first is None:
        return
    known = [dict(one) for one in every]
    for bit, _ in every[first]:
        for bits in named:
            begin = bits.index(bit) - first if bit in bits else -1
            its = bits[max(begin, 0) : begin + len(every)]
            if begin >= 0 and len(its) == len(every):
                wires = [_of(wire, one) for wire, one in zip(its, known, strict=True)]
                if None not in wires:
                    yield tuple(wire for wire in wires if wire is not None)


def _of(bit: int, among: Mapping[int, bool]) -> Wire | None:
    """Return `bit`, or a constant, if it is `among` the wires that have an integer's bit."""
    chosen = next((one for one in (bit, 0, 1) if one in among), None)
    return None if chosen is None else (chosen, among[chosen])
