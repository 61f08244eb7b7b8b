# SPDX-License-Identifier: Apache-2.0
"""What C synthesis stated of an hls4ml project, compared with what published runs let expect of each layer.

The reports name a dense layer's function after hls4ml's number for it, `..._config<n>_...`; where they have no such
parts, as those of old versions with long types, no layer is checked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial

from qap2fpga.estimate.prediction import Csynth, Interval
from qap2fpga.hw.resources import LABELS, Counts
from qap2fpga.report import resources, show
from qap2fpga.report.schema import Report
from qap2fpga.report.schema.results import Check, CsynthLayer, CsynthPrediction, Measurement

TOOLS = ("vitis_hls", "vivado_hls")


@dataclass(frozen=True)
class Row:
    """One layer, or the sum of them: cells as text, predicted and stated, and LUTs per BOP of what was stated, else of
    a prediction that is not outside of what was measured."""

    layer: str
    cells: tuple[tuple[str, str], ...]
    bops: float
    lut_per_bop: float | None
    outside: tuple[str, ...] = ()


def stated(report: Report) -> Measurement | None:
    """Return what C synthesis stated."""
    return next((one for one in report.measurements if one.stage == "hls"), None)


def rows(report: Report) -> list[Row]:
    """Return every dense layer, then the network; none where nothing was predicted."""
    predicted, measured, model = report.csynth, stated(report), report.model
    if predicted is None or model is None:
        return []
    bops = {layer.name: layer.bops.paper for layer in model.layers}
    layers = [
        _row(one.layer, one.predictions, _of_layer(one.config, measured), bops.get(one.layer, 0), one.outside)
        for one in predicted.layers
    ]
    return [*layers, _row("network", predicted.total, measured.total if measured else {}, model.bops.paper, ())]


def remarks(predicted: CsynthPrediction | Csynth) -> list[str]:
    """Return sentences on a prediction: how far the layers are known, and what was only observed."""
    known = sum(one.calibrated for one in predicted.layers)
    missing: dict[str, dict[str, None]] = {}
    for one in predicted.layers:
        for name, why in one.missing.items():
            missing.setdefault(why, {})[name.upper()] = None
    return [
        f"{known} of {len(predicted.layers)} layers are like measured ones: a report is compared with these alone",
        *(f"no prediction of {', '.join(names)}: {why}" for why, names in missing.items()),
        *predicted.errors,
        *predicted.observed,
    ]


def ratios(report: Report) -> list[str]:
    """Return what C synthesis stated, by what a later stage found of the same design, as what was observed of others
    is told.

    A circuit that stands in for the design is another one.
    """
    first, lines = stated(report), list[str]()
    if first is None:
        return lines
    for one in report.measurements:
        if one.stage in ("synthesis", "routed") and one.circuit == first.circuit:
            cells = [(label, first.total.get(name), one.total.get(name)) for name, label in LABELS.items()]
            quotients = [f"{label} {mine / theirs:.3g}" for label, mine, theirs in cells if mine is not None and theirs]
            lines.append(f"of this design: C synthesis / {one.tool} {one.stage}, {', '.join(quotients)}")
    return lines


def text(one: Interval | None) -> str:
    """Return a predicted number with its ends: these alone where the layer is unlike the measured ones."""
    if one is None:
        return show.DASH
    return show.ends(one.low, one.high) if one.outside else show.interval(one)


def check_stages(report: Report) -> list[Check]:
    """Return a check for numbers of C synthesis that are given out as those of a later stage; one that is called what
    it is says nothing."""
    first, checks = stated(report), list[Check]()
    for one in report.measurements:
        if one.tool in TOOLS:
            checks += resources.of_another_stage(f"numbers of {one.tool}", "hls", one)
        elif first is not None and one.stage in ("synthesis", "routed") and _same_cells(first, one):
            why = "C synthesis never meets these exactly: an estimate was taken for a measurement"
            same = f"LUT {one.total['lut']:,} and FF {one.total['ff']:,}, exactly those of C synthesis"
            checks.append(Check.of(f"numbers of {one.tool}", f"those of stage '{one.stage}'", same, False, why))
    return checks


def check_layers(report: Report) -> list[Check]:
    """Return checks of each layer that is like measured ones, where the report says what it takes; the others are not
    run."""
    predicted, measured = report.csynth, stated(report)
    if predicted is None:
        return []
    if measured is None:
        return [Check.not_run("layers by C synthesis, as predicted", show.DASH, "no C synthesis was run")]
    return [check for one in predicted.layers for check in _check_layer(one, measured)]


def _check_layer(layer: CsynthLayer, measured: Measurement) -> list[Check]:
    """Every resource of one layer that is predicted and stated."""
    of_layer = f"of layer {layer.layer} by C synthesis, as predicted"
    if not layer.calibrated:
        why = f"unlike measured layers: {', '.join(layer.outside)}" if layer.outside else "unlike measured layers"
        return [Check.not_run(f"cells {of_layer}", show.DASH, why)]
    cells = _of_layer(layer.config, measured)
    checks = [
        resources.compared(f"{name.upper()} {of_layer}", interval, cells[name], partial(_why, name))
        for name, interval in layer.predictions.items()
        if name in cells
    ]
    return checks or [Check.not_run(f"cells {of_layer}", show.DASH, "the report names no function of this layer")]


def _why(name: str, ratio: float) -> str:
    """By how much, and what usually makes such a difference."""
    if name == "dsp" and ratio > 1:
        return f"{ratio:.2f} times the prediction; likely weights or inputs are wider than stated"
    if name == "bram18":
        return "likely the weights went to memory: another strategy or reuse factor than stated"
    return f"{ratio:.2f} times the prediction; {resources.reason(name, ratio, ())}"


def _row(layer: str, predicted: Mapping[str, Interval], cells: Counts, bops: float, outside: Iterable[str]) -> Row:
    texts = tuple((text(predicted.get(name)), show.number(cells.get(name))) for name in LABELS)
    lut: float | None = cells.get("lut")
    expected = predicted.get("lut")
    if lut is None and expected is not None and not expected.outside:
        lut = expected.value
    return Row(layer, texts, bops, None if lut is None or not bops else lut / bops, tuple(outside))


def _of_layer(config: str, measured: Measurement | None) -> dict[str, int]:
    """Cells of the layer's functions; a resource that one of them does not state is left out."""
    name = re.compile(rf"dense\w*_{config}(?!\d)")
    parts = (measured.parts if measured else None) or {}
    mine = [cells for part, cells in parts.items() if name.search(part)]
    columns = {key: [cells.get(key) for cells in mine] for key in LABELS}
    known = {key: [count for count in counts if count is not None] for key, counts in columns.items()}
    return {key: sum(counts) for key, counts in known.items() if mine and len(counts) == len(mine)}


def _same_cells(one: Measurement, other: Measurement) -> bool:
    cells = [(part.total.get("lut"), part.total.get("ff")) for part in (one, other)]
    return cells[0] == cells[1] and None not in cells[0] and any(cells[0])
