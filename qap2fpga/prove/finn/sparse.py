# SPDX-License-Identifier: Apache-2.0
"""What a sparse unit (qap_sparse.sv) adds up: one vector is followed through its banks and its program.

`units.py` says what each register becomes in a cycle. From there to the matrix, in plain words:

- *Pages.* Vector n is written to page n % 2, beat after beat, and `full` counts the pages that are written and not yet
  gone through. A beat is taken only while there is another page than the one that is read. A page is gone through once
  it is whole. So each slot reads the vector that is meant, whole, and nothing is written there meanwhile.
- *Time.* All but the pages moves at once, or stands still. Only moves count, then. Once slot 0 of a vector has begun
  each following move begins the next slot; between vectors there may be any number of moves without one, and what
  these read is marked so and not added.
- *Sums.* The products of slot s reach their group's sum h moves after it began, h the same for all slots. A sum begins
  anew after a slot that is marked as some sum's last one. A group's k-th such slot may be any one before, or the same
  as, the k-th slot that is marked to emit, which reads what is waiting one move later. Of a queue of q sums the k-th
  is overwritten by the one q later, which must not come sooner than that; if it is the next vector's, it comes the
  soonest where no move is between them.
- *The end.* In each vector as many sums are finished in each group as are emitted. So counters of the queue go on
  together, the next vector finds what this one found, and beat k has sum `k * PE + g` in lane g.

What is written to which place of a bank is seen by writing each beat of a vector; slots are gone through in order.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from qap2fpga.prove.cells import NotProven
from qap2fpga.prove.finn.memories import Instance, Memory

SPARSE = "qap_sparse"
NOTHING = -1


@dataclass(frozen=True)
class Unit:
    """A sparse unit: its sizes, as its parameters have them, and its memories."""

    one: Instance

    @cached_property
    def sizes(self) -> tuple[int, int, int, int, int, int, int]:
        """Elements of a beat, beats of a vector, banks, words of a page, groups, slots, and places of a queue."""
        simd, beats, banks, places, pe, slots, queue = map(
            self.one.number, ("SIMD", "BEATS", "BANKS", "PLACES", "PE", "SLOTS", "QUEUE")
        )
        whole = simd < banks or simd % max(banks, 1) == 0
        if not all((simd, beats, banks, places, pe, slots, whole)) or queue & (queue - 1):
            raise NotProven(f"{self.one.name}: sizes that a sparse unit cannot have")
        return simd, beats, banks, places, pe, slots, queue

    @property
    def values(self) -> int:
        """Elements of a word of a bank."""
        return max(self.sizes[0] // self.sizes[2], 1)

    @property
    def place_bits(self) -> int:
        """Bits of a place in a page."""
        return max(1, (self.sizes[3] - 1).bit_length())

    @property
    def field_sizes(self) -> tuple[int, int, int]:
        """Bits of a lane's weight, place, and which value of the word there."""
        return self.one.number("WEIGHT_BITS"), self.place_bits, (self.values - 1).bit_length()

    @property
    def product_bits(self) -> int:
        """Bits of a product; the lowest weight, which would need one more, is not used."""
        return self.one.number("IN_BITS") + self.field_sizes[0] - self.one.number("IN_SIGNED")

    @cached_property
    def program(self) -> Memory:
        """A word per slot."""
        memory = self.one.memory("gen_block.rom" if self.one.number("BLOCK") else "gen_logic.rom")
        width = 1 + self.sizes[4] * (1 + self.sizes[2] * sum(self.field_sizes))
        if memory.bits.shape != (self.sizes[5], width):
            raise NotProven(f"{memory.name} has {memory.bits.shape} bits, not {(self.sizes[5], width)}")
        return memory

    @cached_property
    def lanes(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The signed weight, place and value of each lane in each slot (slots, groups, banks)."""
        _, _, banks, _, pe, slots, _ = self.sizes
        every = self.program.bits[:, 1 + pe :].reshape(slots, pe, banks, -1).astype(np.int64)
        ends = np.cumsum((0, *self.field_sizes))
        weight, place, value = (
            every[..., start:end] @ (1 << np.arange(end - start)) for start, end in pairwise(ends.tolist())
        )
        return weight - (every[..., ends[1] - 1] << ends[1]), place, value

    @cached_property
    def banking(self) -> np.ndarray:
        """Which element of a beat each position of the banks' words takes (beats, values, banks), or `NOTHING`."""
        simd, beats, banks, *_ = self.sizes
        if not self.one.number("CROSS"):
            if banks > simd:
                raise NotProven(f"{self.one.name}: more banks than elements of a beat, and no table of banks")
            return np.broadcast_to(np.arange(simd).reshape(self.values, banks), (beats, self.values, banks))
        memory, fewer = self.one.memory("gen_cross.rom"), banks > simd
        bits, count = (simd - 1).bit_length(), self.values * banks
        if memory.bits.shape != (beats, count * (bits + fewer)):
            raise NotProven(f"{memory.name} has {memory.bits.shape} bits, not {(beats, count * (bits + fewer))}")
        fields = memory.bits.reshape(beats, self.values, banks, bits + fewer).astype(np.int64)
        element = fields[..., :bits] @ (1 << np.arange(bits))
        result = np.where(fields[..., -1] == 1, element, NOTHING) if fewer else element
        if result.max() >= simd:
            raise NotProven(f"{memory.name}: a beat has no element {result.max()}")
        return result

    @cached_property
    def written(self) -> np.ndarray:
        """The place in its bank that each beat is written to (beats, banks)."""
        _, beats, banks, *_ = self.sizes
        if banks <= self.sizes[0]:
            places = np.broadcast_to(np.arange(beats)[:, None], (beats, banks))
        else:
            taken = (self.banking[:, 0] != NOTHING).astype(np.int64)
            places = np.cumsum(taken, axis=0) - taken
        return places % (1 << self.place_bits)

    def matrix(self) -> np.ndarray:
        """Return the weights (inputs, outputs) that it multiplies a vector with. Raises `NotProven`."""
        simd, beats, banks, _, pe, _, _ = self.sizes
        weight, place, value = self.lanes
        if weight.min() <= -(1 << self.field_sizes[0] - 1):
            raise NotProven(f"{self.one.name}: slot {np.argwhere(weight == weight.min())[0][0]} has the lowest weight")
        held = np.full((banks, 1 << self.place_bits, 1 << self.field_sizes[2]), NOTHING)
        for beat in range(beats):
            there = self.banking[beat] != NOTHING
            for at, bank in np.argwhere(there):
                held[bank, self.written[beat, bank], at] = beat * simd + self.banking[beat, at, bank]
        sums, count = self._sums()
        result = np.zeros((simd * beats, count * pe), np.int64)
        for slot, group, bank in np.argwhere(weight):
            element = held[bank, place[slot, group, bank], value[slot, group, bank]]
            at = sums[slot, group]
            if element == NOTHING or at >= count:
                what = "no element of the vector" if element == NOTHING else "a sum of the next vector"
                raise NotProven(f"{self.one.name}: slot {slot}, group {group}, bank {bank}: a weight of {what}")
            result[element, at * pe + group] += weight[slot, group, bank]
        return result

    def _sums(self) -> tuple[np.ndarray, int]:
        """Return the number of the sum that each slot belongs to (slots, groups), and how many a vector has of each."""
        *_, pe, slots, queue = self.sizes
        emit, last = self.program.bits[:, 0] == 1, self.program.bits[:, 1 : 1 + pe] == 1
        emits, name = np.flatnonzero(emit), self.one.name
        for group in range(pe):
            finishes = np.flatnonzero(last[:, group])
            if len(finishes) != len(emits) or not len(emits):
                raise NotProven(f"{name}: group {group} finishes {len(finishes)} sums, and {len(emits)} beats leave")
            if queue == 0 and (finishes != emits).any():
                raise NotProven(
                    f"{name}: group {group} finishes its sums in other slots than beats leave, with no queue"
                )
            # Two vectors without a move between them.
            pair, leaves = np.concatenate([finishes, finishes + slots]), np.concatenate([emits, emits + slots])
            late, early = (
                pair > leaves,
                pair[queue:] <= leaves[: max(0, len(pair) - queue)] if queue else np.zeros(1, bool),
            )
            if late.any() or early.any():
                what = "after its beat has left" if late.any() else "before there is a place for it"
                at = int(np.argmax(late)) if late.any() else int(np.argmax(early)) + queue
                raise NotProven(f"{name}: group {group} finishes sum {at % len(emits)} {what}")
        return np.cumsum(last, axis=0) - last, len(emits)
