# SPDX-License-Identifier: Apache-2.0
"""When a build ran, how it was asked for, how long each stage took: beside the report, whose bytes stay the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from qap2fpga.system.codec import Number, Record, decode, encode
from qap2fpga.system.errors import QapError
from qap2fpga.system.files import append_json, read_json_lines

FILE = Path(".qap2fpga") / "history.jsonl"
# In the build's folder, beside report.json: what happened, and the report as a page.
LOG, PAGE = "build.log", "report.html"


@dataclass(frozen=True, kw_only=True)
class Asked(Record):
    """One call: when, the `command` as typed, empty from Python, and what was asked for by name."""

    at: str
    command: str = ""
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Worked(Record):
    """A stage that ran to its end."""

    stage: str
    title: str
    at: str
    seconds: Number


@dataclass(frozen=True)
class History:
    """The last call, and each stage as it ran last, in the order of their ends."""

    asked: Asked | None = None
    stages: tuple[Worked, ...] = ()

    @property
    def seconds(self) -> float:
        """Return how long all stages took together; some run at the same time."""
        return sum(one.seconds for one in self.stages)


def begin(folder: Path, command: str, options: Mapping[str, object]) -> None:
    """Write down that a build in `folder` was asked for."""
    given = {name: str(value) for name, value in options.items() if value not in (None, "", (), False)}
    append_json(folder / FILE, encode(Asked(at=_now(), command=command, options=given)))


def ended(folder: Path, stage: str, title: str, seconds: float) -> None:
    """Write down that a stage ended."""
    append_json(folder / FILE, encode(Worked(stage=stage, title=title, at=_now(), seconds=round(seconds, 2))))


def load(folder: Path) -> History:
    """Return what `folder` says of itself; nothing of lines that are not as they were written."""
    asked: Asked | None = None
    stages: dict[str, Worked] = {}
    for line in read_json_lines(folder / FILE):
        try:
            if isinstance(line, dict) and "stage" in line:
                one: Worked = decode(Worked, line, "", str(folder / FILE))
                stages.pop(one.stage, None)
                stages[one.stage] = one
            else:
                asked = decode(Asked, line, "", str(folder / FILE))
        except QapError:
            continue
    return History(asked, tuple(stages.values()))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
