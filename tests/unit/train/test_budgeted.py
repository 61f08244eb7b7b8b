# SPDX-License-Identifier: Apache-2.0
"""Training to a budget of LUTs: what it keeps to, that it goes on bit for bit, and the command line."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

import qap2fpga
from qap2fpga.system.errors import QapError
from qap2fpga.train import budgeted
from qap2fpga.train import config as settings
from qap2fpga.train.budgeted import train_to
from qap2fpga.train.settings import RunConfig
from tests.support.command import run as command
from tests.support.training import toy

LUTS = 150


@pytest.fixture
def config(tmp_path: Path) -> RunConfig:
    part = toy()
    np.savez(tmp_path / "toy.npz", X=part.x, y=part.y)
    plain = {"model": {"widths": [8]}, "training": {"epochs": 12, "batch": 32, "learning_rate": 0.01}}
    return settings.from_dict({"data": {"source": str(tmp_path / "toy.npz")}, **plain, "pruning": {"epochs": 2}})


def silent(_line: str) -> None:
    """Ignore a report."""


def test_a_network_keeps_to_its_budget_and_is_what_was_trained(config: RunConfig, tmp_path: Path) -> None:
    lines: list[str] = []
    result = train_to(config, LUTS, lines.append, tmp_path / "model.pt", tmp_path / "vectors.npz")
    assert result.luts is not None and 0 < result.luts.expected <= 1.1 * LUTS and result.luts.budget == LUTS
    network = qap2fpga.load(tmp_path / "model.pt", quiet=True)
    with np.load(tmp_path / "vectors.npz") as rows:
        assert network.accuracy(rows["X"], rows["y"]) == pytest.approx(result.accuracy)
    assert network.sparsity == pytest.approx(result.sparsity) and result.accuracy > 0.6
    origin = torch.load(tmp_path / "model.pt", weights_only=True)["provenance"]
    assert origin["config"]["max_lut"] == LUTS and "weight_bits" not in origin["config"]
    assert origin["metrics"]["test_accuracy"] == result.accuracy
    assert str(tmp_path) not in json.dumps(origin)
    assert "LUTs expected after" in " ".join(lines)


def test_a_network_that_has_become_a_constant_is_not_written(
    config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budgeted, "predict_luts", lambda _path: 0.0)
    with pytest.raises(QapError, match="on the way to 150 LUTs the network has become a constant"):
        train_to(config, LUTS, silent, tmp_path / "model.pt")
    assert not (tmp_path / "model.pt").exists()


@pytest.mark.parametrize("stop", [3, 14])
def test_a_stopped_training_goes_on_bit_for_bit(
    config: RunConfig, stop: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped while bits learn, and after that: 12 epochs are less than what the budget takes."""
    monkeypatch.setattr(budgeted, "SAVE_SECONDS", 0.0)
    whole = train_to(config, LUTS, silent, tmp_path / "whole.pt")
    said = 0

    def stopping(line: str) -> None:
        nonlocal said
        said += line.startswith("epoch ")
        if said > stop:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_to(config, LUTS, stopping, tmp_path / "model.pt", folder=tmp_path / "run")
    assert not (tmp_path / "model.pt").exists()
    lines: list[str] = []
    again = train_to(config, LUTS, lines.append, tmp_path / "model.pt", folder=tmp_path / "run")
    assert lines[0] == f"goes on after epoch {stop}"
    assert (tmp_path / "model.pt").read_bytes() == (tmp_path / "whole.pt").read_bytes()
    assert dataclasses.replace(again, output=whole.output, seconds=0) == dataclasses.replace(whole, seconds=0)


def test_a_folder_of_another_training_is_refused(config: RunConfig, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        train_to(config, LUTS, _interrupted, tmp_path / "model.pt", folder=tmp_path / "run")
    with pytest.raises(QapError, match="other settings"):
        train_to(config, LUTS + 1, silent, tmp_path / "model.pt", folder=tmp_path / "run")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").touch()
    with pytest.raises(QapError, match=r"thesis\.tex"):
        train_to(config, LUTS, silent, tmp_path / "model.pt", folder=tmp_path / "other")


def _interrupted(_line: str) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(("luts", "what"), [(0, "budget of 0"), (1, "for 2 layers")])
def test_a_budget_that_no_network_has(config: RunConfig, luts: int, what: str, tmp_path: Path) -> None:
    with pytest.raises(QapError, match=what):
        train_to(config, luts, silent, tmp_path / "model.pt")
    assert not (tmp_path / "model.pt").exists()


def test_a_training_that_diverges_says_so(config: RunConfig, tmp_path: Path) -> None:
    wild = settings.replace(config, "training.learning_rate", 1e30)
    with pytest.raises(QapError, match=r"diverged|no bits left"):
        train_to(wild, LUTS, silent, tmp_path / "model.pt")


def test_the_command_line_says_what_was_reached_and_measured(config: RunConfig, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(json.dumps(settings.to_dict(config)))
    asked = ("train", tmp_path / "run.json", "--max-lut", str(LUTS))
    result = command(*asked, "--output", tmp_path / "model.pt")
    assert result.code == 0, result.err
    assert f"measured by Yosys (budget {LUTS})" in result.out
    both = command(*asked, "--weight-bits", "4", "--output", tmp_path / "other.pt")
    assert both.code == 2 and "max_lut and bits are both given" in both.err
    nowhere = command(*asked)
    assert nowhere.code == 2 and "nowhere to write to" in nowhere.err


def test_the_learning_rate_falls_again_and_again() -> None:
    assert budgeted.cyclic(2.0, 0.0, 3, 0.5) == 2.0 and budgeted.cyclic(2.0, 0.5, 3, 0.5) == pytest.approx(1.0)
    assert budgeted.cyclic(2.0, 0.999, 3, 0.5) == 2.0 * budgeted.LOWEST and budgeted.cyclic(2.0, 1.0, 3, 0.5) == 1.0
    assert budgeted.cyclic(2.0, 7.0, 3, 0.5) == budgeted.cyclic(2.0, 3.0, 3, 0.5) == 0.25
