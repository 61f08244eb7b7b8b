# SPDX-License-Identifier: Apache-2.0
"""Input vectors that find faults, and how vectors become the beats of a stream."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from qap2fpga.design import Stream
from qap2fpga.files import write_atomically
from qap2fpga.network import IntegerNetwork

# Of all extreme vectors together: 64 MiB.
MOST_VALUES = 1 << 23


def extremes(network: IntegerNetwork) -> np.ndarray:
    """The corners of the input range, (n, inputs) int64, without repetitions:

    all inputs at their minimum, maximum and zero (the value nearest to it in range), alternating between
    minimum and maximum both ways, each input alone at its maximum and at its minimum with the others at
    zero, and for each neuron of the first layer the inputs that maximise and minimise its accumulator
    (by the signs of its weights; inputs of pruned weights at zero). A wide network has so many of these that only
    some inputs and neurons, evenly spread, have theirs: `MOST_VALUES` in all.
    """
    low, high, inputs = network.input.low, network.input.high, network.inputs
    zero = min(max(0, low), high)
    even = np.arange(inputs) % 2 == 0
    rows = [np.full(inputs, value) for value in (low, high, zero)]
    rows += [np.where(even, low, high), np.where(even, high, low)]
    weights = network.layers[0].weights
    room = max(2, MOST_VALUES // inputs - len(rows)) // 2
    each = _spread(inputs, max(1, room * inputs // (inputs + weights.shape[1])))
    for value in (high, low):
        for place in each:
            row = np.full(inputs, zero)
            row[place] = value
            rows.append(row)
    signs = np.sign(weights.T[_spread(weights.shape[1], max(1, room - len(each)))])
    for upper, lower in ((high, low), (low, high)):
        rows += list(np.where(signs > 0, upper, np.where(signs < 0, lower, zero)))
    every = (row.astype(np.int64) for row in rows)
    return np.array(list({row.tobytes(): row for row in every}.values()))


def _spread(count: int, most: int) -> np.ndarray:
    """At most `most` of the numbers 0 to `count - 1`, evenly spread: all of them if there are no more."""
    return np.arange(count) if count <= most else np.linspace(0, count - 1, most).astype(np.int64)


def random_vectors(network: IntegerNetwork, count: int, seed: int) -> np.ndarray:
    """`count` vectors (count, inputs) int64, uniform over the input's integers; the same for the same `seed`."""
    generator = np.random.default_rng(seed)
    return generator.integers(network.input.low, network.input.high, (count, network.inputs), endpoint=True)


def save_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write an `.npz` in one step."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    write_atomically(path, buffer.getvalue())


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
