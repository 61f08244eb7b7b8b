# SPDX-License-Identifier: Apache-2.0
"""What a study has written into its folder so far: its runs, the trials of its search, and their records.

`docs/studies.md` describes the folder. Imports nothing of the training: thousands of records are read in a moment.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from qap2fpga.report import study_settings
from qap2fpga.system.errors import QapError
from qap2fpga.system.reading import is_file, json_object

SCHEMA = 1
HINT = "give the folder that `qap2fpga study` writes: it holds study.json and runs/"
INDEX, SEARCH, RECORD = "study.json", "search.json", "record.json"
# The folder that `qap2fpga figures` draws into.
FIGURES = "figures"


@dataclass(frozen=True)
class Entry:
    """A run, or a trial of a search, that a study lists. Its `folder` may hold no record yet.

    `setting` is what people call what it trains. `search` is the search of a trial, whose last network it estimated to
    take `predicted_luts`.
    """

    name: str
    folder: Path
    failed: bool
    setting: str
    search: str | None = None
    predicted_luts: object = None

    @property
    def begun(self) -> bool:
        """Whether there is a record."""
        return is_file(self.folder / RECORD)

    def record(self) -> dict[str, object]:
        """Return the record as it stands in the file. Raises `QapError` where it cannot be read."""
        return json_object(self.folder / RECORD, HINT)


@dataclass(frozen=True)
class StudyFolder:
    """What a study lists; `trials` are those of its search, if it has one."""

    path: Path
    runs: tuple[Entry, ...]
    trials: tuple[Entry, ...]


def is_study(folder: Path) -> bool:
    """Return whether `folder` is a study's."""
    return is_file(folder / INDEX)


def load(folder: Path) -> StudyFolder:
    """Read what the study in `folder` lists. Raises `QapError` if it is none, or its lists cannot be read."""
    if not (folder / INDEX).exists():
        raise QapError(f"{folder} is not a study: there is no {INDEX} in it", HINT)
    searched = (folder / SEARCH).exists()
    return StudyFolder(folder, _entries(folder, INDEX, "runs"), _entries(folder, SEARCH, "trials") if searched else ())


def _entries(folder: Path, name: str, key: str) -> tuple[Entry, ...]:
    path = folder / name
    content = json_object(path, HINT)
    if content.get("schema", SCHEMA) != SCHEMA:
        raise QapError(f"{path} has schema {content['schema']}, not {SCHEMA}", HINT)
    listed = content.get(key)
    if not isinstance(listed, list):
        raise QapError(f"{path} lists no {key}", HINT)
    return tuple(_entry(folder, one) for one in listed if isinstance(one, dict))


def _entry(folder: Path, entry: Mapping[str, object]) -> Entry:
    name = str(entry.get("name"))
    place = folder / str(entry.get("folder") or f"runs/{name}")
    objectives = entry.get("objectives")
    luts = objectives.get("predicted_luts") if isinstance(objectives, dict) else None
    search = str(entry["search"]) if "search" in entry else None
    setting = study_settings.name(name, entry.get("experiment"), entry.get("varied"))
    return Entry(
        name, place, entry.get("status") == "failed", setting, search if isinstance(search, str) else None, luts
    )
