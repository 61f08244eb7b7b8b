# SPDX-License-Identifier: Apache-2.0
"""The examples that come with the program: exact, as accurate as their page says, and what trains them works."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import nn

import qap2fpga
from qap2fpga.frontend.checkpoint import model_file as file
from qap2fpga.frontend.checkpoint.widths import Widths
from qap2fpga.frontend.prepare import Source, prepare
from qap2fpga.system.errors import QapError
from qap2fpga.train.data import split
from qap2fpga.train.data.arrays import load
from tests.unit.frontend.test_checkpoint import one_thread  # noqa: F401

EXAMPLES = Path(__file__).parents[2] / "examples"
# The accuracy that the page of the examples states of the rows in the file, in percent, and the zero weights.
SHIPPED = {"digits-cnn": ("97.67", 0.75), "pulses-resnet": ("95.00", 0.70), "particles-deepset": ("61.00", 0.60)}


@pytest.fixture
def scripts(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The examples' scripts import each other from their folder."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    yield


@pytest.mark.parametrize("name", SHIPPED)
def test_the_shipped_graphs_are_exact_and_as_accurate_as_stated(name: str) -> None:
    path, (accuracy, sparsity) = EXAMPLES / f"{name}.pt", SHIPPED[name]
    assert path.stat().st_size < 200_000
    prepared = prepare(Source(path, Widths()), lambda line: None)
    compared = {one.engine: one for one in prepared.simulations}
    assert compared["torch"].mismatches == compared["qonnx"].mismatches == 0
    assert f"{100 * (prepared.facts.accuracy or 0):.2f}" == accuracy
    layers = prepared.facts.network.layers
    assert sum(layer.zeros for layer in layers) / sum(layer.weights for layer in layers) == pytest.approx(
        sparsity, abs=0.01
    )
    page = (EXAMPLES / "README.md").read_text()
    row = next(line for line in page.splitlines() if line.startswith(f"| `{name}.pt`") and accuracy in line)
    provenance = file.read_any(path, Widths()).provenance
    metrics = provenance["metrics"]
    assert isinstance(metrics, dict)
    for key in ("float_accuracy", "test_accuracy"):
        assert f"{100 * metrics[key]:.2f} %" in row


def layers_of(network: nn.Module) -> list[nn.Module]:
    return [part for part in network.modules() if hasattr(part, "weight_mask")]


FRAMES = {"train_digits": ((1, 8, 8), 10), "train_pulses": ((1, 32), 3), "train_particles": ((3, 24), 5)}


@pytest.mark.parametrize("name", FRAMES)
def test_a_network_of_the_scripts_is_trained_pruned_and_saved(scripts: None, name: str, tmp_path: Path) -> None:
    script: ModuleType = importlib.import_module(name)
    qap: ModuleType = importlib.import_module("qap")
    shape, classes = FRAMES[name]
    torch.manual_seed(3)
    rows = torch.rand(128, *shape), torch.randint(classes, (128,))
    stated: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("builtins.print", stated.append)
        options = {"epochs": 3, "sparsity": 0.5, "kept": 20, "data": "noise"}
        qap.make_example(script.network, rows, rows, tmp_path / "model.pt", **options)
    assert stated[0].startswith("float, not pruned: ")
    assert stated[1].startswith("quantized, 50% of the weights zero: ")
    assert stated[2].endswith("of the 20 rows in it")
    masks = prepare(Source(tmp_path / "model.pt", Widths(), compare=False), lambda line: None).facts.masked
    assert masks is not None
    sizes = {part: layer.weight.numel() for part, layer in script.network(True).named_modules() if part in masks}
    assert {part: round(size / 2) for part, size in sizes.items()} == masks


def test_what_is_masked_stays_masked(scripts: None) -> None:
    qap: ModuleType = importlib.import_module("qap")
    layer = nn.Linear(4, 3)
    qap.prune.identity(layer, "weight")
    qap.mask_smallest(layer, 0.25)
    first = layer.weight_mask.clone()
    with torch.no_grad():
        layer.weight_orig.copy_(torch.where(first > 0, 0.1 * layer.weight_orig, 9.0))
    qap.mask_smallest(layer, 0.5)
    assert (first == 0).sum() == 3
    assert (layer.weight_mask == 0).sum() == 6
    assert not (layer.weight_mask[first == 0]).any()


def test_the_same_pulses_every_time(scripts: None) -> None:
    script: ModuleType = importlib.import_module("train_pulses")
    waves, number = script.pulses(500, np.random.default_rng(1))
    again, _ = script.pulses(500, np.random.default_rng(1))
    assert np.array_equal(waves, again)
    assert waves.shape == (500, 1, 32)
    assert np.array_equal(waves, np.rint(waves))
    assert waves.min() >= 0 and 40 < waves.max() < 64
    assert set(number) == {0, 1, 2}
    heights = [waves[number == count].max(axis=(1, 2)).mean() for count in range(3)]
    assert heights[0] < heights[1] < heights[2]


def particles(folder: Path, jets: int) -> Path:
    """Jets as `simulate-jets --constituents 6` writes them, of noise; the one feature is the number of the jet."""
    rng = np.random.default_rng(5)
    path = folder / "particles.npz"
    kinds = np.arange(jets) % 5
    shares = np.sort(rng.dirichlet(np.ones(6), jets))[:, ::-1]
    around = rng.normal(0, 0.2, (jets, 6, 2))
    content = np.concatenate([shares[:, :, None], around], axis=2).astype(np.float32)
    np.savez(path, X=np.arange(jets, dtype=np.float32)[:, None], y=kinds, particles=content)
    return path


def test_the_deep_set_is_trained_and_tested_on_the_jets_of_qap2fpga_train(scripts: None, tmp_path: Path) -> None:
    script: ModuleType = importlib.import_module("train_particles")
    path = particles(tmp_path, 100)
    parts, rows = split(load(path)), np.load(path)["particles"]
    for part, same in zip(script.jets(path), (parts.training, parts.validation, parts.test), strict=True):
        seen, kinds = script.tensors(part)
        numbers = same.x[:, 0].astype(int)
        assert np.array_equal(kinds, same.y) and np.array_equal(same.y, numbers % 5)
        assert np.array_equal(seen.transpose(1, 2), rows[numbers] * np.float32(script.FACTORS))
    np.savez(path, X=np.zeros((9, 2)), y=np.zeros(9, int))
    with pytest.raises(QapError, match="no array 'particles'"):
        script.jets(path)


def test_mirrored_jets_are_eight_whose_particles_are_as_far_from_the_axis(scripts: None) -> None:
    script: ModuleType = importlib.import_module("train_particles")
    jet = torch.tensor([[[0.5, 0.25], [0.1, -0.2], [0.3, 0.4]]])
    copies, kinds = script.mirrored(jet, torch.tensor([3]))
    assert len({tuple(copy.flatten().tolist()) for copy in copies}) == 8
    assert kinds.tolist() == [3] * 8 and torch.equal(copies[:, 0], jet[:, 0].repeat(8, 1))
    assert torch.allclose(copies[:, 1:].square().sum(1), jet[:, 1:].square().sum(1).repeat(8, 1))


def test_the_integers_of_a_deep_set_are_those_of_torch(scripts: None, tmp_path: Path) -> None:
    script: ModuleType = importlib.import_module("train_particles")
    qap: ModuleType = importlib.import_module("qap")
    torch.manual_seed(3)
    inputs, kinds = script.tensors(script.jets(particles(tmp_path, 200))[0])
    network = qap.train(script.network(True), inputs, kinds, epochs=1, sparsity=0.5)
    qap2fpga.save(network, inputs, tmp_path / "model.pt", labels=kinds)
    loaded = qap2fpga.load(tmp_path / "model.pt", quiet=True)
    compared = {one.engine: one for one in loaded.comparisons}
    assert {"torch", "qonnx"} < set(compared) and not any(one.mismatches for one in compared.values())
    with torch.no_grad():
        stated = network(inputs).numpy()
    integers = loaded.run(inputs)
    # A step of the logits is worth this much: they are as fine as the class needs.
    assert np.abs(integers * loaded.output_scale - stated).max() <= loaded.output_scale
    assert np.array_equal(integers.argmax(1), stated.argmax(1))
