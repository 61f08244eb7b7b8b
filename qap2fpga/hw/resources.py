# SPDX-License-Identifier: Apache-2.0
"""The kinds of cells that are counted, listed once: how reports and board files name them, and how people do."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Resources:
    """Cells of a design or of a part of it. None: this tool does not say."""

    lut: int | None = None
    ff: int | None = None
    dsp: int | None = None
    bram18: int | None = None
    lutram: int | None = None
    carry: int | None = None
    lut_packed: int | None = None


@dataclass(frozen=True)
class Resource:
    """A kind of cells: its `name` in files, its `label` over a column, and `plural`, what many of them are called.

    `on_boards`: a board file states how many there are, so a design fits or does not, and estimates have it.
    """

    name: str
    label: str
    plural: str
    on_boards: bool = False


EVERY = (
    Resource("lut", "LUT", "LUTs", on_boards=True),
    Resource("ff", "FF", "FFs", on_boards=True),
    Resource("dsp", "DSP", "DSP blocks", on_boards=True),
    Resource("bram18", "BRAM18", "BRAM18", on_boards=True),
    Resource("uram", "URAM", "UltraRAM blocks"),
    Resource("lutram", "LUTRAM", "LUTs that hold memory"),
    Resource("carry", "CARRY", "carry cells"),
    Resource("lut_packed", "LUT, packed", "LUTs, packed two to a LUT6"),
)
ON_BOARDS = tuple(one for one in EVERY if one.on_boards)
# The names of those, in the order in which they are shown.
NAMES = tuple(one.name for one in ON_BOARDS)
LABELS = {one.name: one.label for one in ON_BOARDS}
PLURALS = {one.name: one.plural for one in EVERY}
