# SPDX-License-Identifier: Apache-2.0
"""A design under way, cycle by cycle."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from qap2fpga.backends.finn.stream import handshakes
from qap2fpga.backends.finn.stream.blocks import Block
from qap2fpga.backends.finn.stream.draw import INPUT, Drawn
from qap2fpga.backends.finn.stream.models import BLOCK, STATUS, Model
from qap2fpga.system.errors import CheckFailed

KINDS = {
    "queue": handshakes.QUEUE, "converter": handshakes.CONVERTER, "repeated": handshakes.REPEATED,
    "matrix": handshakes.MATRIX, "padding": handshakes.PADDING, "window": handshakes.WINDOW,
    "pipeline": handshakes.PIPELINE, "choice": handshakes.CHOICE, "fork": handshakes.FORK, "turns": handshakes.TURNS,
    "parallel": handshakes.PARALLEL, "sparse": handshakes.SPARSE,
}  # fmt: skip
EVERY = sys.maxsize


@dataclass(frozen=True)
class Part:
    """A block of a design with the edges that it stands between."""

    model: Model
    sources: Sequence[str]
    targets: Sequence[str]


class Run:
    """A design under way: `parts` in the order of the data, from the edge `start` to the edge `end`.

    `beats` and `results` are a frame's beats there. The source offers `frames` frames, a beat after the other, evenly
    over `interval` cycles each or, where that is 0, as soon as it can.
    """

    def __init__(
        self, parts: Sequence[Part], start: str, end: str, *, beats: int, results: int, frames: int = EVERY,
        interval: int = 0,
    ) -> None:  # fmt: skip
        edges = {name: number for number, name in enumerate([start, *(one for part in parts for one in part.targets)])}
        self._blocks = np.zeros(len(parts), BLOCK)
        ends: list[int] = []
        tables: list[np.ndarray] = []
        place = 0
        for number, part in enumerate(parts):
            sources, targets = ([edges[name] for name in names] for names in (part.sources, part.targets))
            table = np.asarray(part.model.table, np.int64)
            values = {
                "kind": KINDS[part.model.kind], "sources": len(sources), "targets": len(targets), "source": sources[0],
                "target": targets[0], "sources_at": len(ends), "targets_at": len(ends) + len(sources),
                "table": place, "length": len(table), "ready": 1, "newest": -1,
            }  # fmt: skip
            for name, value in (values | dict(part.model.numbers)).items():
                self._blocks[name][number] = value
            ends += sources + targets
            tables.append(table)
            place += len(table)
        self._edges, self._table = np.array(ends, np.int64), np.concatenate([*tables, np.zeros(1, np.int64)])
        self._valid, self._ready = np.zeros(len(edges), np.bool_), np.zeros(len(edges), np.bool_)
        self._ready[edges[end]] = True
        self._status = np.zeros(1, STATUS)
        for name, value in {"start": edges[start], "end": edges[end], "beats": beats, "results": results}.items():
            self._status[name] = value
        self.frames, self._interval = frames, interval
        self._patience = interval + max((part.model.silent for part in parts), default=0)
        self.starts, self.ends = np.zeros(0, np.int64), np.zeros(0, np.int64)

    @staticmethod
    def of(drawn: Drawn, *, frames: int = EVERY, interval: int = 0) -> Run:
        """Return a run of a whole design."""
        parts = [Part(block.model(), block.sources, block.targets) for block in drawn.blocks]
        return Run(
            parts, INPUT, drawn.end, beats=drawn.source.beats, results=drawn.result.beats, frames=frames,
            interval=interval,
        )  # fmt: skip

    @staticmethod
    def alone(block: Block) -> Run:
        """Return a run of a block with one source and one target, with neighbours that never let it wait."""
        part = Part(block.model(), ["in"], ["out"])
        return Run([part], "in", "out", beats=block.taken.beats, results=block.given.beats)

    @property
    def now(self) -> int:
        """The cycles so far."""
        return int(self._status["cycle"][0])

    @property
    def most(self) -> list[int]:
        """The most beats that have waited in each block, in order; 0 of blocks that are no queues."""
        return [int(most) for most in self._blocks["most"]]

    def rest(self, cycles: int) -> None:
        """Go through cycles in which nothing comes in."""
        for _ in range(cycles):
            self.cycle(offered=False)

    def cycle(self, *, offered: bool) -> tuple[bool, bool]:
        """Go through a cycle in which the source offers a beat or none; return whether one comes in and one leaves."""
        start, end = (int(self._status[name][0]) for name in ("start", "end"))
        self._valid[start] = offered
        handshakes.cycle(self._blocks, self._edges, self._table, self._valid, self._ready)
        self._status["cycle"] += 1
        return bool(self._valid[start] and self._ready[start]), bool(self._valid[end])

    def until(self, frames: int) -> None:
        """Go on until so many frames have left. Raises `CheckFailed` if the design stands still before."""
        more = frames - len(self.ends)
        self.starts, self.ends = (np.append(one, np.zeros(more, np.int64)) for one in (self.starts, self.ends))
        if not handshakes.run(
            self._blocks, self._edges, self._table, self._valid, self._ready, self._status,
            self.starts, self.ends, self.frames, self._interval, self._patience,
        ):  # fmt: skip
            raise CheckFailed("the design stands still", "a FIFO is too shallow: please report this network")
