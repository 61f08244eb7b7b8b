# SPDX-License-Identifier: Apache-2.0
"""When each position of a tensor passes by, in cycles from the one in which its frame begins to come in.

Everything moves with one enable and a frame that has begun is never torn apart, so that this is the same for all
frames, and known before anything is simulated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np


@dataclass(frozen=True, eq=False)
class Timing:
    """`cycles` (positions,), rising: when each position passes by, in the order of rows.

    `needs` (positions,): the number of the input position by which it is moved, counted on into what follows the frame.
    `period`: cycles from one frame to the next at full speed; `pace`: cycles from one input position to the next.
    """

    cycles: np.ndarray
    needs: np.ndarray
    period: int
    pace: int = 1

    @staticmethod
    def of_input(positions: int, pace: int = 1) -> Timing:
        """Return the timing of a frame that comes in, a position every `pace` cycles."""
        return Timing(np.arange(positions) * pace, np.arange(positions), positions * pace, pace)

    @property
    def first(self) -> int:
        """The cycle of the first position."""
        return int(self.cycles[0])

    @property
    def last(self) -> int:
        """The cycle of the last position."""
        return int(self.cycles[-1])

    @property
    def flush(self) -> int:
        """Positions that must come after the frame until its last position has passed by."""
        return max(0, int(self.needs.max()) + 1 - self.period // self.pace)

    def later(self, cycles: int) -> Timing:
        """Return the timing so many cycles later."""
        return replace(self, cycles=self.cycles + cycles)

    def at(self, places: np.ndarray) -> Timing:
        """Return the timing of what passes by together with the positions `places`, counted on into later frames."""
        frames, within = np.divmod(places, len(self.cycles))
        cycles, needs = frames * self.period, frames * (self.period // self.pace)
        return replace(self, cycles=self.cycles[within] + cycles, needs=self.needs[within] + needs)

    def after(self, flush: int) -> int:
        """Return the cycles after `flush` positions without a frame until all that these move has passed by."""
        frames = flush // (self.period // self.pace) + 1
        later = self.at(np.arange(frames * len(self.cycles)))
        moved = later.cycles[later.needs < flush]
        return max(0, int(moved.max()) + 1 - flush * self.pace) if len(moved) else 0


def waiting(first: Timing, second: Timing) -> int | None:
    """Return the cycles by which `second` is later than `first`; None where they vary."""
    cycles = second.cycles - first.cycles
    return int(cycles[0]) if (cycles == cycles[0]).all() else None


def held(enter: Timing, leave: Timing) -> int:
    """Return the most positions that wait at a time, of frames that follow each other at full speed.

    Each enters before the cycle in which it leaves.
    """
    overlap = 1 + (leave.last - enter.first) // enter.period
    fill = np.zeros(len(leave.cycles), np.int64)
    for after in np.arange(-overlap, overlap + 1) * enter.period:
        entered, left = (np.searchsorted(one.cycles, leave.cycles + after) for one in (enter, leave))
        fill += entered - left
    return int(fill.max())


def joined(timings: Sequence[Timing]) -> tuple[int, int]:
    """Return which of the branches the others wait for, and how many cycles that one must be later.

    A branch that waits by a number of cycles that varies needs a cycle at least.
    """

    def delay(lead: Timing) -> int:
        least = 0
        for one in timings:
            behind = int((one.cycles - lead.cycles).max())
            least = max(least, behind + (waiting(one, lead) is None))
        return least

    delays = [delay(one) for one in timings]
    best = int(np.argmin(delays))
    return best, delays[best]


@dataclass(frozen=True, eq=False)
class Slots:
    """When a queue is emptied, one of what waits in `lanes` cycles; `enter` is when they come."""

    enter: Timing
    lanes: int

    @cached_property
    def leave(self) -> Timing:
        """When each position leaves the queue."""
        cycles = np.empty_like(self.enter.cycles)
        free = -1
        for place, cycle in enumerate(self.enter.cycles.tolist()):
            cycles[place] = max(cycle + 1, free)
            free = int(cycles[place]) + self.lanes
        return replace(self.enter, cycles=cycles)

    @property
    def keeps_up(self) -> bool:
        """Whether the queue is emptied before the next frame's first position would leave it."""
        leave = self.leave
        return leave.last + self.lanes <= leave.first + leave.period

    @cached_property
    def depth(self) -> int:
        """Positions that wait at a time."""
        return held(self.enter, self.leave)
