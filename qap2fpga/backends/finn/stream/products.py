# SPDX-License-Identifier: Apache-2.0
"""Beats through FINN's matrix products, cycle by cycle."""

from __future__ import annotations

from collections import deque

from qap2fpga.backends.finn.stream.models import NEVER, Registered, Wires


class Matrix(Registered):
    """mvu_vvu_axi.sv: frames of `fold` beats, each replayed `repeat` times, a result each time.

    Cycles in which it reads its replay buffer and does nothing else are made up for when it is clocked again.
    """

    def __init__(self, fold: int, repeat: int, simd: int) -> None:
        super().__init__()
        self.fold, self.repeat = fold, repeat
        self.depth = 4 + (simd - 1).bit_length() + (simd == 1)  # PIPELINE_DEPTH of mvu.sv
        self.room = 1 << (1 if fold < 2 else (fold - 1).bit_length())
        self.position = self.round = 0
        self.written = self.read = self.freed = 0
        self.shown = self.last = False  # replay_buffer.sv: its output register
        self.coming: deque[int] = deque()  # when results leave the DSPs
        self.waiting = 0  # results in the queue behind them
        self.full = self.locked = False
        self.clocked = -1  # the last cycle that it was clocked in

    def clock(self, valid: Wires, ready: Wires, now: int) -> None:
        """Move beats through replay buffer, DSPs and queue."""
        taken = valid[self.source] and ready[self.source]
        if self.repeat == 1:
            if taken and self._step():
                self.coming.append(now + self.depth)
        else:
            self._read_on(now - self.clocked - 1)
            self._replay(taken, now)
        self._give(ready[self.target], now)
        self.clocked = now
        self.valid_now = self.full
        # Without a replay, beats go straight into the DSPs.
        self.ready_now = not self.locked if self.repeat == 1 else self.written - self.freed < self.room
        self.wake = self._wakes(now)

    def _step(self) -> bool:
        """Whether the beat is the last of a frame."""
        last = self.position == self.fold - 1
        self.position = 0 if last else self.position + 1
        return last

    def _replay(self, taken: bool, now: int) -> None:
        if self.shown and not self.locked and self.last:
            self.coming.append(now + self.depth)
        if not self.shown or not self.locked:
            self.shown = self.read != self.written
            if self.shown:
                self.last = self._step()
                final = self.round == self.repeat - 1
                self.freed += final
                self.read += 1
                if self.last:
                    self.round = 0 if final else self.round + 1
                    self.read -= 0 if final else self.fold
        self.written += taken

    def _give(self, ready: bool, now: int) -> None:
        pushed = bool(self.coming) and self.coming[0] == now
        if pushed:
            self.coming.popleft()
        empty = not self.waiting
        if empty:
            self.locked = False
        elif self.full and not ready:
            self.locked = True
        moves = ready or not self.full
        if moves:
            self.full = not empty
        self.waiting += pushed - (moves and not empty)

    def _wakes(self, now: int) -> int:
        """The first cycle after `now` in which it does more than read on, if no beat comes in or leaves."""
        if bool(self.waiting) != self.locked or (self.waiting and not self.full):
            return now + 1
        result = self.coming[0] if self.coming else NEVER
        return min(result, now + 1 + self._alike()) if self._reads() else result

    def _reads(self) -> bool:
        """Whether the replay buffer's output register changes in the next cycle."""
        return not self.locked if self.shown else self.read != self.written

    def _alike(self) -> int:
        """How many cycles from now on read a beat that is not the last, unseen by the source."""
        if self.locked or (self.shown and self.last):
            return 0
        if not self.ready_now and self.round == self.repeat - 1:
            return 0  # what is read makes room
        return min(self.fold - 1 - self.position, self.written - self.read)

    def _read_on(self, cycles: int) -> None:
        """Make up for cycles in which nothing happened but that beats were read."""
        if cycles and self._reads():
            self.shown, self.last = True, False
            self.position += cycles
            self.read += cycles
            self.freed += cycles * (self.round == self.repeat - 1)
