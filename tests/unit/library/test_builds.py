# SPDX-License-Identifier: Apache-2.0
"""Builds in Python: the command line's, opened again, and run."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import qap2fpga
from qap2fpga import Build
from qap2fpga.prove.certificate import Certificate, Claim, Word
from qap2fpga.report.schema.results import Check
from qap2fpga.system.errors import CheckFailed, QapError
from tests.support import command
from tests.support.networks import random_model
from tests.support.reports import finished, read

MODEL = random_model(3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("builds")
    command.save(place / "net.pt", MODEL)
    return place


@pytest.fixture(scope="module")
def generated(folder: Path) -> Build:
    return qap2fpga.build(
        folder / "net.pt", "pynq-z2", "rtl", output=folder / "rtl", until="generate", clock=20.0, quiet=True
    )


def test_it_is_the_command_lines_build(folder: Path, generated: Build) -> None:
    arguments = ("--board", "pynq-z2", "--backend", "rtl", "--until", "generate", "--clock", "20")
    done = command.run("build", folder / "net.pt", *arguments, "--output", folder / "rtl")
    assert done.code == 0
    assert done.err.count("already there") == 2
    assert qap2fpga.open_build(folder / "rtl").report == generated.report


def test_a_build_says_what_came_of_it(folder: Path, generated: Build) -> None:
    assert generated.passed and generated.path == folder / "rtl"
    outcomes = [str(one.outcome) for one in generated.checks]
    assert outcomes.count("passed") == 3 and "not run" in outcomes
    assert generated.checks.table[0]["check"] == generated.report.checks[0].name
    assert [row["resource"] for row in generated.resources] == ["lut", "ff", "dsp", "bram18"]
    assert generated.resources[0]["predicted"] == generated.report.resources[0].total["lut"]
    assert generated.resources[2]["used"] == 0
    assert repr(generated).startswith(f"<Build {folder / 'rtl'}: rtl on pynq-z2, no check failed (3 passed, ")
    assert "<table>" in generated._repr_html_()
    assert generated.page() == folder / "rtl" / "report.html"
    assert "net.pt" in generated.page(folder / "page.html").read_text()


def test_a_refused_call_leaves_the_build_that_is_there(folder: Path) -> None:
    place = folder / "kept"
    built = qap2fpga.build(folder / "net.pt", "pynq-z2", "finn", output=place, until="generate", quiet=True)
    with pytest.raises(QapError, match="no folding does that"):
        qap2fpga.build(folder / "net.pt", "pynq-z2", "finn", output=place, until="generate", target_fps=1e9, quiet=True)
    assert qap2fpga.open_build(place).report == built.report and (place / "finn").is_dir()


def test_who_asks_for_less_keeps_what_went_further(folder: Path, generated: Build) -> None:
    left = ("report.json", "report.html", ".qap2fpga/history.jsonl")
    before = [(generated.path / name).read_bytes() for name in left]
    less = ("--board", "pynq-z2", "--backend", "rtl", "--until", "model", "--output", folder / "rtl")
    done = command.run("build", folder / "net.pt", *less, "--clock", "20")
    assert done.code == 0
    assert "later stages are complete already, and stay: generate\n" in done.err
    assert [(generated.path / name).read_bytes() for name in left] == before
    again = command.run("build", folder / "net.pt", *less[:4], "--until", "generate", *less[6:], "--clock", "20")
    assert "later stages" not in again.err


def test_who_asks_for_less_of_something_else_gets_that(folder: Path) -> None:
    place = folder / "other"
    wanted = {"output": place, "quiet": True}
    qap2fpga.build(folder / "net.pt", "pynq-z2", "rtl", until="generate", clock=20.0, **wanted)
    other = qap2fpga.build(folder / "net.pt", "pynq-z2", "rtl", until="model", clock=30.0, **wanted)
    assert other.report.design is None and "30" in (place / ".qap2fpga" / "history.jsonl").read_text()
    # Not sound any more, so no part of a report.
    whole = qap2fpga.build(folder / "net.pt", "pynq-z2", "rtl", until="generate", clock=20.0, **wanted)
    (place / "rtl" / Path(whole.report.design.sources[0]).name).write_text("changed")
    assert (
        qap2fpga.build(folder / "net.pt", "pynq-z2", "rtl", until="model", clock=20.0, **wanted).report.design is None
    )


def test_a_build_is_found_from_another_folder(
    folder: Path, generated: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    opened = qap2fpga.open_build("rtl")
    assert opened.heading.startswith("rtl: rtl on pynq-z2")
    monkeypatch.chdir(tmp_path)
    assert opened.run(np.zeros((1, generated.network.inputs))).shape == (1, generated.network.outputs)
    assert opened.heading.startswith(f"{folder / 'rtl'}: ")


def test_a_heading_says_whose_circuit_was_measured_and_what_is_proven(generated: Build) -> None:
    report = read(finished())
    assert "circuit" not in Build(Path("b"), report).heading and "proven" not in Build(Path("b"), report).heading
    other = replace(report, backend="hls4ml")
    assert Build(Path("b"), other).heading.endswith(f", of the {report.measurements[-1].circuit} circuit")
    assert {row["circuit"] for row in Build(Path("b"), other).resources} == {report.measurements[-1].circuit}
    claim = Claim(claim="it is", word=Word.PROVEN, detail="")
    proof = Certificate(format=1, files={}, versions={}, claims=(claim,))
    proven = Build(Path("b"), replace(report, proof=proof))
    assert proven.proof is proof and ", proven (" in proven.heading
    left = replace(proof, claims=(claim, replace(claim, word=Word.NOT_PROVEN)))
    assert ", proven" not in Build(Path("b"), replace(report, proof=left)).heading


def test_the_reference_gives_the_networks_outputs(folder: Path, generated: Build) -> None:
    network = qap2fpga.load(folder / "net.pt", compare=False, quiet=True)
    assert np.array_equal(generated.run(MODEL.example), network.run(MODEL.example))
    integers = network.graph.input.quantize(MODEL.example)
    assert np.array_equal(generated.run(integers, quantized=True), network.run(MODEL.example))


@pytest.mark.slow
def test_the_simulated_rtl_gives_the_same(generated: Build) -> None:
    rows = np.random.default_rng(1).normal(0, 2, (50, 5))
    assert np.array_equal(generated.run(rows, engine="rtl"), generated.run(rows))


def test_what_a_build_has_nothing_for_is_refused(folder: Path, generated: Build) -> None:
    with pytest.raises(QapError, match="the build left no C") as caught:
        generated.run(MODEL.example, engine="csim")
    assert caught.value.hint == "use another engine"
    with pytest.raises(QapError, match="unknown engine 'verilog'"):
        generated.run(MODEL.example, engine="verilog")
    early = qap2fpga.build(folder / "net.pt", "pynq-z2", output=folder / "early", until="model", quiet=True)
    with pytest.raises(QapError, match="the build left no Verilog") as caught:
        early.run(MODEL.example, engine="rtl")
    assert "--until generate" in caught.value.hint
    assert np.array_equal(early.run(MODEL.example), generated.run(MODEL.example))


@pytest.mark.parametrize(("stage", "change", "what"), [
    ("model", {"facts": None}, "stored has no facts"), ("model", [], "stored has no facts"),
    ("generate", {"network": "../other.npz"}, "names the network"), ("generate", [], "is no object"),
])  # fmt: skip
def test_a_damaged_build_is_refused(
    generated: Build, tmp_path: Path, stage: str, change: dict[str, object] | list[object], what: str
) -> None:
    shutil.copytree(generated.path, tmp_path / "damaged")
    record = tmp_path / "damaged" / ".qap2fpga" / f"{stage}.json"
    content = json.loads(record.read_text())
    content["result"] = content["result"] | change if isinstance(change, dict) else change
    record.write_text(json.dumps(content))
    with pytest.raises(QapError, match=what):
        qap2fpga.open_build(tmp_path / "damaged").run(MODEL.example)


def test_a_folder_without_a_report_is_no_build(tmp_path: Path) -> None:
    with pytest.raises(QapError, match="no report in"):
        qap2fpga.open_build(tmp_path)


def test_a_failed_check_is_said_and_raised_when_asked() -> None:
    report = read(finished())
    good = Build(Path("somewhere"), report)
    failing = Check.of("latency", "3 cycles", "5 cycles", False, "a FIFO is too shallow")
    bad = replace(good, report=replace(report, checks=(*report.checks, failing)))
    good.require_passed()
    assert good.passed and not bad.passed
    assert "FAILED" in repr(bad) and "1 failed" in repr(bad)
    with pytest.raises(CheckFailed, match=r"1 of .* checks failed; latency: expected 3 cycles, found 5 cycles"):
        bad.require_passed()


def test_an_option_that_the_backend_has_not_is_refused_with_those_it_has(folder: Path) -> None:
    with pytest.raises(QapError, match="the rtl backend has no option --target-fps") as caught:
        qap2fpga.build(folder / "net.pt", "pynq-z2", "rtl", target_fps=1e6)
    assert "--target-interval" in caught.value.hint and "--clock" in caught.value.hint
    assert not Path("builds/net-rtl-pynq-z2").exists()
