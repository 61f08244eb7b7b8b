# SPDX-License-Identifier: Apache-2.0
"""The memories of flows/finn/qap_sparse.sv: its program and its table of banks, as numbers."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from qap2fpga.backends.finn.sparse.banking import Fold
from qap2fpga.backends.finn.sparse.schedule import Schedule, places
from qap2fpga.backends.finn.verilog import packed_number


@dataclass(frozen=True)
class Memories:
    """What the module is given: its sizes, as its parameters have them, a word per slot, a word per beat.

    `banking` is empty where element `k` of a beat goes to bank `k % banks`.
    """

    simd: int
    beats: int
    banks: int
    places: int
    pe: int
    queue: int
    weight_bits: int
    program: tuple[int, ...]
    banking: tuple[int, ...]

    @property
    def values(self) -> int:
        """Elements of a word of a bank."""
        return max(self.simd // self.banks, 1)

    @property
    def place_bits(self) -> int:
        """Bits of a place in a bank."""
        return max(1, (self.places - 1).bit_length())

    @property
    def lane_bits(self) -> int:
        """Bits of what a lane does in a slot: a weight, a place, and which value of the word there."""
        return self.weight_bits + self.place_bits + (self.values - 1).bit_length()

    @property
    def program_bits(self) -> int:
        """Bits of a word per slot."""
        return 1 + self.pe + self.pe * self.banks * self.lane_bits

    @property
    def element_bits(self) -> int:
        """Bits of the number of an element in its beat."""
        return (self.simd - 1).bit_length()

    @property
    def field_bits(self) -> int:
        """Bits of which element goes to a position; where some have none, of whether one does."""
        return self.element_bits + (self.banks > self.simd)

    @property
    def banking_bits(self) -> int:
        """Bits of a word per beat."""
        return self.values * self.banks * self.field_bits


def memories(schedule: Schedule, weights: np.ndarray, weight_bits: int) -> Memories:
    """Return the memories for a schedule of `weights` (inputs, outputs)."""
    fold = schedule.fold
    beats, places = len(weights) // fold.simd, int(schedule.place.max()) + 1
    bare = Memories(fold.simd, beats, fold.banks, places, fold.pe, schedule.queue, weight_bits, (), ())
    # How many sums a group has finished before a slot says which output it is at.
    done = np.cumsum(schedule.last, axis=0) - schedule.last
    program = []
    for slot in range(schedule.slots):
        outputs = done[slot] * fold.pe + np.arange(fold.pe)
        lanes = [
            _lane(bare, schedule, weights, int(number), int(outputs[group]))
            for (group, _), number in np.ndenumerate(schedule.product[slot])
        ]
        head = int(schedule.emit[slot]) | packed_number(schedule.last[slot].astype(int).tolist(), 1) << 1
        program.append(head | packed_number(lanes, bare.lane_bits) << 1 + fold.pe)
    banking = _banking(bare, schedule) if fold.cross else ()
    return replace(bare, program=tuple(program), banking=banking)


def differing(weights: np.ndarray, position: np.ndarray, fold: Fold, slots: int, weight_bits: int) -> int:
    """Return the bits of a word that are not the same in all `slots`, without looking for a schedule.

    Whatever the schedule is, a lane does all that it has to, and nothing in the slots that are left.
    """
    place = places(position, fold)
    numbers, outputs = np.nonzero(weights)
    tasks = weights[numbers, outputs] & (1 << weight_bits) - 1
    tasks |= (place | position // fold.banks << max(1, int(place.max()).bit_length()))[numbers] << weight_bits
    lanes = outputs % fold.pe * fold.banks + position[numbers] % fold.banks
    ever, always = np.zeros(fold.lanes, np.int64), np.full(fold.lanes, -1)
    np.bitwise_or.at(ever, lanes, tasks)
    np.bitwise_and.at(always, lanes, tasks)
    always[np.bincount(lanes, minlength=fold.lanes) < slots] = 0
    finish = 1 + fold.pe if weights.shape[1] // fold.pe < slots else 0
    return finish + sum(int(one).bit_count() for one in ever & ~always)


def _lane(bare: Memories, schedule: Schedule, weights: np.ndarray, number: int, output: int) -> int:
    if number < 0:
        return 0
    weight = int(weights[number, output]) & (1 << bare.weight_bits) - 1
    value = int(schedule.position[number]) // bare.banks
    return weight | (int(schedule.place[number]) | value << bare.place_bits) << bare.weight_bits


def _banking(bare: Memories, schedule: Schedule) -> tuple[int, ...]:
    words = []
    for positions in schedule.position.reshape(bare.beats, bare.simd):
        word = 0
        for element, position in enumerate(positions.tolist()):
            field = element | (bare.banks > bare.simd) << bare.element_bits
            word |= field << position * bare.field_bits
        words.append(word)
    return tuple(words)
