# SPDX-License-Identifier: Apache-2.0
"""Vivado's timing reports: `report_timing_summary`, and `report_timing` of single paths. Layouts: AMD UG906."""

from __future__ import annotations

import re
from itertools import pairwise

from qap2fpga.hw.design import Stage
from qap2fpga.reports.header import Header
from qap2fpga.reports.result import Parsed, Refused, decimal

CLOCK = re.compile(r"^\s*(\S+)\s+\{[^}]*\}\s+(\d+\.\d+)\s+\d+\.\d+\s*$")
PATH = re.compile(r"^Slack(?: \((?:MET|VIOLATED)\))?\s*:\s*(\S+?)(?:ns)?\s", re.MULTILINE)
# How far each net of a path was when the path was timed: that is the stage, whatever the file is called.
NET = re.compile(r"^\s*net \(fo=\d+, (unplaced|estimated|routed)\)", re.MULTILINE)


def read_summary(header: Header, text: str) -> Parsed:
    """Worst and total slack of setup, and the clock they belong to."""
    kind = "timing-summary"
    sections = _sections(text)
    for name in ("Design Timing Summary", "Clock Summary", "Intra Clock Table", "Inter Clock Table", "Timing Details"):
        if name not in sections:
            raise Refused(kind, f"the section '{name}' is missing: the report is cut off")
    _check_paths(text, kind)
    worst, sum_of_all, verdict = _design(sections["Design Timing Summary"], kind)
    clocks = {match[1]: float(match[2]) for line in sections["Clock Summary"] if (match := CLOCK.match(line))}
    clock = _critical(clocks, worst, sections, kind)
    target = None if clock is None else clocks[clock]
    stage, note = _stage(header, text, kind)
    if worst is None:
        verdict = verdict or "no setup slack is stated"
    if clocks and clock is None:
        verdict += f"; {len(clocks)} clocks, and which one is critical is not stated"
    return Parsed(
        kind, "vivado", header.version, stage, header.design, header.part, clock=clock, target_ns=target,
        period_ns=None if target is None or worst is None else round(target - worst, 6),
        wns_ns=worst, tns_ns=sum_of_all, note="; ".join(one for one in (note, verdict) if one),
    )  # fmt: skip


def _sections(text: str) -> dict[str, list[str]]:
    """Lines of each section; its name stands as '| name' above '| ----'."""
    lines = text.splitlines()
    starts = [place for place in range(len(lines) - 1)
              if re.match(r"\| \S", lines[place]) and re.match(r"\| -+\s*$", lines[place + 1])]  # fmt: skip
    return {lines[one][2:].strip(): lines[one + 2 : end] for one, end in pairwise([*starts, len(lines)])}


def _design(lines: list[str], kind: str) -> tuple[float | None, float | None, str]:
    """WNS, TNS and the sentence below the table."""
    place = next((place for place, line in enumerate(lines) if line.strip().startswith("WNS(ns)")), None)
    if place is None or len(lines) < place + 3:
        raise Refused(kind, "the design timing summary has no table: the report is cut off")
    names, values = re.split(r"\s{2,}", lines[place].strip()), lines[place + 2].split()
    if len(names) != len(values):
        raise Refused(kind, "the design timing summary has not one value a column: the report is cut off")
    row = dict(zip(names, values, strict=True))
    verdict = next((line.strip() for line in lines[place + 3 :] if re.match(r"\s*[A-Z]", line)), "")
    return decimal(row["WNS(ns)"], kind, "WNS"), decimal(row.get("TNS(ns)", ""), kind, "TNS"), verdict


def _critical(clocks: dict[str, float], worst: float | None, sections: dict[str, list[str]], kind: str) -> str | None:
    """The clock whose own paths have the design's worst slack; None if that is not clear."""
    if len(clocks) == 1:
        return next(iter(clocks))
    # Only rows with setup, hold and pulse width have their first number in the column of WNS.
    rows = [line.split() for line in sections["Intra Clock Table"]]
    names = [row[0] for row in rows if len(row) == 13 and row[0] in clocks and decimal(row[1], kind, "WNS") == worst]
    return names[0] if worst is not None and len(names) == 1 else None


def _check_paths(text: str, kind: str) -> None:
    """Each path with a finite slack ends with a line that repeats it."""
    begun = [slack for slack in PATH.findall(text) if re.match(r"[-+]?\d", slack)]
    ended = re.findall(r"^\s+slack\s+(-?\d+\.\d+)", text, re.MULTILINE)
    if len(ended) < len(begun):
        raise Refused(kind, f"{len(begun)} paths begin and {len(ended)} end: the report is cut off")


def _stage(header: Header, text: str, kind: str) -> tuple[Stage, str]:
    """The stage by the nets of the paths; else by the design state in the head."""
    nets = set(NET.findall(text))
    if not nets:
        return header.need_stage(kind), header.note
    stage, note = (
        (Stage.SYNTHESIS, "nets not placed") if "unplaced" in nets
        else (Stage.ROUTED, "placed, not routed") if "estimated" in nets
        else (Stage.ROUTED, "")
    )  # fmt: skip
    if header.stage is not None and header.stage is not stage:
        note += f", although the design state is '{header.state}'"
    return stage, note


def read_paths(header: Header, text: str) -> Parsed:
    """The worst of the setup paths that are listed."""
    kind = "timing-paths"
    _check_paths(text, kind)
    starts = [match.start() for match in PATH.finditer(text)]
    blocks = [text[one:end] for one, end in pairwise([*starts, len(text)])]
    paths = []
    for block in blocks:
        slack = decimal(PATH.findall(block)[0], kind, "slack")
        if slack is not None and re.search(r"^\s*Path Type:\s+Setup", block, re.MULTILINE):
            paths.append((slack, block))
    if not paths:
        raise Refused(kind, "the timing report lists no setup path with a slack", whole="No timing paths" in text)
    worst, block = min(paths, key=lambda one: one[0])
    clock = re.search(r"Destination:.*?clocked by (\S+)\s+\{[^}]*period=([\d.]+)ns\}", block, re.DOTALL)
    requirement = re.search(r"^\s*Requirement:\s+([\d.]+)ns", block, re.MULTILINE)
    target = float(clock[2]) if clock else None
    # A path between two clocks, or of several cycles, says nothing on the period of one clock.
    one_period = target is not None and requirement is not None and float(requirement[1]) == target
    stage, note = _stage(header, text, kind)
    return Parsed(
        kind, "vivado", header.version, stage, header.design, header.part, clock=clock[1] if clock else None,
        target_ns=target, period_ns=round(target - worst, 6) if one_period and target is not None else None,
        wns_ns=worst, note="; ".join(one for one in (note, "the worst of the setup paths listed") if one),
    )  # fmt: skip
