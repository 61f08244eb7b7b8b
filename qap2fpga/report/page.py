# SPDX-License-Identifier: Apache-2.0
"""The report as one HTML page that needs nothing else: no network, no script to be read, no font.

A few builds are shown in full; many as one table, each row leading to its folder, so that the page stays small.
Names in a report are of others: everything is escaped, and the page's policy lets no script run but its own.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from urllib.parse import quote

import jinja2
from markupsafe import Markup

from qap2fpga.hw.resources import DETAILS, LABELS
from qap2fpga.report import (
    check,
    compare,
    exploration,
    gather,
    history,
    legends,
    parts,
    profiles,
    show,
    study_folder,
    study_losses,
    study_means,
    study_plots,
    zeros,
)
from qap2fpga.report.compare import Line
from qap2fpga.report.exploration import Exploration
from qap2fpga.report.gather import Build, Gathered
from qap2fpga.report.plots import Plot, Point, scatter
from qap2fpga.report.schema.results import Check
from qap2fpga.report.section import Section, section
from qap2fpga.report.studies import Study
from qap2fpga.report.study_losses import LossPlot
from qap2fpga.report.study_means import Mean
from qap2fpga.report.study_plots import StudyPlot
from qap2fpga.report.summary import CANDIDATE, CHECKPOINT, Summary
from qap2fpga.system.files import write_atomically
from qap2fpga.system.names import printable

# Up to so many builds have a section of their own, about 50 kB each.
MOST_SECTIONS = 8
TEMPLATES = Path(__file__).parent / "templates"
AXES = (
    ("Accuracy against LUTs", "LUTs", "lut", "cells"),
    ("Accuracy against BOPs", "BOPs", "bops_paper", ""),
    ("Accuracy against latency", "ns of latency", "latency_ns", "cycles"),
)


@dataclass(frozen=True)
class Entry:
    """One build in a list. `id` is that of its section, else of its row, whose `link` leads to its report.

    `mark` stands for it in a plot; `flag` says that its hardware numbers are of another circuit.
    """

    id: str
    name: str
    link: str
    mark: str
    flag: str


@dataclass(frozen=True)
class Comparison:
    """The comparison of all builds; `wide`: one row a build, and what is the `same` in all is said once.

    `apart` says of which measures what differs.
    """

    builds: tuple[Entry, ...]
    lines: tuple[Line, ...]
    wide: bool
    same: tuple[Line, ...]
    apart: tuple[tuple[str, str], ...]
    failures: tuple[tuple[Entry, Check], ...]


@dataclass(frozen=True)
class StudyEntry:
    """A study as the page shows it: how many checkpoints were built, (checkpoint, link, measured by) of the best,
    means of `all` runs with their plots and losses, what is said of them (where pruning costs much, who learned longer)
    and links to the `figures` that were drawn of it."""

    id: str
    study: Study
    built: int
    best: tuple[tuple[Summary, str, str | None], ...]
    all: tuple[Mean, ...]
    warnings: tuple[str, ...]
    plots: tuple[StudyPlot, ...]
    losses: LossPlot | None
    figures: tuple[tuple[str, str], ...]


def render(gathered: Gathered, place: Path, explored: Exploration | None = None) -> str:
    """The page, as it is to be written into the folder `place`, from which its links start.

    `explored`: the candidates that the builds are of.
    """
    full = len(gathered.builds) <= MOST_SECTIONS
    entries = tuple(_entry(index, build, place, full=full) for index, build in enumerate(gathered.builds))
    sections = [
        section(build, one.id, one.mark, link_to(build.folder / "report.json", place))
        for build, one in zip(gathered.builds, entries, strict=True)
        if full
    ]
    comparison = _comparison(gathered.builds, entries, wide=not full) if len(entries) > 1 else None
    studies = [_study(number, study, place) for number, study in enumerate(gathered.studies, 1)]
    links = _links(gathered.builds, entries, explored)
    summaries = (*gathered.summaries, *(explored.summaries if explored else ()))
    plots = _plots(summaries, links, place, legends.data_names(gathered.studies)) if len(summaries) > 1 else []
    single = len(entries) == 1 and not studies and not explored
    return _filled(
        title=explored.title if explored else _title(gathered),
        contents=_contents(studies, explored, plots, comparison, sections, single=single),
        left_out=gathered.left_out,
        studies=studies,
        exploration=explored,
        links=links,
        plots=plots,
        comparison=comparison,
        sections=sections,
        single=single,
    )


def of_build(folder: Path) -> Path:
    """Write the page of the one build in `folder` beside its report, and return where."""
    path = folder / history.PAGE
    write_atomically(path, render(gather.gather([folder]), folder))
    return path


def link_to(path: Path, place: Path) -> str:
    """A relative link from the folder `place` to `path`."""
    return quote(os.fsencode(Path(os.path.relpath(path, place)).as_posix()))


def _title(gathered: Gathered) -> str:
    names = [study.name for study in gathered.studies]
    if len(gathered.builds) == 1:
        names.append(gathered.builds[0].name)
    elif gathered.builds:
        names.append(f"{len(gathered.builds)} builds")
    return " and ".join(names)


def _entry(index: int, build: Build, place: Path, *, full: bool) -> Entry:
    name = f"b{index + 1}"
    link = f"#{name}" if full else link_to(build.folder / "report.json", place)
    return Entry(name, build.name, link, str(index + 1) if full else "", build.summary.flag)


def _comparison(builds: tuple[Build, ...], entries: tuple[Entry, ...], *, wide: bool) -> Comparison:
    lines = compare.lines([build.summary for build in builds])
    apart: dict[tuple[str, ...], list[str]] = {}
    for line in lines:
        if line.apart and line.measure.label not in apart.setdefault(line.apart, []):
            apart[line.apart].append(line.measure.label)
    failures = [
        (entry, one) for build, entry in zip(builds, entries, strict=True) for one in check.failed(build.report)
    ]
    groups = tuple((", ".join(labels), ", ".join(what)) for what, labels in apart.items())
    same = tuple(line for line in lines if not line.differs)
    shown = tuple(line for line in lines if line.differs) if wide else lines
    return Comparison(entries, shown, wide, same, groups, tuple(failures))


def _study(number: int, study: Study, place: Path) -> StudyEntry:
    known = [one for one in study.checkpoints if one.accuracy is not None and one.bops_paper is not None]
    chosen = compare.front([(one.bops_paper or 0.0, one.accuracy or 0.0) for one in known])
    best = [(known[index], _leads_to(known[index], place), compare.measured_by(known[index])) for index in chosen]
    built = sum(one.board is not None for one in study.checkpoints)
    every = study_means.means(study.trained)
    drawn = sorted((study.folder / study_folder.FIGURES).glob("*.svg"))
    return StudyEntry(
        id=f"s{number}",
        study=study,
        built=built,
        best=tuple(best),
        all=every,
        warnings=study_means.warnings(every),
        plots=study_plots.draw(every),
        losses=study_losses.draw(study.trained, every),
        figures=tuple((path.stem, link_to(path, place)) for path in drawn),
    )


def _links(builds: tuple[Build, ...], entries: tuple[Entry, ...], explored: Exploration | None) -> dict[str, Entry]:
    """By folder what stands for a point: its build, else the row of the candidate that would be built there."""
    links = {}
    for index, row in enumerate(explored.rows if explored else ()):
        here = exploration.place(index) if index < exploration.MOST_ROWS else "exploration"
        links[row.estimated.folder] = Entry(here, row.estimated.name, f"#{here}", "", "")
    return links | {build.summary.folder: entry for build, entry in zip(builds, entries, strict=True)}


def _plots(
    summaries: Sequence[Summary], links: Mapping[str, Entry], place: Path, data: Mapping[str, str]
) -> list[Plot]:
    """Accuracy against each cost that is known of something."""
    plots = []
    for title, cost, key, basis in AXES:
        chosen = [one for one in summaries if one.accuracy is not None and getattr(one, key) is not None]
        apart = (*compare.apart(chosen, basis), *compare.apart(chosen, "accuracy"))
        groups = [legends.group(one, basis, apart, data) for one in chosen]
        points = [
            _point(one, key, group, links.get(one.folder), place) for one, group in zip(chosen, groups, strict=True)
        ]
        plots.append(scatter(title, cost, points, len(summaries)))
    return [plot for plot in plots if plot is not None]


def _point(one: Summary, key: str, group: str, entry: Entry | None, place: Path) -> Point:
    cost = getattr(one, key)
    link, mark = (f"#{entry.id}", entry.mark) if entry else (_leads_to(one, place), "")
    if one.kind == CANDIDATE:  # what was measured of it has the mark
        mark = ""
    return Point(one.name, link, float(cost), one.accuracy or 0.0, group, one.sound, mark)


def _leads_to(one: Summary, place: Path) -> str:
    name = "record.json" if one.kind == CHECKPOINT and one.board is None else "report.json"
    return link_to(Path(one.folder) / name, place)


def _contents(
    studies: list[StudyEntry], explored: Exploration | None, plots: list[Plot], comparison: Comparison | None,
    sections: list[Section], *, single: bool,
) -> list[tuple[str, str]]:  # fmt: skip
    if single:
        return []
    entries = [(one.id, f"Study {one.study.name}") for one in studies]
    entries += [("exploration", "Candidates")] if explored else []
    entries += [("plots", "Trade-offs")] if plots else []
    entries += [("comparison", "Comparison")] if comparison else []
    return entries + [(one.id, f"{one.mark} {one.name}") for one in sections]


def _filled(**content: object) -> str:
    """The template with `content`, style and script in it."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    style, script = (_text(name) for name in ("style.css", "page.js"))
    own = {"style": style, "style_hash": _hash(style), "script": script, "script_hash": _hash(script)}
    words = {"resources": LABELS, "kinds": DETAILS, "deviation": parts.deviation, "show": show}
    words |= {"columns": exploration.COLUMNS, "cells": exploration.cells, "place": exploration.place}
    words |= {"profiled": profiles.title, "zeros": zeros}
    words |= {"most_rows": exploration.MOST_ROWS}
    return environment.get_template("page.html.jinja").render(version=_version(), **own, **words, **content)


def _shown(value: object) -> object:
    """What an expression of a template gives, for the page; markup is that of the templates themselves."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _text(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """What the page's Content-Security-Policy allows: this very text and no other."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _version() -> str:
    try:
        return version("qap2fpga")
    except PackageNotFoundError:
        return "(not installed)"
