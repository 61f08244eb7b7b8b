# SPDX-License-Identifier: Apache-2.0
"""The head that every Vivado report has, and the stage that it tells."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise

from qap2fpga.hw.design import Stage
from qap2fpga.reports.result import Refused

FIELD = re.compile(r"^\| ([A-Z][A-Za-z ]*?)\s*: ?(.*?)\s*$")
# Design states: AMD UG835 (report commands). Placed is not routed: the numbers of cells are final, nets are not.
STATES = {
    "synthesized": (Stage.SYNTHESIS, ""),
    "optimized": (Stage.SYNTHESIS, "optimized after synthesis"),
    "fully placed": (Stage.ROUTED, "placed, not routed"),
    "placed": (Stage.ROUTED, "placed, not routed"),
    "physopt postplace": (Stage.ROUTED, "placed, not routed"),
    "routed": (Stage.ROUTED, ""),
    "fully routed": (Stage.ROUTED, ""),
    "physopt postroute": (Stage.ROUTED, ""),
}


@dataclass(frozen=True)
class Header:
    """Who made the report, of what. Timing reports before 2023 state no design state."""

    command: str
    version: str | None
    design: str | None
    part: str | None
    state: str | None

    @property
    def stage(self) -> Stage | None:
        """The stage that the design state means, None if it is not stated or not known."""
        return STATES.get((self.state or "").lower(), (None, ""))[0]

    @property
    def note(self) -> str:
        """What the stage does not say."""
        return STATES.get((self.state or "").lower(), (None, ""))[1]

    def need_stage(self, kind: str) -> Stage:
        """The stage. Raises `Refused` when there is none: numbers without a stage cannot be compared."""
        if self.stage is None:
            why = f"the design state '{self.state}' is none of {', '.join(STATES)}" if self.state else "no design state"
            raise Refused(kind, f"the stage is not known: {why}")
        return self.stage


def read_header(text: str) -> Header:
    """The head of a Vivado report. Raises `Refused` when the file holds two reports, or is cut off in its head."""
    lines = text.splitlines()
    heads = [place for place, line in enumerate(lines) if line.startswith("| Tool Version")]
    if len(heads) != 1:
        raise Refused("vivado", f"the file holds {len(heads)} reports; their stages may differ, give them one by one")
    fields: dict[str, str] = {}
    for line in lines[heads[0] :]:
        field = FIELD.match(line)
        if field is None:
            break
        fields[field[1]] = field[2]
    if "Command" not in fields or "Design" not in fields:
        raise Refused("vivado", "the head of the report names no command or no design: it is cut off")
    version = re.search(r"v\.(\d{4}\.\d[\w.]*)", fields["Tool Version"])
    return Header(
        command=fields["Command"].split()[0] if fields["Command"] else "",
        version=version[1] if version else None,
        design=fields["Design"] or None,
        part=fields.get("Device") or None,
        state=fields.get("Design State") or None,
    )


def check_complete(text: str, kind: str) -> None:
    """Raise `Refused` when a chapter of the table of contents is missing: the file is cut off."""
    contents = re.search(r"^Table of Contents\n-+\n((?:[ \t]*\d[\d.]* .*\n)+)", text, re.MULTILINE)
    if contents is None:
        raise Refused(kind, "the report has no table of contents: it is cut off")
    rest = text[contents.end() :].splitlines()
    headings = {line.strip() for line, below in pairwise(rest) if re.fullmatch(r"-+", below.strip())}
    for chapter in contents[1].splitlines():
        if chapter.strip() not in headings:
            raise Refused(kind, f"the chapter '{chapter.strip()}' is missing: the report is cut off")
    if "\n+-" not in text[text.rindex(chapter.strip()) :]:
        raise Refused(kind, f"the chapter '{chapter.strip()}' is empty: the report is cut off")
