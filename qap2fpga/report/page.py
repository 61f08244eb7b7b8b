# SPDX-License-Identifier: Apache-2.0
"""The report as one HTML page that needs nothing else: no network, no script to be read, no font.

A few builds are shown in full; many as one table, each row leading to its folder, so that the page stays small.
Names in a report are of others: everything is escaped, and the page's policy lets no script run but its own.
"""

from __future__ import annotations

import base64
import hashlib
import os
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2

from qap2fpga.report import compare, parts, show
from qap2fpga.report.compare import Line
from qap2fpga.report.gather import Build, Gathered
from qap2fpga.report.plots import Plot, Point, scatter
from qap2fpga.report.section import Section, section
from qap2fpga.report.studies import Study
from qap2fpga.report.summary import CHECKPOINT, Summary

# Up to so many builds have a section of their own, about 50 kB each.
MOST_SECTIONS = 8
TEMPLATES = Path(__file__).parent / "templates"
KINDS_OF_CELLS = {"lutram": "LUTs that hold memory", "lut_packed": "LUTs, packed two to a LUT6", "carry": "carry cells"}
AXES = (
    ("Accuracy against LUTs", "LUTs", "lut", "cells"),
    ("Accuracy against BOPs", "BOPs", "bops_paper", ""),
    ("Accuracy against latency", "ns of latency", "latency_ns", "cycles"),
)


@dataclass(frozen=True)
class Entry:
    """One build in a list: `link` leads to its section, else to its report; `mark` stands for it in a plot."""

    id: str
    name: str
    link: str
    mark: str


@dataclass(frozen=True)
class Comparison:
    """The comparison of all builds; `wide`: one row a build. `apart` says of which measures what differs."""

    builds: tuple[Entry, ...]
    lines: tuple[Line, ...]
    wide: bool
    same: bool
    apart: tuple[tuple[str, str], ...]
    failures: tuple[tuple[Entry, dict[str, Any]], ...]


def render(gathered: Gathered, place: Path) -> str:
    """The page, as it is to be written into the folder `place`, from which its links start."""
    full = len(gathered.builds) <= MOST_SECTIONS
    entries = tuple(_entry(index, build, place, full=full) for index, build in enumerate(gathered.builds))
    sections = [
        section(build, one.id, one.mark, link_to(build.folder / "report.json", place))
        for build, one in zip(gathered.builds, entries, strict=True)
        if full
    ]
    comparison = _comparison(gathered.builds, entries, wide=not full) if len(entries) > 1 else None
    studies = [_study(number, study, entries, gathered, place) for number, study in enumerate(gathered.studies, 1)]
    plots = _plots(gathered, entries, place) if len(gathered.summaries) > 1 else []
    single = len(entries) == 1 and not studies
    style, script = (_text(name) for name in ("style.css", "page.js"))
    return (
        _templates()
        .get_template("page.html.jinja")
        .render(
            title=_title(gathered),
            version=_version(),
            style=style,
            style_hash=_hash(style),
            script=script,
            script_hash=_hash(script),
            contents=_contents(studies, plots, comparison, sections, single=single),
            left_out=gathered.left_out,
            studies=studies,
            plots=plots,
            comparison=comparison,
            sections=sections,
            single=single,
            resources=show.RESOURCE_NAMES,
            kinds=KINDS_OF_CELLS,
            deviation=parts.deviation,
            show=show,
        )
    )


def link_to(path: Path, place: Path) -> str:
    """A relative link from the folder `place` to `path`."""
    return quote(Path(os.path.relpath(path, place)).as_posix())


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
    return Entry(name, build.name, link, str(index + 1) if full else "")


def _comparison(builds: tuple[Build, ...], entries: tuple[Entry, ...], *, wide: bool) -> Comparison:
    lines = compare.lines([build.summary for build in builds])
    apart: dict[tuple[str, ...], list[str]] = {}
    for line in lines:
        if line.apart and line.measure.label not in apart.setdefault(line.apart, []):
            apart[line.apart].append(line.measure.label)
    failures = [
        (entry, one)
        for build, entry in zip(builds, entries, strict=True)
        for one in build.report.get("checks") or []
        if not one["passed"]
    ]
    said = tuple((", ".join(labels), ", ".join(what)) for what, labels in apart.items())
    return Comparison(entries, lines, wide, any(not line.differs for line in lines), said, tuple(failures))


def _study(
    number: int, study: Study, entries: tuple[Entry, ...], gathered: Gathered, place: Path
) -> dict[str, Any]:  # fmt: skip
    known = [one for one in study.checkpoints if one.accuracy is not None and one.bops_paper is not None]
    chosen = compare.front([(one.bops_paper or 0.0, one.accuracy or 0.0) for one in known])
    best = [(known[index], _leads_to(known[index], place), compare.measured_by(known[index])) for index in chosen]
    return {
        "id": f"s{number}",
        "name": study.name,
        "checkpoints": f"{len(study.checkpoints):,}",
        "runs": study.runs,
        "waiting": study.waiting,
        "failed": study.failed,
        "unreadable": study.unreadable,
        "built": sum(one.board is not None for one in study.checkpoints),
        "best": best,
    }


def _plots(gathered: Gathered, entries: tuple[Entry, ...], place: Path) -> list[Plot]:
    """Accuracy against each cost that is known of something."""
    links = {id(build.summary): entry for build, entry in zip(gathered.builds, entries, strict=True)}
    made = []
    for title, cost, key, basis in AXES:
        chosen = [one for one in gathered.summaries if one.accuracy is not None and getattr(one, key) is not None]
        points = [_point(one, getattr(one, key), basis, links.get(id(one)), place) for one in chosen]
        made.append(scatter(title, cost, "accuracy", _named_groups(points, chosen, basis), len(gathered.summaries)))
    return [plot for plot in made if plot is not None]


def _point(one: Summary, cost: float, basis: str, entry: Entry | None, place: Path) -> tuple[Any, ...]:
    link = (f"#{entry.id}" if entry else _leads_to(one, place), entry.mark if entry else "")
    return (one.name, link[0], float(cost), one.accuracy, one.sound, link[1])


def _named_groups(points: list[tuple[Any, ...]], summaries: list[Summary], basis: str) -> list[Point]:
    """The points, each with a group that is named by what differs between them."""
    apart = [*compare.apart(summaries, basis), *compare.apart(summaries, "accuracy")]
    named = []
    for (label, link, cost, gain, sound, mark), one in zip(points, summaries, strict=True):
        rests = {**dict(one.basis("accuracy")), **dict(one.basis(basis))}
        group = ", ".join(_said(name, rests[name]) for name in apart)
        named.append(Point(label, link, cost, gain, group, sound, mark))
    return named


def _said(name: str, what: str) -> str:
    """A part of a group's name that can be understood alone."""
    return {"rows": f"accuracy of {what} rows", "data": f"accuracy on {what[:24]}", "circuit": what}.get(name, what)


def _leads_to(one: Summary, place: Path) -> str:
    name = "record.json" if one.kind == CHECKPOINT else "report.json"
    return link_to(Path(one.folder) / name, place)


def _contents(
    studies: list[dict[str, Any]], plots: list[Plot], comparison: Comparison | None, sections: list[Section],
    *, single: bool,
) -> list[tuple[str, str]]:  # fmt: skip
    if single:
        return []
    found = [(study["id"], f"Study {study['name']}") for study in studies]
    found += [("plots", "Trade-offs")] if plots else []
    found += [("comparison", "Comparison")] if comparison else []
    return found + [(one.id, f"{one.mark} {one.name}") for one in sections]


def _templates() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )


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
