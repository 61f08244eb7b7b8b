# SPDX-License-Identifier: Apache-2.0
"""What was imported, as a `report.json` (`docs/formats.md`); what no report states is null."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from importlib.metadata import version

from qap2fpga.hw import boards
from qap2fpga.hw.boards import Board
from qap2fpga.hw.design import Stage
from qap2fpga.hw.resources import NAMES
from qap2fpga.report import check, csynth, schema
from qap2fpga.report.content import SCHEMA
from qap2fpga.report.imported import checks
from qap2fpga.report.schema import Report
from qap2fpga.report.schema.network import Model
from qap2fpga.report.schema.results import (
    RESOURCES,
    Check,
    CsynthPrediction,
    Cycles,
    Fits,
    Measurement,
    Simulation,
    Timing,
)
from qap2fpga.reports import Parsed
from qap2fpga.reports.designs import ImportedDesign, plain_part, same_part
from qap2fpga.reports.folder import ReportFile, Results, Skipped
from qap2fpga.synth.amd.result import CLOCK_TOLERANCE_NS
from qap2fpga.system.codec import encode

# A report that states no numbers.
NOTHING = Parsed("", "")
# Part of a report as it is written.
Tree = dict[str, object]
BACKEND = "imported"
# A bare device, as 'u55c' or 'vu9p', says neither package nor speed; with them it is longer than this.
SHORTEST_PART = 9


def collect(
    design: ImportedDesign, others: list[ImportedDesign], results: Results, board: Board | None, model: Model | None,
    predicted: CsynthPrediction | None = None,
) -> Report:  # fmt: skip
    """Return the report of `design`, imported with `others`; `model` is the part of that name of a build's report,
    `predicted` what that build predicts of C synthesis."""
    own = _skipped_of(design, others, results)
    remarks = checks.examine(design, others, own, board)
    tree: Tree = {
        "schema": SCHEMA,
        "model": encode(model),
        "board": asdict(board) if board is not None else _device(design),
        "backend": BACKEND,
        "design": {
            "top": design.top,
            "folder": str(design.root),
            "sources": [],
            "data": [],
            "output_kind": None,
            "accuracy": None,
            "warnings": list(remarks.warnings),
        },
        "interface": None,
        "driver": None,
        "stand_in": None,
        "vendor": None,
        "simulations": [encode(_simulation(one)) for one in design.reports if one.parsed.stage is None],
        "measurements": [encode(one) for one in _measurements(design)],
        "predictions": _predictions(design),
        "timing": encode(_timing(design)),
        "fits": None,
        "checks": [],
        "imported": {
            "name": design.name,
            "part": design.part,
            "variant": design.variant,
            "files": [_file(one, "design") for one in design.reports]
            + [_file(one, "module") for one in design.modules],
            "skipped": [{**asdict(one), "path": str(one.path)} for one in own],
            "ratios": checks.ratios(design),
        },
        "versions": {"qap2fpga": version("qap2fpga")},
    }
    # Through the file's own form: what an import writes can be read.
    report = schema.read(json.loads(json.dumps(tree)), str(design.root))
    if predicted is not None and csynth.stated(report) is not None:
        report = replace(report, predictions=(*report.predictions, _for_this(predicted, design)))
    return _checked(replace(report, fits=check.fits(report)), remarks.checks)


def _checked(report: Report, remarks: tuple[Check, ...]) -> Report:
    """With all checks, and what C synthesis alone says of the size as a warning."""
    written = report.design
    assert written is not None
    warnings = (*written.warnings, *_too_large_for_hls(report.fits))
    every = (*remarks, *csynth.check_layers(report), *_fits_board(report.fits, report.board.name))
    return replace(report, design=replace(written, warnings=warnings), checks=every)


def _for_this(predicted: CsynthPrediction, design: ImportedDesign) -> CsynthPrediction:
    """A build's prediction of C synthesis; nothing is compared with it that is of another top, clock or part."""
    targets = [one.parsed.target_ns for one in design.reports if one.parsed.stage is Stage.HLS]
    clock = predicted.clock_ns
    unlike = [f"made for {target:g} ns, predicted for {clock:g} ns" for target in targets
              if target is not None and clock is not None and abs(target - clock) > CLOCK_TOLERANCE_NS]  # fmt: skip
    for stated, mine, same in (
        (design.part, predicted.part, same_part(design.part, predicted.part)),
        (design.top, predicted.top, design.top == predicted.top),
    ):
        unlike += [] if same else [f"a report of {stated}, predicted for {mine}"]
    if not unlike:
        return predicted
    layers = (replace(one, calibrated=False, outside=(*one.outside, *dict.fromkeys(unlike)))
              for one in predicted.layers)  # fmt: skip
    return replace(predicted, layers=tuple(layers))


def _skipped_of(design: ImportedDesign, others: list[ImportedDesign], results: Results) -> list[Skipped]:
    """Files without numbers that stand in the design's project, or in no design's."""
    roots = {one.root for one in others}

    def nearest(one: Skipped) -> object:
        around = [place for place in roots if one.path.is_relative_to(place)]
        return max(around, key=lambda place: len(place.parts), default=None)

    return [one for one in results.skipped if nearest(one) in (None, design.root)]


def _device(design: ImportedDesign) -> Tree:
    """The device as far as the reports tell it: its size as they state it, else from a shipped board of that part."""
    stated = [one for one in design.reports if one.parsed.available is not None]
    last, part = checks.last_with_clock(design), design.part or "not stated"
    known: Board | None = None
    if design.part is not None and len(plain_part(design.part)) > SHORTEST_PART:
        known = next((one for one in map(boards.load, boards.names()) if same_part(one.part, design.part)), None)
    size: Tree = {}
    for name in NAMES:
        sizes = [getattr(one.parsed.available, name) for one in stated if getattr(one.parsed.available, name)]
        size[name] = sizes[-1] if sizes else getattr(known, name, None)
    sources = [str(stated[-1].path)] if stated else [f"boards/{known.name}.yaml"] if known else []
    return {
        "name": part,
        "title": "the part that the reports state",
        "part": part,
        "family": known.family if known else None,
        "clock_ns": None if last is None else last.target_ns,
        **size,
        "source": "; ".join(sources) or None,
    }


def _over(fits: Fits | None) -> str:
    """What does not fit, '' if all does or nothing is known."""
    over = fits.over if fits else {}
    return ", ".join(f"{name.upper()} {one.used:,} of {one.available:,}" for name, one in over.items())


def _fits_board(fits: Fits | None, board: str) -> list[Check]:
    """Whether the part is large enough. C synthesis cannot tell: it states several times what synthesis finds."""
    over, name = _over(fits), f"fits {board}"
    if fits is None:
        why = "no report counts the cells, or none states the part's size"
        return [Check.not_run(name, "within the part", why)]
    if fits.stage == Stage.HLS:
        return [Check.not_run(name, "within the part", "C synthesis states several times what synthesis finds")]
    why = "a larger part, or a smaller network or another folding" if over else ""
    return [Check.of(f"{name} ({fits.stage})", "within the part", over or "fits", not over, why)]


def _too_large_for_hls(fits: Fits | None) -> list[str]:
    over = _over(fits)
    hls = fits is not None and fits.stage == Stage.HLS
    return [f"by C synthesis it does not fit ({over}); synthesis finds fewer cells"] if hls and over else []


def _measurements(design: ImportedDesign) -> list[Measurement]:
    """Resources by stage, the one that counts last; reports that say the same are one measurement."""
    last = checks.last_with_resources(design)
    chosen: dict[tuple[object, ...], ReportFile] = {}
    for one in (*(report for report in design.reports if report is not last), *([last] if last else [])):
        parsed = one.parsed
        if parsed.resources is None or parsed.stage in (None, Stage.ESTIMATE):
            continue
        key = (parsed.stage, parsed.resources.lut, parsed.resources.ff, parsed.resources.dsp)
        before = chosen.pop(key, None)
        # The report with parts says more; the one that counts stays the last in any case.
        chosen[key] = one if before is None or one is last or parsed.parts else before
    order = list(Stage)
    return sorted(map(_measurement, chosen.values()), key=lambda row: order.index(Stage(row.stage)))


def _measurement(one: ReportFile) -> Measurement:
    """The cells of a report that has some."""
    stored = one.parsed.measurement
    assert stored is not None
    return Measurement(
        circuit=None,
        tool=stored.tool,
        version=stored.version,
        stage=stored.stage,
        total=asdict(stored.total),
        parts={name: asdict(cells) for name, cells in stored.parts.items()},
        note="; ".join(text for text in (stored.note, str(one.path)) if text),
        cell_delay_ns=stored.cell_delay_ns,
    )


def _predictions(design: ImportedDesign) -> list[Tree]:
    """What the tools estimated before synthesis: cycles, and FINN's resources."""
    predictions: list[Tree] = []
    latency = _latency(design, (Stage.ESTIMATE, Stage.HLS))
    if latency is not None:
        parsed = latency.parsed
        cycles = {"interval_cycles": parsed.interval_max, "latency_cycles": parsed.latency_max}
        by = {"tool": parsed.tool, "version": parsed.version, "stage": parsed.stage}
        predictions.append({"circuit": None, "what": "cycles", **cycles, **by})
    for one in design.reports:
        stored = one.parsed.measurement
        if stored is not None and stored.stage is Stage.ESTIMATE:
            predictions.append({"circuit": None, "what": RESOURCES, **asdict(stored)})
    return predictions


def _latency(design: ImportedDesign, stages: tuple[Stage | None, ...]) -> ReportFile | None:
    """The report of one of `stages` that states the latency, the later stage first."""
    reports = [one for one in design.reports if one.parsed.stage in stages and one.parsed.latency_max is not None]
    return reports[-1] if reports else None


def _timing(design: ImportedDesign) -> Timing:
    stating = (_latency(design, (Stage.ESTIMATE, Stage.HLS)), _latency(design, (None,)))
    last = checks.last_with_clock(design)
    target = next((one.parsed.target_ns for one in reversed(design.reports) if one.parsed.target_ns is not None), None)
    clock = last.target_ns if last is not None and last.target_ns is not None else target
    estimated, simulated = (one.parsed if one is not None else NOTHING for one in stating)
    latency = Cycles(predicted=estimated.latency_max, measured=simulated.latency_max)
    interval = Cycles(predicted=estimated.interval_max, measured=simulated.interval_max)
    if last is None:
        note = "no report states which clock period was reached"
    else:
        note = f"the reports' clock; stage '{last.stage}' reached {last.period_ns:g} ns"
    return Timing(
        latency_cycles=latency,
        interval_cycles=interval,
        clock_ns=clock,
        latency_ns=None if latency.known is None or clock is None else latency.known * clock,
        frames_per_second=None if not interval.known or not clock else 1e9 / (interval.known * clock),
        clock_note=note,
    )


def _simulation(one: ReportFile) -> Simulation:
    """A simulation that the tool ran: what it compared, and on how many vectors, the report does not say."""
    return Simulation(
        circuit=None,
        engine=one.parsed.tool,
        version=one.parsed.version or "",
        compared=one.parsed.note or one.parsed.kind,
        vectors=None,
        mismatches=None,
        rounding_ties=None,
        latency_cycles=one.parsed.latency_max,
        interval_cycles=one.parsed.interval_max,
        note=one.parsed.status or "latency only",
    )


def _file(one: ReportFile, about: str) -> Tree:
    """Where a number comes from."""
    parsed = one.parsed
    return {"path": str(one.path), "about": about, "kind": parsed.kind, "tool": parsed.tool, "version": parsed.version,
            "stage": parsed.stage, "design": parsed.design, "part": parsed.part, "note": parsed.note}  # fmt: skip
