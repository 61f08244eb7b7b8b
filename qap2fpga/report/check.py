# SPDX-License-Identifier: Apache-2.0
"""What was measured, held against what the network says it must be."""

from __future__ import annotations

from typing import Any

from qap2fpga import backends
from qap2fpga.board import ECP5
from qap2fpga.design import Check
from qap2fpga.report import csynth, resources, routed

RESOURCES = ("lut", "ff", "dsp", "bram18")


def latest(report: dict[str, Any]) -> dict[str, Any] | None:
    """The measurement that counts for the board: the last one that was made."""
    return report["measurements"][-1] if report["measurements"] else None


def open_measurement(report: dict[str, Any]) -> dict[str, Any] | None:
    """What Yosys measured, which predictions are about; None where it did not run."""
    return next((one for one in report["measurements"] if one["tool"] == "yosys"), None)


def fits(report: dict[str, Any]) -> dict[str, Any] | None:
    """Use against the board for each resource that was measured and that the board's size is known of, and the
    verdict; None when there is none."""
    measured = latest(report)
    if measured is None:
        return None
    board, use = report["board"], {}
    for name in RESOURCES:
        found = measured["total"].get(name)
        if found is not None and board[name] is not None:
            use[name] = {"used": found, "available": board[name], "percent": round(100 * found / board[name], 2)}
    if not use:
        return None
    verdict = all(one["used"] <= one["available"] for one in use.values())
    return {
        "verdict": "fits" if verdict else "does not fit",
        "circuit": measured["circuit"],
        "stage": measured["stage"],
        "tool": measured["tool"],
        "use": use,
    }


def all_checks(report: dict[str, Any], *, allow_oversize: bool) -> list[Check]:
    """Every check that the report's content allows."""
    return [
        *_mismatches(report), *_cycles(report), *_dsp(report), *_resources(report), *csynth.check_stages(report),
        *csynth.check_layers(report), *_interval_of_hls(report), *_clock(report), *routed.checks(report.get("routed")),
        *_board(report, allow_oversize=allow_oversize),
    ]  # fmt: skip


def failed(report: dict[str, Any]) -> list[dict[str, Any]]:
    """The checks of a stored report that did not pass."""
    return [one for one in report["checks"] if not one["passed"]]


def _mismatches(report: dict[str, Any]) -> list[Check]:
    checks = []
    for one in report["simulations"]:
        found = f"{one['mismatches']} in {one['vectors']} vectors"
        if not one["vectors"]:
            checks.append(
                Check(f"{one['engine']}: {one['compared']}", "0 mismatches", "not simulated", True, one["note"])
            )
            continue
        checks.append(Check(f"{one['engine']}: {one['compared']}", "0 mismatches", found, one["mismatches"] == 0))
    return checks


def _cycles(report: dict[str, Any]) -> list[Check]:
    timing = report["timing"]
    if timing is None:
        return []
    advice, checks = _advice(report["predictions"][0]), []
    for key, name in (("interval_cycles", "initiation interval"), ("latency_cycles", "latency")):
        if timing[key]["measured"] is None or timing[key]["predicted"] is None:
            continue
        predicted, measured = timing[key]["predicted"], timing[key]["measured"]
        why = "" if predicted == measured else advice.cycles
        checks.append(Check(name, f"{predicted:g} cycles", f"{measured:g} cycles", predicted == measured, why))
    return checks


def _resources(report: dict[str, Any]) -> list[Check]:
    measured = open_measurement(report)
    predicted = next((one for one in report["predictions"] if one["what"] == "resources"), None)
    return resources.checks(predicted, measured) if predicted and measured else []


def _interval_of_hls(report: dict[str, Any]) -> list[Check]:
    """Whether the HLS tool reached the interval that its source asks for."""
    checks = []
    for one in report["vendor"] or []:
        if one["step"] != "csynth" or one["interval_max"] is None:
            continue
        asked, found = report["design"]["interval_cycles"], one["interval_max"]
        why = "" if found <= asked else "the tool could not pipeline it so: a slower clock, or a larger reuse factor"
        name = f"initiation interval by {one['tool']}"
        checks.append(Check(name, f"{asked} cycles", f"{found} cycles", found <= asked, why))
    return checks


def _clock(report: dict[str, Any]) -> list[Check]:
    """Whether Vivado's timing analysis meets the clock; before routing it is an estimate of its own."""
    checks = []
    for one in report["vendor"] or []:
        if one["wns_ns"] is None:
            continue
        met = one["wns_ns"] >= 0
        found = f"worst slack {one['wns_ns']:g} ns"
        why = "" if met else f"the shortest period is {one['period_ns']:g} ns: give a slower clock, or more stages"
        checks.append(Check(f"clock after {one['step']} by {one['tool']}", f"{one['target_ns']:g} ns", found, met, why))
    return checks


def _dsp(report: dict[str, Any]) -> list[Check]:
    measured = open_measurement(report)
    predicted = next((one["total"].get("dsp") for one in report["predictions"] if one["what"] == "resources"), None)
    if measured is None or predicted is None or measured["total"]["dsp"] is None:
        return []
    found = measured["total"]["dsp"]
    why = "" if found == predicted else _advice(measured).dsp
    return [Check("DSP blocks", str(predicted), str(found), found == predicted, why)]


def _board(report: dict[str, Any], *, allow_oversize: bool) -> list[Check]:
    use = report["fits"]
    # A circuit that stands in for another is information, not what the user wants on the board; and HLS tools state
    # several times what synthesis finds.
    if use is None or use["circuit"] != report["backend"] or use["stage"] == "hls":
        return []
    names = routed.resource_names(report["board"])
    over = [
        f"{names[name]} {one['used']} of {one['available']}"
        for name, one in use["use"].items()
        if one["used"] > one["available"]
    ]
    advice = routed.SIZE if report["board"].get("family") == ECP5 else _advice(use).size
    why = advice + (" (allowed)" if allow_oversize else "") if over else ""
    return [
        Check(
            f"fits {report['board']['name']}",
            "within the board",
            ", ".join(over) or "fits",
            not over or allow_oversize,
            why,
        )
    ]


def _advice(part: dict[str, Any]) -> backends.Advice:
    """What the backend whose circuit `part` of a report is about says to look at."""
    return backends.get(part["circuit"]).advice
