# SPDX-License-Identifier: Apache-2.0
"""Whole builds for boards with a processor: the driver is always there, the bitstream where Vivado makes one."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from qap2fpga import backends
from qap2fpga.build import amd
from qap2fpga.build import folder as stages
from qap2fpga.build import stored as restored
from qap2fpga.build.request import Request
from qap2fpga.build.run import build, plan
from qap2fpga.driver.mock import MockPynq
from qap2fpga.frontend.checkpoint import writing
from qap2fpga.frontend.checkpoint.widths import Widths
from qap2fpga.hw import boards
from qap2fpga.ir import storage
from qap2fpga.system.codec import encode
from qap2fpga.system.errors import QapError
from qap2fpga.system.progress import Progress
from tests.support import command
from tests.support.drivers import load
from tests.support.networks import random_model
from tests.support.reports import stored
from tests.support.vendor import FAKES, needs_tclsh

STEPS = ("system", "bitstream")
FILES = ["constants.json", "driver.py", "my_net.h", "vectors.npz"]


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("model") / "my net.pt"
    trained = random_model(5, widths=(4, 6, 3), bits=3, sparsity=0.4, rows=60)
    writing.write(trained, path, trained.labels, {})
    return path


def request(model: Path, output: Path, board: str = "pynq-z2", backend: str = "rtl", **given) -> Request:
    options = backends.get(backend).make_options(output_kind=given.pop("kind", "logits"))
    return Request(model, boards.load(board), backend, options, output, Widths(), **{"until": "generate", **given})


def run(wanted: Request) -> dict:
    with Progress(quiet=True) as progress:
        return encode(build(wanted, progress))


def made(output: Path, board: str = "pynq-z2"):
    """The design or project that the build's stage left."""
    stored = stages.stored(output, "generate")
    return restored.artifact(stored, output)


@pytest.mark.parametrize("backend, kind", [("rtl", "logits"), ("rtl", "class"), ("hls4ml", "accumulators")])
def test_a_driver_is_written_and_computes_what_the_network_computes(model, tmp_path, backend, kind):
    report = run(request(model, tmp_path / "b", backend=backend, kind=kind))
    folder = tmp_path / "b" / "driver"
    assert report["driver"] == sorted(path.name for path in folder.iterdir()) == FILES
    one = storage.load(tmp_path / "b" / "network.npz")
    network = load(folder / "driver.py").Network(folder, platform=MockPynq(one, made(tmp_path / "b"), kind))
    with np.load(folder / "vectors.npz") as vectors:
        assert network.self_test() == len(vectors["inputs"]) == 60
    values = np.random.default_rng(0).normal(0, 2, (50, one.inputs)).astype(np.float32)
    assert (network.classes(values) == one.run(one.input.quantize(values)).argmax(axis=1)).all()


def test_the_driver_follows_the_board(model, tmp_path):
    run(request(model, tmp_path / "b"))
    first = (tmp_path / "b" / "driver" / "constants.json").read_text()
    assert json.loads(first)["board"] == "pynq-z2"
    (tmp_path / "b" / "driver" / "vectors.npz").unlink()
    run(request(model, tmp_path / "b", "kv260"))
    assert json.loads((tmp_path / "b" / "driver" / "constants.json").read_text())["board"] == "kv260"
    report = run(request(model, tmp_path / "b", "vu13p"))
    assert report["driver"] is None and not (tmp_path / "b" / "driver").exists()
    run(request(model, tmp_path / "b"))
    assert (tmp_path / "b" / "driver" / "constants.json").read_text() == first


def test_a_bitstream_for_a_board_without_a_processor_is_refused_before_any_work(model, tmp_path):
    with pytest.raises(QapError, match=r"vcu118 has no processor beside its logic \(xcvu9p-flga2104-2L-e\)"):
        run(request(model, tmp_path / "b", "vcu118", vendor=STEPS, until="synthesize"))
    with pytest.raises(QapError, match="FINN's builder does not take a design of the hls4ml backend"):
        run(request(model, tmp_path / "b", backend="hls4ml", vendor=("finn",), until="synthesize"))
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize("backend, steps", [("rtl", STEPS), ("hls4ml", ("csynth", "export", *STEPS))])
def test_the_plan_shows_the_bitstream(model, tmp_path, monkeypatch, backend, steps):
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    with Progress(quiet=True) as progress:
        text = plan(request(model, tmp_path / "b", backend=backend, vendor=steps), progress)
    assert "-source system.tcl" in text and "-source bitstream.tcl" in text and "Vivado is absent" in text
    assert text.endswith("Note: this flow was tried against mocks of AMD's tools only.")
    folder = tmp_path / "b" / "vendor"
    assert (folder / "qap_stream.v").is_file() and (folder / "qap_hls.v").is_file() == (backend == "hls4ml")
    assert 'set processor "processing_system7"' in (folder / "system_settings.tcl").read_text()


@needs_tclsh
@pytest.mark.slow
def test_a_whole_build_up_to_the_bitstream(model, tmp_path, monkeypatch):
    """Vivado is a mock; everything else is real, also the simulation from DMA word to DMA word."""
    monkeypatch.setenv("PATH", f"{FAKES}:{os.environ['PATH']}")
    job = request(model, tmp_path / "b", vendor=STEPS, until="synthesize")
    report = run(job)
    assert [one["step"] for one in report["vendor"]] == list(STEPS)
    assert (report["measurements"][-1]["stage"], report["fits"]["stage"]) == ("routed", "routed")
    assert "mocks of AMD's tools only" in report["measurements"][-1]["note"]
    words = [one for one in report["simulations"] if "DMA word" in one["compared"]]
    assert len(words) == 5 and {one["mismatches"] for one in words} == {0}
    driver = tmp_path / "b" / "driver"
    assert {path.name for path in driver.iterdir()} == {*FILES, "network.bit", "network.hwh"}
    before = (tmp_path / "b" / "report.json").read_bytes()
    monkeypatch.setattr(amd, "run", lambda *_: pytest.fail("ran again"))
    run(job)
    assert (tmp_path / "b" / "report.json").read_bytes() == before
    monkeypatch.undo()
    monkeypatch.setenv("PATH", f"{FAKES}:{os.environ['PATH']}")
    (driver / "network.bit").unlink()
    run(job)
    assert (driver / "network.bit").is_file(), "what was taken away comes back, without a run of Vivado"
    shown = command.run("report", tmp_path / "b")
    assert "bitstream, Vivado 2023.2" in shown.out
    assert stored(tmp_path / "b")["driver"] == FILES
