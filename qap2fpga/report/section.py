# SPDX-License-Identifier: Apache-2.0
"""One build as the page shows it: the words, rows and bars that the templates put into place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from qap2fpga.ir.spread import Profile
from qap2fpga.report import csynth, drawing, network, origin, pace, parts, resources, routed, show, zeros
from qap2fpga.report.drawing import Drawing
from qap2fpga.report.gather import Build
from qap2fpga.report.origin import Origin
from qap2fpga.report.pace import Pace
from qap2fpga.report.parts import Column, Part, Share, Use
from qap2fpga.report.schema import Report
from qap2fpga.report.schema.hardware import Design
from qap2fpga.report.schema.results import Check
from qap2fpga.report.summary import Summary

CYCLES_FROM = {
    "measured": "measured in simulation",
    "predicted": "predicted, not simulated",
    "estimated": "estimated by the tool, not simulated",
}


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
    bits: tuple[int | str, ...]
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
    check_counts: str
    stand_in: str
    keys: tuple[Key, ...]
    checks: tuple[Check, ...]
    frame: tuple[str, ...]
    nodes: tuple[network.Line, ...]
    interval: str
    additions: str
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
    designs: tuple[tuple[str, Design], ...]
    origin: Origin
    drawing: Drawing | None
    pace: Pace | None
    zeros: tuple[zeros.Row, ...]
    floats: tuple[tuple[str, str], ...]
    profile: Profile | None

    @property
    def base(self) -> str:
        """What a link to a file of the build begins with."""
        return self.link.removesuffix("report.json")

    @property
    def largest(self) -> float:
        """The largest number of LUTs of a node, to which bars are drawn."""
        return parts.largest(self.parts, "lut")


def section(build: Build, name: str, mark: str, link: str) -> Section:
    """The section of `build` with the HTML id `name`; `link` leads to its report.json."""
    report, summary = build.report, build.summary
    nodes, predicted = parts.parts(report), report.csynth
    layers = tuple(_layers(report))
    return Section(
        id=name,
        mark=mark,
        name=build.name,
        link=link,
        report=report,
        summary=summary,
        verdict=verdict(report, summary),
        passed=not summary.checks_failed if summary.checks else None,
        check_counts=_check_counts(summary),
        stand_in=stand_in(report),
        keys=tuple(_keys(report, summary)),
        checks=report.checks,
        frame=() if report.model is None else tuple(network.frame(report.model)),
        nodes=() if report.model is None else tuple(network.lines(report.model)),
        interval=network.interval(report),
        additions="" if report.model is None else network.additions(report.model),
        layers=layers,
        in_source=bool(layers) and len(layers[0].products) > 3,
        csynth=tuple(csynth.rows(report)),
        csynth_remarks=() if predicted is None else (*csynth.ratios(report), *csynth.remarks(predicted)),
        columns=tuple(parts.columns(report)),
        calibration=_calibration(report),
        parts=tuple(nodes),
        shares=tuple(parts.shares(nodes)),
        uses=tuple(parts.uses(report)),
        notes=tuple(_notes(report)),
        designs=tuple(_designs(report)),
        origin=origin.origin(build),
        drawing=drawing.drawing(report, nodes),
        pace=pace.pace(report),
        zeros=tuple(zeros.rows(report)),
        floats=tuple(_floats(report)),
        profile=build.profile,
    )


def _check_counts(summary: Summary) -> str:
    """How many checks were run and passed, or failed, and how many were not run."""
    ran, failed, left = summary.checks, summary.checks_failed, summary.checks_not_run
    sentence = f"✗ {failed} of {ran} checks failed" if failed else f"✓ {ran} of {ran} checks passed"
    return (sentence if ran else "no check was run") + (f", {left} not run" if left else "")


def _calibration(report: Report) -> str:
    """What the prediction of resources rests on; nothing where there is none."""
    text = resources.basis(report.resources[0], report.board.family) if report.resources else ""
    return text[:1].upper() + text[1:] + "." * bool(text)


def verdict(report: Report, summary: Summary) -> str:
    """The build in one or two sentences."""
    compared = [one.vectors for one in report.simulations if one.vectors]
    sentences = []
    if compared and not summary.mismatches:
        sentences.append(
            f"Equal to the integer network on every bit in {show.several(len(compared), 'comparison')} of up to "
            f"{show.several(max(compared), 'vector')}."
        )
    elif compared:
        sentences.append(f"Differs from the integer network in {show.several(summary.mismatches or 0, 'vector')}.")
    if summary.verdict:
        whose = f"The {summary.circuit} circuit that stands in for it" if summary.another_circuit else "It"
        lut = "" if summary.board_lut is None else f" with {show.percent(summary.board_lut, 1)} of the LUTs used"
        routed = "" if summary.stage == "routed" else f", by {summary.stage}; not placed and routed"
        fits = "fits" if summary.verdict == "fits" else "does not fit"
        sentences.append(f"{whose} {fits} {report.board.name}{lut}{routed}.")
    elif compared:
        sentences.append("Not synthesised: whether it fits the board is not known.")
    return " ".join(sentences)


def stand_in(report: Report) -> str:
    """Says that the hardware is another circuit; empty where it is the backend's own."""
    other = report.stand_in
    if not other:
        return ""
    lead = f"No HLS tool has made hardware of this {report.backend} C++."
    if other.refused:
        return f"{lead} No circuit stands in for it: {other.refused}"
    return (
        f"{lead} Every hardware number of this build is of another circuit of the same integer network, "
        f"the {other.backend} backend's. An HLS tool's would have other LUTs, FFs and DSPs and another latency."
    )


def _keys(report: Report, summary: Summary) -> Iterator[Key]:
    flag = summary.flag
    accuracy = "" if summary.accuracy is None else f"{100 * summary.accuracy:.2f}"
    rows = "" if summary.accuracy_rows is None else f"of {summary.accuracy_rows:,} rows"
    source = "" if summary.accuracy_from is None else f"by {summary.accuracy_from}"
    yield Key("Accuracy", accuracy or show.DASH, "%" if accuracy else "", rows, source or "no labels were given")
    zeros = f"{show.percent(summary.zeros, 1)} of the weights are 0"
    yield Key("BOPs", show.number(summary.bops_paper), "", zeros, "the paper's equation 1, from the integer weights")
    label = routed.resource_names(report.board)["lut"]
    if summary.lut is None:
        yield Key(label, show.DASH, "", "", "not measured")
    else:
        share = f"{show.percent(summary.board_lut, 1)} of {report.board.name}"
        by = f"{summary.tool or ''} {summary.tool_version or ''}".strip()
        yield Key(label, show.number(summary.lut), "", share, f"{by}, {summary.stage}", flag)
    mine, timing = report.routed, report.timing
    if mine and mine.achieved_ns is not None:
        target = f"{routed.clock(mine.target_ns)} asked for"
        yield Key("Clock", f"{1000 / mine.achieved_ns:.1f}", "MHz", target, f"{mine.tool} {mine.version}, routed")
    if not timing or summary.latency_cycles is None:
        yield Key("Latency", show.DASH, "", "", "not simulated")
    else:
        how = CYCLES_FROM[summary.cycles_from or "predicted"]
        cycles = f"{show.count(summary.latency_cycles)} cycles of {show.period(timing.clock_ns)}"
        value = show.nanoseconds(summary.latency_ns).removesuffix(" ns")
        yield Key(
            "Latency",
            value,
            "" if summary.latency_ns is None else "ns",
            cycles,
            f"{how}, at {timing.clock_note}",
            flag,
        )
        rate = summary.frames_per_second
        several = "s" * (summary.interval_cycles != 1)
        interval = f"an interval of {show.count(summary.interval_cycles)} cycle{several}, {how}"
        yield Key("Throughput", show.short(rate) if rate else show.DASH, "frames/s" if rate else "", interval, "", flag)


def _floats(report: Report) -> Iterator[tuple[str, str]]:
    """What is known of the integer network beside the model in floating point: a name, and what was seen."""
    model = report.model
    if model is None:
        return
    for one in report.simulations:
        if one.rounding_ties is not None and one.vectors:
            ties = f"{one.rounding_ties:,} rounding ties" if one.rounding_ties else "no rounding tie"
            yield one.engine, f"the same integers in {one.vectors:,} vectors, node by node; {ties}"
    if model.export:
        same = f"same class on {show.percent(model.export.same_class)} of {model.export.rows:,} rows"
        yield "torch and QONNX", f"{same}, apart by {model.export.largest_difference:.2g}"
    if precision := show.output(model.output):
        yield "outputs", precision
    cost = model.input_quantizer_cost
    if cost:
        text = f"same class as the model without it on {show.percent(cost.same_class)} of {cost.rows:,} rows"
        if cost.accuracy is not None:
            text += f", accuracy {show.percent(cost.accuracy_raw)} → {show.percent(cost.accuracy)}"
        yield "input quantizer that was added", text


def _layers(report: Report) -> Iterator[LayerRow]:
    """A row per layer; where several, one of their sums at the end."""
    model = report.model
    if model is None:
        return
    design = report.design if report.design and report.design.layers else None
    rows = list[tuple[int | None, ...]]()
    for layer in model.layers:
        hardware = layer.hardware
        products = (layer.weights, layer.weights - layer.zeros, hardware.nonzeros)
        written = design.written(layer.name) if design else None
        in_source = (written.in_source if written else None,) if design else ()
        rows.append((*products, *in_source))
        yield LayerRow(
            layer.name,
            f"{layer.inputs}×{layer.outputs}" + (f" at {layer.positions}" if layer.positions else ""),
            f"{hardware.inputs}×{hardware.outputs}",
            (layer.weight_bits, layer.input_bits, hardware.accumulator_bits),
            layer.zeros / layer.weights,
            rows[-1],
            layer.bops.paper,
            layer.bops.nonzero_products,
        )
    if len(model.layers) > 1:
        known = [[count for count in column if count is not None] for column in zip(*rows, strict=True)]
        sums = tuple(sum(column) if len(column) == len(rows) else None for column in known)
        zeros = sum(layer.zeros for layer in model.layers) / sum(layer.weights for layer in model.layers)
        yield LayerRow("all", "", "", ("", "", ""), zeros, sums, model.bops.paper, model.bops.nonzero_products)


def _designs(report: Report) -> Iterator[tuple[str, Design]]:
    """The design, and that of the circuit in its place."""
    if report.design:
        yield "design", report.design
    if report.stand_in and report.stand_in.design:
        yield f"{report.stand_in.backend} circuit in its place", report.stand_in.design


def _notes(report: Report) -> Iterator[tuple[str, str]]:
    """(kind, text): warnings first."""
    model, design = report.model, report.design
    yield from (("warning", text) for text in (design.warnings if design else ()))
    yield from (("note", text) for text in (model.notes if model else ()))
    yield from (("note", text) for text in routed.lines(report))
    if design:
        yield from (("note", f"widened: {text}") for text in design.widened)
        yield from (("note", f"padded: {text}") for text in design.padded)
    yield from (("note", f"{one.tool}: {one.note}") for one in report.measurements if one.note)
    yield from (("note", f"{one.engine}, {one.compared}: {one.note}") for one in report.simulations if one.note)
