# SPDX-License-Identifier: Apache-2.0
"""Every check can pass, can fail, and is said not to have been run where nothing was compared."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from qap2fpga.report import check, compare, page, rows, summary
from qap2fpga.report.gather import Build, Gathered
from qap2fpga.report.schema.results import Outcome
from qap2fpga.report.section import section
from qap2fpga.system.errors import CheckFailed
from tests.support.reports import closed, finished, read, shown, sound

Report = dict[str, Any]
Change = Callable[[Report], None]
STEP = {
    "step": "route", "tool": "vivado", "wns_ns": 0.1, "period_ns": 9.9, "target_ns": 10.0, "interval_max": None,
    "latency_max": None,
}  # fmt: skip
ROUTED = {
    "tool": "nextpnr", "version": "0.7", "part": "a", "target_ns": 10.0, "achieved_ns": 9.0, "path": "p", "used": {},
    "bitstream": None, "vectors_per_second": 1.0,
}  # fmt: skip
PROOF = {
    "format": 1, "files": {}, "versions": {}, "trusted": ["ABC's answer"],
    "claims": [{"claim": "the netlist is the Verilog", "word": "proven", "detail": "3 modules"}],
}  # fmt: skip
LAYER = {
    "name": "dense0", "layer": "fc1", "config": "config2", "calibrated": True, "outside": [], "missing": {},
    "predictions": {"lut": {"value": 5000.0, "low": 4000.0, "high": 6000.0, "outside": []}},
}  # fmt: skip
CSYNTH = {
    "circuit": "hls4ml", "what": "csynth", "stage": "estimate", "errors": [], "observed": [], "layers": [LAYER],
    "total": {"lut": {"value": 5000.0, "low": 4000.0, "high": 6000.0, "outside": []}},
}  # fmt: skip


def both(*changes: Change) -> Change:
    """All `changes`, one after the other."""

    def change(report: Report) -> None:
        for one in changes:
            one(report)

    return change


def put(*path: Any, value: Any) -> Change:
    """Sets what stands at `path`."""

    def change(report: Report) -> None:
        place: Any = report
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value

    return change


def calibrated(report: Report) -> None:
    report["predictions"][1]["calibrated"] = True
    for name, found in (("lut", 5000), ("ff", 6000), ("bram18", 4)):
        report["predictions"][1]["intervals"][name] |= {"low": found - 1.0, "high": found + 1.0}


def placed(report: Report) -> None:
    report["routed"] = dict(ROUTED)


def hls(report: Report) -> None:
    """The report of C++ whose own numbers C synthesis stated."""
    report["backend"] = "hls4ml"
    report["predictions"].append(CSYNTH)
    parts = {"dense_config2": {"lut": 5000, "ff": 1, "dsp": 0, "bram18": 0}}
    one = report["measurements"][0]
    report["measurements"] = [one | {"tool": "vitis_hls", "stage": "hls", "circuit": "hls4ml", "parts": parts}]
    report["vendor"] = [STEP | {"step": "csynth", "tool": "vitis_hls", "wns_ns": None, "interval_max": 64}]


def proven(report: Report) -> None:
    report["proof"] = json.loads(json.dumps(PROOF))


SAME: Change = lambda report: None  # noqa: E731
NO_CELLS = put("measurements", value=[])
# Of each check: its name, what makes it pass, what fails it then, and what leaves it not run then.
CHECKS: list[tuple[str, Change, Change, Change]] = [
    ("torch: layer by layer", SAME, put("simulations", 0, "mismatches", value=1),
     put("simulations", 0, "vectors", value=0)),
    ("Verilator: RTL", SAME, put("simulations", 1, "mismatches", value=1), put("simulations", 1, "vectors", value=0)),
    ("initiation interval", SAME, put("timing", "interval_cycles", "measured", value=65.0),
     put("timing", "interval_cycles", "measured", value=None)),
    ("latency", SAME, put("timing", "latency_cycles", "measured", value=1),
     put("timing", "latency_cycles", "measured", value=None)),
    ("DSP blocks", SAME, put("measurements", 0, "total", "dsp", value=13), NO_CELLS),
    ("LUT as predicted", calibrated, put("measurements", 0, "total", "lut", value=9999),
     put("measurements", 0, "total", "lut", value=None)),
    ("FF as predicted", calibrated, put("measurements", 0, "total", "ff", value=1),
     put("measurements", 0, "total", "ff", value=None)),
    ("BRAM18 as predicted", calibrated, put("measurements", 0, "total", "bram18", value=99),
     put("measurements", 0, "total", "bram18", value=None)),
    ("the netlist is the Verilog", proven, put("proof", "claims", 0, "word", value="refuted"),
     put("proof", "claims", 0, "word", value="not proven")),
    ("clock after route by vivado", put("vendor", value=[dict(STEP)]), put("vendor", 0, "wns_ns", value=-0.1), SAME),
    ("clock after place and route by nextpnr", placed, put("routed", "achieved_ns", value=11.0),
     put("routed", "achieved_ns", value=None)),
    ("fits pynq-z2", SAME, put("measurements", 0, "total", "lut", value=53201), NO_CELLS),
    ("LUT of layer fc1 by C synthesis, as predicted", hls,
     put("measurements", 0, "parts", value={"dense_config2": {"lut": 9000, "ff": 1, "dsp": 0, "bram18": 0}}), SAME),
    ("initiation interval by vitis_hls", hls, put("vendor", 0, "interval_max", value=65), SAME),
]  # fmt: skip
NAMES = [name for name, *_ in CHECKS]


def outcome(name: str, *changes: Change) -> tuple[str, Report]:
    """What came of the check `name` after `changes`, and the report."""
    report = finished()
    both(*changes)(report)
    (one,) = (one for one in closed(report)["checks"] if one["name"] == name)
    return one["outcome"], report


@pytest.mark.parametrize(("name", "good", "bad"), [one[:3] for one in CHECKS], ids=NAMES)
def test_a_check_passes_and_fails(name: str, good: Change, bad: Change) -> None:
    result, report = outcome(name, good)
    assert result == Outcome.PASSED
    assert [one["why"] for one in report["checks"] if one["name"] == name] == [""]
    check.require_passed([read(report)])
    result, report = outcome(name, good, bad)
    assert result == Outcome.FAILED
    assert name in [one.name for one in check.failed(read(report))]
    with pytest.raises(CheckFailed) as caught:
        check.require_passed([read(report)])
    assert caught.value.exit_code == 1


@pytest.mark.parametrize(("name", "good", "left"), [(one[0], one[1], one[3]) for one in CHECKS if one[3] is not SAME])
def test_a_check_that_compared_nothing_is_not_run_with_the_reason(name: str, good: Change, left: Change) -> None:
    report = finished()
    both(good, left)(report)
    closed(report)
    group = "LUT, FF as predicted" if name.endswith("as predicted") and not report["measurements"] else name
    (one,) = (one for one in report["checks"] if one["name"] == group)
    assert (one["outcome"], one["found"]) == (Outcome.NOT_RUN, None) and one["why"]
    assert name not in [one.name for one in check.run(read(report))] and not check.failed(read(report))
    check.require_passed([read(report)])
    assert f"{group}: not run, {one['why']}" in " ".join(shown(report).split())


@pytest.mark.parametrize(
    ("name", "change", "why"),
    [
        ("clock", SAME, "nothing was placed and routed"),
        ("LUT, FF as predicted", SAME, "not calibrated"),
        ("LUT, FF as predicted", both(calibrated, NO_CELLS), "not synthesised"),
        ("layers by C synthesis, as predicted", both(hls, NO_CELLS), "no C synthesis was run"),
        ("initiation interval by an HLS tool", both(hls, put("vendor", value=None)), "no report of C synthesis"),
        ("cells of layer fc1 by C synthesis, as predicted", both(hls, put("measurements", 0, "parts", value={})),
         "names no function"),
        ("fits pynq-z2", hls, "C synthesis states several times"),
        ("fits pynq-z2", put("measurements", 0, "circuit", value="rtl"), "only the rtl circuit in its place"),
        ("hardware equals the integer network", lambda report: report["simulations"].pop(), "not simulated"),
    ],
)  # fmt: skip
def test_what_never_ran_is_listed_too(name: str, change: Change, why: str) -> None:
    report = finished()
    change(report)
    (one,) = (one for one in closed(report)["checks"] if one["name"] == name)
    assert one["outcome"] == Outcome.NOT_RUN and why in one["why"]


def test_a_measurement_of_another_stage_fails() -> None:
    result, _ = outcome("LUT, FF as predicted", calibrated, put("measurements", 0, "stage", value="hls"))
    assert result == Outcome.FAILED


def build(report: Report, name: str) -> Build:
    """The build that a file of this JSON tells of."""
    typed = read(report)
    return Build(name, Path(name), typed, summary.of_build(name, Path(name), typed))


def shown_everywhere(report: Report) -> tuple[str, str, dict[str, str], dict[str, Any]]:
    """The report on a terminal, as a page, as a row of CSV, and as JSON."""
    one = build(report, "build")
    gathered = Gathered((one,), (), ())
    table = next(csv.DictReader(io.StringIO(rows.as_csv(gathered))))
    return shown(report), page.render(gathered, Path()), table, json.loads(rows.as_json(gathered))


def test_totals_count_what_was_run_and_say_how_many_were_not() -> None:
    text, html, table, values = shown_everywhere(closed(finished()))
    assert "Checks 6 of 6 passed, 2 not run" in text
    assert "✓ 6 of 6 checks passed, 2 not run" in html and "2 not run</summary>" in html
    assert (table["checks"], table["checks_failed"], table["checks_not_run"]) == ("6", "0", "2")
    assert [one["outcome"] for one in values["checks"]].count("not run") == 2
    report = finished()
    report["simulations"][1]["mismatches"] = 2
    text, html, table, _ = shown_everywhere(closed(report))
    assert "Checks 5 of 6 passed, 2 not run" in text and "✗ 1 of 6 checks failed, 2 not run" in html
    with pytest.raises(CheckFailed, match="1 of 6 checks failed"):
        check.require_passed([read(report)])


def nothing_run() -> Report:
    """A report in which nothing was compared with anything."""
    report = finished() | {"measurements": []}
    for one in report["simulations"]:
        one |= {"vectors": None, "mismatches": None}
    for one in report["timing"].values():
        if isinstance(one, dict):
            one |= {"measured": None}
    return closed(report)


def test_a_total_of_nothing_is_a_dash() -> None:
    report = nothing_run()
    text, html, table, values = shown_everywhere(report)
    assert "Checks none was run, 8 not run" in text
    assert "no check was run, 8 not run" in html and "chip good" not in html.split("<article")[1].split("</p>")[0]
    assert (table["mismatches"], table["checks"], table["lut"]) == ("", "0", "4900")
    assert {one["mismatches"] for one in values["simulations"]} == {None}
    result = build(report, "build").summary
    assert result.mismatches is None and compare.outcome(result) == "8 not run"
    line = {one.measure.key: one.cells[0].text for one in compare.lines([result, result])}
    assert line["mismatches"] == "–"


def test_cycles_that_are_not_known_come_from_nowhere() -> None:
    report = nothing_run()
    assert build(report, "a").summary.cycles_from == "predicted"
    for one in report["timing"].values():
        if isinstance(one, dict):
            one |= {"predicted": None}
    report["timing"] |= {"clock_ns": None, "latency_ns": None, "frames_per_second": None}
    result = build(report, "a")
    assert result.summary.cycles_from is None
    one = section(result, "b1", "", "")
    assert next(key for key in one.keys if key.name == "Latency").value == "–"
    assert "at –" in page.render(Gathered((result,), (), ()), Path())


def test_imported_cycles_are_the_tools_estimate() -> None:
    report = nothing_run() | {"imported": {"skipped": []}}
    assert build(report, "a").summary.cycles_from == "estimated"


@pytest.mark.parametrize(
    ("measured", "expected"),
    [
        (63.3, Outcome.PASSED),
        (64.1, Outcome.PASSED),
        (64.5, Outcome.FAILED),
        (63.0, Outcome.FAILED),
        (65.0, Outcome.FAILED),
    ],
)
def test_frames_that_come_at_distances_that_alternate_have_an_average(measured: float, expected: str) -> None:
    report = finished()
    report["timing"]["interval_cycles"] |= {"predicted": 64, "measured": measured}
    (one,) = (one for one in closed(report)["checks"] if one["name"] == "initiation interval")
    assert one["outcome"] == expected


def test_what_fills_the_board_fits_and_nothing_measured_is_no_verdict() -> None:
    full = check.fits(sound(lut=53200))
    assert full is not None
    assert (full.verdict, full.use["lut"].percent) == ("fits", 100.0)
    over = check.fits(sound(lut=53201))
    assert over is not None
    assert over.verdict == "does not fit"
    report = sound()
    assert check.fits(replace(report, measurements=())) is None
    nothing = replace(report.board, lut=None, ff=None, dsp=None, bram18=None)
    assert check.fits(replace(report, board=nothing)) is None


def test_claims_are_shown_with_what_they_rest_on() -> None:
    report = closed(finished() | {"proof": PROOF})
    for text in shown_everywhere(report)[:2]:
        assert "the netlist is the Verilog" in text and "3 modules" in text and "ABC" in text


def test_what_is_simulated_instead_is_shown_and_is_no_check_of_its_own() -> None:
    instead = {"claim": "all other modules compute the network", "word": "simulated", "detail": "RTL in 9 vectors"}
    report = closed(finished() | {"proof": PROOF | {"claims": [*PROOF["claims"], instead]}})  # type: ignore[misc]
    for text in shown_everywhere(report)[:2]:
        assert "simulated" in text and "RTL in 9 vectors" in text
    names = {one["name"] for one in report["checks"]}
    assert "the netlist is the Verilog" in names and "all other modules compute the network" not in names
