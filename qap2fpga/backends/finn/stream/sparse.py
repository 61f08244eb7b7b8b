# SPDX-License-Identifier: Apache-2.0
"""The block of a sparse matrix: a module of flows/finn with its program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from qap2fpga.backends.finn.sparse.matrix import Matrix
from qap2fpga.backends.finn.sparse.schedule import Fold
from qap2fpga.backends.finn.sparse.words import Memories
from qap2fpga.backends.finn.stream import models
from qap2fpga.backends.finn.stream.blocks import Kind
from qap2fpga.backends.finn.stream.own import Own

# From these depths on the program and the banks are block RAM.
PROGRAM_BLOCK_DEPTH, BANK_BLOCK_DEPTH = 256, 1024


@dataclass(frozen=True, kw_only=True, eq=False)
class Sparse(Own):
    """A matrix of weights, most of them 0, times every window: `banks` lanes for each output of a beat."""

    op = "qap_sparse"
    matrix: Matrix
    banks: int
    queue: int

    @property
    def fold(self) -> Fold:
        """How it is folded."""
        return Fold(self.taken.lanes, self.given.lanes, self.banks)

    @property
    def slots(self) -> int:
        """Cycles per vector."""
        return self.matrix.slots(self.fold, self.queue)

    @property
    def beats(self) -> int:
        """Beats of a vector."""
        return len(self.matrix.weights) // self.taken.lanes

    @property
    def cycles(self) -> int:
        """Cycles per frame."""
        return self.given.positions * max(self.slots, self.beats, -(-(self.slots + self.beats + 1) // 2))

    @property
    def stages(self) -> int:
        """Cycles from a slot's beginning to the result that it completes."""
        return 4 + (self.banks - 1).bit_length() + (self.queue > 0)

    @property
    def memories(self) -> Memories:
        """The memories of the module, checked."""
        return self.matrix.memories(self.fold, self.queue)

    @property
    def program_in_block_ram(self) -> bool:
        """Whether its program is block RAM."""
        return self.slots >= PROGRAM_BLOCK_DEPTH

    @property
    def program_bits(self) -> int:
        """Bits of a word of its program."""
        places, values = self.matrix.places(self.fold), self.fold.values
        lane = self.matrix.bits + max(1, (places - 1).bit_length()) + (values - 1).bit_length()
        return 1 + self.given.lanes + self.fold.lanes * lane

    @property
    def bank_depth(self) -> int:
        """Words of a bank, both pages."""
        return 2 << max(1, (self.matrix.places(self.fold) - 1).bit_length())

    @property
    def banks_in_block_ram(self) -> bool:
        """Whether its banks are block RAM."""
        return self.bank_depth >= BANK_BLOCK_DEPTH

    def model(self) -> models.Model:
        """Return what it does with beats."""
        emits = [word & 1 for word in self.memories.program]
        return models.sparse(self.beats, emits, self.stages)

    def parameters(self) -> Mapping[str, int]:
        """Return the parameters of our module."""
        return {
            "SIMD": self.taken.lanes, "BEATS": self.beats, "BANKS": self.banks, "PLACES": self.memories.places,
            "PE": self.given.lanes, "SLOTS": self.slots, "QUEUE": self.queue, "IN_BITS": self.taken.kind.bits,
            "IN_SIGNED": int(self.taken.kind.signed), "WEIGHT_BITS": self.matrix.bits,
            "OUT_BITS": self.given.kind.bits, "BLOCK": int(self.program_in_block_ram),
            "BLOCK_BANKS": int(self.banks_in_block_ram),
        }  # fmt: skip

    def contents(self) -> Mapping[str, tuple[Sequence[int], int]]:
        """Return the program, and the table of banks where there is one."""
        memories = self.memories
        found: dict[str, tuple[Sequence[int], int]] = {"PROGRAM": (memories.program, memories.program_bits)}
        if memories.banking:
            found["BANKING"] = (memories.banking, memories.choice_bits * memories.simd)
        return found

    def constants(self) -> dict[str, tuple[np.ndarray, Kind]]:
        """Return the weights."""
        return {"weights": (self.matrix.weights, Kind(self.matrix.bits, True))}
