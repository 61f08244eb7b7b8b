# SPDX-License-Identifier: Apache-2.0
"""The kinds of cells that are counted, listed once: how reports and board files name them, and how people do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

# Cells by the name of the resource; None is not known.
Counts = Mapping[str, int | None]


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
    `fitted`: an estimate of it rests on fitted coefficients; `exact`: it follows from what is generated.
    """

    name: str
    label: str
    plural: str
    on_boards: bool = False
    fitted: bool = False
    exact: bool = False


EVERY = (
    Resource("lut", "LUT", "LUTs", on_boards=True, fitted=True),
    Resource("ff", "FF", "FFs", on_boards=True, fitted=True),
    Resource("dsp", "DSP", "DSP blocks", on_boards=True, exact=True),
    Resource("bram18", "BRAM18", "BRAM18", on_boards=True),
    Resource("uram", "URAM", "UltraRAM blocks"),
    Resource("lutram", "LUTRAM", "LUTs that hold memory"),
    Resource("lut_packed", "LUT, packed", "LUTs, packed two to a LUT6"),
    Resource("carry", "CARRY", "carry cells"),
)
# Those of a board, by name, in the order in which they are shown.
LABELS = {one.name: one.label for one in EVERY if one.on_boards}
PLURALS = {one.name: one.plural for one in EVERY if one.on_boards}
NAMES = tuple(LABELS)
FITTED = tuple(one.name for one in EVERY if one.fitted)
EXACT = tuple(one.name for one in EVERY if one.exact)
# What else `Resources` tells of a design.
DETAILS = {one.name: one.plural for one in EVERY if not one.on_boards and one.name in Resources.__dataclass_fields__}
