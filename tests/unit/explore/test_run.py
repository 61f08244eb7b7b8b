# SPDX-License-Identifier: Apache-2.0
"""Explorations from the command line: what is refused, what needs no work, and resuming."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from qap2fpga.build.folder import MARK
from qap2fpga.explore import estimates
from qap2fpga.explore.choose import DROPPED, FAILED, RANKED
from qap2fpga.train import study as studies
from qap2fpga.train.study import Result
from tests.conftest import ROOT
from tests.support.command import run, save
from tests.support.networks import random_model


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
    result = run("explore", study, *arguments, "--output", tmp_path / "out")
    assert result.code == 2 and said in result.err and not (tmp_path / "out").exists()


def test_a_place_without_checkpoints_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for place in ("empty", "missing.pt"):
        result = run("explore", tmp_path / place, "--board", "pynq-z2", "--output", tmp_path / "out")
        assert result.code == 2 and place in result.err and not (tmp_path / "out").exists()
    (tmp_path / "empty" / "study.json").write_text('{"schema": 1, "runs": []}')
    result = run("explore", tmp_path / "empty", "--board", "pynq-z2", "--output", tmp_path / "out")
    assert result.code == 2 and "there is no checkpoint in" in result.err


def test_unknown_accuracy_meets_no_minimum(tmp_path: Path, here: dict[str, list[str]]) -> None:
    (tmp_path / "net.pt").write_text("a network")
    arguments = (tmp_path / "net.pt", "--board", "pynq-z2", "--backend", "rtl", "--output", tmp_path / "out")
    result = run("explore", *arguments, "--min-accuracy", "0.7")
    assert result.code == 2 and "the accuracy of" in result.err and "net.pt is not known" in result.err
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
    result = run(*arguments, "--min-accuracy", "0.9")
    assert result.code == 1 and "the nearest by its estimate is a-step-0-rtl-pynq-z2: accuracy 76.00 %" in result.err
    assert here["estimated"] == ["a-step-0-rtl-pynq-z2"]


def test_a_study_is_trained_first(
    tmp_path: Path, study: Path, here: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = []

    def train(path: Path, output: Path, *, scheduler: str | None, workers: int, quiet: bool) -> Result:
        requests.append((path, output, scheduler, workers))
        shutil.copytree(study, output)
        return Result(output, None, {"c": "it diverged"})  # type: ignore[arg-type]

    monkeypatch.setattr(studies, "study", train)
    out = tmp_path / "out"
    (tmp_path / "jets.yaml").touch()
    result = run("explore", tmp_path / "jets.yaml", "--board", "pynq-z2", "--backend", "rtl", "--build", "0",
                "--jobs", "3", "--output", out)  # fmt: skip
    assert result.code == 0 and "training c failed: it diverged" in result.err
    assert requests == [(tmp_path / "jets.yaml", out / "studies" / "jets", None, 3)]
    assert len(json.loads((out / "explore.json").read_text())["points"]) == 3


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
    lines, outcome = output / estimates.LINES, first.stat().st_mtime_ns
    before = lines.read_bytes()
    lines.write_bytes(before[:-10])

    result = run(*arguments)
    assert result.code == 0, result.err
    assert lines.read_bytes().startswith(before[:-10]) and first.stat().st_mtime_ns == outcome
    content = json.loads((output / "explore.json").read_text())
    best, other, broken_file = content["points"]
    assert (best["status"], other["status"], broken_file["status"]) == (RANKED, RANKED, FAILED)
    assert "not a PyTorch file" in broken_file["why"]
    assert best["rank"] == 1 and best["build"]["meets"] and other["build"] is None
    report = json.loads((output / best["build"]["folder"] / "report.json").read_text())
    assert best["build"]["lut"] == report["measurements"][0]["total"]["lut"] > 0
    assert best["build"]["latency_ns"] == best["estimate"]["latency_ns"]["value"]
    assert report["model"]["sha256"] == best["model_sha256"]
    assert f"→ {best['build']['lut']:,}" in result.out and "1 of 1 wanted build meets the limits" in result.out
    # Nothing is done twice, and a limit that nothing meets is exit code 1.
    again = run(*arguments)
    assert again.code == 0 and json.loads((output / "explore.json").read_text()) == content
    tight = run(*(one if one != "5000" else "1" for one in arguments))
    assert tight.code == 1 and "nothing meets the limits" in tight.err and "--max-lut 1" in tight.err
