# SPDX-License-Identifier: Apache-2.0
"""Cells on a terminal: as predicted and as Yosys counts them, by AMD's tools, and as C synthesis states them."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.markup import escape

from qap2fpga.hw import families
from qap2fpga.hw.resources import LABELS, Counts
from qap2fpga.report import csynth, routed
from qap2fpga.report.resources import basis
from qap2fpga.report.schema import Report
from qap2fpga.report.schema.results import CsynthPrediction, Measurement, ResourcePrediction
from qap2fpga.report.show import DASH, interval, ratio
from qap2fpga.report.show import number as _number
from qap2fpga.system.tables import headed

# Steps of AMD's tools that leave a measurement; in the report both are in the order of the steps.
MEASURING = ("csynth", "synth", "route", "bitstream", "finn")


def resources(report: Report) -> Group:
    """Return the table of cells, as predicted and as measured, and what is said of them."""
    measured, last = report.open_measurement or report.latest, report.latest
    estimate = report.resources[0] if report.resources else None
    counted = escape(f"{measured.tool} {measured.version}, {measured.stage}") if measured else "not synthesised"
    later = [last] if report.routed and last is not None and last is not measured else []
    columns = [counted, *(escape(f"{one.tool} {one.version}, {one.stage}") for one in later)]
    table = headed("", "estimated", *columns, "available", "of the board", title="\nResources")
    names = routed.resource_names(report.board)
    for name, label in names.items():
        use = report.fits.use.get(name) if report.fits else None
        table.add_row(
            label,
            _estimated(name, estimate),
            _number(measured.total.get(name)) if measured else DASH,
            *(_number(one.total.get(name)) for one in later),
            _number(report.board.size(name)),
            f"{use.percent:.1f} %" if use else DASH,
        )
    lines: list[RenderableType] = [table, *(_measured(report, measured, names["lut"]) if measured else ())]
    if estimate:
        lines.append(f"[dim]{escape(basis(estimate, report.board.family))}[/]")
    return Group(*lines)


def _measured(report: Report, measured: Measurement, lut: str) -> Iterator[str]:
    """What a measurement says beside the board's resources."""
    total, model, fits = measured.total, report.model, report.fits
    if "lutram" in families.of(report.board.family).counted:
        yield (
            f"[dim]of the LUTs {_number(total.get('lutram'))} hold memory; packed two to a LUT6 about "
            f"{_number(total.get('lut_packed'))}; {_number(total.get('carry'))} carry cells[/]"
        )
    if measured.cell_delay_ns is not None:
        path = measured.note.rpartition("; ")[2]
        yield f"[dim]{escape(path)}[/]"
    luts, bops = total.get("lut"), model.bops.paper if model is not None else 0
    per_bop = f"{luts / bops:.4f}" if bops and luts is not None else DASH
    verdict = f"[bold]{escape(fits.verdict)}[/] ({escape(fits.stage)})" if fits else ""
    yield f"{lut} per BOP {per_bop}   {verdict}"


def _estimated(name: str, estimate: ResourcePrediction | None) -> str:
    """What was predicted, with its interval where it is calibrated."""
    if estimate is None:
        return DASH
    # Estimates of other tools have none.
    one = estimate.intervals.get(name)
    return _number(estimate.total.get(name)) if one is None else interval(one)


def vendor(report: Report) -> Group:
    """Return what AMD's tools found, step by step; a stage's numbers are never those of another."""
    table = headed("step", *LABELS.values(), "latency", "interval", "period", "slack", title="\nAMD's tools")
    theirs = iter([one.total for one in report.measurements if one.tool != "yosys"])
    for one in report.vendor or ():
        total: Counts = next(theirs, {}) if one.step in MEASURING else {}
        table.add_row(
            escape(f"{one.step}, {one.tool}"),
            *(_number(total.get(name)) for name in LABELS),
            _number(one.latency_max), _number(one.interval_max),
            *(DASH if time is None else f"{time:.2f} ns" for time in (one.period_ns, one.wns_ns)),
        )  # fmt: skip
    return Group(table, "[dim]csynth states LUTs before logic synthesis: several times what synthesis finds[/]")


def c_synthesis(report: Report, predicted: CsynthPrediction) -> Group:
    """Return what C synthesis is expected to state, beside what it stated."""
    columns = [word for label in LABELS.values() for word in (f"{label} predicted", "stated")]
    table = headed("", *columns, "BOPs", "LUT per BOP", title="\nC synthesis, layer by layer")
    for row in csynth.rows(report):
        cells = [text for pair in row.cells for text in pair]
        table.add_row(escape(row.layer), *cells, _number(row.bops), ratio(row.lut_per_bop))
    outside = [f"{row.layer}, outside the measured range: {', '.join(row.outside)}"
               for row in csynth.rows(report) if row.outside]  # fmt: skip
    return Group(
        table, *(f"[dim]{escape(text)}[/]" for text in (*outside, *csynth.ratios(report), *csynth.remarks(predicted)))
    )
