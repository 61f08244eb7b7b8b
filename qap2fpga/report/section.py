# SPDX-License-Identifier: Apache-2.0
"""One build as the page shows it: the words, rows and bars that the templates put into place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from qap2fpga.report import csynth, parts, resources, routed, show
from qap2fpga.report.gather import Build
from qap2fpga.report.parts import Column, Part, Share, Use
from qap2fpga.report.summary import Report, Summary


@dataclass(frozen=True)
class Key:
    """A key number: its name, value, unit, what it means, and who found it at which stage.

    `flag` is a warning beside it: that the number is of another circuit.
    """

    name: str
    value: str
    unit: str
    meaning: str
    source: str
    flag: str = ""


@dataclass(frozen=True)
class LayerRow:
    """One layer, or all: shapes, widths, and how many multiplications are left at each step."""

    name: str
    shape: str
    hardware: str
    bits: tuple[Any, Any, Any]
    zeros: float
    products: tuple[int | None, ...]
    bops: float
    nonzero_products: float


@dataclass(frozen=True)
class Section:
    """Everything that the template of one build asks for. `mark` is its number in plots and lists."""

    id: str
    mark: str
    name: str
    link: str
    report: Report
    summary: Summary
    verdict: str
    passed: bool | None
    stand_in: str
    keys: tuple[Key, ...]
    checks: tuple[Report, ...]
    layers: tuple[LayerRow, ...]
    in_source: bool
    csynth: tuple[csynth.Row, ...]
    csynth_remarks: tuple[str, ...]
    columns: tuple[Column, ...]
    calibration: str
    parts: tuple[Part, ...]
    shares: tuple[Share, ...]
    uses: tuple[Use, ...]
    notes: tuple[tuple[str, str], ...]
    designs: tuple[tuple[str, Report], ...]

    @property
    def largest(self) -> float:
        """The largest number of LUTs of a node, to which bars are drawn."""
        return parts.largest(self.parts, "lut")


def section(build: Build, name: str, mark: str, link: str) -> Section:
    """The section of `build` with the HTML id `name`; `link` leads to its report.json."""
    report, summary = build.report, build.summary
    found, predicted = parts.parts(report), csynth.prediction(report)
    checks = report.get("checks") or []
    layers = tuple(_layers(report))
    return Section(
        id=name,
        mark=mark,
        name=build.name,
        link=link,
        report=report,
        summary=summary,
        verdict=verdict(report, summary),
        passed=None if not checks else all(one["passed"] for one in checks),
        stand_in=stand_in(report),
        keys=tuple(_keys(report, summary)),
        checks=tuple(checks),
        layers=layers,
        in_source=bool(layers) and len(layers[0].products) > 3,
        csynth=tuple(csynth.rows(report)),
        csynth_remarks=() if predicted is None else (*csynth.ratios(report), *csynth.remarks(predicted)),
        columns=tuple(parts.columns(report)),
        calibration=_calibration(report),
        parts=tuple(found),
        shares=tuple(parts.shares(found)),
        uses=tuple(parts.uses(report)),
        notes=tuple(_notes(report)),
        designs=tuple(_designs(report)),
    )


def _calibration(report: Report) -> str:
    """What the prediction of resources rests on; nothing where there is none."""
    predicted = [one for one in report["predictions"] if one["what"] == "resources"]
    said = resources.basis(predicted[0], report["board"].get("family")) if predicted else ""
    return said[:1].upper() + said[1:] + "." * bool(said)


def verdict(report: Report, summary: Summary) -> str:
    """The build in one or two sentences."""
    compared = [one for one in report.get("simulations") or [] if one["vectors"]]
    said = []
    if compared and not summary.mismatches:
        vectors = max(one["vectors"] for one in compared)
        said.append(
            f"Equal to the integer network on every bit in {len(compared)} comparisons of up to {vectors:,} vectors."
        )
    elif compared:
        said.append(f"Differs from the integer network in {summary.mismatches:,} vectors.")
    if summary.verdict:
        whose = f"The {summary.circuit} circuit that stands in for it" if summary.another_circuit else "It"
        lut = "" if summary.board_lut is None else f" with {show.percent(summary.board_lut, 1)} of the LUTs used"
        routed = "" if summary.stage == "routed" else f", by {summary.stage}; not placed and routed"
        fits = "fits" if summary.verdict == "fits" else "does not fit"
        said.append(f"{whose} {fits} {report['board']['name']}{lut}{routed}.")
    elif compared:
        said.append("Not synthesised: whether it fits the board is not known.")
    return " ".join(said)


def stand_in(report: Report) -> str:
    """Says that the hardware is another circuit; empty where it is the backend's own."""
    other = report.get("stand_in")
    if not other:
        return ""
    lead = f"No HLS tool has made hardware of this {report['backend']} C++."
    if other.get("refused"):
        return f"{lead} No circuit stands in for it: {other['refused']}"
    return (
        f"{lead} Every hardware number of this build is of another circuit of the same integer network, "
        f"the {other['backend']} backend's. An HLS tool's would have other LUTs, FFs and DSPs and another latency."
    )


def _keys(report: Report, summary: Summary) -> Iterator[Key]:
    flag = summary.flag
    accuracy = "" if summary.accuracy is None else f"{100 * summary.accuracy:.2f}"
    rows = "" if summary.accuracy_rows is None else f"of {summary.accuracy_rows:,} rows"
    source = "" if summary.accuracy_from is None else f"by {summary.accuracy_from}"
    yield Key("Accuracy", accuracy or show.DASH, "%" if accuracy else "", rows, source or "no labels were given")
    zeros = f"{show.percent(summary.zeros, 1)} of the weights are 0"
    yield Key("BOPs", show.number(summary.bops_paper), "", zeros, "the paper's equation 1, from the integer weights")
    label = routed.resource_names(report.get("board") or {})["lut"]
    if summary.lut is None:
        yield Key(label, show.DASH, "", "", "not measured")
    else:
        share = f"{show.percent(summary.board_lut, 1)} of {report['board']['name']}"
        by = f"{summary.tool or ''} {summary.tool_version or ''}".strip()
        yield Key(label, show.number(summary.lut), "", share, f"{by}, {summary.stage}", flag)
    mine = report.get("routed")
    if mine and mine["achieved_ns"] is not None:
        asked = f"{routed.clock(mine['target_ns'])} asked for"
        yield Key(
            "Clock", f"{1000 / mine['achieved_ns']:.1f}", "MHz", asked, f"{mine['tool']} {mine['version']}, routed"
        )
    timing = report.get("timing")
    if not timing or summary.latency_cycles is None:
        yield Key("Latency", show.DASH, "", "", "not simulated")
    else:
        how = "measured in simulation" if summary.cycles_from == "measured" else "predicted, not simulated"
        clock = show.DASH if timing["clock_ns"] is None else f"{timing['clock_ns']:g}"
        cycles = f"{show.count(summary.latency_cycles)} cycles of {clock} ns"
        value = show.nanoseconds(summary.latency_ns).removesuffix(" ns")
        yield Key("Latency", value, "ns", cycles, f"{how}, at {timing['clock_note']}", flag)


def _layers(report: Report) -> Iterator[LayerRow]:
    """A row a layer; where several, one of their sums at the end."""
    model = report.get("model") or {}
    layers = model.get("layers") or []
    written = (report.get("design") or {}).get("layers") or []
    in_source = [one.get("in_source") for one in written] if len(written) == len(layers) else []
    table = []
    for index, layer in enumerate(layers):
        hardware = layer["hardware"]
        products = (layer["weights"], layer["weights"] - layer["zeros"], hardware["nonzeros"])
        table.append(products + tuple(in_source[index : index + 1]))
        yield LayerRow(
            layer["name"],
            f"{layer['inputs']}×{layer['outputs']}",
            f"{hardware['inputs']}×{hardware['outputs']}",
            (layer["weight_bits"], layer["input_bits"], hardware["accumulator_bits"]),
            layer["zeros"] / layer["weights"],
            table[-1],
            layer["bops"]["paper"],
            layer["bops"]["nonzero_products"],
        )
    if len(layers) > 1:
        sums = tuple(None if None in column else sum(column) for column in zip(*table, strict=True))
        zeros = sum(layer["zeros"] for layer in layers) / sum(layer["weights"] for layer in layers)
        bops = model["bops"]
        yield LayerRow("all", "", "", ("", "", ""), zeros, sums, bops["paper"], bops["nonzero_products"])


def _designs(report: Report) -> Iterator[tuple[str, Report]]:
    """The design, and that of the circuit in its place."""
    if report.get("design"):
        yield "design", report["design"]
    other = report.get("stand_in") or {}
    if other.get("design"):
        yield f"{other['backend']} circuit in its place", other["design"]


def _notes(report: Report) -> Iterator[tuple[str, str]]:
    """(kind, text): warnings first."""
    design = report.get("design") or {}
    yield from (("warning", text) for text in design.get("warnings") or [])
    yield from (("note", text) for text in (report.get("model") or {}).get("notes") or [])
    yield from (("note", text) for text in routed.lines(report))
    for what in ("widened", "padded"):
        yield from (("note", f"{what}: {text}") for text in design.get(what) or [])
    for one in report.get("measurements") or []:
        if one.get("note"):
            yield "note", f"{one['tool']}: {one['note']}"
    for one in report.get("simulations") or []:
        if one.get("note"):
            yield "note", f"{one['engine']}, {one['compared']}: {one['note']}"
    cost = (report.get("model") or {}).get("input_quantizer_cost")
    if cost:
        text = f"input quantizer added: same class as the raw model on {show.percent(cost['same_class'])}"
        text += f" of {cost['rows']:,} rows"
        if "accuracy" in cost:
            text += f", accuracy {show.percent(cost['accuracy_raw'])} → {show.percent(cost['accuracy'])}"
        yield "note", text
