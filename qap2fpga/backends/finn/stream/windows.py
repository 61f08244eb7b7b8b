# SPDX-License-Identifier: Apache-2.0
"""Beats through FINN's padding and its window generators, cycle by cycle."""

from __future__ import annotations

from collections.abc import Sequence

from qap2fpga.backends.finn.stream.models import NEVER, Model, Registered, Wires
from qap2fpga.ir.geometry import Geometry
from qap2fpga.ir.tensors import Shape


class Padding(Registered):
    """fmpadding.sv: `inside` says for each beat that leaves whether it comes from the source."""

    def __init__(self, inside: Sequence[bool]) -> None:
        super().__init__()
        self.inside, self.place = tuple(inside), 0
        self.spare = self.full = False

    def clock(self, valid: Wires, ready: Wires, now: int) -> None:
        """Fill both registers."""
        forward = self.inside[self.place]
        here = valid[self.source] or self.spare
        waits = self.full and not ready[self.target]
        if not waits:
            self.full = here or not forward
            if self.full:
                self.place = (self.place + 1) % len(self.inside)
        self.spare = here and (waits or not forward)
        self.valid_now, self.ready_now = self.full, not self.spare
        moves = not self.full and (self.spare or not self.inside[self.place])
        self.wake = now + 1 if moves else NEVER


class Window(Registered):
    """swg_template_default.sv: a memory from which the elements of every window are fetched one by one.

    `order` are the elements of a frame in the order in which they are fetched, `free` is up to which element the memory
    may be overwritten once an element of `order` was fetched, `held` are the elements it holds.
    """

    def __init__(self, elements: int, held: int, order: Sequence[int], free: Sequence[int]) -> None:
        super().__init__()
        self.elements, self.held, self.order, self.free = elements, held, tuple(order), tuple(free)
        self.fetched = 0
        self.newest = -1
        self.first = 0
        self.offers = self.fetching_done = self.writing_done = False

    def _reads(self) -> bool:
        if self.newest == self.elements - 1:
            return False
        oldest = self.newest - (self.held - 1)
        # A fetch that is over leaves the last element as the current one.
        current = self.order[min(self.fetched, len(self.order) - 1)]
        return self.fetching_done or (oldest < self.first and oldest < current)

    def clock(self, valid: Wires, ready: Wires, now: int) -> None:
        """Read, fetch and write, as far as they can."""
        last = self.elements - 1
        read = valid[self.source] and ready[self.source]
        written = self.offers and ready[self.target]
        blocked = self.offers and not ready[self.target]
        fetch = not self.fetching_done and not blocked and self.order[self.fetched] <= self.newest
        fetching_done, writing_done, again = self.fetching_done, self.writing_done, False
        if read and self.newest == last - 1 and writing_done:
            again = True
        if fetch:
            self.first = self.free[self.fetched]
            self.fetched += 1
            fetching_done = self.fetched == len(self.order)
            self.offers = True
        if written:
            self.offers = fetch
            if self.fetching_done:
                if self.newest == last or (read and self.newest == last - 1):
                    again = True
                else:
                    writing_done = True
        self.newest += read
        if again:
            self.newest, self.fetched, self.first = -1, 0, 0
            fetching_done = writing_done = False
        self.fetching_done, self.writing_done = fetching_done, writing_done
        self.valid_now, self.ready_now = self.offers, self._reads()
        fetches = not self.offers and not fetching_done and self.order[self.fetched] <= self.newest
        self.wake = now + 1 if fetches else NEVER


class Parallel(Model):
    """swg_template_parallel.sv: all taps of a window at once; `order` are the windows' last elements."""

    def __init__(self, elements: int, order: Sequence[int]) -> None:
        super().__init__()
        self.elements, self.order = elements, tuple(order)
        self.place, self.newest = 0, -1
        self.writing_done = self.write_done = False

    def _writes(self) -> bool:
        return not self.writing_done and self.order[self.place] <= self.newest

    def _reads(self) -> bool:
        return self.newest < self.elements - 1 and (self.writing_done or self.newest <= self.order[self.place])

    def offer(self, valid: Wires) -> None:
        """Offer a window that is complete."""
        valid[self.target] = self._writes() and not self.write_done

    def accept(self, valid: Wires, ready: Wires) -> None:
        """Take an element unless a window waits."""
        blocked = self._writes() and not ready[self.target] and not self.write_done
        ready[self.source] = self._reads() and not blocked

    def clock(self, valid: Wires, ready: Wires, now: int) -> None:
        """Shift when both sides are done with the cycle."""
        last = self.elements - 1
        writes = self._writes()
        read_command = self._reads()
        written = writes and (ready[self.target] or self.write_done)
        read = valid[self.source] and ready[self.source]
        advance = read or (not read_command and written) or (not read_command and not writes)
        newest, place, writing_done = self.newest + read, self.place, self.writing_done
        again = read and self.newest == last - 1 and self.writing_done
        # FINN's controller goes on with every cycle in which a window is written.
        if written:
            if place == len(self.order) - 1:
                writing_done = True
                again = again or self.newest == last or (read and self.newest == last - 1)
            else:
                place += 1
        self.write_done = False if advance else self.write_done or written
        if again:
            newest, place, writing_done = -1, 0, False
        self.newest, self.place, self.writing_done = newest, place, writing_done
        self.wake = now + 1 if self.write_done and (self._writes() or not self._reads()) else NEVER


def padding(size: Shape, pads: Sequence[int], fold: int) -> Padding:
    """Return the model of padding a tensor of `size`, `fold` beats per position."""
    top, left, bottom, right = pads
    inside = [
        top <= row < top + size.height and left <= column < left + size.width
        for row in range(top + size.height + bottom)
        for column in range(left + size.width + right)
    ]
    return Padding([one for one in inside for _ in range(fold)])


def memory(size: Shape, geometry: Geometry, fold: int) -> int:
    """Return how many elements the serial generator holds."""
    (rows, columns), (down, across) = geometry.extent, geometry.stride
    held = ((rows - 1) * size.width + columns) * fold
    extra = [(across - 1) - geometry.taps, (down - 1) * size.width - geometry.taps]
    return held + sum(max(0, one * fold) for one in extra)


def starts(size: Shape, geometry: Geometry) -> list[int]:
    """Return the first position of every window of an unpadded tensor of `size`."""
    out = geometry.output(size, 1)
    down, across = geometry.stride
    return [row * down * size.width + column * across for row in range(out.height) for column in range(out.width)]


def taps(size: Shape, geometry: Geometry) -> list[int]:
    """Return the positions of a window, counted from its first."""
    down, across = geometry.dilation
    rows, columns = geometry.kernel
    return [row * down * size.width + column * across for row in range(rows) for column in range(columns)]


def serial(size: Shape, geometry: Geometry, fold: int, *, depthwise: bool) -> Window:
    """Return the model of the serial generator over an unpadded tensor of `size`, `fold` beats per position."""
    begins, places = starts(size, geometry), taps(size, geometry)
    least = (places[-1] + 1) * fold
    order, free = [], []
    for begin, following in zip(begins, [*begins[1:], None], strict=True):
        # What FINN adds after the last window: all but one of the elements of a window.
        after = begin * fold + least - 1 if following is None else following * fold
        if depthwise and fold > 1:
            for part in range(fold):
                order += [(begin + place) * fold + part for place in places]
                end = after + (part if following is None else 0) if part == fold - 1 else begin * fold + part + 1
                free += [end] * len(places)
        else:
            order += [(begin + place) * fold + part for place in places for part in range(fold)]
            free += [after] * (len(places) * fold)
    return Window(size.positions * fold, memory(size, geometry, fold), order, free)


def parallel(size: Shape, geometry: Geometry, fold: int = 1) -> Parallel:
    """Return the model of the generator that gives all taps at once, `fold` beats per position.

    FINN takes it for kernels of one tap too, which alone may have several beats per position.
    """
    last = taps(size, geometry)[-1]
    order = [(begin + last) * fold + part for begin in starts(size, geometry) for part in range(fold)]
    return Parallel(size.positions * fold, order)
