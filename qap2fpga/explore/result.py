# SPDX-License-Identifier: Apache-2.0
"""What an exploration is asked for, and what it found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qap2fpga.explore import builds
from qap2fpga.explore.builds import Built
from qap2fpga.explore.choose import RANKED, Point
from qap2fpga.explore.limits import Limits
from qap2fpga.hw.boards import Board
from qap2fpga.system.errors import CheckFailed
from qap2fpga.system.workers import Workers


@dataclass(frozen=True)
class Exploration:
    """What is to be explored. `places` are study folders, model files, and files of studies to train first.

    `options` are values of backends' options by name, each a variant; `build` is how many builds are to meet the
    limits, 0 for estimates alone; `workers` do the work.
    """

    places: tuple[Path, ...]
    backends: tuple[str, ...]
    boards: tuple[Board, ...]
    options: Mapping[str, Sequence[Any]]
    limits: Limits
    build: int
    workers: Workers
    output: Path


@dataclass(frozen=True)
class Explored:
    """What was found: all points, in the order of the candidates, the builds by name, and what was left out."""

    request: Exploration
    points: tuple[Point, ...]
    built: dict[str, Built]
    left_out: tuple[str, ...]

    @property
    def met(self) -> int:
        """How many builds meet the limits; without any build, how many candidates are expected to."""
        if self.request.build:
            return sum(one.meets for one in self.built.values())
        return sum(one.status == RANKED and not one.expected for one in self.points)

    def check(self) -> None:
        """Raise `CheckFailed`, with what comes nearest, if nothing meets the limits."""
        if not self.met:
            raise CheckFailed(f"nothing meets the limits; {self._nearest()}", self._hint())

    def _nearest(self) -> str:
        """The point with the smallest excess, measured where something was built, and what stops it."""
        measured = [(one.ratio, name, builds.verdict(one)) for name, one in self.built.items() if not one.failed]
        expected = [
            (one.expected[0].ratio, one.candidate.name, one.expected[0].text)
            for one in self.points
            if one.expected and not self.built
        ]
        if not measured and not expected:
            return "nothing could be " + ("built" if self.built else "estimated")
        _, name, why = min(measured or expected)
        return f"the nearest{'' if measured else ' by its estimate'} is {name}: {why}"

    def _hint(self) -> str:
        if self.built and all(one.failed for one in self.built.values()):
            return f"why is said in {self.request.output / 'explore.json'}"
        return "loosen that limit, prune further, use fewer bits, another --backend, or a larger --board"
