# SPDX-License-Identifier: Apache-2.0
"""A folder of results, read file by file: what holds numbers, and what was refused with its reason."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from qap2fpga.reports import Parsed, Refused, read
from qap2fpga.system.errors import QapError

SUFFIXES = (".rpt", ".xml", ".json")


@dataclass(frozen=True)
class ReportFile:
    """One report and where it stands below the folder that was given."""

    path: PurePosixPath
    parsed: Parsed


@dataclass(frozen=True)
class Skipped:
    """A file without numbers to take. `broken`: it is a report, or looks like one, but cannot be read."""

    path: PurePosixPath
    kind: str
    reason: str
    broken: bool


@dataclass(frozen=True)
class Results:
    """All reports of a folder, by path. Files of other kinds (`.xml`, `.json`) are in `skipped`, not broken."""

    reports: tuple[ReportFile, ...]
    skipped: tuple[Skipped, ...]


def read_folder(folder: Path) -> Results:
    """Read every report below `folder`. Raises `QapError` when there is no folder, or no report in it."""
    if not folder.is_dir():
        what = "is a file" if folder.is_file() else "does not exist"
        raise QapError(f"{folder} {what}", "give the folder that a tool left its results in")
    reports, skipped = [], []
    for path in _files(folder):
        place = PurePosixPath(path.relative_to(folder).as_posix())
        try:
            reports.append(ReportFile(place, read(path)))
        except Refused as refusal:
            reason = refusal.message.removeprefix(f"{path}: ")
            broken = not refusal.whole and (refusal.kind != "unknown" or path.suffix == ".rpt")
            skipped.append(Skipped(place, refusal.kind, reason, broken))
    if not reports:
        raise QapError(f"no report in {folder} can be read{_reasons(skipped)}", "known: reports of Vivado HLS, Vitis "
                       "HLS, Vivado (.rpt, .xml) and FINN (.json)")  # fmt: skip
    return Results(tuple(reports), tuple(skipped))


def _files(folder: Path) -> Iterator[Path]:
    """Files that may be reports, in order; hidden folders and links are left out."""
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(place, name)
            if path.suffix in SUFFIXES and path.is_file() and not path.is_symlink():
                yield path


def _reasons(skipped: list[Skipped], most: int = 5) -> str:
    reasons = "".join(f"\n  {one.path}: {one.reason}" for one in skipped[:most])
    return reasons + (f"\n  and {len(skipped) - most} more" if len(skipped) > most else "")
