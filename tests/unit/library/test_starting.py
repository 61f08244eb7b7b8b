# SPDX-License-Identifier: Apache-2.0
"""`init`: what it writes runs, and nothing that is there is lost."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import qap2fpga
from qap2fpga.library.starting import FILES
from qap2fpga.system.errors import QapError
from tests.support import command

ROOT = Path(__file__).parents[3]


def make(folder: Path, target: str) -> str:
    """`make TARGET` in `folder` with this Python and this program; what it printed."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    arguments = ["make", "-C", str(folder), target, f"PYTHON={sys.executable}"]
    done = subprocess.run(arguments, env=environment, capture_output=True, text=True, timeout=1800, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_what_is_written_trains_and_builds_as_far_as_the_network(tmp_path: Path) -> None:
    done = command.run("init", tmp_path / "new")
    assert done.code == 0 and done.out.count("wrote ") == len(FILES)
    random = np.random.default_rng(2)
    labels = random.integers(0, 2, 200)
    np.savez(tmp_path / "new" / "data.npz", X=random.normal(0, 1, (200, 4)) + 3 * labels[:, None], y=labels)
    script = tmp_path / "new" / "train.py"
    script.write_text(script.read_text().replace("EPOCHS, BATCH, RATE, SEED = 30", "EPOCHS, BATCH, RATE, SEED = 8"))
    printed = make(tmp_path / "new", "model")
    assert "test rows" in printed and "<Network model.pt: 4 inputs, 2 outputs, 3 layers" in printed
    build = qap2fpga.open_build(tmp_path / "new" / "build")
    assert build.passed and build.report.model is not None
    assert (build.report.model.accuracy or 0) > 0.9
    layers = build.report.model.layers
    assert sum(layer.zeros for layer in layers) / sum(layer.weights for layer in layers) > 0.69


@pytest.mark.slow
def test_it_runs_as_it_is_as_far_as_the_simulation(tmp_path: Path) -> None:
    qap2fpga.init(tmp_path)
    settings = tmp_path / "build.yaml"
    settings.write_text(settings.read_text().replace("until: synthesize", "until: simulate  "))
    make(tmp_path, "all")
    build = qap2fpga.open_build(tmp_path / "build")
    assert build.passed and build.report.backend == "rtl"
    assert [one.mismatches for one in build.report.simulations if one.circuit == "rtl"]


def test_a_file_that_is_there_is_not_lost(tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_text("mine")
    done = command.run("init", tmp_path)
    assert (done.code, done.out) == (2, "") and "Makefile is there already" in done.err
    assert [path.name for path in tmp_path.iterdir()] == ["Makefile"]
    with pytest.raises(QapError, match="cannot write"):
        qap2fpga.init(tmp_path / "Makefile")
