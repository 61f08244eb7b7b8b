# SPDX-License-Identifier: Apache-2.0
"""Chains run by torch: by a process of its own the same values as here."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from qap2fpga.frontend import torch_process, torch_run
from qap2fpga.frontend.torch_run import Torch, TorchValues
from qap2fpga.system.errors import QapError
from tests.support.networks import random_model

MODEL, OTHER = random_model(3), random_model(4, widths=(5, 4), bits=1, sparsity=0.0)
ROWS = np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32)


def assert_same(one: TorchValues, other: TorchValues) -> None:
    for ours, theirs in ((one.entered, other.entered), (one.quantized, other.quantized)):
        assert len(ours) == len(theirs)
        assert all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))
    assert np.array_equal(one.output, other.output)


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Torch:
    """As where Brevitas is not loaded."""
    monkeypatch.setattr(torch_run, "_is_loaded", lambda: False)
    return Torch()


def test_values_of_another_process(elsewhere: Torch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("torch.py").write_text("raise SystemExit('a file of the working folder was imported')")
    with elsewhere as torch:
        torch.begin()
        process = torch.process
        assert process is not None
        for model in (MODEL, OTHER, MODEL):
            assert_same(torch.values(model, ROWS), torch_process.values(model, ROWS))
        assert torch.process is process, "one process does all"
    assert process.returncode is not None and torch.process is None


def test_here_where_brevitas_is_loaded() -> None:
    with Torch() as torch:
        torch.begin()
        assert_same(torch.values(MODEL, ROWS), torch_process.values(MODEL, ROWS))
        assert torch.process is None


def test_a_process_that_dies(elsewhere: Torch) -> None:
    with elsewhere as torch:
        torch.begin()
        assert torch.process is not None
        torch.process.kill()
        with pytest.raises(QapError, match="in which torch runs the network ended with code -9"):
            torch.values(MODEL, ROWS)


def test_the_process_ends_with_its_input() -> None:
    done = subprocess.run([sys.executable, "-m", torch_run.PROCESS], input=b"", capture_output=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, b"")
