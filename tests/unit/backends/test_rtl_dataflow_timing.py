# SPDX-License-Identifier: Apache-2.0
"""When positions pass by, and how many wait: compared with queues that are run."""

from __future__ import annotations

import numpy as np

from qap2fpga.backends.rtl.dataflow.timing import Timing, held, joined, waiting

STEADY = Timing(np.array([3, 4, 5, 6]), np.arange(4), 4)
BURSTS = Timing(np.array([5, 6, 11, 12]), np.arange(4), 12)


def queue(enter: Timing, leave: Timing, frames: int = 9) -> int:
    """The most that a queue holds, cycle by cycle, of frames at full speed."""
    into, out = (np.concatenate([one.cycles + frame * one.period for frame in range(frames)]) for one in (enter, leave))
    waits, most = 0, 0
    for cycle in range(int(out.max()) + 1):
        most = max(most, waits)
        waits += int((into == cycle).sum()) - int((out == cycle).sum())
        assert waits >= 0
    return most


def test_positions_are_counted_on_into_later_frames() -> None:
    later = STEADY.at(np.array([2, 3, 4, 9])).later(10)
    assert later.cycles.tolist() == [15, 16, 17, 22]
    assert later.needs.tolist() == [2, 3, 4, 9]
    assert (later.flush, STEADY.flush) == (6, 0)


def test_how_many_wait_at_a_time() -> None:
    random = np.random.default_rng(0)
    for _ in range(50):
        count, period = int(random.integers(1, 6)), int(random.integers(8, 20))
        cycles = np.sort(random.choice(period, count, replace=False))
        wait = random.integers(1, 30) + np.sort(random.integers(0, 4, count))
        enter = Timing(cycles, np.arange(count), period)
        leave = Timing(np.minimum.accumulate((cycles + wait)[::-1])[::-1], np.arange(count), period)
        assert held(enter, leave) == queue(enter, leave)


def test_the_last_branch_is_waited_for() -> None:
    assert joined([STEADY, STEADY.later(7), STEADY.later(2)]) == (1, 0)
    assert waiting(STEADY, STEADY.later(7)) == 7


def test_a_branch_that_waits_by_varying_cycles_waits_at_least_one() -> None:
    uneven = Timing(np.array([5, 7, 11, 12]), np.arange(4), 12)
    assert waiting(BURSTS, uneven) is None
    assert joined([BURSTS, uneven]) == (1, 1)
    crossing = Timing(np.array([4, 9, 10, 13]), np.arange(4), 12)
    number, later = joined([BURSTS, crossing])
    lead = [BURSTS, crossing][number].later(later)
    assert all((lead.cycles > other.cycles).all() for other in (BURSTS, crossing) if waiting(other, lead) is None)
