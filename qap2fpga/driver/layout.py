# SPDX-License-Identifier: Apache-2.0
"""How the frames of a stream lie in memory, where a DMA reads and writes them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qap2fpga.hw.beats import pack
from qap2fpga.hw.design import Stream

# Width of the DMA's streams: that of a high performance port of a Zynq-7000.
WORD_BYTES = 8
# The DMA's length register has that many bits.
LENGTH_BITS = 26


@dataclass(frozen=True)
class Layout:
    """A frame is `beats` slots of `slot_bytes` without gaps, each with `lanes` values of `bits`.

    Value 0 of a slot is in its lowest bits, bytes are little-endian, and padding is 0. A slot is a power of two of
    bytes up to a word of the DMA, or whole words.
    """

    elements: int
    lanes: int
    bits: int
    signed: bool
    slot_bytes: int

    @property
    def beats(self) -> int:
        return self.elements // self.lanes

    @property
    def frame_bytes(self) -> int:
        return self.beats * self.slot_bytes

    @property
    def low(self) -> int:
        return -(1 << self.bits - 1) if self.signed else 0

    @property
    def high(self) -> int:
        return (1 << self.bits - self.signed) - 1


def layout(stream: Stream) -> Layout:
    """The layout of the frames of `stream`."""
    needed = stream.beat_bits // 8
    whole = -(-needed // WORD_BYTES) * WORD_BYTES
    slot = whole if needed > WORD_BYTES else 1 << (needed - 1).bit_length()
    return Layout(stream.elements, stream.lanes, stream.bits, stream.signed, slot)


def words(layout: Layout, frames: int) -> int:
    """Words of the DMA's stream that a batch of `frames` takes."""
    return -(-frames * layout.frame_bytes // WORD_BYTES)


def in_memory(values: np.ndarray, port: Stream) -> np.ndarray:
    """The bytes (n * frame_bytes,) of frames `values` (n, elements)."""
    packed = layout(port)
    beats = pack(values, port).view(np.uint8)
    slots = np.zeros((len(beats), packed.slot_bytes), np.uint8)
    kept = min(beats.shape[1], packed.slot_bytes)
    slots[:, :kept] = beats[:, :kept]
    return slots.reshape(-1)
