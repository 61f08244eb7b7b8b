# SPDX-License-Identifier: Apache-2.0
"""The integers of a network's nodes on a terminal, and as the file of a build that the page reads."""

from __future__ import annotations

import json
from pathlib import Path

from rich.console import Group, RenderableType
from rich.markup import escape

from qap2fpga.ir.spread import Profile, Spread
from qap2fpga.report import show
from qap2fpga.report.network import shown
from qap2fpga.system.codec import decode, encode
from qap2fpga.system.errors import QapError
from qap2fpga.system.reading import json_object
from qap2fpga.system.tables import headed
from qap2fpga.system.terminal import warning

FILE = "profile.json"
# Letters of a box plot.
WIDTH = 25


def dump(profile: Profile) -> str:
    """Return the file's text."""
    return json.dumps(encode(profile), indent=1)


def load(folder: Path) -> Profile | None:
    """Return the profile in a build's `folder`; None where there is none that can be read."""
    try:
        profile: Profile = decode(Profile, json_object(folder / FILE, "build again"), "", str(folder / FILE))
    except QapError:
        return None
    return profile


def title(profile: Profile) -> str:
    """Return over what the profile is."""
    return f"over {profile.vectors:,} {profile.of} vectors" if profile.vectors else "weights alone: there are no inputs"


def render(profile: Profile) -> Group:
    """Return a row per node and kind: the range, where the values lie in it, and how much of it they use."""
    table = headed("node", "what", "range", "values: |--[==|==]--|", "used", "of", "at 0", "lowest", "highest",
                   words=(0, 1, 3), keys=2)  # fmt: skip
    for one in profile.spreads:
        cells = (f"{one.low:,} to {one.high:,}", box(one), show.number(one.used), show.number(one.levels))
        ends = (show.percent(share, 1) for share in (one.at_zero, one.at_low, one.at_high))
        table.add_row(escape(shown(one.node)), one.kind, *map(escape, cells), *ends)
    parts: list[RenderableType] = [f"[bold]Integers {title(profile)}[/]", table]
    return Group(*parts, *map(warning, profile.notes))


def box(one: Spread) -> str:
    """Return a box plot in letters: dots are the range, lines what was seen, the box its middle half."""
    letters = ["."] * WIDTH

    def place(value: float) -> int:
        return round(one.place(value) / 100 * (WIDTH - 1))

    for index in range(place(one.least), place(one.largest) + 1):
        letters[index] = "-"
    for index in range(place(one.quarter), place(one.three_quarters) + 1):
        letters[index] = "="
    for value, letter in ((one.least, "|"), (one.largest, "|"), (one.quarter, "["), (one.three_quarters, "]")):
        letters[place(value)] = letter
    letters[place(one.median)] = "|"
    return "".join(letters)
