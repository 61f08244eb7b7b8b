# SPDX-License-Identifier: Apache-2.0
"""The block of a sparse matrix: a module of flows/finn with its program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from qap2fpga.backends.finn.estimate import weights_features
from qap2fpga.backends.finn.memories import block_rams, lut_ram
from qap2fpga.backends.finn.sparse.banking import Fold
from qap2fpga.backends.finn.sparse.matrix import Matrix
from qap2fpga.backends.finn.sparse.words import Memories
from qap2fpga.backends.finn.stream import models
from qap2fpga.backends.finn.stream.blocks import Kind
from qap2fpga.backends.finn.stream.own import Own

# A memory is block RAM where a block saves more than so many LUTs: as many as a pynq-z2 has for each, of a zcu104 it is
# 369, of an ultra96-v2 163. In logic a column of a program is a flip-flop, half as dear as a LUT, and so many LUTs for
# every 64 slots: of random units Yosys made 1.34. So a program that fills its blocks is block RAM from 193 slots on.
LUTS_PER_BLOCK, LUTS_PER_COLUMN, LUTS_PER_FLIP_FLOP = 190, 4 / 3, 1 / 2


@dataclass(frozen=True, kw_only=True, eq=False)
class Sparse(Own):
    """A matrix of weights, most of them 0, times every window: `banks` lanes for each output of a beat."""

    op = "qap_sparse"
    matrix: Matrix
    banks: int
    queue: int
    cross: bool

    @cached_property
    def fold(self) -> Fold:
        """How it is folded."""
        return Fold(self.taken.lanes, self.given.lanes, self.banks, self.cross)

    @cached_property
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

    @cached_property
    def program_columns(self) -> Mapping[str, float]:
        """What its program is as logic: `columns` that differ, and in `rom` the parts of 64 slots of all of them."""
        return weights_features(self.program_bits, self.slots, self.matrix.products / (self.slots * self.fold.lanes))

    @cached_property
    def program_in_block_ram(self) -> bool:
        """Whether its program is block RAM."""
        logic = self.program_columns
        luts = LUTS_PER_COLUMN * logic["rom"] + LUTS_PER_FLIP_FLOP * logic["columns"]
        return luts > LUTS_PER_BLOCK * block_rams(self.program_bits, self.slots)

    @cached_property
    def program_bits(self) -> int:
        """Bits of a word of its program that are not always 0."""
        places = sum(max(1, (one - 1).bit_length()) for one in self.matrix.places(self.fold))
        rest = self.matrix.bits + (self.fold.values - 1).bit_length()
        return 1 + self.given.lanes * (1 + places + self.banks * rest)

    @property
    def block_bits(self) -> int:
        """Bits of a word of its program in block RAM, which has none that are always the same."""
        return self.matrix.differing(self.fold, self.queue)

    @cached_property
    def bank_depth(self) -> int:
        """Words of a bank, both pages."""
        return 2 << max(1, (max(self.matrix.places(self.fold)) - 1).bit_length())

    @cached_property
    def banks_in_block_ram(self) -> bool:
        """Whether its banks are block RAM."""
        bits = self.taken.kind.bits * self.fold.values
        return lut_ram(bits, self.bank_depth) > LUTS_PER_BLOCK * block_rams(bits, self.bank_depth)

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
            "OUT_BITS": self.given.kind.bits, "CROSS": int(self.cross), "BLOCK": int(self.program_in_block_ram),
            "BLOCK_BANKS": int(self.banks_in_block_ram),
        }  # fmt: skip

    def contents(self) -> Mapping[str, tuple[Sequence[int], int]]:
        """Return the program, and the table of banks where there is one."""
        memories = self.memories
        found: dict[str, tuple[Sequence[int], int]] = {"PROGRAM": (memories.program, memories.program_bits)}
        if memories.banking:
            found["BANKING"] = (memories.banking, memories.banking_bits)
        return found

    def constants(self) -> dict[str, tuple[np.ndarray, Kind]]:
        """Return the weights."""
        return {"weights": (self.matrix.weights, Kind(self.matrix.bits, True))}
