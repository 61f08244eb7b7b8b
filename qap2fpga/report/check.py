# SPDX-License-Identifier: Apache-2.0
"""What was measured, compared with what the network says it must be.

A check that nothing was measured for is there too: as not run, with the reason.
"""

from __future__ import annotations

from collections.abc import Sequence

from qap2fpga import backends
from qap2fpga.hw import families
from qap2fpga.hw.resources import NAMES
from qap2fpga.prove.certificate import Word
from qap2fpga.report import csynth, resources, routed, show
from qap2fpga.report.schema import Report
from qap2fpga.report.schema.results import Check, Fits, Outcome, Use
from qap2fpga.system.errors import CheckFailed

NOT_SIMULATED = "not simulated"
# Frames that are no whole number of patterns of distances have an average that is off by so many cycles at most.
PATTERN = 0.25


def fits(report: Report) -> Fits | None:
    """Return the use of each resource that was measured and that the board's size is known of, and the verdict; None
    when there is none."""
    measured, use = report.latest, {}
    for name in NAMES if measured else ():
        used, available = measured.total.get(name) if measured else None, report.board.size(name)
        if used is not None and available is not None:
            use[name] = Use(used=used, available=available, percent=round(100 * used / available, 2))
    if measured is None or not use:
        return None
    verdict = "fits" if all(one.used <= one.available for one in use.values()) else "does not fit"
    return Fits(verdict=verdict, circuit=measured.circuit, stage=measured.stage, tool=measured.tool, use=use)


def all_checks(report: Report, *, allow_oversize: bool) -> tuple[Check, ...]:
    """Return every check of what the report is about: passed, failed, or not run and why."""
    return (
        *_mismatches(report), *_proof(report), *_cycles(report), *_dsp(report), *_resources(report),
        *csynth.check_stages(report), *csynth.check_layers(report), *_interval_of_hls(report), *_clock(report),
        *_board(report, allow_oversize=allow_oversize),
    )  # fmt: skip


def failed(report: Report) -> list[Check]:
    """Return the checks that failed."""
    return report.checks_that(Outcome.FAILED)


def not_run(report: Report) -> list[Check]:
    """Return the checks that were not run: they say nothing, good or bad."""
    return report.checks_that(Outcome.NOT_RUN)


def run(report: Report) -> list[Check]:
    """Return the checks that were run, of which all totals are."""
    return report.checks_that(Outcome.PASSED, Outcome.FAILED)


def require_passed(reports: Sequence[Report]) -> None:
    """Raise `CheckFailed` with the first check that failed, if there is one."""
    failures = [one for report in reports for one in failed(report)]
    if failures:
        first, every = failures[0], sum(len(run(report)) for report in reports)
        text = f"{first.name}: expected {first.expected}, found {first.found}"
        raise CheckFailed(f"{len(failures)} of {every} checks failed; {text}", first.why)


def _mismatches(report: Report) -> list[Check]:
    checks = []
    for one in report.simulations:
        name = f"{one.engine}: {one.compared}"
        if not one.vectors or one.mismatches is None:
            checks.append(Check.not_run(name, "0 mismatches", one.note or "no vector was simulated"))
            continue
        differ = f"{one.mismatches} in {one.vectors} vectors"
        checks.append(Check.of(name, "0 mismatches", differ, one.mismatches == 0))
    if report.design and not any(one.circuit for one in report.simulations):
        checks.append(Check.not_run("hardware equals the integer network", "0 mismatches", NOT_SIMULATED))
    return checks


def _proof(report: Report) -> list[Check]:
    """What was to be proven. What is not, for want of time or of a way to do it, is no fault."""
    checks = []
    for one in report.proof.claims if report.proof else ():
        if one.word is Word.SIMULATED:
            continue  # the simulations themselves are checks
        if one.word is Word.NOT_PROVEN:
            checks.append(Check.not_run(one.claim, Word.PROVEN, one.detail))
        else:
            proven = one.word is Word.PROVEN
            checks.append(Check.of(one.claim, Word.PROVEN, one.word, proven, "" if proven else one.detail))
    return checks


def _cycles(report: Report) -> list[Check]:
    timing, checks = report.timing, []
    if timing is None:
        return []
    advice = _advice(report.predictions[0].circuit)
    for one, name in ((timing.interval_cycles, "initiation interval"), (timing.latency_cycles, "latency")):
        predicted, measured = one.predicted, one.measured
        if measured is None or predicted is None:
            why = NOT_SIMULATED if measured is None else "nothing is predicted"
            simulated = None if measured is None else show.cycles(measured)
            checks.append(Check.not_run(name, show.cycles(predicted), why, simulated))
            continue
        # Where frames come at distances that alternate, their average is measured, and its next integer predicted.
        equal = predicted - 1 < measured < predicted + PATTERN
        why = "" if equal else advice.cycles
        checks.append(Check.of(name, show.cycles(predicted), show.cycles(measured), equal, why))
    return checks


def _resources(report: Report) -> list[Check]:
    return resources.checks(report.resources[0], report.open_measurement) if report.resources else []


def _interval_of_hls(report: Report) -> list[Check]:
    """Whether the HLS tool reached the interval that its source asks for."""
    if not report.design or not backends.get(report.backend).substitute:
        return []
    target, checks = report.design.interval_cycles, []
    for one in report.vendor or ():
        if one.step != "csynth" or one.interval_max is None or target is None:
            continue
        reached = one.interval_max
        why = "" if reached <= target else "the tool could not pipeline it so: a slower clock, or a larger reuse factor"
        name = f"initiation interval by {one.tool}"
        checks.append(Check.of(name, show.cycles(target), show.cycles(reached), reached <= target, why))
    name = "initiation interval by an HLS tool"
    return checks or [Check.not_run(name, show.cycles(target), "no report of C synthesis states one")]


def _clock(report: Report) -> list[Check]:
    """Whether a timing analysis meets the clock; before routing Vivado's is an estimate of its own."""
    if not report.design:
        return []
    checks = routed.checks(report.routed)
    for one in report.vendor or ():
        if one.wns_ns is None:
            continue
        met = one.wns_ns >= 0
        why = "" if met else f"the shortest period is {show.period(one.period_ns)}: give a slower clock, or more stages"
        name = f"clock after {one.step} by {one.tool}"
        checks.append(Check.of(name, show.period(one.target_ns), f"worst slack {one.wns_ns:g} ns", met, why))
    clock_ns = (report.timing or report.board).clock_ns
    return checks or [Check.not_run("clock", show.period(clock_ns), "nothing was placed and routed")]


def _dsp(report: Report) -> list[Check]:
    measured = report.open_measurement
    predicted = report.resources[0].total.get("dsp") if report.resources else None
    if predicted is None:
        return []
    used = None if measured is None else measured.total.get("dsp")
    if measured is None or used is None:
        return [Check.not_run("DSP blocks", str(predicted), resources.NOT_SYNTHESISED)]
    why = "" if used == predicted else _advice(measured.circuit).dsp
    return [Check.of("DSP blocks", str(predicted), str(used), used == predicted, why)]


def _board(report: Report, *, allow_oversize: bool) -> list[Check]:
    if not report.design:
        return []
    fit, name, expected = report.fits, f"fits {report.board.name}", "within the board"
    if fit is None:
        return [Check.not_run(name, expected, resources.NOT_SYNTHESISED)]
    # A circuit that stands in for another is information, not what the user wants on the board; and HLS tools state
    # several times what synthesis finds.
    if fit.circuit != report.backend:
        return [Check.not_run(name, expected, f"only the {fit.circuit} circuit in its place was measured")]
    if fit.stage == "hls":
        return [Check.not_run(name, expected, "C synthesis states several times the cells that synthesis finds")]
    names = routed.resource_names(report.board)
    over = ", ".join(f"{names[name]} {one.used} of {one.available}" for name, one in fit.over.items())
    too_small = families.of(report.board.family).too_small
    why = (too_small or _advice(fit.circuit).size) if over else ""
    if over and allow_oversize:
        return [Check.not_run(name, expected, f"a larger design is allowed; {why}", over)]
    return [Check.of(name, expected, over or "fits", not over, why)]


def _advice(circuit: str | None) -> backends.Advice:
    """Return what the backend whose hardware is `circuit` says to look at."""
    return backends.get(str(circuit)).advice
