# SPDX-License-Identifier: Apache-2.0
"""The memories of flows/finn/qap_sparse.sv: its program and its table of banks, as numbers."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from qap2fpga.backends.finn.sparse.schedule import Schedule
from qap2fpga.backends.finn.verilog import packed_number


@dataclass(frozen=True)
class Memories:
    """What the module is given: its sizes, as its parameters have them, a word per slot, a word per beat.

    `banking` is empty where a beat's elements have one bank each that they may go to.
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
    def place_bits(self) -> int:
        """Bits of a place in a bank."""
        return max(1, (self.places - 1).bit_length())

    @property
    def lane_bits(self) -> int:
        """Bits of what a lane does in a slot: a weight, a place, and which value of the word there."""
        return self.weight_bits + self.place_bits + (max(self.simd // self.banks, 1) - 1).bit_length()

    @property
    def program_bits(self) -> int:
        """Bits of a word per slot."""
        return 1 + self.pe + self.pe * self.banks * self.lane_bits

    @property
    def choice_bits(self) -> int:
        """Bits of which bank an element goes to."""
        return (max(self.banks // self.simd, 1) - 1).bit_length()


def memories(schedule: Schedule, weights: np.ndarray, weight_bits: int) -> Memories:
    """Return the memories for a schedule of `weights` (inputs, outputs)."""
    fold = schedule.fold
    beats = len(weights) // fold.simd
    bare = Memories(
        fold.simd, beats, fold.banks, schedule.places, fold.pe, schedule.queue, weight_bits, (), ()
    )  # fmt: skip
    banking: tuple[int, ...] = ()
    if bare.choice_bits:
        choices = (schedule.bank // fold.simd).reshape(beats, fold.simd)
        banking = tuple(packed_number(row.tolist(), bare.choice_bits) for row in choices)
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
    return replace(bare, program=tuple(program), banking=banking)


def _lane(bare: Memories, schedule: Schedule, weights: np.ndarray, number: int, output: int) -> int:
    if number < 0:
        return 0
    weight = int(weights[number, output]) & (1 << bare.weight_bits) - 1
    where = int(schedule.place[number]) | int(schedule.value[number]) << bare.place_bits
    return weight | where << bare.weight_bits
