# SPDX-License-Identifier: Apache-2.0
"""Input vectors that find faults."""

from __future__ import annotations

import numpy as np

from qap2fpga.ir.graph import Graph
from qap2fpga.ir.linear import Linear

# Of all extreme vectors together: 64 MiB.
MOST_VALUES = 1 << 23


def extremes(network: Graph, most: int | None = None) -> np.ndarray:
    """Return the corners of the input range, (n, inputs) int64, without repetitions:

    all inputs at their minimum, maximum and zero (the value nearest to it in range), alternating between
    minimum and maximum both ways, each input alone at its maximum and at its minimum with the others at
    zero, and for each channel of the first linear node the inputs that maximise and minimise its accumulator
    (by the signs of its weights; inputs of pruned weights at zero). A wide network has so many of these that only
    some inputs and channels, evenly spread, have theirs: `most` vectors, or `MOST_VALUES` in all.
    """
    low, high, inputs = network.input.low, network.input.high, network.inputs
    zero = min(max(0, low), high)
    even = np.arange(inputs) % 2 == 0
    rows = [np.full(inputs, value) for value in (low, high, zero)]
    rows += [np.where(even, low, high), np.where(even, high, low)]
    patterns = _first_weights(network)
    room = max(2, (MOST_VALUES // inputs if most is None else most) - len(rows)) // 2
    each = _spread(inputs, max(1, room * inputs // (inputs + len(patterns))))
    for value in (high, low):
        for place in each:
            row = np.full(inputs, zero)
            row[place] = value
            rows.append(row)
    signs = np.sign(patterns[_spread(len(patterns), max(1, room - len(each)))])
    for upper, lower in ((high, low), (low, high)):
        rows += list(np.where(signs > 0, upper, np.where(signs < 0, lower, zero)))
    every = (row.astype(np.int64) for row in rows)
    return np.array(list({row.tobytes(): row for row in every}.values()))


def _first_weights(network: Graph) -> np.ndarray:
    """The weights (channels, inputs) of the first linear node that reads the input; a kernel that moves is laid out
    over the frame, side by side.
    """
    source = network.source
    first = next((node for node in network.readers(source.name) if isinstance(node, Linear)), None)
    if first is None:
        return np.zeros((0, network.inputs), np.int64)
    (rows, columns), size = first.geometry.kernel, source.size
    kernels = first.weights.T.reshape(first.outputs, rows, columns, size.channels)
    laid = np.tile(kernels, (1, -(-size.height // rows), -(-size.width // columns), 1))
    return laid[:, : size.height, : size.width].reshape(first.outputs, network.inputs)


def _spread(count: int, most: int) -> np.ndarray:
    """At most `most` of the numbers 0 to `count - 1`, evenly spread: all of them if there are no more."""
    return np.arange(count) if count <= most else np.linspace(0, count - 1, most).astype(np.int64)


def random_vectors(network: Graph, count: int, seed: int) -> np.ndarray:
    """`count` vectors (count, inputs) int64, uniform over the input's integers; the same for the same `seed`."""
    generator = np.random.default_rng(seed)
    return generator.integers(network.input.low, network.input.high, (count, network.inputs), endpoint=True)
