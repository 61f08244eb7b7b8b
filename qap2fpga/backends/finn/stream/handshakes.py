# SPDX-License-Identifier: Apache-2.0
"""What each kind of block does with beats, cycle by cycle, read off its RTL; no values, only handshakes.

A cycle has three parts: every block says in the order of the data whether it offers a beat, against that order whether
it takes one, and then all move on. What most kinds say follows from registers alone; what the others say, `LINKED`,
follows from their neighbours too. `valid` and `ready` are over all edges of a design; `edges` and `table` are what all
blocks have in their lists of edges and in their tables, one after the other.

A frame has up to millions of cycles, so this is compiled. It is one file because numba keeps what it compiled until the
file of the function changes, whatever becomes of those that the function calls.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np

Wires = np.ndarray
Block = Any  # a record of `models.BLOCK`
F = TypeVar("F", bound=Callable[..., Any])

QUEUE, CONVERTER, REPEATED, MATRIX, PADDING, WINDOW, SPARSE, PIPELINE, CHOICE, FORK, TURNS, PARALLEL = range(12)
LINKED = PIPELINE  # from here on
# Frames in a design, of which none leaves, that say that none ever will: a FIFO without end takes them all.
STUCK = 1000


def compiled(function: F) -> F:
    """Return `function` compiled when it is first called, and kept for the next time where there is a place for it."""
    try:
        return cast(F, numba.njit(cache=True)(function))
    except RuntimeError:  # neither the package nor the user has a folder that can be written
        return cast(F, numba.njit(function))


@compiled
def queue(own: Block, comes: bool, ready: bool) -> None:
    """Beats that are `delay` cycles under way, then in a queue, then in a register at its end.

    At most `room` are in there, those in the register counted if `guarded`. `most` is the highest fill of the memory.
    """
    own.waiting += own.shift >> (own.delay - 1) & 1
    own.shift = own.shift << 1 & (1 << own.delay) - 1
    if not own.valid or ready:
        own.valid = own.waiting > 0
        own.waiting -= own.valid
        own.count -= own.valid
    if comes:
        own.shift |= 1
        own.count += 1
        own.most = max(own.most, own.count)
    own.ready = own.room < 0 or own.count + (own.valid and own.guarded) < own.room


@compiled
def converter(own: Block, comes: bool, ready: bool) -> None:
    """vpc.sv: beats of `taken` bits become beats of `given` bits."""
    if own.valid and ready:
        own.count -= own.given
    if comes:
        own.count += own.taken
    own.valid = own.count >= own.given
    own.ready = own.count <= own.given


@compiled
def repeated(own: Block, comes: bool, ready: bool, table: np.ndarray) -> None:
    """qap_repeat: the `beats` of a row, again and again in the order of the table, while the next row may come in."""
    if not own.valid or ready:
        own.valid = own.freed + table[own.table + own.place] < own.written
        if own.valid:
            own.place += 1
            if own.place == own.length:
                own.place = 0
                own.freed += own.beats
    own.written += comes
    own.ready = own.written - own.freed < 2 * own.beats


@compiled
def matrix(own: Block, comes: bool, ready: bool) -> None:
    """mvu_vvu_axi.sv: frames of `fold` beats, each replayed `repeat` times, a result each time.

    `shown` and `last` are the output register of replay_buffer.sv, `shift` are the DSPs, `waiting` the queue behind.
    """
    result = False
    if own.repeat == 1:
        # Without a replay, beats go straight into the DSPs.
        if comes:
            result = own.place == own.fold - 1
            own.place = 0 if result else own.place + 1
    else:
        result = own.shown and not own.locked and own.last
        if not own.shown or not own.locked:
            own.shown = own.read != own.written
            if own.shown:
                _replay(own)
        own.written += comes
    pushed = own.shift >> (own.delay - 1) & 1
    own.shift = (own.shift << 1 | result) & (1 << own.delay) - 1
    empty = own.waiting == 0
    if empty:
        own.locked = 0
    elif own.valid and not ready:
        own.locked = 1
    own.waiting += pushed
    if ready or not own.valid:
        own.valid = not empty
        own.waiting -= not empty
    own.ready = not own.locked if own.repeat == 1 else own.written - own.freed < own.room


@compiled
def _replay(own: Block) -> None:
    """Read a beat from the buffer, which frees it the last time."""
    own.last = own.place == own.fold - 1
    own.place = 0 if own.last else own.place + 1
    final = own.round == own.repeat - 1
    own.freed += final
    own.read += 1
    if own.last:
        own.round = 0 if final else own.round + 1
        own.read -= 0 if final else own.fold


@compiled
def padding(own: Block, comes: bool, ready: bool, table: np.ndarray) -> None:
    """fmpadding.sv: the table says for each beat that leaves whether it comes from the source."""
    forward = table[own.table + own.place]
    here = comes or own.spare
    waits = own.valid and not ready
    if not waits:
        own.valid = here or not forward
        if own.valid:
            own.place = (own.place + 1) % own.length
    own.spare = here and (waits or not forward)
    own.ready = not own.spare


@compiled
def window(own: Block, comes: bool, ready: bool, table: np.ndarray) -> None:
    """swg_template_default.sv: a memory from which the elements of every window are fetched one by one.

    A frame has `elements`, of which the memory has `held`. The table has the elements in the order in which they are
    fetched, then up to which element the memory may be overwritten once that of the order was fetched.
    """
    last = own.elements - 1
    order, free = own.table, own.table + own.length
    written = own.valid and ready
    fetch = not own.fetching_done and not (own.valid and not ready) and table[order + own.fetched] <= own.newest
    fetching_done, writing_done = own.fetching_done, own.writing_done
    again = comes and own.newest == last - 1 and own.writing_done
    if fetch:
        own.first = table[free + own.fetched]
        own.fetched += 1
        fetching_done = own.fetched == own.length
        own.valid = 1
    if written:
        own.valid = fetch
        if own.fetching_done:
            if own.newest == last or (comes and own.newest == last - 1):
                again = True
            else:
                writing_done = 1
    own.newest += comes
    if again:
        own.newest = -1
        own.fetched = own.first = 0
        fetching_done = writing_done = 0
    own.fetching_done, own.writing_done = fetching_done, writing_done
    # A fetch that is over leaves the last element as the current one.
    current = table[order + min(own.fetched, own.length - 1)]
    oldest = own.newest - (own.held - 1)
    own.ready = own.newest != last and (own.fetching_done or (oldest < own.first and oldest < current))


@compiled
def sparse(own: Block, comes: bool, ready: bool, table: np.ndarray) -> None:
    """qap_sparse: vectors of `beats` beats in two pages; the table says for each slot whether a result leaves.

    `full` are the pages that may not be written to, `waiting` those of them whose last slot has not begun, `done` says
    that the slot whose word is there is the last one.
    """
    freed = begins = ends = False
    if not own.valid or ready:
        freed = own.done
        begins = own.waiting > 0
        ends = begins and own.place == own.length - 1
        leaves = begins and table[own.table + own.place]
        own.shift = (own.shift << 1 | leaves) & (1 << own.delay) - 1
        own.done = ends
        if begins:
            own.place = 0 if ends else own.place + 1
    filled = comes and own.count == own.beats - 1
    if comes:
        own.count = 0 if filled else own.count + 1
    own.waiting += filled - ends
    own.full += filled - freed
    own.valid = own.shift >> (own.delay - 1) & 1
    own.ready = own.full < 2


@compiled
def pipeline(own: Block, comes: bool, ready: bool) -> None:
    """Take `beats` beats at each source and give one, `delay` cycles after the last; stand still as a whole."""
    if own.shift >> (own.delay - 1) & 1 and not ready:
        return
    last = own.count == own.beats - 1
    if comes:
        own.count = 0 if last else own.count + 1
    own.shift = (own.shift << 1 | (comes and last)) & (1 << own.delay) - 1


@compiled
def choice(own: Block, comes: bool, ready: bool) -> None:
    """qap_class: one beat per `beats`; go on with the next frame while the last result waits."""
    last = own.count == own.beats - 1
    if comes:
        own.count = 0 if last else own.count + 1
    own.full = (comes and last) or (own.full and not ready)


@compiled
def fork(own: Block, edges: np.ndarray, valid: Wires, ready: Wires) -> None:
    """qap_fork: every target gets every beat once; one that is slow keeps no other waiting within a beat."""
    if not valid[own.source]:
        return
    if ready[own.source]:
        own.done = 0
        return
    for way in range(own.targets):
        own.done |= int(ready[edges[own.targets_at + way]]) << way


@compiled
def turns(own: Block, leaves: bool, table: np.ndarray) -> None:
    """qap_concat: as many beats of each source as the table says, one source after the other."""
    if leaves:
        own.count += 1
        if own.count == table[own.table + own.turn]:
            own.count, own.turn = 0, (own.turn + 1) % own.length


@compiled
def _writes(own: Block, table: np.ndarray) -> bool:
    return not own.writing_done and table[own.table + own.place] <= own.newest


@compiled
def _reads(own: Block, table: np.ndarray) -> bool:
    return own.newest < own.elements - 1 and (own.writing_done or own.newest <= table[own.table + own.place])


@compiled
def parallel(own: Block, comes: bool, ready: bool, table: np.ndarray) -> None:
    """swg_template_parallel.sv: all taps of a window at once; the table has the windows' last elements."""
    last = own.elements - 1
    writes, reads = _writes(own, table), _reads(own, table)
    written = writes and (ready or own.write_done)
    advance = comes or (not reads and (written or not writes))
    newest, place, writing_done = own.newest + comes, own.place, own.writing_done
    again = comes and own.newest == last - 1 and own.writing_done
    # FINN's controller goes on with every cycle in which a window is written.
    if written:
        if place == own.length - 1:
            writing_done = 1
            again = again or newest == last
        else:
            place += 1
    own.write_done = not advance and (own.write_done or written)
    if again:
        newest, place, writing_done = -1, 0, 0
    own.newest, own.place, own.writing_done = newest, place, writing_done


@compiled
def _offer(blocks: np.ndarray, edges: np.ndarray, table: np.ndarray, valid: Wires, ready: Wires) -> None:
    """Let each block say whether it offers a beat; those that go by registers alone, whether they take one too."""
    for own in blocks:
        if own.kind < LINKED:
            valid[own.target], ready[own.source] = own.valid, own.ready
        elif own.kind == PIPELINE:
            valid[own.target] = own.shift >> (own.delay - 1) & 1
        elif own.kind == CHOICE:
            valid[own.target] = own.full
        elif own.kind == FORK:
            for way in range(own.targets):
                valid[edges[own.targets_at + way]] = valid[own.source] and not own.done >> way & 1
        elif own.kind == TURNS:
            valid[own.target] = valid[edges[own.sources_at + own.turn]]
        else:
            valid[own.target] = _writes(own, table) and not own.write_done


@compiled
def _accept(blocks: np.ndarray, edges: np.ndarray, table: np.ndarray, valid: Wires, ready: Wires) -> None:
    """Let the others say whether they take a beat, if one is offered, those that come last in a design first."""
    for place in range(len(blocks) - 1, -1, -1):
        own = blocks[place]
        if own.kind == PIPELINE:
            # At every source at once.
            takes = not own.shift >> (own.delay - 1) & 1 or ready[own.target]
            if own.sources > 1:
                for number in range(own.sources):
                    takes = takes and valid[edges[own.sources_at + number]]
            for number in range(own.sources):
                ready[edges[own.sources_at + number]] = takes
        elif own.kind == CHOICE:
            ready[own.source] = own.count < own.beats - 1 or not own.full or ready[own.target]
        elif own.kind == FORK:
            takes = True
            for way in range(own.targets):
                takes = takes and (own.done >> way & 1 or ready[edges[own.targets_at + way]])
            ready[own.source] = takes
        elif own.kind == TURNS:
            for number in range(own.sources):
                ready[edges[own.sources_at + number]] = number == own.turn and ready[own.target]
        elif own.kind == PARALLEL:
            blocked = _writes(own, table) and not ready[own.target] and not own.write_done
            ready[own.source] = _reads(own, table) and not blocked


@compiled
def _clock(blocks: np.ndarray, edges: np.ndarray, table: np.ndarray, valid: Wires, ready: Wires) -> None:
    """Let each block go on to the next cycle."""
    for own in blocks:
        comes, leaves = valid[own.source] and ready[own.source], ready[own.target]
        if own.kind == QUEUE:
            queue(own, comes, leaves)
        elif own.kind == CONVERTER:
            converter(own, comes, leaves)
        elif own.kind == MATRIX:
            matrix(own, comes, leaves)
        elif own.kind == WINDOW:
            window(own, comes, leaves, table)
        elif own.kind == PADDING:
            padding(own, comes, leaves, table)
        elif own.kind == REPEATED:
            repeated(own, comes, leaves, table)
        elif own.kind == SPARSE:
            sparse(own, comes, leaves, table)
        elif own.kind == PIPELINE:
            pipeline(own, comes, leaves)
        elif own.kind == CHOICE:
            choice(own, comes, leaves)
        elif own.kind == FORK:
            fork(own, edges, valid, ready)
        elif own.kind == TURNS:
            turns(own, valid[own.target] and leaves, table)
        else:
            parallel(own, comes, leaves, table)


@compiled
def cycle(blocks: np.ndarray, edges: np.ndarray, table: np.ndarray, valid: Wires, ready: Wires) -> bool:
    """Go through a cycle, of which the wires are left; return whether any beat moved. `valid` has what comes in."""
    _offer(blocks, edges, table, valid, ready)
    _accept(blocks, edges, table, valid, ready)
    _clock(blocks, edges, table, valid, ready)
    moved = False
    for edge in range(len(valid)):
        moved |= valid[edge] and ready[edge]
    return moved


@compiled
def run(
    blocks: np.ndarray, edges: np.ndarray, table: np.ndarray, valid: Wires, ready: Wires,
    status: np.ndarray, starts: np.ndarray, ends: np.ndarray, offered: int, interval: int, patience: int,
) -> bool:  # fmt: skip
    """Go on until as many frames have left as `ends` has room for; return False if the design stands still before.

    The source offers `offered` frames, a beat after the other, evenly over `interval` cycles each or, where that is 0,
    as soon as it can. A design stands still if no beat moves for `patience` cycles, or what moves never leaves.
    `starts` and `ends` get the cycles of frames' first beats and last beats.
    """
    now = status[0]
    while now.left < len(ends) * now.results:
        frame, beat = now.came_in // now.beats, now.came_in % now.beats
        valid[now.start] = frame < offered and now.cycle >= frame * interval + beat * interval // now.beats
        moved = cycle(blocks, edges, table, valid, ready)
        if valid[now.start] and ready[now.start]:
            if beat == 0 and frame < len(starts):
                starts[frame] = now.cycle
            now.came_in += 1
        if valid[now.end] and ready[now.end]:
            now.left += 1
            if now.left % now.results == 0:
                ends[now.left // now.results - 1] = now.cycle
        now.cycle += 1
        now.quiet = 0 if moved else now.quiet + 1
        if now.quiet > patience or frame - now.left // now.results > STUCK:
            return False
    return True
