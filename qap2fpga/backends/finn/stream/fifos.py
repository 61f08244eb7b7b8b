# SPDX-License-Identifier: Apache-2.0
"""How deep FIFOs must be, so that a design never stands still and runs at the rate of its slowest block.

Branches that meet again need room: what leaves a fork early waits for what takes the longer way. Such a FIFO is deep
enough when it holds what waits in it while frames come in evenly, one per interval of the slowest block. That is a
schedule that the design can keep, and hardware that runs as fast as it can is never behind a schedule it can keep.

Elsewhere blocks hold enough by themselves, mostly. Where that does not reach the rate, FIFOs are added, from the
shallowest to the deepest; a run of the design decides.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from qap2fpga.backends.finn.stream import library, own, schedule
from qap2fpga.backends.finn.stream.blocks import Block
from qap2fpga.backends.finn.stream.draw import Depths, Drawn
from qap2fpga.backends.finn.stream.schedule import Cycles, Fills, fills, interval_of
from qap2fpga.system.errors import CheckFailed

# fifo.sv is a memory behind a register; a shallower one has no addresses.
LEAST = 3


@dataclass(frozen=True)
class Sized:
    """A design with its FIFOs, and what a run of it comes to."""

    drawn: Drawn
    cycles: Cycles


def endless() -> Depths:
    """Return depths that are whatever it takes, for all FIFOs that there may be."""
    return defaultdict(lambda: None)


def without() -> dict[str, int | None]:
    """Return no FIFOs."""
    return defaultdict(int)


def sized(draw: Callable[[Depths], Drawn], interval: int = 0) -> Sized:
    """Return what `draw` draws with FIFOs for a frame per `interval` cycles, or as many as its slowest block takes."""
    every = draw(endless())
    interval = max(interval, *(interval_of(block) for block in every.blocks))
    best: Sized | None = None
    tried: list[Depths] = []
    slow: list[Depths] = []
    filled: dict[frozenset[tuple[str, int | None]], Fills] = {}
    for depths, least in _choices(every, interval):
        missing = [edge for edge, depth in depths.items() if depth is None]
        behind = False
        if missing:
            same = frozenset(depths.items())  # two choices differ in the least depth alone
            if same not in filled:
                filled[same] = fills(draw(depths), interval)
            waiting = filled[same]
            behind = waiting.behind
            depths |= {edge: depth_for(waiting.most[edge], least) for edge in missing}
        depths = without() | {edge: depth for edge, depth in depths.items() if depth}
        if depths in tried:
            continue
        tried.append(depths)
        if behind:  # endless FIFOs do not help
            slow.append(depths)
            continue
        best = _better(draw(depths), best)
        if best is not None and best.cycles.interval <= interval:
            return best
    for found in slow:
        best = _better(draw(found), best)
    if best is None:
        raise CheckFailed("no FIFOs keep the design from standing still", "please report this network")
    return best


def _better(drawn: Drawn, best: Sized | None) -> Sized | None:
    """Return `drawn` with what runs of it come to, if it moves and has a shorter interval than `best`; else `best`."""
    try:
        interval = schedule.interval(drawn)
        if best is not None and interval >= best.cycles.interval:
            return best
        return Sized(drawn, Cycles(interval, schedule.latency(drawn)))
    except CheckFailed:
        return best


def depth_for(waiting: int, least: int = 0) -> int:
    """Return the depth of a FIFO in which so many beats wait; `least`, or none, for a beat on its way through."""
    return max(LEAST, waiting + 1) if waiting > 1 else least


def _choices(every: Drawn, interval: int) -> Iterator[tuple[dict[str, int | None], int]]:
    """Yield what FIFOs there may be, from few to many, and the least depth of those whose depth is None.

    None is a depth that is to be found for what else there is.
    """
    readers = {edge: block for block in every.blocks for edge in block.sources}
    fifos = {block.sources[0]: block for block in every.blocks if isinstance(block, library.Fifo)}
    forks = {edge for block in every.blocks if isinstance(block, own.Fork) for edge in block.targets}
    joins = {edge for edge, fifo in fifos.items() if isinstance(readers[fifo.name], (own.Add, own.Join))}
    branches: dict[str, int | None] = {edge: None for edge in fifos if edge in forks | joins}
    yield without() | branches, 0
    yield without() | branches, LEAST
    frames = {edge: _frame(readers[fifo.name]) for edge, fifo in fifos.items()}
    yield without() | {edge: depth for edge, depth in frames.items() if depth} | branches, LEAST
    deep = {edge: depth_for(beats, LEAST) for edge, beats in fills(every, interval).most.items()}
    yield without() | {edge: frames[edge] or deep[edge] for edge in fifos} | branches, LEAST
    yield without() | {edge: max(frames[edge], deep[edge]) for edge in fifos}, LEAST


def _frame(reader: Block) -> int:
    """The depth of a FIFO before a product that is replayed: a window, so that what comes before can go on."""
    if not isinstance(reader, library.Product):
        return 0
    fold, repeat = reader.folds
    return max(LEAST, fold + 1) if fold > 1 and repeat > 1 else 0
