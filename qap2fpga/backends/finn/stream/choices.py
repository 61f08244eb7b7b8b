# SPDX-License-Identifier: Apache-2.0
"""Foldings of a node with what they take, and which of many are worth a closer look."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from qap2fpga.backends.finn.stream.draw import Lanes
from qap2fpga.hw.resources import NAMES

# What the parts of a board may count: all as much, or one of them more, as the search has it that finds it too small.
WEIGHTS = np.concatenate([np.ones((1, len(NAMES))), np.ones((len(NAMES), len(NAMES))) + 3 * np.eye(len(NAMES))])


@dataclass(frozen=True)
class Choice:
    """Lanes of one node, the cycles per frame that they take, and the part of the board, by kind of resource."""

    lanes: Lanes
    cycles: int
    cost: np.ndarray


def promising(known: Sequence[Choice], possible: Sequence[Choice], exactly: Callable[[Choice], Choice]) -> list[Choice]:
    """Return what `exactly` makes of those of the `possible` choices that may be the best of all, in their order.

    A possible choice takes at least as much as it says. It is none if another is as fast and as cheap, however
    resources are weighed; that may be another one for each of `WEIGHTS`.
    """
    cycles = [one.cycles for one in known]
    prices = [one.cost @ WEIGHTS.T for one in known]
    found: dict[int, Choice] = {}
    for number in sorted(range(len(possible)), key=lambda one: float(possible[one].cost.sum())):
        best = possible[number]
        faster = np.array(cycles) <= best.cycles
        if faster.any() and (np.array(prices)[faster] <= best.cost @ WEIGHTS.T).any(axis=0).all():
            continue
        one = exactly(best)
        found[number] = one
        cycles.append(one.cycles)
        prices.append(one.cost @ WEIGHTS.T)
    return [found[number] for number in sorted(found)]
