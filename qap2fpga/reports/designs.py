# SPDX-License-Identifier: Apache-2.0
"""Which reports are about one design: the same project, top and part, whatever stage and tool.

A tool puts its reports into folders of fixed names (`<project>/<solution>/syn/report`, `<project>.runs/impl_1`,
FINN's `report`), so the project is the folder around these. Reports of modules inside a design (functions of an
HLS design, black boxes of a Vivado design) are not designs of their own.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import PurePosixPath

from qap2fpga.hw.design import Stage
from qap2fpga.reports.folder import ReportFile

STAGES = (Stage.ESTIMATE, Stage.HLS, Stage.SYNTHESIS, Stage.ROUTED)
HLS_FOLDERS = ("syn", "sim", "impl")
# Words of report names that say what is reported, not which design it is.
WORDS = re.compile(
    r"reports?|rpt|post|pre|impl|syn|synth|synthed|synthesis|place|placed|route|routed|timing|summary|util|utilization"
    r"|hier|hierarchical|flat|full|kernel|slr|accelerator|resources|vivado|vitis|hls|export|opt|physopt|final|ooc|top"
    r"|design|clk|clock|paths?|area",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class ImportedDesign:
    """The reports of one design, ordered by stage, and those of modules inside it.

    `root` is the project's folder below the one that was given; `variant` tells designs of one project apart, by
    solution or by the names of the files; `top` and `part` are None where no report states them.
    """

    root: PurePosixPath
    top: str | None
    part: str | None
    variant: str
    reports: tuple[ReportFile, ...]
    modules: tuple[ReportFile, ...] = ()
    name: str = ""

    @property
    def stages(self) -> tuple[Stage, ...]:
        """Stages with resources, in order."""
        stages = {one.parsed.stage for one in self.reports if one.parsed.resources is not None}
        return tuple(stage for stage in STAGES if stage in stages)


def group(reports: Iterable[ReportFile]) -> list[ImportedDesign]:
    """The designs that `reports` are about, by name."""
    kinds = defaultdict(list)
    for one in reports:
        kinds[_kind(one)].append(one)
    finn_folders = {one.path.parent for one in kinds["finn"]}
    of_finn = [one for one in kinds["vivado"] if one.path.parent in finn_folders]
    others = [one for one in kinds["vivado"] if one.path.parent not in finn_folders]
    designs = _finn([*kinds["finn"], *of_finn])
    designs += _by_top([*_tops(kinds["hls"]), *((one, ()) for one in others)])
    return _named(_absorb_black_boxes(_join_ip(designs)))


def _kind(one: ReportFile) -> str:
    if one.parsed.kind.startswith("finn-"):
        return "finn"
    return "hls" if one.parsed.kind.startswith(("csynth", "cosim")) else "vivado"


def _hls_place(path: PurePosixPath) -> int | None:
    """Where in the path `syn/report`, `sim/report` or `impl/...` of an HLS solution begins."""
    folders = path.parent.parts
    for place, (one, after) in enumerate(pairwise(folders)):
        if one in HLS_FOLDERS and (after == "report" or one == "impl"):
            return place
    return None


def root(path: PurePosixPath) -> PurePosixPath:
    """The folder of the project that a report belongs to."""
    folders, place = path.parent.parts, _hls_place(path)
    if place is not None:
        return PurePosixPath(*folders[: max(place - 2, 0)])
    for place, name in enumerate(folders):
        if name.endswith(".runs"):
            return PurePosixPath(*folders[:place])
    return PurePosixPath(*folders[:-1]) if folders and folders[-1] in ("report", "reports") else path.parent


def solution(path: PurePosixPath) -> str:
    """Project and solution of an HLS report, '' of others."""
    place = _hls_place(path)
    return "" if place is None else "/".join(path.parent.parts[max(place - 2, 0) : place])


def _tops(reports: list[ReportFile]) -> list[tuple[ReportFile, tuple[ReportFile, ...]]]:
    """Reports of HLS tops, each with those of its modules: several tops remain where nothing says which it is."""
    folders: dict[PurePosixPath, list[ReportFile]] = defaultdict(list)
    for one in reports:
        folders[one.path.parent].append(one)
    tops_with_modules: list[tuple[ReportFile, tuple[ReportFile, ...]]] = []
    for together in folders.values():
        # The tools write the top's numbers a second time under this name.
        named = {one.parsed.design for one in together if one.path.stem == "csynth"}
        inside = frozenset[str]().union(*(one.parsed.submodules for one in together)) - named
        tops = [one for one in together if (one.parsed.design in named if named else one.parsed.design not in inside)]
        modules = tuple(one for one in together if one not in tops)
        tops_with_modules += [(one, modules if index == 0 else ()) for index, one in enumerate(tops)]
    return tops_with_modules


def _finn(reports: list[ReportFile]) -> list[ImportedDesign]:
    """FINN's files state no top: what stands in one folder is one design."""
    folders: dict[PurePosixPath, list[ReportFile]] = defaultdict(list)
    for one in reports:
        folders[one.path.parent].append(one)
    designs = []
    for together in folders.values():
        tops = sorted({one.parsed.design for one in together if one.parsed.design})
        top = tops[0] if len(tops) == 1 else None
        designs.append(ImportedDesign(root(together[0].path), top, longest_part(together), "", by_stage(together)))
    return designs


def _by_top(reports: list[tuple[ReportFile, tuple[ReportFile, ...]]]) -> list[ImportedDesign]:
    """Designs by project, top, variant and part. Vivado's reports of a project join its only solution."""
    names: dict[tuple[PurePosixPath, str | None], set[str]] = defaultdict(set)
    solutions: dict[tuple[PurePosixPath, str | None], set[str]] = defaultdict(set)
    for one, _ in reports:
        names[one.path.parent, top_of(one)].add(_file_variant(one))
        solutions[root(one.path), top_of(one)].add(solution(one.path))
    keyed = defaultdict[tuple[PurePosixPath, str | None, str], list[tuple[ReportFile, tuple[ReportFile, ...]]]](list)
    for one, modules in reports:
        place = root(one.path)
        several = len(solutions[place, top_of(one)] - {""}) > 1
        variant = solution(one.path) if several else ""
        if len(names[one.path.parent, top_of(one)] - {""}) > 1:
            variant = "/".join(filter(None, (variant, _file_variant(one))))
        keyed[place, top_of(one), variant].append((one, modules))
    designs = []
    for (place, top, variant), together in keyed.items():
        for members in _by_part([one for one, _ in together]):
            inside = tuple(module for one, modules in together if one in members for module in modules)
            designs.append(ImportedDesign(place, top, longest_part(members), variant, by_stage(members), inside))
    return designs


def top_of(one: ReportFile) -> str | None:
    """The design's name; of a co-simulation, which states none, that in the name of the file."""
    if one.parsed.kind == "cosim":
        return one.path.stem.removesuffix("_cosim").removesuffix("cosim") or None
    return one.parsed.design


def _file_variant(one: ReportFile) -> str:
    """What the file's name says beside the top and the kind of report: 'b4' of 'b4_timing_routed.rpt'."""
    if _kind(one) != "vivado":
        return ""
    stem = one.path.stem
    if one.parsed.design and stem.startswith(one.parsed.design):
        stem = stem.removeprefix(one.parsed.design)
    words = [word for word in re.split(r"[_\-. ]+", stem) if word]
    left = [word for word in words if word.isdigit() or not WORDS.fullmatch(word)]
    return "_".join(left) if any(not word.isdigit() for word in left) else ""


def plain_part(part: str) -> str:
    """A part as any tool spells it: reports leave out 'xc', hyphens, speed grade or package."""
    return part.lower().replace("-", "").removeprefix("xc")


def same_part(one: str | None, other: str | None) -> bool:
    """Whether two spellings may mean one part."""
    if one is None or other is None:
        return True
    first, second = sorted((plain_part(one), plain_part(other)), key=len)
    return second.startswith(first)


def longest_part(reports: Iterable[ReportFile]) -> str | None:
    """The part in its most exact spelling."""
    parts = [one.parsed.part for one in reports if one.parsed.part]
    return max(parts, key=lambda part: (len(plain_part(part)), part), default=None)


def _by_part(reports: list[ReportFile]) -> list[list[ReportFile]]:
    """Reports split by part; one without a part, or with a part of it only, joins the first that fits."""
    groups: list[list[ReportFile]] = []
    for one in sorted(reports, key=lambda one: -len(plain_part(one.parsed.part or ""))):
        home = next((members for members in groups if same_part(longest_part(members), one.parsed.part)), None)
        if home is None:
            groups.append([one])
        else:
            home.append(one)
    return groups


def by_stage(reports: Iterable[ReportFile]) -> tuple[ReportFile, ...]:
    """Ordered by stage, simulations last, then by path."""

    def order(one: ReportFile) -> int:
        return len(STAGES) if one.parsed.stage is None else STAGES.index(one.parsed.stage)

    return tuple(sorted(reports, key=lambda one: (order(one), str(one.path))))


def _join_ip(designs: list[ImportedDesign]) -> list[ImportedDesign]:
    """Vivado synthesises an HLS design inside a block design as `<block design>_<top>_<n>_<m>`: its report is given
    to the HLS design too, if there is one with that name in the same project or around it."""
    joined = []
    for one in designs:
        extra: list[ReportFile] = []
        if Stage.HLS in one.stages and Stage.SYNTHESIS not in one.stages and one.top:
            name = re.compile(rf"\w+_{re.escape(one.top)}_\d+_\d+")
            extra = [report for other in designs if other.root.is_relative_to(one.root) and other.top
                     and name.fullmatch(other.top) and same_part(one.part, other.part)
                     for report in other.reports]  # fmt: skip
        joined.append(replace(one, reports=by_stage([*one.reports, *extra])))
    return joined


def _absorb_black_boxes(designs: list[ImportedDesign]) -> list[ImportedDesign]:
    """Reports of black boxes go to the design that has them inside."""
    boxes = {(one.root, name): one for one in designs for report in one.reports for name in report.parsed.black_boxes}
    inside: dict[int, list[ReportFile]] = defaultdict(list)
    kept = []
    for one in designs:
        around = boxes.get((one.root, one.top or ""))
        if around is None:
            kept.append(one)
        else:
            inside[id(around)] += one.reports
    return [replace(one, modules=(*one.modules, *inside[id(one)])) for one in kept]


def _named(designs: list[ImportedDesign]) -> list[ImportedDesign]:
    """A name for each that is a folder's name and unlike the others."""
    ordered = sorted(designs, key=lambda one: (str(one.root), one.top or "", one.variant, one.part or ""))
    named: list[ImportedDesign] = []
    for one in ordered:
        beside = [other for other in ordered if other.root == one.root and other is not one]
        words = [] if str(one.root) == "." else list(one.root.parts)
        if not words or any(other.top != one.top for other in beside):
            words.append(one.top or "design")
        if one.variant:
            words.append(one.variant)
        if any(other.top == one.top and other.variant == one.variant for other in beside):
            words.append(plain_part(one.part or "unknown part"))
        name = re.sub(r"[^\w.+-]+", "-", "-".join(words)).strip("-.")
        taken = {other.name for other in named}
        suffix = next(number for number in range(1, len(ordered) + 2) if _numbered(name, number) not in taken)
        named.append(replace(one, name=_numbered(name, suffix)))
    return named


def _numbered(name: str, number: int) -> str:
    return name if number == 1 else f"{name}-{number}"
