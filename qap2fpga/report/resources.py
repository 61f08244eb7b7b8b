# SPDX-License-Identifier: Apache-2.0
"""LUTs and registers that Yosys found, compared with their calibrated prediction, and what is off when they differ."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from qap2fpga.estimate.prediction import Interval
from qap2fpga.hw import families
from qap2fpga.hw.design import is_of
from qap2fpga.hw.families import ESTIMATED_LUT_INPUTS
from qap2fpga.hw.resources import EXACT, NAMES
from qap2fpga.report import show
from qap2fpga.report.schema.results import Check, Measurement, ResourcePrediction

# What is exact has a check of its own.
CHECKED = tuple(name for name in NAMES if name not in EXACT)
NOT_SYNTHESISED = "not synthesised"
# A node is named as the likely cause when it is off by so much of what the whole design is off by.
SHARE = 0.25

Cells = Mapping[str, float | None]


def checks(prediction: ResourcePrediction, measured: Measurement | None) -> list[Check]:
    """Return one check per resource that has an interval; without a calibration of this generator, one that was not
    run.

    `measured` is of the same circuit and stage. A measurement of another stage is not compared but refused: it is a
    failed check.
    """
    name = "LUT, FF as predicted"
    if not prediction.calibrated:
        return [Check.not_run(name, show.DASH, "the estimate is not calibrated for this generator and board")]
    if measured is None:
        return [Check.not_run(name, f"after {prediction.of_stage}", NOT_SYNTHESISED)]
    return of_another_stage(name, prediction.of_stage, measured) or [
        _check(name, prediction, measured) for name in CHECKED if name in prediction.intervals
    ]


def of_another_stage(name: str, stage: str, measured: Measurement) -> list[Check]:
    """Return the failed check that a measurement of another stage than `stage` is; none if it is of this one."""
    if measured.stage == stage:
        return []
    why = f"numbers of stage '{measured.stage}' are of another kind: they are never compared with these"
    return [Check.of(name, f"after {stage}", measured.stage, False, why)]


def compared(title: str, predicted: Interval, used: int, why: Callable[[float], str]) -> Check:
    """Return the check of `used` against `predicted`; `why` gives a likely cause of so many times its value."""
    inside = predicted.low <= used <= predicted.high
    return Check.of(
        title, show.interval(predicted), f"{used:,}", inside, "" if inside else why(used / max(predicted.value, 1))
    )


def _check(name: str, prediction: ResourcePrediction, measured: Measurement) -> Check:
    predicted, used, title = prediction.intervals[name], measured.total.get(name), f"{name.upper()} as predicted"
    if used is None:
        return Check.not_run(title, show.interval(predicted), f"{measured.tool} does not count it")
    return compared(title, predicted, used, lambda ratio: _why(name, prediction, measured, ratio))


def _why(name: str, prediction: ResourcePrediction, measured: Measurement, ratio: float) -> str:
    """By how much, the nodes that are off most, and what usually makes such a difference."""
    off, layers = suspects(name, prediction.parts, measured.parts or {}), prediction.layer_of
    parts = [f"{ratio:.2f} times the prediction"]
    for node, predicted, used in off:
        title = f"{node} (layer {layers[node]})" if node in layers else node
        parts.append(f"{title}: {used:,} where about {predicted:,.0f} were expected")
    return "; ".join([*parts, reason(name, ratio, off)])


def basis(prediction: ResourcePrediction, family: str | None) -> str:
    """Return what the prediction and its interval rest on, in a sentence or two; `family` is the board's."""
    if prediction.calibrated is None:
        return f"estimated by {prediction.tool or 'a tool'}, so LUTs and FFs are not checked"
    if not prediction.calibrated:
        why = "no measured designs of this generator with such nodes"
        if not families.of(family).estimated:
            why = f"no measured designs for {family}, and the estimate is in {ESTIMATED_LUT_INPUTS}-input LUTs"
        return f"not calibrated: {why}, so LUTs and FFs are not checked"
    text, band = "intervals: where measured random designs of this generator stayed", prediction.lut_per_bop
    if band:
        text += f"; LUT per BOP was {band.low:.3f} to {band.high:.3f} in nine of ten of them"
    outside = sorted({reason for one in prediction.intervals.values() for reason in one.outside})
    return text + (
        f"; wider here, as the design is outside of what was measured: {', '.join(outside)}" if outside else ""
    )


def suspects(name: str, nodes: Mapping[str, Cells], parts: Mapping[str, Cells]) -> list[tuple[str, float, int]]:
    """Return (node, expected, found) of the nodes that make most of the difference, the worst first."""
    rows = []
    for node, estimate in nodes.items():
        counts = [part.get(name) for key, part in parts.items() if is_of(key, node)]
        known, predicted = [count for count in counts if count is not None], estimate.get(name)
        if known and predicted is not None:
            rows.append((node, float(predicted), int(sum(known))))
    difference = abs(sum(used - predicted for _, predicted, used in rows))
    rows.sort(key=lambda row: -abs(row[2] - row[1]))
    return [row for row in rows if abs(row[2] - row[1]) > SHARE * difference > 0][:3]


def reason(name: str, ratio: float, off: Sequence[tuple[str, float, int]]) -> str:
    """What usually makes a design take so many times its prediction, where the nodes `off` are."""
    if name == "ff" and ratio > 1:
        return "likely more pipeline stages, or deeper queues, than planned"
    if ratio > 1:
        grown = len(off) == 1 and math.log2(max(off[0][2], 1) / max(off[0][1], 1)) > 1
        what = "one layer was synthesised dense" if grown else "pruned weights came back, or bits are wider than stated"
        return f"likely {what}"
    return "likely a part was optimised away, or the report is of another design"
