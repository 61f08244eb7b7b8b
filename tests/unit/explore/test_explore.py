# SPDX-License-Identifier: Apache-2.0
"""Explorations: which candidates there are, what limits do to them, in which order they are built, and resuming."""

from __future__ import annotations

import csv
import fcntl
import io
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from qap2fpga.backends.rtl.options import RtlOptions
from qap2fpga.build.folder import MARK
from qap2fpga.estimate.prediction import Estimated, Interval
from qap2fpga.explore import builds, candidates, choose, estimates, show, write
from qap2fpga.explore.choose import DROPPED, FAILED, RANKED, Point
from qap2fpga.explore.estimates import Line, Lowered
from qap2fpga.explore.limits import Limits, broken, intervals
from qap2fpga.explore.result import Exploration, Explored
from qap2fpga.frontend.checkpoint import model_file as file
from qap2fpga.frontend.graph import read
from qap2fpga.frontend.integer import lower
from qap2fpga.hw import boards
from qap2fpga.ir import storage
from qap2fpga.passes.compaction import compact
from qap2fpga.report.summary import CHECKPOINT, Summary
from qap2fpga.system.errors import CheckFailed, QapError
from qap2fpga.system.files import append_json, read_json_lines
from qap2fpga.system.progress import Progress
from qap2fpga.train.study import Result
from tests.conftest import ROOT
from tests.support.command import run, save
from tests.support.networks import qonnx_graph, random_model
from tests.support.reports import finished
from tests.unit.report.test_studies import step, write_run

PYNQ, LARGE = boards.load("pynq-z2"), boards.load("vu13p")
NO_LIMITS = Limits()
RTL = [candidates.Target("rtl", PYNQ, RtlOptions())]


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Two runs of three checkpoints."""
    folder = tmp_path / "study"
    first = step(0, 0.76, 5000.0)
    first["metrics"]["test"]["mean_auc"] = 0.91
    write_run(folder, "a", first, step(1, 0.75, 3000.0))
    write_run(folder, "b", step(0, 0.74, 2000.0))
    runs = [{"name": name, "folder": f"runs/{name}", "status": "finished"} for name in ("a", "b")]
    (folder / "study.json").write_text(json.dumps({"schema": 1, "runs": runs}))
    return folder


def network(name: str, accuracy: float | None = 0.75) -> candidates.Network:
    return candidates.Network(Path(f"{name}.pt"), f"sha of {name}", Summary(CHECKPOINT, name, ".", accuracy=accuracy))


def candidate(name: str, accuracy: float | None = 0.75) -> candidates.Candidate:
    target = candidates.Target("rtl", PYNQ, RtlOptions(clock=5.0))
    return candidates.Candidate(name, f"key of {name}", network(name, accuracy), target)


def estimated(lut: float, cycles: float = 10, *, spread: float = 1.0, calibrated: bool = True) -> Line:
    """A line of the estimates."""
    exact = {"latency_cycles": cycles, "interval_cycles": 1, "dsp": 0, "ff": 100, "bram18": 0}
    predictions = {name: Interval.exact(value) for name, value in exact.items()}
    predictions["lut"] = Interval(lut, lut / spread, lut * spread)
    return Line(key="key", name="name", estimate=Estimated(calibrated=calibrated, predictions=predictions))


def point(name: str, lut: float, accuracy: float | None = 0.75, limits: Limits = NO_LIMITS, **more: Any) -> Point:
    return choose.point(candidate(name, accuracy), estimated(lut, **more), {}, f"builds/{name}", limits)


def test_candidates_are_all_networks_by_all_targets(study: Path) -> None:
    found = candidates.find([study])
    assert [one.name for one in found.networks] == ["a, step 0", "a, step 1", "b, step 0"]
    on = candidates.targets([], [PYNQ, LARGE], {"target_fps": [1e6, 5e6, 1e6], "clock": [5.0, 10.0]})
    made = candidates.candidates(found.networks, on)
    assert len(made) == len({one.name for one in made}) == len({one.key for one in made}) == 3 * 2 * (2 + 2)
    assert made[0].name == "a-step-0-finn-pynq-z2-target-fps-1e+06"
    assert {one.options.clock for one in on if one.backend == "rtl"} == {5.0, 10.0}
    assert {one.clock_ns for one in on if one.backend == "finn"} == {PYNQ.clock_ns, LARGE.clock_ns}
    (only,) = candidates.targets(["rtl"], [PYNQ], {"clock": ()})
    assert only.varied == {} and only.clock_ns == PYNQ.clock_ns


def test_the_same_network_is_explored_once_and_names_differ(study: Path, tmp_path: Path) -> None:
    first, other = tmp_path / "one" / "net.pt", tmp_path / "two" / "net.pt"
    for path, text in ((first, "1"), (other, "2")):
        path.parent.mkdir()
        path.write_text(text)
    copy = tmp_path / "copy.pt"
    copy.write_bytes((study / "runs/a/step-00.pt").read_bytes())
    (study / "runs/b/step-00.pt").unlink()
    found = candidates.find([study, copy, first, other])
    assert [one.name for one in found.networks] == ["a, step 0", "a, step 1", "net", "net"]
    assert len(found.left_out) == 1 and "b, step 0" in found.left_out[0]
    names = [one.name for one in candidates.candidates(found.networks[2:], RTL)]
    assert len(set(names)) == 2 and all(name.startswith("net-") for name in names)


def test_options_belong_to_some_backend() -> None:
    with pytest.raises(QapError, match="rtl backend has no option --target-fps"):
        candidates.targets(["rtl"], [PYNQ], {"target_fps": [1e6], "clock": ()})
    with pytest.raises(QapError, match="0 ns"):
        candidates.targets(["rtl"], [PYNQ], {"clock": [0.0]})
    with pytest.raises(QapError, match="hls4ml backend's code is not predicted"):
        candidates.targets(["rtl", "hls4ml"], [PYNQ], {})
    with pytest.raises(QapError, match="unknown backend 'rlt'"):
        candidates.targets(["rlt"], [PYNQ], {})


def test_limits_are_the_smaller_of_the_users_and_the_boards() -> None:
    most = Limits(max_lut=1e9, max_ff=50, max_latency_ns=100).most(PYNQ)
    assert most["lut"] == (PYNQ.lut, "pynq-z2") and most["ff"] == (50, "--max-ff")
    assert most["latency_ns"] == (100, "--max-latency-ns")
    assert "latency_ns" not in NO_LIMITS.most(PYNQ)


def test_the_worst_limit_comes_first_and_a_limit_itself_is_kept() -> None:
    limits = Limits(max_lut=100, max_dsp=0, max_latency_ns=50, min_accuracy=0.8)
    assert broken({"lut": 100.0, "dsp": 0, "latency_ns": 50}, 0.8, limits, PYNQ) == []
    assert broken({"lut": None}, None, limits, PYNQ) == []
    found = broken({"lut": 150.0, "dsp": 1, "latency_ns": 60}, 0.4, limits, PYNQ)
    assert [one.text for one in found] == [
        "1 DSP blocks (--max-dsp 0)", "accuracy 40.00 % (--min-accuracy 0.8)", "150 LUTs (--max-lut 100)",
        "60 ns of latency (--max-latency-ns 50)",
    ]  # fmt: skip
    assert [one.ratio for one in found[1:]] == [2.0, 1.5, 1.2]


@pytest.mark.parametrize("wrong", [{"max_lut": -1}, {"max_latency_ns": float("nan")}, {"min_accuracy": 70}])
def test_a_limit_that_means_nothing_is_refused(wrong: dict[str, float]) -> None:
    (name,) = wrong
    with pytest.raises(QapError, match=f"--{name.replace('_', '-')}"):
        Limits(**wrong)


def test_what_is_not_calibrated_is_not_certain() -> None:
    estimate = estimated(1000, 12, calibrated=False).estimate
    assert estimate is not None
    found = intervals(estimate, 5.0)
    assert found["lut"] == Interval(1000, 500, 2000)
    assert found["latency_ns"] == Interval(60, 60, 60) and found["dsp"] == Interval(0, 0, 0)
    limits = Limits(max_lut=600)
    assert point("one", 1000, limits=limits, calibrated=False).status == RANKED
    assert point("one", 1300, limits=limits, calibrated=False).status == DROPPED
    assert point("one", 601, limits=limits).status == DROPPED


def test_only_what_certainly_breaks_a_limit_is_dropped() -> None:
    limits = Limits(max_lut=1000, min_accuracy=0.7)
    sure, perhaps, never = (point(str(lut), lut, limits=limits, spread=1.2) for lut in (900, 1100, 1300))
    assert (sure.status, sure.expected) == (RANKED, ())
    assert perhaps.status == RANKED and perhaps.expected[0].text == "1,100 LUTs (--max-lut 1,000)"
    assert never.status == DROPPED and never.certain[0].text == "at least 1,083 LUTs (--max-lut 1,000)"
    assert point("bad", 10, 0.69, limits).status == DROPPED
    slow = choose.point(candidate("slow"), estimated(10, 30), {}, "", Limits(max_latency_ns=149))
    assert slow.status == DROPPED and slow.summary.latency_ns == 150


def test_the_pareto_set_comes_first_then_the_rest_then_what_may_meet_the_limits() -> None:
    limits = Limits(max_lut=1000)
    points = [
        point("beyond", 1190, 0.9, limits, spread=1.2),
        point("accurate", 900, 0.8, limits),
        point("beaten", 900, 0.7, limits),
        point("small", 300, 0.7, limits),
        point("fast", 950, 0.75, limits, cycles=5),
        point("nearer", 1010, 0.6, limits, spread=1.2),
        point("unknown", 200, None, limits),
        point("dropped", 5000, 0.9, limits),
        choose.point(candidate("failed"), Line(key="k", name="n", refused="why"), {}, "", limits),
    ]
    ranked = choose.rank(points)
    assert [one.candidate.name for one in ranked] == [one.candidate.name for one in points]
    order = sorted((one for one in ranked if one.rank), key=lambda one: one.rank or 0)
    assert [one.candidate.name for one in order] == [
        "accurate", "fast", "small", "unknown", "beaten", "nearer", "beyond",
    ]  # fmt: skip
    assert [one.candidate.name for one in ranked if one.best] == ["accurate", "small", "fast", "unknown"]
    assert [one.status for one in ranked[-2:]] == [DROPPED, FAILED]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 4), st.integers(1, 3)), max_size=12))
def test_every_ranked_point_has_its_own_place(found: list[tuple[int, int, int]]) -> None:
    points = [point("p", 100 * lut, accuracy / 3, cycles=cycles) for accuracy, lut, cycles in found]
    places = [one.rank for one in choose.rank(points)]
    assert sorted(places) == list(range(1, len(found) + 1))


def test_a_cut_off_line_loses_only_itself(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "lines.jsonl"
    assert read_json_lines(path) == []
    append_json(path, {"a": 1})
    append_json(path, {"a": 2})
    path.write_bytes(path.read_bytes()[:-4])
    append_json(path, {"a": 3})
    assert read_json_lines(path) == [{"a": 1}, {"a": 3}]


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """Work is done in this process, and lowering is but noted; what was lowered and estimated, by name."""
    done: dict[str, list[str]] = {"lowered": [], "estimated": []}

    def each(work: Callable[[Any], Any], items: list[Any], processes: int, ended: Callable[[Any, Any], None]) -> None:
        for item in items:
            ended(item, work(item))

    def lowered(job: tuple[Path, Path]) -> dict[str, Any]:
        path, place = job
        done["lowered"].append(path.stem)
        if path.stem == "constant":
            return Lowered(refused="nothing is left")
        network = compact(lower(read(qonnx_graph(random_model(3, (4, 5, 3), rows=8)))))
        storage.save(network, place)
        return Lowered(model={"bops_paper": 7.0})

    def estimate(job: tuple[candidates.Candidate, Path]) -> Line:
        done["estimated"].append(job[0].name)
        if job[0].name == "bug":
            job = (replace(job[0], target=replace(job[0].target, options=None)), job[1])
        return ESTIMATE(job)

    monkeypatch.setattr(estimates, "each", each)
    monkeypatch.setattr(estimates, "_lower", lowered)
    monkeypatch.setattr(estimates, "_estimate", estimate)
    return done


ESTIMATE = estimates._estimate


def test_a_stopped_run_goes_on_where_it_was(tmp_path: Path, here: dict[str, list[str]]) -> None:
    one, other = candidate("one"), candidate("other")
    chosen = [
        replace(one, name=f"one-{clock}", key=f"k{clock}", target=replace(one.target, options=RtlOptions(clock=clock)))
        for clock in (2, 5, 9)
    ]
    first = estimates.estimate_all([*chosen, other], tmp_path, 2, lambda text: None)
    assert here == {"lowered": ["one", "other"], "estimated": ["one-2", "one-5", "one-9", "other"]}
    assert first.models["sha of one"] == {"bops_paper": 7.0}
    path = tmp_path / estimates.LINES
    path.write_bytes(path.read_bytes()[:-30])
    again = estimates.estimate_all([*chosen, other], tmp_path, 2, lambda text: None)
    assert here["estimated"][4:] == ["other"] and here["lowered"][2:] == []
    assert again == first
    assert [line["name"] for line in read_json_lines(path)] == ["one-2", "one-5", "one-9", "other"]


def test_what_failed_is_a_line_and_does_not_stop_the_rest(tmp_path: Path, here: dict[str, list[str]]) -> None:
    chosen = [candidate("constant"), candidate("bug"), candidate("good")]
    found = estimates.estimate_all(chosen, tmp_path, 1, lambda text: None).lines
    assert found["key of constant"].refused == "nothing is left"
    assert (found["key of bug"].failed or "").startswith("AttributeError")
    estimate = found["key of good"].estimate
    assert estimate is not None and estimate.predictions["lut"].value > 0
    # A refusal is final; what failed may have been the machine's fault.
    estimates.estimate_all(chosen, tmp_path, 1, lambda text: None)
    assert here["estimated"] == ["bug", "good", "bug"] and here["lowered"] == ["constant", "bug", "good"]


def test_a_network_that_ends_its_process_fails_alone(
    tmp_path: Path, here: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = [candidate("killer"), candidate("good")]
    real = estimates._lower
    monkeypatch.setattr(estimates, "_lower", lambda job: None if job[0].stem == "killer" else real(job))
    found = estimates.estimate_all(chosen, tmp_path, 1, lambda text: None).lines
    assert found["key of killer"].failed == estimates.DIED and found["key of good"].estimate is not None


def built(folder: Path, name: str, **total: int) -> None:
    """What a build leaves."""
    report = {**finished(**total), "backend": "rtl"}
    for one in (*report["measurements"], *report["predictions"]):
        one["circuit"] = "rtl"
    report["checks"] = []
    (folder / "builds" / name).mkdir(parents=True, exist_ok=True)
    (folder / "builds" / name / "report.json").write_text(json.dumps(report))


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[list[list[str]], dict[str, int | str]]:
    """(waves of builds, by name the LUTs that a build measures, or why it fails)."""
    waves: list[list[str]] = []
    outcomes: dict[str, int | str] = {}

    def build_some(some: list[Point], processes: int, progress: Progress) -> list[tuple[Point, str]]:
        waves.append([one.candidate.name for one in some])
        for one in some:
            lut = outcomes.get(one.candidate.name, 100)
            if isinstance(lut, int):
                built(tmp_path, one.candidate.name, lut=lut)
        return [(one, str(outcomes.get(one.candidate.name, 1)) * isinstance(outcomes.get(one.candidate.name), str))
                for one in some]  # fmt: skip

    monkeypatch.setattr(builds, "_build_some", build_some)
    return waves, outcomes


def explored(folder: Path, count: int, wanted: int, limits: Limits = NO_LIMITS) -> Explored:
    """Points p0, p1, ... in this order, and as many builds as it takes."""
    points = choose.rank([
        choose.point(candidate(f"p{one}", 0.9 - one / 100), estimated(100), {}, str(folder / "builds" / f"p{one}"),
                     limits) for one in range(count)
    ])  # fmt: skip
    found = builds.build_best(points, wanted, 2, limits, Progress(quiet=True))
    request = Exploration((), (), (PYNQ,), {}, limits, wanted, 2, folder)
    return Explored(request, tuple(points), found, ("[b]a network[/b] is gone",))


def test_builds_go_on_until_enough_meet_the_limits(
    tmp_path: Path, fake: tuple[list[list[str]], dict[str, int | str]]
) -> None:
    waves, outcomes = fake
    outcomes |= {"p0": 1001, "p2": "Yosys failed"}
    found = explored(tmp_path, 9, 2, Limits(max_lut=1000))
    assert waves == [["p0", "p1"], ["p2"], ["p3"]] and found.met == 2
    found.check()
    assert builds.verdict(found.built["p0"]) == "1,001 LUTs (--max-lut 1,000)"
    assert builds.verdict(found.built["p2"]) == "failed: Yosys failed"
    assert found.built["p3"].meets


def test_builds_end_after_so_many_tries_and_the_nearest_is_named(
    tmp_path: Path, fake: tuple[list[list[str]], dict[str, int | str]]
) -> None:
    waves, outcomes = fake
    outcomes |= {f"p{one}": 2000 - 100 * one for one in range(9)}
    found = explored(tmp_path, 9, 2, Limits(max_lut=1000))
    assert [name for wave in waves for name in wave] == [f"p{one}" for one in range(builds.TRIES * 2)]
    with pytest.raises(CheckFailed, match=r"nearest is p5: 1,500 LUTs \(--max-lut 1,000\)") as error:
        found.check()
    assert error.value.exit_code == 1


def test_without_builds_the_estimates_say_what_is_nearest(tmp_path: Path) -> None:
    limits = Limits(max_lut=90)
    points = [point("far", 500, limits=limits), point("near", 120, limits=limits)]
    request = Exploration((), (), (PYNQ,), {}, limits, 0, 2, tmp_path)
    with pytest.raises(CheckFailed, match=r"nearest by its estimate is near: 120 LUTs"):
        Explored(request, tuple(choose.rank(points)), {}, ()).check()
    Explored(request, tuple(choose.rank([*points, point("in", 90, limits=limits)])), {}, ()).check()


def test_a_build_with_a_failed_check_does_not_meet_the_limits(
    tmp_path: Path, fake: tuple[list[list[str]], dict[str, int | str]]
) -> None:
    (one,) = choose.rank([choose.point(candidate("p0"), estimated(100), {}, str(tmp_path / "builds/p0"), NO_LIMITS)])
    built(tmp_path, "p0")
    assert builds._judged(one, "", NO_LIMITS).meets
    path = tmp_path / "builds/p0/report.json"
    report = json.loads(path.read_text())
    report["checks"] = [{"name": "DSP blocks", "expected": "0", "found": "2", "outcome": "failed", "why": "?"}]
    path.write_text(json.dumps(report))
    assert builds._judged(one, "", NO_LIMITS).breaks == ("check failed: DSP blocks: 2",)
    report["measurements"][0]["circuit"] = "finn"
    path.write_text(json.dumps({**report, "checks": []}))
    assert not builds._judged(one, "", NO_LIMITS).meets


def test_table_page_csv_and_json_say_the_same(
    tmp_path: Path, fake: tuple[list[list[str]], dict[str, int | str]]
) -> None:
    fake[1]["p0"] = 1234
    found = explored(tmp_path, 4, 1, Limits(max_lut=1000))
    failed = choose.point(
        candidate("<i>bad"), Line(key="k", name="n", refused="[red]too large"), {}, str(tmp_path / "x"), NO_LIMITS
    )
    found = replace(found, points=(*found.points, failed))
    write.write(found)
    stored = json.loads((tmp_path / "explore.json").read_text())
    assert (stored["met"], stored["wanted"], stored["limits"]["max_lut"]) == (1, 1, 1000)
    first, second, third, _, bad = stored["points"]
    assert first["build"]["lut"] == 1234 and not first["build"]["meets"]
    assert first["build"]["folder"] == "builds/p0" and second["build"]["meets"]
    assert third["build"] is None and third["estimate"]["lut"] == {"value": 100, "low": 100, "high": 100}
    assert (bad["status"], bad["why"], bad["estimate"]) == (FAILED, "[red]too large", None)
    table = list(csv.DictReader(io.StringIO((tmp_path / "explore.csv").read_text())))
    assert [one["name"] for one in table] == ["p0", "p1", "p2", "p3", "<i>bad"]
    assert (table[0]["build.lut"], table[0]["estimate.lut.low"], table[4]["estimate.lut.low"]) == ("1234", "100.0", "")
    page = (tmp_path / "explore.html").read_text()
    assert "&lt;i&gt;bad: [red]too large" in page and "<i>" not in page
    # A built candidate's row and points lead to its build; another's points lead to its row.
    assert '<a href="#b1">p0</a>' in page and 'id="c3"' in page
    assert page.count('href="#b1"') >= 3 and 'href="#c3"' in page
    stream = io.StringIO()
    show.render(found, Console(file=stream, width=200))
    shown = stream.getvalue()
    assert "100 → 1,234" in shown and "<i>bad: [red]too large" in shown
    assert "1 of 1 wanted builds meet the limits, 2 candidates were built" in shown
    assert "[b]a network[/b] is gone" in shown


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--board", "pink-z2"], "unknown board"),
        (["--board", "pynq-z2", "--max-lut", "-5"], "--max-lut is -5"),
        (["--board", "pynq-z2", "--backend", "hlsml"], "unknown backend"),
        (["--board", "pynq-z2", "--backend", "rtl", "--target-fps", "5"], "no option --target-fps"),
        (["--board", "pynq-z2", "--jobs", "0"], "--jobs"),
    ],
)
def test_bad_input_ends_with_exit_code_2(study: Path, tmp_path: Path, arguments: list[str], said: str) -> None:
    found = run("explore", study, *arguments, "--output", tmp_path / "out")
    assert found.code == 2 and said in found.err and not (tmp_path / "out").exists()


def test_a_place_without_checkpoints_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for place in ("empty", "missing.pt"):
        found = run("explore", tmp_path / place, "--board", "pynq-z2", "--output", tmp_path / "out")
        assert found.code == 2 and place in found.err and not (tmp_path / "out").exists()
    (tmp_path / "empty" / "study.json").write_text('{"schema": 1, "runs": []}')
    found = run("explore", tmp_path / "empty", "--board", "pynq-z2", "--output", tmp_path / "out")
    assert found.code == 2 and "there is no checkpoint in" in found.err


def test_an_accuracy_that_nobody_knows_meets_no_minimum(tmp_path: Path, here: dict[str, list[str]]) -> None:
    (tmp_path / "net.pt").write_text("a network")
    arguments = (tmp_path / "net.pt", "--board", "pynq-z2", "--backend", "rtl", "--output", tmp_path / "out")
    found = run("explore", *arguments, "--min-accuracy", "0.7")
    assert found.code == 2 and "the accuracy of" in found.err and "net.pt is not known" in found.err
    assert run("explore", *arguments, "--build", "0").code == 0
    assert run("explore", *arguments, "--build", "0", "--max-lut", "1").code == 1


def test_what_is_too_inaccurate_needs_no_estimate(tmp_path: Path, study: Path, here: dict[str, list[str]]) -> None:
    arguments = (
        "explore",
        study,
        "--board",
        "pynq-z2",
        "--backend",
        "rtl",
        "--build",
        "0",
        "--output",
        tmp_path / "out",
    )
    assert run(*arguments, "--min-accuracy", "0.755").code == 0
    assert here["estimated"] == ["a-step-0-rtl-pynq-z2"] and len(here["lowered"]) == 1
    first, second, _ = json.loads((tmp_path / "out" / "explore.json").read_text())["points"]
    assert first["status"] == RANKED and first["mean_auc"] == 0.91
    assert (second["status"], second["estimate"]) == (DROPPED, None)
    assert second["why"] == ["accuracy 75.00 % (--min-accuracy 0.755)"]
    found = run(*arguments, "--min-accuracy", "0.9")
    assert found.code == 1 and "the nearest by its estimate is a-step-0-rtl-pynq-z2: accuracy 76.00 %" in found.err
    assert here["estimated"] == ["a-step-0-rtl-pynq-z2"]


def test_a_study_is_trained_first(
    tmp_path: Path, study: Path, here: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def train(path: Path, output: Path, *, workers: int, quiet: bool) -> Result:
        asked.append((path, output, workers))
        shutil.copytree(study, output)
        return Result(output, None, {"c": "it diverged"})  # type: ignore[arg-type]

    monkeypatch.setattr("qap2fpga.train.study.study", train)
    out = tmp_path / "out"
    (tmp_path / "jets.yaml").touch()
    found = run("explore", tmp_path / "jets.yaml", "--board", "pynq-z2", "--backend", "rtl", "--build", "0",
                "--jobs", "3", "--output", out)  # fmt: skip
    assert found.code == 0 and "training c failed: it diverged" in found.err
    assert asked == [(tmp_path / "jets.yaml", out / "studies" / "jets", 3)]
    assert len(json.loads((out / "explore.json").read_text())["points"]) == 3


def test_a_model_file_says_its_accuracy(tmp_path: Path) -> None:
    model = random_model(3, (4, 5, 3))
    plain, trained, silent = tmp_path / "plain.pt", tmp_path / "trained.pt", tmp_path / "silent.pt"
    file.write(model, plain, model.labels, {})
    where = {"metrics": {"test_accuracy": 0.71}, "data": {"sha256": "abc", "test_rows": 3600}}
    file.write(model, trained, model.labels, where)
    file.write(model, silent, None, {"metrics": "good"})
    found = {
        path.stem: estimates._lower((path, tmp_path / f"{path.stem}.npz")).model or {}
        for path in (plain, trained, silent)
    }
    assert (found["trained"]["accuracy"], found["trained"]["accuracy_rows"]) == (0.71, 3600)
    assert found["plain"]["accuracy_rows"] == 64 and found["plain"]["bops_paper"]
    assert found["silent"] and "accuracy" not in found["silent"]
    assert estimates._lower((tmp_path / "none.pt", tmp_path / "none.npz")) == Lowered(
        refused=f"{tmp_path / 'none.pt'} does not exist"
    )


@pytest.mark.slow
def test_a_killed_exploration_goes_on_and_ends_with_a_build(study: Path, tmp_path: Path) -> None:
    save(study / "runs/a/step-00.pt", random_model(3, (4, 5, 3)))
    save(study / "runs/a/step-01.pt", random_model(5, (4, 5, 3)))
    output = tmp_path / "out"
    arguments = ["explore", str(study), "--board", "pynq-z2", "--backend", "rtl", "--min-accuracy", "0.5"]
    arguments += ["--max-lut", "5000", "--build", "1", "--output", str(output)]
    command = subprocess.Popen(
        [sys.executable, "-m", "qap2fpga", *arguments], env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    first = output / "builds" / "a-step-0-rtl-pynq-z2" / MARK / "model.json"
    while not first.exists():
        assert command.poll() is None
        time.sleep(0.05)
    command.kill()
    command.wait()
    with (first.parent / "lock").open() as lock:  # the build is not left running
        fcntl.flock(lock, fcntl.LOCK_EX)
    assert not (output / "builds" / "a-step-0-rtl-pynq-z2" / "report.json").exists()
    lines, made = output / estimates.LINES, first.stat().st_mtime_ns
    before = lines.read_bytes()
    lines.write_bytes(before[:-10])

    result = run(*arguments)
    assert result.code == 0, result.err
    assert lines.read_bytes().startswith(before[:-10]) and first.stat().st_mtime_ns == made
    found = json.loads((output / "explore.json").read_text())
    best, other, broken_file = found["points"]
    assert (best["status"], other["status"], broken_file["status"]) == (RANKED, RANKED, FAILED)
    assert "not a PyTorch file" in broken_file["why"]
    assert best["rank"] == 1 and best["build"]["meets"] and other["build"] is None
    report = json.loads((output / best["build"]["folder"] / "report.json").read_text())
    assert best["build"]["lut"] == report["measurements"][0]["total"]["lut"] > 0
    assert best["build"]["latency_ns"] == best["estimate"]["latency_ns"]["value"]
    assert report["model"]["sha256"] == best["model_sha256"]
    assert f"→ {best['build']['lut']:,}" in result.out and "1 of 1 wanted builds meet the limits" in result.out
    # Nothing is done twice, and a limit that nothing meets is exit code 1.
    again = run(*arguments)
    assert again.code == 0 and json.loads((output / "explore.json").read_text()) == found
    tight = run(*(one if one != "5000" else "1" for one in arguments))
    assert tight.code == 1 and "nothing meets the limits" in tight.err and "--max-lut 1" in tight.err
