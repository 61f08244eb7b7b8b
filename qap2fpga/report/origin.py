# SPDX-License-Identifier: Apache-2.0
"""When and how a build was made, and the files that it left, as the page links to them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from qap2fpga.report import parts
from qap2fpga.report.gather import Build
from qap2fpga.report.history import LOG, History
from qap2fpga.report.schema import Report

# The most files of a kind that are listed.
MOST_FILES = 60


@dataclass(frozen=True)
class Stage:
    """One stage: its time, as text and of the longest, of 100."""

    title: str
    time: str
    width: float


@dataclass(frozen=True)
class Origin:
    """The last call, its options, the stages, and paths below the build's folder: logs, and sources by folder."""

    at: str
    command: str
    options: tuple[tuple[str, str], ...]
    stages: tuple[Stage, ...]
    together: str
    logs: tuple[str, ...]
    sources: tuple[str, ...]


def origin(build: Build) -> Origin:
    """Return where `build` is from."""
    history = build.history
    asked = history.asked
    longest = max((one.seconds for one in history.stages), default=0)
    return Origin(
        at=asked.at.replace("T", " ").replace("+00:00", " UTC") if asked else "",
        command=asked.command if asked else "",
        options=tuple(asked.options.items()) if asked else (),
        stages=tuple(Stage(one.title, _time(one.seconds), round(100 * one.seconds / longest, 1) if longest else 0.0)
                     for one in history.stages),
        together=_together(history),
        logs=tuple(_logs(build.folder)),
        sources=tuple(_sources(build.report, build.folder)),
    )  # fmt: skip


def _time(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def _together(history: History) -> str:
    return (
        f"{_time(history.seconds)} in all; stages that are independent ran at the same time" if history.stages else ""
    )


def _logs(folder: Path) -> Iterator[str]:
    """Yield the build's log, and those of the tools in the folders beside it."""
    if (folder / LOG).is_file():
        yield LOG
    logs = sorted(one.relative_to(folder).as_posix() for one in folder.glob("*/*.log") if one.is_file())
    yield from logs[:MOST_FILES]


def _sources(report: Report, folder: Path) -> Iterator[str]:
    """Yield what was generated and is there, as the report lists it; names that lead elsewhere are left out."""
    design = parts.design_of(report)
    for name in (design.sources if design and design.folder else ())[:MOST_FILES]:
        path = PurePosixPath(str(design.folder if design else ""), name)
        if not path.is_absolute() and ".." not in path.parts and (folder / path).is_file():
            yield str(path)
