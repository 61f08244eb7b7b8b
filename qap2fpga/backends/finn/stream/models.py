# SPDX-License-Identifier: Apache-2.0
"""Models of blocks: their kind and its numbers, from which `handshakes` knows what they do with beats, and when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

# What a block is: its edges, then what its kind has; `table` is where its own begins.
WHAT = (
    "kind", "sources", "targets", "source", "target", "sources_at", "targets_at", "table", "length", "delay",
    "room", "guarded", "taken", "given", "beats", "fold", "repeat", "elements", "held",
)  # fmt: skip
# Its registers. Shift registers are numbers with a bit per stage: what comes in is bit 0.
REGISTERS = (
    "valid", "ready", "shift", "count", "most", "waiting", "place", "round", "turn", "written", "read", "freed", "done",
    "full", "spare", "shown", "last", "locked", "newest", "fetched", "first", "fetching_done", "writing_done",
    "write_done",
)  # fmt: skip
BLOCK = np.dtype([(name, np.int64) for name in WHAT + REGISTERS])
# A design under way: the edges at both ends and a frame's beats there; cycles and beats so far, cycles without a beat.
STATUS = np.dtype(
    [(name, np.int64) for name in ("start", "end", "beats", "results", "cycle", "came_in", "left", "quiet")]
)
# Of a block that does not read again what it holds.
SILENT = 64
# Stages of a shift register, which is a number of 64 bits with a sign.
MOST_STAGES = 62


@dataclass(frozen=True, eq=False)
class Model:
    """`kind`, `numbers` and `table` are as in `handshakes`.

    `silent`: cycles in which it may go on without a beat at any of its edges, at most.
    """

    kind: str
    numbers: Mapping[str, int]
    table: Sequence[int] | np.ndarray = ()
    silent: int = SILENT

    def __post_init__(self) -> None:
        stages = self.numbers.get("delay", 1)
        if not 1 <= stages <= MOST_STAGES:
            raise AssertionError(f"a {self.kind} of {stages} stages cannot be run")


def queue(delay: int, room: int | None, *, guarded: bool) -> Model:
    """A FIFO or thresholds: thresholding.sv guards its pipeline and queue together, fifo.sv counts its memory alone."""
    return Model("queue", {"delay": delay, "room": -1 if room is None else room, "guarded": guarded})


def converter(taken: int, given: int) -> Model:
    """A width converter."""
    return Model("converter", {"taken": taken, "given": given})


def matrix(fold: int, repeat: int, simd: int) -> Model:
    """A product: `fold` beats per frame, each replayed `repeat` times."""
    delay = 4 + (simd - 1).bit_length() + (simd == 1)  # PIPELINE_DEPTH of mvu.sv
    room = 1 << (1 if fold < 2 else (fold - 1).bit_length())
    numbers = {"fold": fold, "repeat": repeat, "delay": delay, "room": room}
    return Model("matrix", numbers, silent=SILENT + fold + delay)


def sparse(beats: int, emits: Sequence[int], stages: int) -> Model:
    """A sparse product of vectors of `beats` beats: in which slots a result is complete, `stages` cycles later."""
    return Model("sparse", {"beats": beats, "delay": stages}, emits, silent=SILENT + len(emits))


def pipeline(stages: int, beats: int = 1) -> Model:
    """A result per `beats` beats, `stages` cycles later."""
    return Model("pipeline", {"delay": stages, "beats": beats})


def choice(beats: int) -> Model:
    """The number of the largest of a frame."""
    return Model("choice", {"beats": beats})


def fork() -> Model:
    """A stream with several readers."""
    return Model("fork", {})


def turns(beats: Sequence[int]) -> Model:
    """So many beats of each source in turn; of one source, wires."""
    return Model("turns", {}, beats)


def repeated(beats: int, places: Sequence[int]) -> Model:
    """A row of so many beats, given as often and in the order of `places`."""
    return Model("repeated", {"beats": beats}, places)
