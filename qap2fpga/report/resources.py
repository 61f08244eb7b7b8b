# SPDX-License-Identifier: Apache-2.0
"""LUTs and registers that Yosys found, held against their calibrated prediction, and what is off when they differ."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from qap2fpga.hw import families
from qap2fpga.hw.design import Check, is_of
from qap2fpga.hw.families import ESTIMATED_LUT_INPUTS
from qap2fpga.hw.resources import EXACT, NAMES
from qap2fpga.report import show

# What is exact has a check of its own.
CHECKED = tuple(name for name in NAMES if name not in EXACT)
NOT_SYNTHESISED = "not synthesised"
# A node is named as the likely cause when it is off by so much of what the whole design is off by.
SHARE = 0.25

Part = Mapping[str, Any]


def checks(prediction: Part, measured: Part | None) -> list[Check]:
    """One check a resource that has an interval; without a calibration of this generator, one that was not run.

    `prediction` is a report's entry on resources, `measured` the measurement of the same circuit and stage. A
    measurement of another stage is not compared but refused: it is a failed check.
    """
    name = "LUT, FF as predicted"
    if not prediction.get("calibrated"):
        return [Check.not_run(name, show.DASH, "the estimate is not calibrated for this generator and board")]
    if measured is None:
        return [Check.not_run(name, f"after {prediction['of_stage']}", NOT_SYNTHESISED)]
    return of_another_stage(name, prediction["of_stage"], measured) or [
        _check(name, prediction, measured) for name in CHECKED if name in prediction["intervals"]
    ]


def of_another_stage(name: str, stage: str, measured: Part) -> list[Check]:
    """The failed check that a measurement of another stage than `stage` is; none if it is of this one."""
    if measured["stage"] == stage:
        return []
    why = f"numbers of stage '{measured['stage']}' are of another kind: they are never held against these"
    return [Check.of(name, f"after {stage}", measured["stage"], False, why)]


def held(title: str, wanted: Part, found: int, why: Callable[[float], str]) -> Check:
    """`found` against the prediction `wanted`; `why` says what is likely the cause of so many times its value."""
    inside = wanted["low"] <= found <= wanted["high"]
    return Check.of(
        title, _interval(wanted), f"{found:,}", inside, "" if inside else why(found / max(wanted["value"], 1))
    )


def _check(name: str, prediction: Part, measured: Part) -> Check:
    wanted, found, title = prediction["intervals"][name], measured["total"].get(name), f"{name.upper()} as predicted"
    if found is None:
        return Check.not_run(title, _interval(wanted), f"{measured['tool']} does not count it")
    return held(title, wanted, found, lambda ratio: _why(name, prediction, measured, ratio))


def _interval(wanted: Part) -> str:
    return f"{wanted['value']:,.0f} ({show.ends(wanted['low'], wanted['high'])})"


def _why(name: str, prediction: Part, measured: Part, ratio: float) -> str:
    """By how much, the nodes that are off most, and what usually makes such a difference."""
    said = [f"{ratio:.2f} times the prediction"]
    off = suspects(name, prediction["parts"], measured.get("parts") or {})
    layers = prediction.get("layer_of") or {}
    named = {node: f"{node} (layer {layers[node]})" if node in layers else node for node, _, _ in off}
    said += [f"{named[node]}: {found:,} where about {wanted:,.0f} were expected" for node, wanted, found in off]
    said.append(reason(name, ratio, off))
    return "; ".join(said)


def basis(prediction: Part, family: str | None) -> str:
    """What the prediction and its interval rest on, in a sentence or two; `family` is the board's."""
    if "calibrated" not in prediction:
        return f"estimated by {prediction.get('tool', 'a tool')}, so LUTs and FFs are not checked"
    if not prediction["calibrated"]:
        why = "no measured designs of this generator"
        if not families.of(family).estimated:
            why = f"no measured designs for {family}, and the estimate is in {ESTIMATED_LUT_INPUTS}-input LUTs"
        return f"not calibrated: {why}, so LUTs and FFs are not checked"
    said = "intervals: where measured random designs of this generator stayed"
    band = prediction.get("lut_per_bop")
    if band:
        said += f"; LUT per BOP was {band['low']:.3f} to {band['high']:.3f} in nine of ten of them"
    outside = sorted({text for one in prediction["intervals"].values() for text in one["outside"]})
    return said + (
        f"; wider here, as the design is outside of what was measured: {', '.join(outside)}" if outside else ""
    )


def suspects(name: str, nodes: Mapping[str, Part], parts: Mapping[str, Part]) -> list[tuple[str, float, int]]:
    """(node, expected, found) of the nodes that make most of the difference, the worst first."""
    rows = []
    for node, estimate in nodes.items():
        mine = [part[name] for key, part in parts.items() if is_of(key, node) and part.get(name) is not None]
        if mine and estimate.get(name) is not None:
            rows.append((node, float(estimate[name]), int(sum(mine))))
    difference = abs(sum(found - wanted for _, wanted, found in rows))
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
