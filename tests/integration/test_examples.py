# SPDX-License-Identifier: Apache-2.0
"""The shipped graphs go through each backend, and what comes out computes their integers."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import pytest
import torch

from qap2fpga.prove.certificate import NETLIST
from tests.support.command import run

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["rtl", "finn", "hls4ml"])
@pytest.mark.parametrize("name", ["digits-cnn", "pulses-resnet", "particles-deepset"])
def test_a_shipped_graph_becomes_hardware_with_the_same_integers(tmp_path: Path, name: str, backend: str) -> None:
    result = run("build", EXAMPLES / f"{name}.pt", "--backend", backend, "--board", "pynq-z2", "--until", "simulate",
                 "--output", tmp_path / "build")  # fmt: skip
    assert result.code == 0, result.err
    report = json.loads((tmp_path / "build" / "report.json").read_text())
    engines = {one["engine"]: one for one in report["simulations"]}
    hardware = "g++" if backend == "hls4ml" else "verilator"
    # Folded, a jet's particles take 480 cycles, of which as many run as take a reasonable time.
    assert engines[hardware]["vectors"] > (250 if (name, backend) == ("particles-deepset", "finn") else 1000)
    assert {one["mismatches"] for one in report["simulations"]} == {0}
    assert all(check["outcome"] != "failed" for check in report["checks"])


@pytest.mark.slow
def test_a_deep_set_is_proven_down_to_the_netlist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    script, qap = importlib.import_module("train_particles"), importlib.import_module("qap")
    for width, size in {"EACH": 6, "MEANS": 5, "HIDDEN": 4}.items():
        monkeypatch.setattr(script, width, size)
    torch.manual_seed(5)
    rows = torch.rand(128, 3, 6), torch.randint(script.KINDS, (128,))
    qap.make_example(script.network, rows, rows, tmp_path / "model.pt", epochs=2, sparsity=0.4, kept=20, data="noise")
    result = run("build", tmp_path / "model.pt", "--backend", "rtl", "--board", "pynq-z2", "--output", tmp_path / "b")
    assert result.code == 0, result.err
    report = json.loads((tmp_path / "b" / "report.json").read_text())
    claims = {one["claim"]: one["word"] for one in report["proof"]["claims"]}
    assert len(claims) == 3 and set(claims.values()) == {"proven"} and NETLIST in claims
    assert report["timing"]["interval_cycles"]["measured"] == 6  # a particle per cycle
