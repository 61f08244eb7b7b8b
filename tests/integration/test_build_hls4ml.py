# SPDX-License-Identifier: Apache-2.0
"""Whole builds with the hls4ml backend: C++ proven, and another circuit measured that says that it is another."""

from __future__ import annotations

import io
import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from qap2fpga.backends.hls4ml.options import Hls4mlOptions
from qap2fpga.backends.rtl import estimate
from qap2fpga.build import amd, making, mapping, simulating
from qap2fpga.build import folder as stages
from qap2fpga.build.request import Request
from qap2fpga.build.run import build, plan
from qap2fpga.build.stored import RELAXED
from qap2fpga.build.stored import project as project_of
from qap2fpga.frontend.checkpoint import writing
from qap2fpga.frontend.checkpoint.widths import Widths
from qap2fpga.hw import boards
from qap2fpga.ir import storage
from qap2fpga.report import table
from qap2fpga.system.codec import encode
from qap2fpga.system.errors import CheckFailed, QapError
from qap2fpga.system.progress import Progress
from tests.support.networks import random_model
from tests.support.reports import failed, read, stored
from tests.support.spoiled import spoil_what_is_generated
from tests.support.vendor import FAKES, needs_tclsh


def request(model: Path, output: Path, until: str = "synthesize", vendor=None, **options) -> Request:
    result = Hls4mlOptions(**options)
    return Request(model, boards.load("pynq-z2"), "hls4ml", result, output, Widths(), until=until, vendor=vendor)


def run(model: Path, output: Path, until: str = "synthesize", **options) -> dict:
    job = request(model, output, until, **options)
    with Progress(quiet=True) as progress:
        return encode(build(job, progress))


def shown(report: dict) -> str:
    console = Console(file=io.StringIO(), width=150)
    table.render([("build", read(report))], console)
    return console.file.getvalue()


@pytest.fixture(scope="session")
def model(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("model") / "small.pt"
    trained = random_model(21, widths=(6, 12, 8, 4), bits=4, sparsity=0.5, rows=300)
    writing.write(trained, path, trained.labels, {})
    return path


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> Path:
    """For what is about the way of a build and not about its hardware."""
    path = tmp_path_factory.mktemp("model") / "tiny.pt"
    trained = random_model(21, widths=(6, 5, 4, 3), bits=2, sparsity=0.5, rows=100)
    writing.write(trained, path, trained.labels, {})
    return path


@pytest.fixture(scope="session")
def whole(model, tmp_path_factory) -> Path:
    output = tmp_path_factory.mktemp("build") / "hls"
    run(model, output)
    return output


@pytest.mark.slow
@pytest.mark.xdist_group("hls")
def test_the_c_is_proven_and_another_circuit_is_measured(whole):
    report = stored(whole)
    assert not failed(report)
    circuits = {one["compared"]: one["circuit"] for one in report["simulations"]}
    assert circuits["C++ of hls4ml with the integer network, every layer"] == "hls4ml"
    assert sum(circuit == "rtl" for circuit in circuits.values()) == 6
    assert {one["circuit"] for one in report["measurements"] + report["predictions"][:-1]} == {"rtl"}
    assert report["stand_in"]["backend"] == "rtl"
    assert report["stand_in"]["design"]["latency_cycles"] == report["timing"]["latency_cycles"]["measured"]
    # Nothing of the other circuit counts as the project's own.
    assert "latency_cycles" not in report["design"]
    assert [one["outcome"] for one in report["checks"] if one["name"].startswith("fits")] == ["not run"]
    text = shown(report)
    assert "What follows is another circuit of the same integer network" in text
    assert text.count("(rtl circuit)") == 6


@pytest.mark.slow
@pytest.mark.xdist_group("hls")
def test_where_the_zeros_went(whole):
    report = stored(whole)
    for layer, one in zip(report["model"]["layers"], report["design"]["layers"], strict=True):
        assert one["in_source"] == layer["hardware"]["nonzeros"] <= layer["weights"] - layer["zeros"] < layer["weights"]
    assert re.search(r"fc1 +72 +\d+ +\d+ +\d+ +–", shown(report))


@pytest.mark.slow
@pytest.mark.xdist_group("hls")
def test_c_synthesis_is_predicted_by_the_names_that_its_reports_will_use(whole):
    report = stored(whole)
    predicted, shapes = report["predictions"][-1], [one["hardware"] for one in report["model"]["layers"]]
    assert (predicted["circuit"], predicted["what"], predicted["calibrated"]) == ("hls4ml", "csynth", False)
    source = (whole / "hls4ml" / "firmware" / "parameters.h").read_text()
    for layer, shape in zip(predicted["layers"], shapes, strict=True):
        struct = source[source.index(f"struct {layer['config']} : nnet::dense_config") :]
        assert f"n_in = {shape['inputs']};" in struct[:200] and f"n_out = {shape['outputs']};" in struct[:200]
        assert "pruned layers are not among the measured designs" in layer["outside"][-1] and not layer["calibrated"]
    assert "C synthesis, layer by layer" in shown(report)


@pytest.mark.slow
@pytest.mark.xdist_group("hls")
def test_a_second_build_runs_nothing(whole, model, monkeypatch):
    before = (whole / "report.json").read_bytes()
    for module, name in (
        (making, "model"), (making, "generate"), (simulating, "simulate_c"), (simulating, "simulate_rtl"),
        (mapping, "synthesize"), (simulating, "simulate_netlist"),
    ):  # fmt: skip
        monkeypatch.setattr(module, name, lambda *_: pytest.fail("a stage ran again"))
    run(model, whole)
    assert (whole / "report.json").read_bytes() == before


@pytest.mark.slow
@pytest.mark.xdist_group("hls")
def test_a_changed_weight_in_the_source_is_found(model, tmp_path, monkeypatch):
    def change(folder: Path) -> None:
        header = folder / "hls4ml" / "firmware" / "weights" / "w2.h"
        text = header.read_text()
        changed = re.sub(r"= \{(-?\d+)", lambda match: f"= {{{int(match[1]) + 1}", text)
        assert changed != text
        header.write_text(changed)

    spoil_what_is_generated(monkeypatch, change)
    named = r"layer fc1 is wrong first: its accumulator in vector 0, channel 0.*\(channel \d+ of the model\)"
    with pytest.raises(CheckFailed, match=named):
        run(model, tmp_path / "hls", until="simulate")


def test_no_circuit_stands_in_for_what_is_too_large(tiny, tmp_path, monkeypatch):
    """The C++ is proven all the same; the report says why nothing was measured."""
    monkeypatch.setattr(estimate, "MOST_LUTS", 10)
    monkeypatch.setattr(simulating, "simulate_c", lambda *_: [])
    report = run(tiny, tmp_path / "hls")
    assert report["stand_in"]["refused"].startswith("unrolled, the network's")
    assert report["measurements"] == [] and [one["what"] for one in report["predictions"]] == ["csynth"]
    assert report["timing"] is report["fits"] is None
    assert not (tmp_path / "hls" / "rtl").exists()
    assert "No circuit stands in for it: unrolled, the network's" in shown(report)
    assert not failed(report)


def test_a_bug_of_the_other_backend_is_no_refusal(tiny, tmp_path, monkeypatch):
    def broken(*_: object) -> None:
        raise CheckFailed("an adder graph is wrong")

    monkeypatch.setattr(simulating, "simulate_c", lambda *_: [])
    monkeypatch.setattr("qap2fpga.backends.rtl.solver.solve", broken)
    with pytest.raises(CheckFailed, match="an adder graph is wrong"):
        run(tiny, tmp_path / "hls")


def test_options_reach_both_circuits(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(simulating, "simulate_c", lambda *_: [])
    seen = {}
    real = making.generate

    def generate(request, backend, options, model, *more):
        seen[backend] = options
        return real(request, backend, options, model, *more)

    monkeypatch.setattr(making, "generate", generate)
    monkeypatch.setattr(mapping, "synthesize", lambda *_: pytest.fail("stop here"))
    with pytest.raises(BaseException, match="stop here"):
        run(tiny, tmp_path / "hls", clock=4.0, output_kind="class", strategy="latency")
    assert (seen["rtl"].clock, seen["rtl"].output_kind) == (seen["hls4ml"].clock, seen["hls4ml"].output_kind)
    script = (tmp_path / "hls" / "hls4ml" / "project.tcl").read_text()
    assert re.search(r"clock_period\D+4(\.0)?\b", script)


def test_the_compiler_is_asked_for_before_any_work(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(QapError, match=r"'g\+\+' was not found"):
        run(tiny, tmp_path / "hls")
    assert not (tmp_path / "hls").exists()


def test_a_project_is_read_back_as_it_was(tiny, tmp_path):
    run(tiny, tmp_path / "hls", until="generate")
    stored = json.loads((tmp_path / "hls" / stages.MARK / "generate.json").read_text())["result"]
    project = project_of(stored, tmp_path / "hls")
    assert (project.folder / project.sources[0]).is_file()
    names = [layer.name for layer in storage.load(tmp_path / "hls" / "network.npz").layers]
    assert [trace.node for trace in project.traces] == [f"{name}{end}" for name in names for end in ("", "/requantize")]
    assert project.interval_cycles == 1


@needs_tclsh
def test_where_an_hls_tool_is_nothing_stands_in(tiny, tmp_path, monkeypatch):
    """The tools are mocks: their numbers are made up, their way into the report is not."""
    monkeypatch.setenv("PATH", f"{FAKES}:{os.environ['PATH']}")
    report = run(tiny, tmp_path / "hls")
    assert report["stand_in"] is report["timing"] is None
    assert [one["step"] for one in report["vendor"]] == ["csim", "csynth", "synth"]
    assert [(one["circuit"], one["stage"]) for one in report["measurements"]] == [
        ("hls4ml", "hls"), ("hls4ml", "synthesis"),
    ]  # fmt: skip
    assert {one["engine"] for one in report["simulations"]} >= {"g++", "Vitis HLS C simulation"}
    # The mocks report another interval than was asked for, and a clock that is not met.
    assert {one.name.rsplit(" by ")[0] for one in failed(report)} == {
        "initiation interval",
        "clock after synth",
    }
    text = shown(report)
    assert "mocks of AMD's tools only" in json.dumps(report) and "csynth, Vitis HLS 2023.2" in text
    before = (tmp_path / "hls" / "report.json").read_bytes()
    monkeypatch.setattr(amd, "run", lambda *_: pytest.fail("ran again"))
    run(tiny, tmp_path / "hls")
    assert (tmp_path / "hls" / "report.json").read_bytes() == before


@needs_tclsh
def test_the_user_may_do_without_amds_tools(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", f"{FAKES}:{os.environ['PATH']}")
    monkeypatch.setattr(simulating, "simulate_c", lambda *_: [])
    monkeypatch.setattr(estimate, "MOST_LUTS", 10)
    report = run(tiny, tmp_path / "hls", vendor=())
    assert report["vendor"] is None and report["stand_in"]["refused"]


def test_what_was_asked_for_and_is_absent_is_an_error(tiny, tmp_path):
    with pytest.raises(QapError, match="Vitis HLS is absent"):
        run(tiny, tmp_path / "hls", vendor=("csynth",))


def test_a_plan_runs_nothing(tiny, tmp_path):
    with Progress(quiet=True) as progress:
        text = plan(request(tiny, tmp_path / "hls"), progress)
    assert "vitis-run --mode hls --tcl csynth.tcl" in text and "-source synth.tcl" in text
    assert "Vitis HLS is absent" in text and "Vivado is absent" in text
    folder = tmp_path / "hls" / "vendor"
    assert (folder / "csynth.tcl").is_file() and not (folder / "logs").exists()


@pytest.mark.slow
@pytest.mark.xdist_group("hls")
def test_a_tolerance_makes_another_reference_that_hardware_equals(model, tmp_path):
    """Both backends are exact to the relaxed network, and the circuit in place of HLS is of the same one."""
    report = run(model, tmp_path / "hls", until="simulate", requant_tolerance=1)
    assert sum(one["mismatches"] for one in report["simulations"]) == 0
    relaxed = report["relaxed"]
    assert relaxed["tolerance"] == 1 and sum(one["changed"] for one in relaxed["layers"]) > 0
    assert all(one["largest"] <= 1 and one["cost_after"] <= one["cost_before"] for one in relaxed["layers"])
    assert {relaxed["accuracy"], relaxed["accuracy_exact"]} <= {value / 300 for value in range(301)}
    exact, other = (storage.load(tmp_path / "hls" / name) for name in ("network.npz", RELAXED))
    vectors = np.random.default_rng(0).integers(exact.input.low, exact.input.high, (200, exact.inputs))
    assert (exact.run(vectors) != other.run(vectors)).any()
    assert (
        report["interface"]["example"]["output_integers"]
        == other.run(np.array([report["interface"]["example"]["integers"]]))[0].tolist()
    )
    assert "requantizers differ from the exact network by 1 steps at most" in shown(report)
    # Nothing of an exact build is used again, and the other way round.
    again = run(model, tmp_path / "hls", until="generate")
    assert again["relaxed"] is None
