# SPDX-License-Identifier: Apache-2.0
"""Inputs that show that hardware is not the network: many are tried, and those that lead to where it is wrong."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from qap2fpga.ir.graph import Graph
from qap2fpga.prove.cells import Refuted

SEED = 17
# Inputs on the way to a sum at a time, and how often they are changed.
WALKERS, STEPS = 256, 200
# What hardware makes of inputs (n, inputs): integers (n, outputs).
Hardware = Callable[[np.ndarray], np.ndarray]


def require_equal(hardware: Hardware, wanted: Hardware, rows: np.ndarray) -> None:
    """Raise `Refuted` with an input of `rows` (n, inputs) for which the two differ."""
    if not len(rows):
        return
    actual, expected = hardware(rows), wanted(rows)
    differing = np.argwhere(actual != expected)
    if len(differing):
        row, at = differing[0].tolist()
        values = ", ".join(map(str, rows[row].tolist()))
        raise Refuted(f"output {at} is {actual[row, at]}, not {expected[row, at]}, for the input [{values}]")


def leading_to(network: Graph, node: str, at: int, sums: np.ndarray) -> np.ndarray:
    """Return inputs (n, inputs) for which the result `at` of a `node` is one of `sums`, as far as any are met.

    Inputs are changed a few at a time, and stay changed where that leads nearer to one of the sums.
    """
    random, ends = np.random.default_rng(SEED), network.node_ranges[network.source.name].ends
    lows, highs = (np.array([end[side] for end in ends * network.source.size.positions], np.int64) for side in (0, 1))
    sums = np.unique(sums)

    def distance(rows: np.ndarray) -> np.ndarray:
        its = network.result(node, rows)[:, at]
        place = np.clip(np.searchsorted(sums, its), 1, max(1, len(sums) - 1))
        near = [np.abs(its - sums[np.minimum(place - side, len(sums) - 1)]) for side in (0, 1)]
        return np.minimum(*near)

    rows = random.integers(lows, highs + 1, (WALKERS, len(lows)))
    best = distance(rows)
    for _ in range(STEPS):
        change = random.random(rows.shape) < 1.5 / len(lows)
        others = np.where(change, random.integers(lows, highs + 1, rows.shape), rows)
        others = np.where(change & (random.random(rows.shape) < 0.3), rows + random.integers(-1, 2, rows.shape), others)
        others = np.clip(others, lows, highs)
        now = distance(others)
        better = now <= best
        rows, best = np.where(better[:, None], others, rows), np.minimum(now, best)
    return rows[best == 0]
