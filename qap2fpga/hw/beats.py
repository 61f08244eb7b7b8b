# SPDX-License-Identifier: Apache-2.0
"""How vectors become the beats of a stream, and come back."""

from __future__ import annotations

import numpy as np

from qap2fpga.hw.design import Stream


def words(stream: Stream) -> int:
    """32-bit words that one beat takes in a beat file."""
    return -(-stream.beat_bits // 32)


def pack(values: np.ndarray, stream: Stream) -> np.ndarray:
    """Beats (n * beats, words) uint32 of `values` (n, elements), lowest word first.

    Raises `ValueError` when a value does not fit the stream's elements: the caller's mistake.
    """
    low, high = (-(1 << stream.bits - 1), (1 << stream.bits - 1) - 1) if stream.signed else (0, (1 << stream.bits) - 1)
    if values.ndim != 2 or values.shape[1] != stream.elements:
        raise ValueError(f"{stream.name}: values of shape {values.shape}, frames have {stream.elements} elements")
    if values.size and not (low <= values.min() and values.max() <= high):
        raise ValueError(f"{stream.name}: values {values.min()}..{values.max()} do not fit {low}..{high}")
    lanes = values.astype(np.int64).reshape(-1, stream.lanes)
    bits = np.zeros((len(lanes), words(stream) * 32), np.uint8)
    for bit in range(stream.bits):
        bits[:, bit : stream.lanes * stream.bits : stream.bits] = (lanes >> bit) & 1
    return np.packbits(bits, axis=1, bitorder="little").view("<u4")


def unpack(beats: np.ndarray, stream: Stream) -> tuple[np.ndarray, int | None]:
    """Values (n, elements) int64 of whole frames of `beats` (n * beats, words), and the first beat with bad padding.

    Padding is good when it is zero or, as many generators leave it, the sign of a signed stream's last lane.
    """
    bits = np.unpackbits(np.ascontiguousarray(beats, "<u4").view(np.uint8), axis=1, bitorder="little")
    lanes = np.zeros((len(beats), stream.lanes), np.int64)
    for bit in range(stream.bits):
        weight = -(1 << bit) if stream.signed and bit == stream.bits - 1 else 1 << bit
        lanes += bits[:, bit : stream.lanes * stream.bits : stream.bits].astype(np.int64) * weight
    padding = bits[:, stream.lanes * stream.bits : stream.beat_bits]
    good = ~padding.any(axis=1)
    if stream.signed:
        good |= padding.all(axis=1) & (lanes[:, -1] < 0)
    bad = np.flatnonzero(~good)
    return lanes.reshape(-1, stream.elements), int(bad[0]) if len(bad) else None
