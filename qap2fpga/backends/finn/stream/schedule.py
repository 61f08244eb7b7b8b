# SPDX-License-Identifier: Apache-2.0
"""When beats pass each block of a design: its interval, its latency, and what waits in its FIFOs."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from operator import and_

from qap2fpga.backends.finn.stream import library
from qap2fpga.backends.finn.stream.blocks import Block
from qap2fpga.backends.finn.stream.draw import INPUT, Drawn
from qap2fpga.backends.finn.stream.models import Model, Queue, Registered
from qap2fpga.system.errors import CheckFailed

# Frames that are looked at, at most: before that, the time between two of them has long been the same.
MOST_FRAMES = 24
STEADY = 3
# A design in which nothing moves for so many cycles is dead: more than any block's pipeline.
QUIET = 1000
# A frame comes no sooner after a reset; what is padded at its top is not all there then, so its latency is the longest.
AFTER_RESET = 4


@dataclass(frozen=True)
class Cycles:
    """Cycles from one frame to the next, and from a lone frame's first beat in to its last beat out, both counted."""

    interval: int
    latency: int


class Run:
    """A design under way. `pause`: cycles that may pass between two beats that come in."""

    def __init__(self, drawn: Drawn, *, pause: int = 0) -> None:
        blocks = drawn.blocks
        names = [INPUT, *(target for block in blocks for target in block.targets)]
        numbers = {name: number for number, name in enumerate(names)}
        self.models: dict[str, Model] = {}
        for block in blocks:
            model = self.models[block.name] = block.model()
            model.join([numbers[edge] for edge in block.sources], [numbers[edge] for edge in block.targets])
        self.valid, self.ready = [False] * len(names), [False] * len(names)
        self.start, self.end = numbers[INPUT], numbers[drawn.end]
        self.pause = pause
        self.now = 0
        self.came_in: list[int] = []  # when beats did
        self.left: list[int] = []
        self._all = list(self.models.values())
        # What a register says needs no order; the others ask their neighbours.
        self._registered = [model for model in self._all if isinstance(model, Registered)]
        self._forward = [model for model in self._all if not isinstance(model, Registered)]
        self._backward = self._forward[::-1]

    def cycle(self, *, offered: bool) -> bool:
        """Go through one cycle in which the source offers a beat or none; return whether any beat moved."""
        valid, ready = self.valid, self.ready
        valid[self.start] = offered
        ready[self.end] = True
        for registered in self._registered:
            valid[registered.target] = registered.valid_now
            ready[registered.source] = registered.ready_now
        for model in self._forward:
            model.offer(valid)
        for model in self._backward:
            model.accept(valid, ready)
        if offered and ready[self.start]:
            self.came_in.append(self.now)
        if valid[self.end]:
            self.left.append(self.now)
        moved = any(map(and_, valid, ready))
        for model in self._all:
            model.clock(valid, ready)
        self.now += 1
        return moved

    def until(self, beats: int, offers: Callable[[Run], bool]) -> None:
        """Go on until so many beats have left. Raises `CheckFailed` if the design stands still before."""
        quiet = 0
        while len(self.left) < beats:
            quiet = 0 if self.cycle(offered=offers(self)) else quiet + 1
            if quiet > QUIET + self.pause:
                raise CheckFailed("the design stands still", "a FIFO is too shallow: please report this network")


def interval_of(block: Block) -> int:
    """Return the cycles per frame of `block` alone, with neighbours that never let it wait."""
    model = block.model()
    if len(block.sources) > 1 or len(block.targets) > 1 or isinstance(model, Queue):
        return block.cycles
    model.join([0], [1])
    valid, ready = [True, False], [False, True]
    ends: list[int] = []
    beats = 0
    for now in itertools.count():
        model.offer(valid)
        model.accept(valid, ready)
        beats += valid[1]
        if valid[1] and beats % block.given.beats == 0:
            ends.append(now)
            if len(ends) == 2:
                break
        model.clock(valid, ready)
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
    """Return what a run of `drawn` comes to. Raises `CheckFailed` if it stands still."""
    beats, result = drawn.source.beats, drawn.result.beats
    alone = Run(drawn)
    for _ in range(AFTER_RESET):
        alone.cycle(offered=False)
    latency = 0
    for frame in (1, 2):
        alone.until(frame * result, partial(_has_sent_fewer, beats=frame * beats))
        latency = max(latency, alone.left[-1] - alone.came_in[(frame - 1) * beats] + 1)
    run = Run(drawn)
    for frame in range(1, MOST_FRAMES + 1):
        run.until(frame * result, lambda run: True)
        ends = run.left[result - 1 :: result]
        if _steady(ends):
            break
    return Cycles(ends[-1] - ends[-2], latency)


def _steady(ends: Sequence[int]) -> bool:
    """Whether the last frames came at the same distance."""
    steps = [two - one for one, two in itertools.pairwise(ends)][-STEADY:]
    return len(steps) == STEADY and len(set(steps)) == 1
