# SPDX-License-Identifier: Apache-2.0
"""The limits that hardware must stay within, and by how much something is beyond them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields

from qap2fpga.backends import option
from qap2fpga.estimate.prediction import Estimated, Interval
from qap2fpga.hw import resources
from qap2fpga.hw.boards import Board
from qap2fpga.hw.resources import NAMES, PLURALS
from qap2fpga.system.errors import QapError

WORDS = {**PLURALS, "latency_ns": "ns of latency"}
# Where nothing was calibrated, a backend's own expectation is given this factor either way before it decides.
UNCALIBRATED = 2.0
# What follows exactly, calibrated or not.
EXACT = (*resources.EXACT, "latency_ns")


@dataclass(frozen=True)
class Limits:
    """The most of each quantity, and the least accuracy (a share of 1); None is no limit but the board."""

    max_lut: float | None = None
    max_ff: float | None = None
    max_dsp: float | None = None
    max_bram18: float | None = None
    max_latency_ns: float | None = None
    min_accuracy: float | None = None

    def __post_init__(self) -> None:
        for one in fields(self):
            value = getattr(self, one.name)
            if value is not None and not 0 <= value < math.inf:
                raise QapError(f"{option(one.name)} is {value:g}", "give a limit of 0 or more")
        if self.min_accuracy is not None and self.min_accuracy > 1:
            raise QapError(f"--min-accuracy is {self.min_accuracy:g}", "give a share of 1: 0.7 is 70 %")

    def most(self, board: Board) -> dict[str, tuple[float, str]]:
        """The most of each quantity, and the name of what limits it: an option, or the board."""
        limits = {}
        for name in WORDS:
            limit = getattr(self, f"max_{name}")
            if name in NAMES and (limit is None or limit > board.available(name)):
                limits[name] = (float(board.available(name)), board.name)
            elif limit is not None:
                limits[name] = (limit, option(f"max_{name}"))
        return limits


@dataclass(frozen=True)
class Excess:
    """One limit that is broken; `ratio` says how far, above 1."""

    ratio: float
    text: str


def broken(
    numbers: Mapping[str, float | None], accuracy: float | None, limits: Limits, board: Board, *, prefix: str = ""
) -> list[Excess]:
    """The limits that `numbers`, by quantity, and the accuracy break, the worst first. None breaks nothing.

    `prefix` stands before a number, as 'at least '.
    """
    excesses = []
    if limits.min_accuracy is not None and accuracy is not None and accuracy < limits.min_accuracy:
        ratio = limits.min_accuracy / accuracy if accuracy else math.inf
        text = f"accuracy {100 * accuracy:.2f} % (--min-accuracy {limits.min_accuracy:g})"
        excesses.append(Excess(ratio, text))
    for name, (most, whose) in limits.most(board).items():
        value = numbers.get(name)
        if value is not None and value > most:
            ratio = value / most if most else math.inf
            excesses.append(Excess(ratio, f"{prefix}{value:,.0f} {WORDS[name]} ({whose} {most:,.10g})"))
    return sorted(excesses, key=lambda one: -one.ratio)


def intervals(estimate: Estimated, clock_ns: float) -> dict[str, Interval]:
    """Return by quantity what an estimate says, with an interval also where none was calibrated."""
    predicted = dict(estimate.predictions)
    if "latency_cycles" in predicted:
        predicted["latency_ns"] = Interval.exact(clock_ns * predicted["latency_cycles"].value)
    known = {name: predicted[name] for name in WORDS if name in predicted}
    if estimate.calibrated:
        return known
    return {
        name: one if name in EXACT else Interval(one.value, one.value / UNCALIBRATED, one.value * UNCALIBRATED)
        for name, one in known.items()
    }
