# SPDX-License-Identifier: Apache-2.0
"""What each block does with beats, cycle by cycle, read off its RTL; no values, only handshakes.

A cycle has three parts: every block says in the order of the data whether it offers a beat, against that order whether
it takes one, and then all move on. `valid` and `ready` are lists over all edges of a design; a block knows the numbers
of its own. Only blocks that a beat passes, or that are to `wake`, need to move on: in the others nothing changes.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence

Wires = list[bool]
# A cycle that never comes.
NEVER = sys.maxsize


class Model(ABC):
    """A block with the edges `sources` and `targets`."""

    # The first cycle in which something changes although no beat passes any of its edges; `clock` says it anew.
    wake = NEVER

    def __init__(self) -> None:
        self.sources: tuple[int, ...] = ()
        self.targets: tuple[int, ...] = ()
        self.source = self.target = -1

    def join(self, sources: Sequence[int], targets: Sequence[int]) -> None:
        """Connect the block with its edges."""
        self.sources, self.targets = tuple(sources), tuple(targets)
        self.source, self.target = (*self.sources, -1)[0], (*self.targets, -1)[0]

    @abstractmethod
    def offer(self, valid: Wires) -> None:
        """Say for each target whether a beat is offered there."""

    @abstractmethod
    def accept(self, valid: Wires, ready: Wires) -> None:
        """Say for each source whether a beat is taken there, if one is offered."""

    @abstractmethod
    def clock(self, valid: Wires, ready: Wires, now: int) -> None:
        """Go on to the cycle after `now`."""


class Registered(Model):
    """A block whose offer and acceptance follow from registers alone: `clock` leaves those of the next cycle."""

    valid_now = False
    ready_now = True

    def offer(self, valid: Wires) -> None:
        """Offer what the register says."""
        valid[self.target] = self.valid_now

    def accept(self, valid: Wires, ready: Wires) -> None:
        """Take what the register says."""
        ready[self.source] = self.ready_now


class Queue(Registered):
    """Beats that are `delay` cycles under way, then in a queue, then in a register at its end.

    At most `room` are in there, those in the register counted if `guarded`: thresholding.sv guards its pipeline and
    queue together, fifo.sv counts its memory alone. `most` is the highest fill of the memory.
    """

    def __init__(self, delay: int, room: int | None, *, guarded: bool) -> None:
        super().__init__()
        self.delay, self.room, self.guarded = delay, room, guarded
        self.beats: deque[int] = deque()
        self.most = 0

    def clock(self, valid: Wires, ready: Wires, now: int) -> None:
        """Move a beat into the register when that is free, and one into the queue."""
        beats = self.beats
        if not self.valid_now or ready[self.target]:
            self.valid_now = bool(beats) and beats[0] <= now
            if self.valid_now:
                beats.popleft()
        if valid[self.source] and self.ready_now:
            beats.append(now + self.delay)
            self.most = max(self.most, len(beats))
        if self.room is not None:
            self.ready_now = len(beats) + (self.valid_now and self.guarded) < self.room
        self.wake = beats[0] if beats and not self.valid_now else NEVER


class Converter(Registered):
    """vpc.sv: beats of `taken` bits become beats of `given` bits."""

    def __init__(self, taken: int, given: int) -> None:
        super().__init__()
        self.taken, self.given, self.held = taken, given, 0

    def clock(self, valid: Wires, ready: Wires, now: int) -> None:
        """Count the bits inside."""
        if self.valid_now and ready[self.target]:
            self.held -= self.given
        if self.ready_now and valid[self.source]:
            self.held += self.taken
        self.valid_now = self.held >= self.given
        self.ready_now = self.held <= self.given


class Pipeline(Model):
    """Takes `beats` beats at each source and gives one, `stages` cycles after the last; stands still as a whole."""

    def __init__(self, stages: int, beats: int = 1) -> None:
        super().__init__()
        self.beats, self.count = beats, 0
        self.stages = [False] * stages

    def offer(self, valid: Wires) -> None:
        """Offer what is in the last stage."""
        valid[self.target] = self.stages[-1]

    def accept(self, valid: Wires, ready: Wires) -> None:
        """Take a beat at every source at once, when the pipeline moves."""
        moves = not self.stages[-1] or ready[self.target]
        takes = moves and (len(self.sources) == 1 or all(valid[source] for source in self.sources))
        for source in self.sources:
            ready[source] = takes

    def clock(self, valid: Wires, ready: Wires, now: int) -> None:
        """Move, or stand still."""
        if self.stages[-1] and not ready[self.target]:
            return
        taken = valid[self.source] and ready[self.source]
        last = self.count == self.beats - 1
        if taken:
            self.count = 0 if last else self.count + 1
        self.stages = [taken and last, *self.stages[:-1]]
        self.wake = now + 1 if True in self.stages and not self.stages[-1] else NEVER


class Choice(Model):
    """qap_class: one beat per `beats`; goes on with the next frame while the last result waits."""

    def __init__(self, beats: int) -> None:
        super().__init__()
        self.beats, self.count, self.full = beats, 0, False

    def offer(self, valid: Wires) -> None:
        """Offer the result."""
        valid[self.target] = self.full

    def accept(self, valid: Wires, ready: Wires) -> None:
        """Take all but a frame's last beat at any time."""
        ready[self.source] = self.count < self.beats - 1 or not self.full or ready[self.target]

    def clock(self, valid: Wires, ready: Wires, now: int) -> None:
        """Count beats."""
        last = self.count == self.beats - 1
        taken = valid[self.source] and ready[self.source]
        if taken:
            self.count = 0 if last else self.count + 1
        self.full = (taken and last) or (self.full and not ready[self.target])


class Fork(Model):
    """qap_fork: every target gets every beat once; one that is slow keeps no other waiting within a beat."""

    def __init__(self, ways: int) -> None:
        super().__init__()
        self.done = [False] * ways

    def offer(self, valid: Wires) -> None:
        """Offer the beat to those that have not taken it."""
        here = valid[self.source]
        for target, done in zip(self.targets, self.done, strict=True):
            valid[target] = here and not done

    def accept(self, valid: Wires, ready: Wires) -> None:
        """Take the beat when the last target does."""
        ready[self.source] = all(
            done or ready[target] for target, done in zip(self.targets, self.done, strict=True)
        )  # fmt: skip

    def clock(self, valid: Wires, ready: Wires, now: int) -> None:
        """Remember who has the beat."""
        if not valid[self.source]:
            return
        if ready[self.source]:
            self.done = [False] * len(self.done)
        else:
            self.done = [done or ready[target] for target, done in zip(self.targets, self.done, strict=True)]


class Turns(Model):
    """qap_concat: `beats[i]` beats of source i, then those of the next, passed on as they are."""

    def __init__(self, beats: Sequence[int]) -> None:
        super().__init__()
        self.beats, self.turn, self.count = tuple(beats), 0, 0

    def offer(self, valid: Wires) -> None:
        """Offer what the source whose turn it is offers."""
        valid[self.target] = valid[self.sources[self.turn]]

    def accept(self, valid: Wires, ready: Wires) -> None:
        """Take from that source alone."""
        for number, source in enumerate(self.sources):
            ready[source] = number == self.turn and ready[self.target]

    def clock(self, valid: Wires, ready: Wires, now: int) -> None:
        """Count beats."""
        if valid[self.target] and ready[self.target]:
            self.count += 1
            if self.count == self.beats[self.turn]:
                self.count, self.turn = 0, (self.turn + 1) % len(self.beats)


class Repeated(Registered):
    """qap_repeat: the beats of a row, again and again in the order `places`, while the next row may come in."""

    def __init__(self, beats: int, places: Sequence[int]) -> None:
        super().__init__()
        self.beats, self.places = beats, tuple(places)
        self.written = self.freed = self.place = 0

    def clock(self, valid: Wires, ready: Wires, now: int) -> None:
        """Read a beat that is there into the register, and write one where there is room."""
        written = self.written + (valid[self.source] and self.ready_now)
        if not self.valid_now or ready[self.target]:
            self.valid_now = self.freed + self.places[self.place] < self.written
            if self.valid_now:
                self.place += 1
                if self.place == len(self.places):
                    self.place = 0
                    self.freed += self.beats
        self.written = written
        self.ready_now = self.written - self.freed < 2 * self.beats
        there = self.freed + self.places[self.place] < self.written
        self.wake = now + 1 if there and not self.valid_now else NEVER
