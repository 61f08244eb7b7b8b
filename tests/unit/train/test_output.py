# SPDX-License-Identifier: Apache-2.0
"""One model file out of a run, the command line that makes it, and the shipped example that it made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from qap2fpga.system.errors import QapError
from qap2fpga.train import config as settings
from qap2fpga.train.data import Scaler, split
from qap2fpga.train.data.arrays import load
from qap2fpga.train.output import train
from qap2fpga.train.settings import RunConfig
from tests.support.command import run as command
from tests.support.reports import failed, stored
from tests.support.training import toy

EXAMPLES = Path(__file__).parents[3] / "examples"
SMALL = {"model": {"widths": [8, 6]}, "training": {"epochs": 3, "batch": 32, "learning_rate": 0.01}}
SMALL |= {"pruning": {"epochs": 1, "steps": 2}}


@pytest.fixture
def toy_file(tmp_path: Path) -> Path:
    part = toy()
    np.savez(tmp_path / "toy.npz", X=part.x, y=part.y)
    return tmp_path / "toy.npz"


def small(data: Path) -> RunConfig:
    return settings.from_dict({"data": {"source": str(data)}, **SMALL})


def silent(_line: str) -> None:
    """Ignore a report."""


def test_a_model_says_where_it_comes_from(toy_file: Path, tmp_path: Path) -> None:
    output = tmp_path / "model.pt"
    output.write_bytes(b"an old file")
    lines: list[str] = []
    result = train(small(toy_file), lines.append, output, tmp_path / "vectors.npz")
    origin = torch.load(output, weights_only=True)["provenance"]
    assert str(tmp_path) not in json.dumps(origin)
    assert origin["metrics"]["test_accuracy"] == result.accuracy
    assert origin["metrics"]["float_test_accuracy"] == result.float_accuracy
    assert origin["config"]["weight_bits"] == 6
    assert origin["config"]["widths"] == [8, 6]
    scaler = Scaler.fit(split(load(toy_file)).training)
    assert origin["scaler"] == {"mean": scaler.mean.tolist(), "std": scaler.std.tolist()}
    assert result.sparsity >= 0.8
    assert result.test_rows == 60
    vectors = load(tmp_path / "vectors.npz")
    np.testing.assert_array_equal(vectors.rows.x, scaler(split(load(toy_file)).test).x)
    train(small(toy_file), silent, tmp_path / "again" / "model.pt")
    assert (tmp_path / "again" / "model.pt").read_bytes() == output.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again", "model.pt", "toy.npz", "vectors.npz"]


def test_a_folder_keeps_the_run(toy_file: Path, tmp_path: Path) -> None:
    result = train(small(toy_file), silent, folder=tmp_path / "run")
    assert result.float_accuracy is None
    assert result.output == tmp_path / "run" / "step-02.pt"
    train(small(toy_file), silent, tmp_path / "model.pt", folder=tmp_path / "run")
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert names == {".lock", "record.json", "vectors.npz", "step-00.pt", "step-01.pt", "step-02.pt"}
    one, other = (torch.load(path, weights_only=True)["state_dict"] for path in (result.output, tmp_path / "model.pt"))
    assert all(torch.equal(one[key], other[key]) for key in one)


def test_a_float_model_is_the_runs_state_dict(toy_file: Path, tmp_path: Path) -> None:
    config = settings.replace(small(toy_file), "model.bits", 32)
    train(config, silent, tmp_path / "float.pt", folder=tmp_path / "run")
    assert (tmp_path / "float.pt").read_bytes() == (tmp_path / "run" / "step-02.pt").read_bytes()


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("data.source", "no/such.npz", "no data file"),
        ("pruning.sparsity", 1.0, "sparsity"),
        ("model.weight_bits", 1, "weight_bits"),
        ("output", Path(__file__).parent, "is a folder"),
        ("output", Path(__file__) / "model.pt", "cannot be written"),
        ("output", None, "nowhere to write"),
    ],
)
def test_a_mistake_is_told_before_any_work(toy_file: Path, tmp_path: Path, path: str, value: Any, message: str) -> None:
    lines: list[str] = []
    config = small(toy_file) if path == "output" else settings.replace(small(toy_file), path, value)
    with pytest.raises(QapError, match=message):
        train(config, lines.append, value if path == "output" else tmp_path / "model.pt")
    assert not lines
    assert not (tmp_path / "model.pt").exists()


# ---- the command line


def test_options_override_the_file(toy_file: Path, tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text(yaml.safe_dump({"data": {"source": "absent.npz"}, **SMALL}))
    options = ["--data", toy_file, "--folder", tmp_path / "run", "--weight-bits", "6,5,4", "--seed", "7", "--l1", "0"]
    result = command("train", tmp_path / "run.yaml", *options, "--no-batch-norm", "--sparsity", "0.5")
    assert result.code == 0, result.err
    assert "of 60 test rows" in result.out
    config = json.loads((tmp_path / "run" / "record.json").read_text())["config"]
    assert config["data"]["source"] == str(toy_file)
    assert config["model"]["weight_bits"] == [6, 5, 4]
    assert config["model"]["widths"] == [8, 6]
    assert (config["seed"], config["training"]["l1"], config["model"]["batch_norm"]) == (7, 0.0, False)
    assert config["pruning"]["sparsity"] == 0.5


def test_the_command_tells_mistakes(tmp_path: Path) -> None:
    assert command("train").code == 2
    assert "nothing to train on" in command("train", "--output", tmp_path / "model.pt").err
    (tmp_path / "run.yaml").write_text("data: {source: x.npz}\nmodle: {}\n")
    result = command("train", tmp_path / "run.yaml", "--output", tmp_path / "model.pt")
    assert result.code == 2
    assert "did you mean 'model'" in result.err


# ---- the shipped example


def test_the_shipped_model_is_as_sparse_and_as_good_as_it_says() -> None:
    """Counted from the file's numbers alone, in float64, without Brevitas."""
    model = torch.load(EXAMPLES / "jets-6b-80pruned.pt", weights_only=True)
    data = load(EXAMPLES / "jets.npz")
    origin = model["provenance"]
    assert origin["data"]["sha256"] == data.sha256
    test = Scaler(*(np.array(origin["scaler"][key]) for key in ("mean", "std")))(split(data).test)
    state = {name: tensor.numpy().astype(np.float64) for name, tensor in model["state_dict"].items()}
    x, zeros, weights = test.x.astype(np.float64), 0, 0
    for layer in model["architecture"]:
        name, quantizer = layer["name"], model["quantizers"].get(layer["name"])
        if quantizer is not None:
            scale, bits = float(quantizer["scale"]), quantizer["bits"]
        if layer["kind"] == "dense":
            integers = np.rint(state[f"{name}.weight"] / scale)
            assert np.abs(integers).max() == 2 ** (bits - 1) - 1
            zeros, weights = zeros + int((integers == 0).sum()), weights + integers.size
            x = x @ (integers * scale).T + state[f"{name}.bias"]
        elif layer["kind"] == "batch_norm":
            x = (x - state[f"{name}.running_mean"]) / np.sqrt(state[f"{name}.running_var"] + layer["epsilon"])
            x = x * state[f"{name}.weight"] + state[f"{name}.bias"]
        else:
            low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if quantizer["signed"] else (0, 2**bits - 1)
            x = np.clip(np.rint(x / scale), low, high) * scale
    accuracy = float((x.argmax(axis=1) == test.y).mean())
    assert zeros / weights == pytest.approx(origin["metrics"]["sparsity"])
    assert zeros / weights >= 0.8
    # Float32 sums of the training library round a handful of rows differently.
    assert accuracy == pytest.approx(origin["metrics"]["test_accuracy"], abs=0.001)
    assert accuracy >= origin["metrics"]["float_test_accuracy"] - 0.01
    vectors = load(EXAMPLES / "jets_test.npz")
    np.testing.assert_array_equal(vectors.rows.x, test.x[: len(vectors.rows)])
    np.testing.assert_array_equal(vectors.rows.y, test.y[: len(vectors.rows)])


@pytest.mark.slow
@pytest.mark.parametrize("scales", ["arbitrary", "power_of_two"])
def test_what_was_trained_is_built_and_proven(toy_file: Path, tmp_path: Path, scales: str) -> None:
    """From rows to hardware: trained, pruned, lowered, C++ and Verilog, the same integers everywhere."""
    config = settings.replace(small(toy_file), "model.scales", scales)
    train(config, silent, tmp_path / "model.pt")
    for backend in ("hls4ml", "rtl"):
        done = command(
            "build", tmp_path / "model.pt", "--backend", backend, "--board", "pynq-z2", "--until", "simulate",
            "--output", tmp_path / backend,
        )  # fmt: skip
        assert done.code == 0, done.err
        report = stored(tmp_path / backend)
        assert report["checks"] and not failed(report)
        assert sum(one["mismatches"] for one in report["simulations"]) == 0
        assert max(one["vectors"] for one in report["simulations"]) > 1000
