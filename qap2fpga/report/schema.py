# SPDX-License-Identifier: Apache-2.0
"""The types of what is read of a `report.json`; `docs/formats.md` says what each means. Other keys may be there.

A report comes from a folder that anyone may have changed, so `require` looks at all that is shown, summed or divided.
"""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import Any, Literal, NotRequired, TypedDict

from qap2fpga.report.show import RESOURCE_NAMES
from qap2fpga.system.codec import Count, Number, Positive, Size, check
from qap2fpga.system.errors import QapError
from qap2fpga.system.reading import shown

HINT = "build again"


class Bops(TypedDict):
    paper: Number
    paper_code: Number
    paper_code_rounded: Number
    nonzero_products: Number


class LayerBops(TypedDict):
    paper: Number
    nonzero_products: Number


class Hardware(TypedDict):
    inputs: Count
    outputs: Count
    accumulator_bits: Count
    nonzeros: Count


class Layer(TypedDict):
    name: str
    inputs: Count
    outputs: Count
    weight_bits: Count
    input_bits: Count
    weights: Size
    zeros: Count
    bops: LayerBops
    hardware: Hardware


class Export(TypedDict):
    same_class: float
    largest_difference: float
    rows: Count


class QuantizerCost(TypedDict):
    same_class: float
    rows: Count
    accuracy: NotRequired[float]
    accuracy_raw: NotRequired[float]


class Model(TypedDict):
    file: str
    sha256: NotRequired[str | None]
    inputs: Count
    outputs: Count
    accuracy: float | None
    rows: Count | None
    data: NotRequired[str | None]
    notes: list[str]
    layers: list[Layer]
    bops: Bops
    export: NotRequired[Export | None]
    input_quantizer_cost: NotRequired[QuantizerCost | None]


class Board(TypedDict):
    name: str
    title: str
    part: str
    family: NotRequired[str | None]
    clock_ns: Positive | None
    lut: Size | None
    ff: Size | None
    dsp: Size | None
    bram18: Size | None


class Accuracy(TypedDict):
    output: str
    rows: Count
    value: float


class DesignLayer(TypedDict):
    how: str
    after_compaction: Count | None
    in_source: Count | None
    multipliers: Count | None


class Node(TypedDict):
    name: str
    layer: NotRequired[str | None]


class Design(TypedDict):
    top: str | None
    accuracy: NotRequired[Accuracy | None]
    strategy: NotRequired[str]
    hls4ml_version: NotRequired[str]
    interval_cycles: NotRequired[Count | None]
    clock_ns: NotRequired[Positive | None]
    layers: NotRequired[list[DesignLayer]]
    nodes: NotRequired[list[Node]]
    warnings: NotRequired[list[str]]
    widened: NotRequired[list[str]]
    padded: NotRequired[list[str]]


class StandIn(TypedDict):
    backend: str
    why: NotRequired[str]
    refused: NotRequired[str | None]
    design: NotRequired[Design]


class RelaxedLayer(TypedDict):
    channels: Count
    changed: Count
    largest: Count
    cost_before: Number
    cost_after: Number


class Relaxed(TypedDict):
    layers: list[RelaxedLayer]
    tolerance: Count
    accuracy: float | None
    accuracy_exact: NotRequired[float | None]


class Simulation(TypedDict):
    circuit: str | None
    engine: str
    version: str
    compared: str
    vectors: Count | None
    mismatches: Count | None
    rounding_ties: Count | None
    note: str


class Measurement(TypedDict):
    circuit: str | None
    tool: str
    version: str | None
    stage: str
    total: dict[str, Count | None]
    parts: NotRequired[dict[str, dict[str, Count | None]] | None]
    note: NotRequired[str]
    cell_delay_ns: NotRequired[float | None]


class Interval(TypedDict):
    value: Number
    low: Number
    high: Number
    outside: list[str]


class CsynthLayer(TypedDict):
    layer: str
    config: str
    calibrated: bool
    outside: list[str]
    missing: dict[str, str]
    predictions: dict[str, Interval]


class LutPerBop(TypedDict):
    low: float
    high: float


class Prediction(TypedDict):
    circuit: str | None
    what: str
    tool: NotRequired[str]
    version: NotRequired[str | None]
    stage: str


class ResourcePrediction(Prediction):
    total: dict[str, Number | None]
    parts: NotRequired[dict[str, dict[str, Number | None]]]
    calibrated: NotRequired[bool]
    intervals: NotRequired[dict[str, Interval]]
    lut_per_bop: NotRequired[LutPerBop | None]


class CsynthPrediction(Prediction):
    layers: list[CsynthLayer]
    total: dict[str, Interval]
    errors: list[str]
    observed: list[str]


class Cycles(TypedDict):
    predicted: Number | None
    measured: Number | None


class Timing(TypedDict):
    latency_cycles: Cycles
    interval_cycles: Cycles
    clock_ns: Positive | None
    latency_ns: Number | None
    frames_per_second: Number | None
    clock_note: str


class VendorStep(TypedDict):
    step: str
    tool: str
    latency_max: Count | None
    interval_max: Count | None
    period_ns: float | None
    wns_ns: float | None


class Routed(TypedDict):
    tool: str
    version: str
    part: str
    path: str | None
    achieved_ns: Positive | None
    target_ns: Positive
    used: dict[str, tuple[Count, Size]]
    bitstream: str | None
    vectors_per_second: NotRequired[Number | None]


class Use(TypedDict):
    used: Count
    available: Size
    percent: Number


class Fits(TypedDict):
    verdict: str
    circuit: str | None
    stage: str
    use: dict[str, Use]


class Check(TypedDict):
    name: str
    expected: str
    found: str | None
    outcome: Literal["passed", "failed", "not run"]
    why: str


class Skipped(TypedDict):
    path: str
    kind: str
    reason: str
    broken: bool


class Imported(TypedDict):
    skipped: list[Skipped]


class Quantizer(TypedDict):
    scale: list[float]
    low: int
    high: int


class Port(TypedDict):
    name: str
    elements: Count
    bits: Count
    signed: bool
    beats: NotRequired[Count]
    lanes: NotRequired[Count]
    beat_bits: NotRequired[Count]
    layout: NotRequired[str]
    quantizer: NotRequired[Quantizer]
    scale: NotRequired[str]
    kind: NotRequired[str]


class Example(TypedDict):
    real: list[float] | None
    integers: list[int]
    output_integers: list[int]
    output_values: list[float]
    input_bytes: NotRequired[list[str]]
    output_bytes: NotRequired[list[str]]


class Interface(TypedDict):
    input: Port
    output: Port
    example: NotRequired[Example | None]


class Report(TypedDict):
    model: Model | None
    board: Board
    backend: str
    relaxed: NotRequired[Relaxed | None]
    design: Design | None
    interface: Interface | None
    stand_in: StandIn | None
    simulations: list[Simulation]
    measurements: list[Measurement]
    predictions: list[Prediction]
    timing: Timing | None
    vendor: list[VendorStep] | None
    routed: NotRequired[Routed | None]
    cross_check: NotRequired[Routed | None]
    fits: Fits | None
    checks: list[Check]
    imported: NotRequired[Imported]


PREDICTIONS = {"resources": ResourcePrediction, "csynth": CsynthPrediction}


def require(report: dict[str, Any], path: Path) -> None:
    """Raise `QapError` for the first part of a report that is missing, of another type, or does not fit the others."""
    where = str(path)
    check(Report, report, "", where)
    for index, one in enumerate(report["predictions"]):
        check(PREDICTIONS.get(one["what"], Prediction), one, f"predictions[{index}]", where)
        if missing := one.get("intervals") and set(RESOURCE_NAMES) - set(one["intervals"]):
            raise QapError(f"{where}: predictions[{index}].intervals has no {', '.join(sorted(missing))}", HINT)
    relaxed = report.get("relaxed")
    if relaxed and relaxed["accuracy"] is not None and relaxed.get("accuracy_exact") is None:
        raise QapError(f"{where}: 'relaxed.accuracy_exact' is missing", HINT)
    model, written = report["model"], (report["design"] or {}).get("layers")
    if model is not None and not model["layers"]:
        raise QapError(f"{where}: the model has no layers", HINT)
    if written is not None and (model is None or len(model["layers"]) != len(written)):
        raise QapError(f"{where}: design.layers and model.layers have different lengths", HINT)
    known = {layer["name"] for layer in model["layers"]} if model else set()
    expected = (one["layers"] for one in report["predictions"] if one["what"] == "csynth")
    for layer in chain.from_iterable(expected) if model else ():
        if layer["layer"] not in known:
            raise QapError(f"{where}: a prediction is of layer {shown(layer['layer'])}, which the model has not", HINT)
    for name, use in ((report["fits"] or {}).get("use") or {}).items():
        if name not in RESOURCE_NAMES:
            raise QapError(f"{where}: fits.use.{name} is no resource: {shown(use)}", HINT)
