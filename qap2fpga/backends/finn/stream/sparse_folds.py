# SPDX-License-Identifier: Apache-2.0
"""The foldings of a sparse matrix that may pay."""

from __future__ import annotations

import itertools

from qap2fpga.backends.finn.padding import divisors
from qap2fpga.backends.finn.sparse.matrix import Matrix
from qap2fpga.backends.finn.sparse.schedule import QUEUES
from qap2fpga.backends.finn.stream.draw import Lanes

# Lanes of a sparse product, of an output and in all. Inputs of a beat that may go to any bank, at most: a choice for
# each bank costs LUTs. How much faster or slower inputs may come in than is needed if no lane ever waits.
BANKS, MOST_LANES = (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16), 512
MOST_CROSSED, SLACK = 16, 1.6


def sparse_lanes(weights: Matrix, outputs: int, dense: list[Lanes]) -> list[Lanes]:
    """Return foldings in which zeros are skipped, for whatever way of taking inputs there is among `dense`.

    Of these ways only those are taken in which inputs come in about as fast as their products are done.
    """
    ways = _ways(dense)
    found = []
    for pe, banks in _lanes(outputs):
        least = max(weights.products / (pe * banks), outputs / pe)
        for simd, parallel in _fast_enough(ways, banks, len(weights.weights), least):
            found += _foldings(simd, pe, banks, parallel=parallel)
    return found


def possible_lanes(outputs: int, dense: list[Lanes]) -> list[Lanes]:
    """Return every folding in which zeros are skipped, whether or not it pays."""
    ways = _ways(dense)
    every = ((way, *lanes) for lanes in _lanes(outputs) for way in ways if _takes(way, lanes[1]))
    return [one for (simd, parallel), pe, banks in every for one in _foldings(simd, pe, banks, parallel=parallel)]


def _ways(dense: list[Lanes]) -> list[tuple[int, bool]]:
    """The ways of taking inputs, each once."""
    return sorted({(lanes.simd, lanes.parallel) for lanes in dense})


def _lanes(outputs: int) -> list[tuple[int, int]]:
    """Outputs of a beat, and lanes for each of them."""
    return [(pe, banks) for pe, banks in itertools.product(divisors(outputs), BANKS) if pe * banks <= MOST_LANES]


def _takes(way: tuple[int, bool], banks: int) -> bool:
    """Whether banks are possible for a way of taking inputs."""
    return way[0] % banks == 0 or (way[0] < banks and way[0] <= MOST_CROSSED)


def _foldings(simd: int, pe: int, banks: int, *, parallel: bool) -> list[Lanes]:
    """The foldings of so many lanes: with and without a queue and crossing."""
    crosses = [True] if simd < banks else [False, True] if banks > 1 and simd <= MOST_CROSSED else [False]
    queues = QUEUES if pe > 1 else QUEUES[:1]
    return [Lanes(simd, pe, parallel, banks, *one) for one in itertools.product(queues, crosses)]


def _fast_enough(ways: list[tuple[int, bool]], banks: int, inputs: int, least: float) -> list[tuple[int, bool]]:
    """The ways of taking inputs that banks are possible for and that take about `least` cycles; else the fastest."""
    legal = [way for way in ways if _takes(way, banks)]
    near = [way for way in legal if least / SLACK <= inputs / way[0] <= least * SLACK]
    faster = [way for way in legal if inputs / way[0] <= least]
    return list(dict.fromkeys(near[:3] + faster[:1] or legal[-1:]))
