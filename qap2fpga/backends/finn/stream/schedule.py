# SPDX-License-Identifier: Apache-2.0
"""When beats pass each block of a design: its interval, its latency, and what waits in its FIFOs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial

from qap2fpga.backends.finn.stream import library
from qap2fpga.backends.finn.stream.blocks import Block
from qap2fpga.backends.finn.stream.draw import Drawn
from qap2fpga.backends.finn.stream.models import Queue
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
    model = block.model()
    if len(block.sources) > 1 or len(block.targets) > 1 or isinstance(model, Queue):
        return block.cycles
    model.join([0], [1])
    valid, ready = [True, False], [False, True]
    ends: list[int] = []
    now = beats = 0
    while len(ends) < 2:
        model.offer(valid)
        model.accept(valid, ready)
        if now and not (valid[1] or ready[0]):
            now = max(now, model.wake)  # until then nothing changes
        beats += valid[1]
        if valid[1] and beats % block.given.beats == 0:
            ends.append(now)
        model.clock(valid, ready, now)
        now += 1
    return ends[-1] - ends[-2]


def fills(drawn: Drawn, interval: int) -> dict[str, int]:
    """Return how many beats wait in each FIFO of `drawn` at most, by the edge before it, when frames come in evenly.

    That is a beat of `drawn`'s source after the other, a frame per `interval`, as soon as it can be taken.
    """
    beats, result = drawn.source.beats, drawn.result.beats
    run = Run(drawn, pause=interval)

    def offers(run: Run) -> bool:
        frame, beat = divmod(len(run.came_in), beats)
        return run.now >= frame * interval + beat * interval // beats

    fifos = {block.name: block.sources[0] for block in drawn.blocks if isinstance(block, library.Fifo)}
    before: list[int] = []
    for frame in range(1, MOST_FRAMES):
        run.until(frame * result, offers)
        most = [model.most for name in fifos if isinstance(model := run.models[name], Queue)]
        if most == before and frame > STEADY:
            break
        before = most
    return dict(zip(fifos.values(), before, strict=True))


def _has_sent_fewer(run: Run, beats: int) -> bool:
    return len(run.came_in) < beats


def cycles(drawn: Drawn) -> Cycles:
    """Return what runs of `drawn` come to. Raises `CheckFailed` if it stands still."""
    return Cycles(interval(drawn), latency(drawn))


def latency(drawn: Drawn) -> int:
    """Return the cycles that a lone frame takes. Raises `CheckFailed` if `drawn` stands still."""
    beats, result = drawn.source.beats, drawn.result.beats
    run = Run(drawn)
    for _ in range(AFTER_RESET):
        run.cycle(offered=False)
    longest = 0
    for frame in (1, 2):
        run.until(frame * result, partial(_has_sent_fewer, beats=frame * beats))
        longest = max(longest, run.left[-1] - run.came_in[(frame - 1) * beats] + 1)
    return longest


def interval(drawn: Drawn) -> int:
    """Return the cycles per frame where all come as soon as they can, on average and rounded up where they alternate.

    Raises `CheckFailed` if `drawn` stands still.
    """
    result = drawn.result.beats
    run = Run(drawn)
    steps: list[int] = []
    while len(steps) < MOST_FRAMES or run.now < MOST_CYCLES:
        run.until((len(steps) + 2) * result, lambda run: True)
        ends = run.left[-result - 1 :: result]
        steps.append(ends[1] - ends[0])
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
