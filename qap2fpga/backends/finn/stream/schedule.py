# SPDX-License-Identifier: Apache-2.0
"""When beats pass each block of a design: its interval, its latency, and what waits in its FIFOs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from qap2fpga.backends.finn.stream import library
from qap2fpga.backends.finn.stream.blocks import Block
from qap2fpga.backends.finn.stream.draw import Drawn
from qap2fpga.backends.finn.stream.run import Run

# Frames that are looked at, at most: before that, the time between two of them has long been the same.
MOST_FRAMES, MOST_CYCLES = 24, 4000
STEADY, EVEN_CYCLES = 3, 800
# A frame comes no sooner after a reset; what is padded at its top is not all there then, so its latency is the longest.
AFTER_RESET = 4


@dataclass(frozen=True)
class Cycles:
    """Cycles from one frame to the next, and from a lone frame's first beat in to its last beat out, both counted."""

    interval: int
    latency: int


def interval_of(block: Block) -> int:
    """Return the cycles per frame of `block` alone, with neighbours that never let it wait."""
    if len(block.sources) > 1 or len(block.targets) > 1 or block.model().kind == "queue":
        return block.cycles
    run = Run.alone(block)
    run.until(2)
    first, second = run.ends.tolist()
    return int(second - first)


@dataclass(frozen=True)
class Fills:
    """The most beats that wait in each FIFO, by the edge before it, when frames come in evenly.

    `behind`: frames leave more slowly than they come in, so that more and more wait.
    """

    most: dict[str, int]
    behind: bool


def fills(drawn: Drawn, interval: int) -> Fills:
    """Return what waits in the FIFOs of `drawn` when its source gives a frame per `interval`.

    That is a beat after the other, as soon as it can be taken.
    """
    run = Run.of(drawn, interval=interval)
    fifos = {place: block.sources[0] for place, block in enumerate(drawn.blocks) if isinstance(block, library.Fifo)}
    before: dict[str, int] = {}
    for frame in range(1, MOST_FRAMES):
        run.until(frame)
        most = {edge: run.most[place] for place, edge in fifos.items()}
        steps = set(np.diff(run.ends[-STEADY - 1 :]).tolist())
        if frame > STEADY and len(steps) == 1 and min(steps) > interval:
            # What leaves at a rate too low never catches up: nothing was in its way when the first frame came.
            return Fills(most, behind=True)
        if most == before and frame > STEADY:
            break
        before = most
    return Fills(before, behind=False)


def cycles(drawn: Drawn) -> Cycles:
    """Return what runs of `drawn` come to. Raises `CheckFailed` if it stands still."""
    return Cycles(interval(drawn), latency(drawn))


def latency(drawn: Drawn) -> int:
    """Return the cycles that a lone frame takes. Raises `CheckFailed` if `drawn` stands still."""
    run = Run.of(drawn, frames=1)
    run.rest(AFTER_RESET)
    run.until(1)
    first = run.ends[0] - run.starts[0]
    run.frames = 2
    run.until(2)
    return int(max(first, run.ends[1] - run.starts[1])) + 1


def interval(drawn: Drawn) -> int:
    """Return the cycles per frame where all come as soon as they can, on average and rounded up where they alternate.

    Raises `CheckFailed` if `drawn` stands still.
    """
    run = Run.of(drawn)
    steps: list[int] = []
    while len(steps) < MOST_FRAMES or run.now < MOST_CYCLES:
        run.until(len(steps) + 2)
        steps.append(int(run.ends[-1] - run.ends[-2]))
        # A few frames may leave evenly before one is late: of short frames more are looked at.
        last = steps[-max(STEADY, EVEN_CYCLES // steps[-1]) :]
        if len(last) < len(steps) and len(set(last)) == 1:
            return steps[-1]
    return _average(steps)


def _average(steps: Sequence[int]) -> int:
    """The average of the pattern that the second half of `steps` repeats, of all of it if it repeats none."""
    half = steps[len(steps) // 2 :]
    length = next((n for n in range(1, len(half) // 2) if half[n:] == half[:-n]), len(half))
    return math.ceil(Fraction(sum(half[:length]), length))
