# SPDX-License-Identifier: Apache-2.0
"""From the folders on the command line to the builds and studies in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from qap2fpga.ir.spread import Profile
from qap2fpga.report import content, history, profiles, studies, study_folder, summary
from qap2fpga.report.history import History
from qap2fpga.report.schema import Report
from qap2fpga.report.studies import Study
from qap2fpga.report.summary import Summary
from qap2fpga.system.errors import QapError


@dataclass(frozen=True)
class Build:
    """A build's report, its key numbers, and where it lies. `studied`: it shows as a checkpoint of a study."""

    name: str
    folder: Path
    report: Report
    summary: Summary
    studied: bool = False
    history: History = field(default_factory=History)
    profile: Profile | None = None


@dataclass(frozen=True)
class Gathered:
    """What there is to show; `left_out` are messages about folders that hold nothing that can be read."""

    builds: tuple[Build, ...]
    studies: tuple[Study, ...]
    left_out: tuple[str, ...]

    @property
    def summaries(self) -> tuple[Summary, ...]:
        """Every build and every checkpoint once."""
        alone = tuple(build.summary for build in self.builds if not build.studied)
        return (*alone, *(one for study in self.studies for one in study.checkpoints))


def newest(place: Path) -> Path:
    """The build folder in `place` whose report is the newest. Raises `QapError` if there is none."""
    reports = sorted(place.glob("*/report.json"), key=lambda path: path.stat().st_mtime)
    if not reports:
        raise QapError(f"there is no build in {place}/", "run qap2fpga build first, or name a build folder")
    return reports[-1].parent


def gather(paths: Sequence[Path]) -> Gathered:
    """Everything in `paths`: build folders, study folders, and folders of builds.

    Of several, one without a readable report is left out and named; raises `QapError` if none is left.
    """
    builds: list[Build] = []
    all_studies: list[Study] = []
    errors: list[QapError] = []
    for path in paths:
        try:
            if study_folder.is_study(path):
                all_studies.append(studies.load(str(path), path))
        except QapError as error:
            errors.append(error)
        for folder in _builds(path):
            try:
                builds.append(_build(folder))
            except QapError as error:
                errors.append(error)
    if errors and not builds and not all_studies:
        raise errors[0]
    return _joined(builds, all_studies, tuple(error.message for error in errors))


def _builds(path: Path) -> list[Path]:
    if study_folder.is_study(path):
        return studies.builds_in(path)
    inside = [] if (path / "report.json").exists() else sorted(one.parent for one in path.glob("*/report.json"))
    return inside or [path]


def _build(path: Path) -> Build:
    report = content.load(path)
    folder = path if path.is_dir() else path.parent
    return Build(str(path), folder, report, summary.of_build(str(path), folder, report),
                 history=history.load(folder), profile=profiles.load(folder))  # fmt: skip


def _joined(builds: list[Build], all_studies: list[Study], left_out: tuple[str, ...]) -> Gathered:
    """Give the studies' checkpoints the numbers of their builds."""
    summaries = [build.summary for build in builds]
    used: set[int] = set()
    joined = []
    for study in all_studies:
        study, indices = studies.with_builds(study, summaries)
        joined.append(study)
        used |= indices
    marked = tuple(replace(one, studied=index in used) for index, one in enumerate(builds))
    return Gathered(marked, tuple(joined), left_out)
