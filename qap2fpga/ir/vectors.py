# SPDX-License-Identifier: Apache-2.0
"""Input vectors that find faults."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from qap2fpga.ir.channelwise import Depthwise
from qap2fpga.ir.graph import Graph
from qap2fpga.ir.windowed import Weighted

# Of all extreme vectors together: 64 MiB.
MOST_VALUES = 1 << 23


def extremes(network: Graph, most: int | None = None) -> np.ndarray:
    """Return the corners of the input range, (n, inputs) int64, without repetitions:

    all inputs at their minimum, maximum and zero (the value nearest to it in range), alternating between minimum and
    maximum both ways, each input alone at its maximum and at its minimum with the others at zero, and for each channel
    of the linear nodes that read the input, at the position in the middle, the inputs that maximise and minimise its
    accumulator (by the signs of its weights; all others at zero). A wide network has so many of these that only some
    inputs and channels, evenly spread, have theirs: `most` vectors, or `MOST_VALUES` in all.
    """
    inputs = network.inputs
    low, high = (np.broadcast_to(ends, inputs) for ends in (network.input.lows, network.input.highs))
    zero = np.clip(0, low, high)
    even = np.arange(inputs) % 2 == 0
    rows = [low, high, zero]
    rows += [np.where(even, low, high), np.where(even, high, low)]
    signs = _signs(network)
    room = max(2, (MOST_VALUES // inputs if most is None else most) - len(rows)) // 2
    each = _spread(inputs, max(1, room * inputs // (inputs + len(signs))))
    for values in (high, low):
        for place in each:
            row = zero.copy()
            row[place] = values[place]
            rows.append(row)
    signs = signs[_spread(len(signs), max(1, room - len(each)))]
    for upper, lower in ((high, low), (low, high)):
        rows += list(np.where(signs > 0, upper, np.where(signs < 0, lower, zero)))
    every = (row.astype(np.int64) for row in rows)
    return np.array(list({row.tobytes(): row for row in every}.values()))


def _signs(network: Graph) -> np.ndarray:
    """The signs (n, inputs) of the weights with which each input goes into each channel that reads the input."""
    source = network.source
    places = source.size.tensor(np.arange(source.size.size)[None])
    rows = [np.zeros((0, network.inputs), np.int8)]
    for node in network.readers(source.name):
        if isinstance(node, Weighted):
            seen = replace(node.geometry, pad=-1).windows(places)[0]
            middle = seen[seen.shape[0] // 2, seen.shape[1] // 2].reshape(node.geometry.taps, -1)
            rows.append(_placed(node, middle, network.inputs))
    return np.concatenate(rows)


def _placed(node: Weighted, seen: np.ndarray, inputs: int) -> np.ndarray:
    """The signs (outputs, inputs) of the weights, at the places `seen` (taps, channels); -1 is a pad."""
    signs = np.sign(node.weights).astype(np.int8)
    if isinstance(node, Depthwise):
        columns = np.zeros((*seen.shape, seen.shape[1]), np.int8)
        columns[:, np.arange(seen.shape[1]), np.arange(seen.shape[1])] = signs
        signs = columns
    signs, places = signs.reshape(seen.size, -1), seen.reshape(-1)
    rows = np.zeros((signs.shape[1], inputs), np.int8)
    rows[:, places[places >= 0]] = signs[places >= 0].T
    return rows


def _spread(count: int, most: int) -> np.ndarray:
    """At most `most` of the numbers 0 to `count - 1`, evenly spread: all of them if there are no more."""
    return np.arange(count) if count <= most else np.linspace(0, count - 1, most).astype(np.int64)


def random_vectors(network: Graph, count: int, seed: int) -> np.ndarray:
    """Return vectors (n, inputs) int64, uniform over the input's integers; the same for the same `seed`.

    There are `count`, and fewer where frames are so large that these would be more than `MOST_VALUES`; never under 8.
    """
    count = min(count, max(8, MOST_VALUES // network.inputs))
    return network.input.random(np.random.default_rng(seed), (count, network.inputs))
