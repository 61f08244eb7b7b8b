# SPDX-License-Identifier: Apache-2.0
"""What a vendor's report says. A field that the report does not state is None, never 0."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields

from qap2fpga.hw.design import Measurement, Stage
from qap2fpga.hw.resources import Resources
from qap2fpga.system.codec import LARGEST
from qap2fpga.system.errors import QapError
from qap2fpga.system.reading import shown

# How tools write that there is no number.
NOTHING = ("", "-", "_", "?", "na", "n/a", "undef", "inf", "none")
PER_NS = {"": 1.0, "ps": 1e-3, "ns": 1.0, "us": 1e3, "ms": 1e6, "s": 1e9, "sec": 1e9}


class Refused(QapError):
    """The file has no numbers to take, and why. `kind` is what it was seen to be, 'unknown' if nothing known.

    `whole` is True for a sound report of a kind that measures something else, as power; False for a file that
    is broken, cut off or not a report.
    """

    def __init__(self, kind: str, why: str, *, whole: bool = False) -> None:
        super().__init__(why, "" if whole else "write the report again, or give another file")
        self.kind = kind
        self.whole = whole


@dataclass(frozen=True)
class Cells(Resources):
    """Resources of an AMD device as its own tools count them.

    `lut`: all LUTs, with those that are memory; `lutram`: those that are distributed RAM or shift registers;
    `bram18`: a block RAM tile, or a RAMB36, is two; `carry`: CARRY4 or CARRY8; `uram`: UltraRAM blocks.
    """

    uram: int | None = None


@dataclass(frozen=True)
class Parsed:
    """One report. Times in ns, latency and interval in clock cycles of one run of the design.

    `stage` is None for an RTL simulation only.
    `parts` do not overlap; `modules` do: every level of the hierarchy, by path or module name. `period_ns` is
    the shortest clock period that the tool found: estimated by HLS, else target minus worst slack.
    `percent` is the report's own wording, as `<0.01` or `~0`. `submodules` are the modules that the report says are in
    the design, `black_boxes` those whose cells it did not count, by module name.
    """

    kind: str
    tool: str
    version: str | None = None
    stage: Stage | None = None
    design: str | None = None
    part: str | None = None
    resources: Cells | None = None
    available: Cells | None = None
    percent: Mapping[str, str] = field(default_factory=dict)
    parts: Mapping[str, Cells] = field(default_factory=dict)
    modules: Mapping[str, Cells] = field(default_factory=dict)
    submodules: frozenset[str] = frozenset()
    black_boxes: tuple[str, ...] = ()
    clock: str | None = None
    target_ns: float | None = None
    period_ns: float | None = None
    wns_ns: float | None = None
    tns_ns: float | None = None
    latency_min: int | None = None
    latency_max: int | None = None
    interval_min: int | None = None
    interval_max: int | None = None
    status: str | None = None
    note: str = ""

    @property
    def measurement(self) -> Measurement | None:
        """The resources as other tools' measurements are kept; None when the report has none."""
        if self.resources is None or self.stage is None:
            return None
        version = self.version or "not stated"
        return Measurement(self.tool, version, self.stage, self.resources, dict(self.parts), self.note)


def count(value: object, kind: str, what: str) -> int | None:
    """A whole number as a tool writes it ('1,024', '117.0', 'NA'). Raises `Refused` for anything else."""
    if value is None:
        return None
    exact = decimal(value, kind, what)
    if exact is None:
        return None
    if exact < 0 or exact != int(exact):
        raise Refused(kind, f"{what} is {value}, not a whole number")
    return int(exact)


def decimal(value: object, kind: str, what: str) -> float | None:
    """A number as a tool writes it. Raises `Refused` for anything that is neither a number nor 'none'."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise Refused(kind, f"{what} is {shown(value)}, not a number")
    text = shown(value) if isinstance(value, int) else str(value).strip().replace(",", "")
    if text.lower() in NOTHING:
        return None
    if not re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d{1,2})?", text, re.IGNORECASE):
        raise Refused(kind, f"{what} is {shown(value)}, not a number")
    number = float(text)
    if not abs(number) <= LARGEST:
        raise Refused(kind, f"{what} is {shown(value)}, more than any design has")
    return number


def nanoseconds(value: str | None, kind: str, what: str) -> float | None:
    """A time with or without its unit, in ns; without one it is ns."""
    if value is None:
        return None
    number, _, unit = value.strip().partition(" ")
    if unit.strip() not in PER_NS:
        raise Refused(kind, f"{what} is '{value}', a time in an unknown unit")
    exact = decimal(number, kind, what)
    return None if exact is None else round(exact * PER_NS[unit.strip()], 6)


def agreed(values: Iterable[int | None], kind: str, what: str) -> int | None:
    """Return the one number of several spellings: tools write 0 under the spelling they do not use."""
    distinct = {value for value in values if value is not None}
    if len(distinct - {0}) > 1:
        raise Refused(kind, f"{what} is given twice, as {' and '.join(map(str, sorted(distinct)))}")
    return max(distinct, default=None)


def total(parts: Iterable[Cells]) -> Cells:
    """The sum of parts that do not overlap; a field that one of them does not state is None."""
    every = list(parts)
    sums: dict[str, int | None] = {}
    for name in (one.name for one in fields(Cells)):
        values = [getattr(part, name) for part in every]
        sums[name] = None if not values or None in values else sum(values)
    return Cells(**sums)
