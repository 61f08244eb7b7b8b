# SPDX-License-Identifier: Apache-2.0
"""Cells on a terminal: as predicted and as Yosys counts them, by AMD's tools, and as C synthesis states them."""

from __future__ import annotations

from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape

from qap2fpga.hw import families
from qap2fpga.hw.resources import LABELS
from qap2fpga.report import check, csynth, routed
from qap2fpga.report.headed import headed
from qap2fpga.report.resources import basis
from qap2fpga.report.show import DASH, RESOURCE_NAMES, ends, ratio
from qap2fpga.report.show import number as _number

# Steps of AMD's tools that leave a measurement; in the report both are in the order of the steps.
MEASURING = ("csynth", "synth", "route", "bitstream", "finn")


def resources(report: dict[str, Any]) -> Group:
    measured = check.open_measurement(report) or check.latest(report)
    estimate = next((one for one in report["predictions"] if one["what"] == "resources"), None)
    found = escape(f"{measured['tool']} {measured['version']}, {measured['stage']}") if measured else "not synthesised"
    last = check.latest(report)
    later = [last] if report.get("routed") and last is not None and last is not measured else []
    columns = [found, *(escape(f"{one['tool']} {one['version']}, {one['stage']}") for one in later)]
    table = headed("\nResources", "", "estimated", *columns, "available", "of the board")
    names = routed.resource_names(report["board"])
    for name, label in names.items():
        use = (report["fits"] or {"use": {}})["use"].get(name)
        table.add_row(
            label,
            _estimated(name, estimate),
            _number(measured["total"].get(name)) if measured else DASH,
            *(_number(one["total"].get(name)) for one in later),
            _number(report["board"][name]),
            f"{use['percent']:.1f} %" if use else DASH,
        )
    lines: list[RenderableType] = [table]
    if measured:
        total = measured["total"]
        if "lutram" in families.of(report["board"].get("family")).counted:
            lines.append(
                f"[dim]of the LUTs {_number(total.get('lutram'))} hold memory; packed two to a LUT6 about "
                f"{_number(total.get('lut_packed'))}; {_number(total.get('carry'))} carry cells[/]"
            )
        if measured.get("cell_delay_ns") is not None:
            path = measured["note"].rpartition("; ")[2]
            lines.append(f"[dim]{escape(path)}[/]")
        bops = report["model"]["bops"]["paper"] if report["model"] is not None else 0
        per_bop = f"{total['lut'] / bops:.4f}" if bops and total.get("lut") is not None else DASH
        fits = report["fits"]
        verdict = f"[bold]{escape(fits['verdict'])}[/] ({escape(fits['stage'])})" if fits else ""
        lines.append(f"{names['lut']} per BOP {per_bop}   {verdict}")
    if estimate:
        lines.append(f"[dim]{escape(basis(estimate, report['board'].get('family')))}[/]")
    return Group(*lines)


def _estimated(name: str, estimate: dict[str, Any] | None) -> str:
    """What was predicted, with its interval where it is calibrated."""
    if estimate is None:
        return DASH
    # Estimates of other tools have none.
    one = (estimate.get("intervals") or {}).get(name)
    if one is None:
        return _number(estimate["total"].get(name))
    if one["low"] == one["high"]:
        return _number(round(one["value"]))
    return f"{one['value']:,.0f} ({ends(one['low'], one['high'])})"


def vendor(report: dict[str, Any]) -> Group:
    """What AMD's tools found, step by step; a stage's numbers are never those of another."""
    table = headed("\nAMD's tools", "step", *LABELS.values(), "latency", "interval", "period", "slack")
    theirs = iter([one["total"] for one in report["measurements"] if one["tool"] != "yosys"])
    for one in report["vendor"]:
        total: dict[str, Any] = next(theirs, {}) if one["step"] in MEASURING else {}
        table.add_row(
            escape(f"{one['step']}, {one['tool']}"),
            *(_number(total.get(name)) for name in LABELS),
            _number(one["latency_max"]), _number(one["interval_max"]),
            *(DASH if one[name] is None else f"{one[name]:.2f} ns" for name in ("period_ns", "wns_ns")),
        )  # fmt: skip
    return Group(table, "[dim]csynth states LUTs before logic synthesis: several times what synthesis finds[/]")


def c_synthesis(report: dict[str, Any], predicted: csynth.Part) -> Group:
    """What C synthesis is expected to state, beside what it stated."""
    columns = [word for label in RESOURCE_NAMES.values() for word in (f"{label} predicted", "stated")]
    table = headed("\nC synthesis, layer by layer", "", *columns, "BOPs", "LUT per BOP")
    for row in csynth.rows(report):
        cells = [text for pair in row.cells for text in pair]
        table.add_row(escape(row.layer), *cells, _number(row.bops), ratio(row.lut_per_bop))
    outside = [f"{row.layer}, outside the measured range: {', '.join(row.outside)}"
               for row in csynth.rows(report) if row.outside]  # fmt: skip
    return Group(
        table, *(f"[dim]{escape(text)}[/]" for text in (*outside, *csynth.ratios(report), *csynth.remarks(predicted)))
    )
