# SPDX-License-Identifier: Apache-2.0
"""The shipped graphs go through each backend, and what comes out computes their integers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.command import run

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["rtl", "finn", "hls4ml"])
@pytest.mark.parametrize("name", ["digits-cnn", "pulses-resnet"])
def test_a_shipped_graph_becomes_hardware_with_the_same_integers(tmp_path: Path, name: str, backend: str) -> None:
    result = run("build", EXAMPLES / f"{name}.pt", "--backend", backend, "--board", "pynq-z2", "--until", "simulate",
                 "--output", tmp_path / "build")  # fmt: skip
    assert result.code == 0, result.err
    report = json.loads((tmp_path / "build" / "report.json").read_text())
    engines = {one["engine"]: one for one in report["simulations"]}
    hardware = "g++" if backend == "hls4ml" else "verilator"
    assert engines[hardware]["vectors"] > 1000
    assert {one["mismatches"] for one in report["simulations"]} == {0}
    assert all(check["outcome"] != "failed" for check in report["checks"])
