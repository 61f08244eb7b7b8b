# SPDX-License-Identifier: Apache-2.0
"""Imported reports compared with each other: what contradicts is a failed check, what is easily misread a warning."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations, pairwise

from qap2fpga.hw.boards import Board
from qap2fpga.hw.design import Stage
from qap2fpga.hw.resources import EVERY, NAMES
from qap2fpga.report import show
from qap2fpga.report.schema.results import Check
from qap2fpga.reports.designs import STAGES, ImportedDesign, same_part
from qap2fpga.reports.folder import ReportFile, Skipped
from qap2fpga.reports.result import Cells, Parsed, total

RESOURCES = tuple(one.name for one in EVERY)
TIMES = ("target_ns", "period_ns", "wns_ns")
CYCLES = ("latency_min", "latency_max", "interval_min", "interval_max")
# Half of the last digit that the tools print.
ROUNDING_NS = 0.0005
# What counts other cells than the design's, whatever the stage.
SCOPES = {
    "utilization-accelerator": "kernels only",
    "finn-estimate-layer-resources-hls": "layers made by HLS only",
    "finn-post-synth-resources": "with the shell",
    "finn-ooc-synth-and-timing": "out of context",
}
NO_SIMULATION = "there is no report of a simulation"
PARTIAL = ("utilization-accelerator", "finn-estimate-layer-resources-hls")
WHY = {
    (Stage.HLS, Stage.SYNTHESIS): "an HLS tool estimates before any logic is optimised: never take one for the other",
    (Stage.HLS, Stage.ROUTED): "an HLS tool estimates before any logic is optimised: never take one for the other",
    (Stage.ESTIMATE, Stage.ROUTED): "FINN estimates the accelerator, Vivado may count the shell around it too",
    (Stage.SYNTHESIS, Stage.ROUTED): "placement removes and copies cells",
}


@dataclass(frozen=True)
class Remarks:
    """What is to be said of one design."""

    checks: tuple[Check, ...]
    warnings: tuple[str, ...]


def examine(design: ImportedDesign, others: Iterable[ImportedDesign], skipped: Iterable[Skipped],
            board: Board | None) -> Remarks:  # fmt: skip
    """Every contradiction that the reports of `design` show, alone and beside `others` of the same import.

    `skipped` are the files of this design's project that gave no numbers.
    """
    beside = [one for one in others if one.name != design.name]
    alone = (_agreement, _copied_estimate, _clock, _cycles, _simulated)
    checks = [check for examined in alone for check in examined(design)]
    checks += [*_part(design, beside, board), *_identical(design, beside), *_readable(skipped)]
    warnings = [
        *_between_stages(design), *_black_boxes(design), *_other_tops(design, beside), *_not_final(design, board),
    ]  # fmt: skip
    return Remarks(tuple(checks), tuple(warnings))


def scope(parsed: Parsed) -> str:
    """Which cells a report counts, so that only numbers of the same cells are compared: '' is the whole design."""
    return SCOPES.get(parsed.kind, "")


def _step(parsed: Parsed) -> str:
    """Where within its stage a report was written, as Vivado's head says it: 'placed, not routed'."""
    return next((word for word in parsed.note.split("; ") if word.startswith(("placed,", "optimized"))), "")


def last_with_resources(design: ImportedDesign) -> ReportFile | None:
    """The report whose cells count for the board: of the last stage, of all cells if there is such a one."""
    for stage in reversed(STAGES):
        reports = [one for one in design.reports if one.parsed.stage is stage and one.parsed.resources is not None]
        if reports:
            return min(reports, key=lambda one: (one.parsed.kind == "utilization-accelerator", scope(one.parsed) != "",
                                               -_stated(one.parsed.resources)))  # fmt: skip
    return None


def last_with_clock(design: ImportedDesign) -> Parsed | None:
    """The report of the last stage that states which clock period was reached."""
    for stage in reversed(STAGES):
        reports = [
            one.parsed for one in design.reports if one.parsed.stage is stage and one.parsed.period_ns is not None
        ]
        if reports:
            return reports[0]
    return None


def _stated(cells: Cells | None) -> int:
    return sum(getattr(cells, name, None) is not None for name in RESOURCES)


def _agreement(design: ImportedDesign) -> Iterator[Check]:
    """Two reports of one design at one stage that state a number both, and not the same."""
    groups: dict[tuple[str, str, str], list[ReportFile]] = defaultdict(list)
    for one in design.reports:
        parsed = one.parsed
        counted = ", ".join(filter(None, (scope(parsed), _step(parsed))))
        if parsed.stage is not None:
            if parsed.resources is not None:
                groups["resources", parsed.stage, counted].append(one)
            if parsed.target_ns is not None or parsed.latency_max is not None:
                groups["times", parsed.stage, counted].append(one)
    for (what, stage, counted), together in groups.items():
        if len(together) < 2:
            continue
        apart = [text for pair in combinations(together, 2) for text in _differences(what, *pair)]
        name = f"{what} of all {stage} reports agree" + (f" ({counted})" if counted else "")
        paths = ", ".join(str(one.path) for one in together)
        sentence = "; ".join(dict.fromkeys(apart)) or f"{len(together)} reports agree"
        yield Check.of(name, "one number for one thing", sentence, not apart,
                    f"{paths}: one is of another run, or was edited" if apart else "")  # fmt: skip


def _differences(what: str, one: ReportFile, other: ReportFile) -> Iterator[str]:
    first, second = one.parsed, other.parsed
    if what == "resources":
        for name in RESOURCES:
            values = [getattr(parsed.resources, name) for parsed in (first, second)]
            if None not in values and values[0] != values[1]:
                yield f"{name.upper()} {values[0]:,} in {one.path.name}, {values[1]:,} in {other.path.name}"
        return
    for name in (*TIMES, *CYCLES):
        values = [getattr(parsed, name) for parsed in (first, second)]
        if None in values or abs(values[0] - values[1]) <= (ROUNDING_NS if name in TIMES else 0):
            continue
        # Vivado HLS writes the interval of a design that is not pipelined as latency + 1 in one of its files.
        if name.startswith("interval") and {kind.kind for kind in (first, second)} == {"csynth-xml", "csynth-rpt"} \
                and abs(values[0] - values[1]) == 1:  # fmt: skip
            continue
        yield f"{name.replace('_', ' ')} {values[0]:g} in {one.path.name}, {values[1]:g} in {other.path.name}"


def _copied_estimate(design: ImportedDesign) -> Iterator[Check]:
    """C synthesis never meets Vivado's numbers exactly: then one is a copy of the other."""
    later = [one for one in design.reports if one.parsed.stage in (Stage.SYNTHESIS, Stage.ROUTED)]
    for one in (one for one in design.reports if one.parsed.stage is Stage.HLS):
        for other in later:
            mine, theirs = one.parsed.resources, other.parsed.resources
            if mine is None or theirs is None or not mine.lut or not mine.ff:
                continue
            if (mine.lut, mine.ff) == (theirs.lut, theirs.ff):
                yield Check.of(f"{other.path.name} was measured", "numbers of its own stage",
                            f"LUT {mine.lut:,} and FF {mine.ff:,}, exactly those of C synthesis", False,
                            f"{one.path} and {other.path}: an estimate was taken for a measurement")  # fmt: skip


def _clock(design: ImportedDesign) -> Iterator[Check]:
    last = last_with_clock(design)
    if last is None or last.target_ns is None or last.period_ns is None:
        yield Check.not_run("clock met", show.DASH, "no report states both the clock asked for and the one reached")
        return
    met = last.period_ns <= last.target_ns + ROUNDING_NS
    frequency = f"{last.period_ns:g} ns, {1000 / last.period_ns:.0f} MHz" if last.period_ns else "0 ns"
    why = "" if met else "a slower clock, another strategy or more pipeline stages"
    yield Check.of(f"clock met ({last.stage})", f"{last.target_ns:g} ns", frequency, met, why)


def _cycles(design: ImportedDesign) -> Iterator[Check]:
    """What simulation measured against what the tool said before."""
    measured = [one for one in design.reports if one.parsed.stage is None and one.parsed.latency_max is not None]
    if not measured:
        yield Check.not_run("latency by simulation", show.DASH, NO_SIMULATION)
    statements: dict[tuple[int, int], ReportFile] = {}
    for one in design.reports:
        if one.parsed.stage in (Stage.ESTIMATE, Stage.HLS) and one.parsed.latency_max is not None:
            # FINN's estimate is a sum over all layers, which overlap: a bound from above.
            low = 0 if one.parsed.tool == "finn" else one.parsed.latency_min or 0
            statements.setdefault((low, one.parsed.latency_max), one)
    for one in measured:
        for (low, high), other in statements.items():
            latency = one.parsed.latency_max or 0
            expected = f"{low:,} to {high:,} cycles" if low != high else f"{high:,} cycles"
            passed = low <= latency <= high
            why = "" if passed else f"{one.path} and {other.path}: the interfaces wait, or it is another design"
            yield Check.of(f"latency by simulation ({one.path.name})", expected, f"{latency:,} cycles", passed, why)


def _simulated(design: ImportedDesign) -> Iterator[Check]:
    if all(one.parsed.status is None for one in design.reports):
        yield Check.not_run("co-simulation", "Pass", NO_SIMULATION)
    for one in design.reports:
        if one.parsed.status is not None:
            passed = one.parsed.status.lower() == "pass"
            yield Check.of(f"co-simulation ({one.path.name})", "Pass", one.parsed.status, passed,
                        "" if passed else "the RTL does not do what the C++ does")  # fmt: skip


def _part(design: ImportedDesign, beside: list[ImportedDesign], board: Board | None) -> Iterator[Check]:
    if board is not None and design.part is not None:
        same = same_part(design.part, board.part)
        yield Check.of(
            f"made for {board.name}", board.part, design.part, same, "" if same else "give the right --board"
        )
    for other in beside:
        if (other.root, other.top, other.variant) == (design.root, design.top, design.variant):
            yield Check.of("one part in one project", str(design.part), str(other.part), False,
                        f"{other.reports[0].path}: a report of the same top for another part")  # fmt: skip


def _identical(design: ImportedDesign, beside: list[ImportedDesign]) -> Iterator[Check]:
    """Two designs that are said to differ never have all numbers in common, if they are more than a few cells."""
    for other in beside:
        same = [
            (one, copy) for one in design.reports for copy in other.reports
            if one.path != copy.path and one.parsed.resources is not None and one.parsed.resources.lut
            and _numbers(one.parsed) == _numbers(copy.parsed)
        ]  # fmt: skip
        if same:
            one, copy = same[0]
            files, why = f"the same in {one.path} and {copy.path}", "one report was copied, or both are of one design"
            yield Check.of(f"differs from {other.name}", "other numbers", files, False, why)


def _numbers(parsed: Parsed) -> tuple[object, ...]:
    """All that one report measured, with what it is about."""
    parts = tuple(sorted((name, str(cells)) for name, cells in parsed.parts.items()))
    values = tuple(getattr(parsed, name) for name in (*TIMES, *CYCLES))
    return parsed.kind, parsed.stage, parsed.design, parsed.part, parsed.resources, parts, values


def _readable(skipped: Iterable[Skipped]) -> Iterator[Check]:
    for one in skipped:
        if one.broken:
            yield Check.of(
                f"{one.path.name} can be read", "a whole report", "refused", False, f"{one.path}: {one.reason}"
            )


def ratios(design: ImportedDesign) -> list[dict[str, object]]:
    """How many times the cells of the later stage the earlier one states, for stages that follow each other. Reports
    of a part of the cells only are left out; `counts` says what else differs in what the two count."""
    best: dict[Stage, ReportFile] = {}
    for stage in design.stages:
        reports = [one for one in design.reports if one.parsed.stage is stage and one.parsed.resources is not None
                 and not one.parsed.black_boxes and one.parsed.kind not in PARTIAL]  # fmt: skip
        if reports:
            best[stage] = min(reports, key=lambda one: (scope(one.parsed) != "", -_stated(one.parsed.resources)))
    rows: list[dict[str, object]] = []
    for before, after in pairwise(best):
        values = {}
        for name in NAMES:
            one, other = (getattr(best[stage].parsed.resources, name) for stage in (before, after))
            values[name] = round(one / other, 4) if one is not None and other else None
        counts = [scope(best[stage].parsed) for stage in (before, after)]
        rows.append({"of": str(before), "to": str(after), **values, "counts": counts})
    return rows


def _between_stages(design: ImportedDesign) -> Iterator[str]:
    for row in ratios(design):
        named = [f"{name.upper()} {row[name]:g}" for name in NAMES if row[name] is not None]
        why = WHY.get((Stage(str(row["of"])), Stage(str(row["to"]))), "an estimate knows no logic")
        scopes = row["counts"]
        assert isinstance(scopes, list)
        if scopes[0] != scopes[1]:
            why += f"; they count other cells ({' and '.join(word or 'the design' for word in scopes)})"
        if named:
            yield f"two stages: the {row['of']} report states, times the {row['to']} one, {', '.join(named)}; {why}"


def _black_boxes(design: ImportedDesign) -> Iterator[str]:
    for one in design.reports:
        if not (boxes := one.parsed.black_boxes) or one.parsed.resources is None:
            continue
        inside = {module.parsed.design: module.parsed.resources for module in design.modules}
        cells = [inside[name] for name in boxes if inside.get(name) is not None]
        text = f"{one.path} leaves out the cells of {len(boxes)} black boxes"
        if len(cells) == len(boxes):
            summed = total([one.parsed.resources, *(cell for cell in cells if cell is not None)])
            text += f"; with their own reports it is LUT {summed.lut:,}, FF {summed.ff:,}, summed here"
        yield text


def _other_tops(design: ImportedDesign, beside: list[ImportedDesign]) -> Iterator[str]:
    mine = {one.path.parent for one in design.reports}
    for other in beside:
        shared = [one for one in other.reports if one.path.parent in mine]
        if shared and other.top != design.top:
            yield f"the same folder holds reports of another top, '{other.top}': {shared[0].path}"


def _not_final(design: ImportedDesign, board: Board | None) -> Iterator[str]:
    last = last_with_clock(design)
    if last is None:
        yield "no report states a clock period that was reached"
    elif last.stage is not Stage.ROUTED:
        yield f"no report of the routed design: the clock period is that of stage '{last.stage}'"
    target = None if last is None else last.target_ns
    if board is not None and target not in (None, board.clock_ns):
        yield f"made for a clock of {target:g} ns; the board's is {board.clock_ns:g} ns"
