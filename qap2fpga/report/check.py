# SPDX-License-Identifier: Apache-2.0
"""What was measured, compared with what the network says it must be.

A check that nothing was measured for is there too: as not run, with the reason.
"""

from __future__ import annotations

from typing import Any

from qap2fpga import backends
from qap2fpga.hw import families
from qap2fpga.hw.design import Check, Outcome
from qap2fpga.hw.resources import NAMES
from qap2fpga.report import csynth, resources, routed, show

NOT_SIMULATED = "not simulated"


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
    for name in NAMES:
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
    """Every check of what the report is about: passed, failed, or not run and why."""
    return [
        *_mismatches(report), *_cycles(report), *_dsp(report), *_resources(report), *csynth.check_stages(report),
        *csynth.check_layers(report), *_interval_of_hls(report), *_clock(report),
        *_board(report, allow_oversize=allow_oversize),
    ]  # fmt: skip


def failed(report: dict[str, Any]) -> list[dict[str, Any]]:
    """The checks of a stored report that failed."""
    return _that(report, Outcome.FAILED)


def not_run(report: dict[str, Any]) -> list[dict[str, Any]]:
    """The checks of a stored report that were not run: they say nothing, good or bad."""
    return _that(report, Outcome.NOT_RUN)


def run(report: dict[str, Any]) -> list[dict[str, Any]]:
    """The checks of a stored report that were run, of which all totals are."""
    return [one for one in report.get("checks") or [] if one["outcome"] != Outcome.NOT_RUN]


def _that(report: dict[str, Any], outcome: Outcome) -> list[dict[str, Any]]:
    return [one for one in report.get("checks") or [] if one["outcome"] == outcome]


def _mismatches(report: dict[str, Any]) -> list[Check]:
    checks = []
    for one in report["simulations"]:
        name = f"{one['engine']}: {one['compared']}"
        if not one["vectors"] or one["mismatches"] is None:
            checks.append(Check.not_run(name, "0 mismatches", one["note"] or "no vector was simulated"))
            continue
        found = f"{one['mismatches']} in {one['vectors']} vectors"
        checks.append(Check.of(name, "0 mismatches", found, one["mismatches"] == 0))
    if report["design"] and not any(one["circuit"] for one in report["simulations"]):
        checks.append(Check.not_run("hardware equals the integer network", "0 mismatches", NOT_SIMULATED))
    return checks


def _cycles(report: dict[str, Any]) -> list[Check]:
    timing = report["timing"]
    if timing is None:
        return []
    advice, checks = _advice(report["predictions"][0]), []
    for key, name in (("interval_cycles", "initiation interval"), ("latency_cycles", "latency")):
        predicted, measured = timing[key]["predicted"], timing[key]["measured"]
        expected = show.cycles(predicted)
        if measured is None or predicted is None:
            why = NOT_SIMULATED if measured is None else "nothing is predicted"
            checks.append(Check.not_run(name, expected, why, None if measured is None else show.cycles(measured)))
            continue
        why = "" if predicted == measured else advice.cycles
        checks.append(Check.of(name, f"{predicted:g} cycles", f"{measured:g} cycles", predicted == measured, why))
    return checks


def _resources(report: dict[str, Any]) -> list[Check]:
    predicted = _predicted(report)
    return [] if predicted is None else resources.checks(predicted, open_measurement(report))


def _predicted(report: dict[str, Any]) -> dict[str, Any] | None:
    return next((one for one in report["predictions"] if one["what"] == "resources"), None)


def _interval_of_hls(report: dict[str, Any]) -> list[Check]:
    """Whether the HLS tool reached the interval that its source asks for."""
    if not report["design"] or not backends.get(report["backend"]).substitute:
        return []
    asked, checks = report["design"]["interval_cycles"], []
    for one in report["vendor"] or []:
        if one["step"] != "csynth" or one["interval_max"] is None:
            continue
        found = one["interval_max"]
        why = "" if found <= asked else "the tool could not pipeline it so: a slower clock, or a larger reuse factor"
        name = f"initiation interval by {one['tool']}"
        checks.append(Check.of(name, f"{asked} cycles", f"{found} cycles", found <= asked, why))
    name = "initiation interval by an HLS tool"
    return checks or [Check.not_run(name, f"{asked} cycles", "no report of C synthesis states one")]


def _clock(report: dict[str, Any]) -> list[Check]:
    """Whether a timing analysis meets the clock; before routing Vivado's is an estimate of its own."""
    if not report["design"]:
        return []
    checks = routed.checks(report.get("routed"))
    for one in report["vendor"] or []:
        if one["wns_ns"] is None:
            continue
        met = one["wns_ns"] >= 0
        found = f"worst slack {one['wns_ns']:g} ns"
        why = "" if met else f"the shortest period is {one['period_ns']:g} ns: give a slower clock, or more stages"
        name = f"clock after {one['step']} by {one['tool']}"
        checks.append(Check.of(name, f"{one['target_ns']:g} ns", found, met, why))
    clock_ns = (report["timing"] or report["board"])["clock_ns"]
    return checks or [Check.not_run("clock", f"{clock_ns:g} ns", "nothing was placed and routed")]


def _dsp(report: dict[str, Any]) -> list[Check]:
    measured, prediction = open_measurement(report), _predicted(report)
    predicted = None if prediction is None else prediction["total"].get("dsp")
    if predicted is None:
        return []
    found = None if measured is None else measured["total"]["dsp"]
    if measured is None or found is None:
        return [Check.not_run("DSP blocks", str(predicted), resources.NOT_SYNTHESISED)]
    why = "" if found == predicted else _advice(measured).dsp
    return [Check.of("DSP blocks", str(predicted), str(found), found == predicted, why)]


def _board(report: dict[str, Any], *, allow_oversize: bool) -> list[Check]:
    if not report["design"]:
        return []
    use, name, expected = report["fits"], f"fits {report['board']['name']}", "within the board"
    if use is None:
        return [Check.not_run(name, expected, resources.NOT_SYNTHESISED)]
    # A circuit that stands in for another is information, not what the user wants on the board; and HLS tools state
    # several times what synthesis finds.
    if use["circuit"] != report["backend"]:
        return [Check.not_run(name, expected, f"only the {use['circuit']} circuit in its place was measured")]
    if use["stage"] == "hls":
        return [Check.not_run(name, expected, "C synthesis states several times the cells that synthesis finds")]
    names = routed.resource_names(report["board"])
    over = ", ".join(
        f"{names[name]} {one['used']} of {one['available']}"
        for name, one in use["use"].items()
        if one["used"] > one["available"]
    )
    too_small = families.of(report["board"].get("family")).too_small
    why = (too_small or _advice(use).size) if over else ""
    if over and allow_oversize:
        return [Check.not_run(name, expected, f"a larger design is allowed; {why}", over)]
    return [Check.of(name, expected, over or "fits", not over, why)]


def _advice(part: dict[str, Any]) -> backends.Advice:
    """What the backend whose circuit `part` of a report is about says to look at."""
    return backends.get(part["circuit"]).advice
