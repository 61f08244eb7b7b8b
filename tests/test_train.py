# SPDX-License-Identifier: Apache-2.0
"""Training: features, simulated jets, data, network, pruning, the loop, and the shipped example."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import itertools
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from qap2fpga.data import power_of_two_scale
from qap2fpga.errors import QapError
from qap2fpga.train import TrainConfig, train
from qap2fpga.train import jets as simulation
from qap2fpga.train.data import Dataset, Part, Scaler, load, split
from qap2fpga.train.features import FEATURES, distances, energy_correlations, jet_features
from qap2fpga.train.jets import CLASSES, Chunk, JetConfig, chunks_of, generate, merge, write_chunk
from qap2fpga.train.loop import Recipe, Rows, evaluate, fit, fit_pruned, reproducible
from qap2fpga.train.network import (
    dense_layers,
    float_network,
    integer_weights,
    quantized_network,
)
from qap2fpga.train.prune import integer_sparsity, mask_sparsity, prune_to, steps

EXAMPLES = Path(__file__).parent.parent / "examples"
SIZES = (6, 12, 8, 3)
QUICK = Recipe(epochs=2, patience=5, learning_rate=1e-2, batch=32, l1=1e-4)


def silent(_line: str) -> None:
    """A report nobody reads."""


def toy(rows: int = 400, seed: int = 0) -> Part:
    """Three classes that overlap, six features, two of which say nothing."""
    random = np.random.RandomState(seed)
    x = random.randn(rows, 6).astype(np.float32)
    y = (x[:, :3] + 0.5 * random.randn(rows, 3)).argmax(axis=1).astype(np.int64)
    return Part(x, y)


def quantized(scale: float = 0.0625) -> nn.Sequential:
    return quantized_network(SIZES, 4, 4, 8, scale, batch_norm=True)


@pytest.fixture
def toy_file(tmp_path: Path) -> Path:
    part = toy()
    np.savez(tmp_path / "toy.npz", X=part.x, y=part.y)
    return tmp_path / "toy.npz"


# ---- features


def test_features_of_a_jet_computed_by_hand() -> None:
    # Distances 0.3, 0.4 and 0.5; the first two particles lie on both sides of azimuth 0.
    jet = np.array([[50.0, 0.0, 0.1], [30.0, 0.0, 2 * np.pi - 0.2], [20.0, 0.4, 0.1]])
    e2 = {b: 0.15 * 0.3**b + 0.10 * 0.4**b + 0.06 * 0.5**b for b in (0, 1, 2)}
    weight = 0.5 * 0.3 * 0.2
    expected = {
        "zlogz": 0.5 * math.log(0.5) + 0.3 * math.log(0.3) + 0.2 * math.log(0.2),
        "c1_b0_mmdt": 0.31,
        "c1_b1_mmdt": 0.115,
        "c1_b2_mmdt": 0.0445,
        "c2_b1_mmdt": weight * 0.06 / e2[1] ** 2,
        "c2_b2_mmdt": weight * 0.0036 / e2[2] ** 2,
        "d2_b1_mmdt": weight * 0.06 / e2[1] ** 3,
        "d2_b2_mmdt": weight * 0.0036 / e2[2] ** 3,
        "d2_a1_b1_mmdt": weight * 0.06 / e2[1] ** 3,
        "d2_a1_b2_mmdt": weight * 0.06 / e2[2] ** 1.5,
        "m2_b1_mmdt": weight * 0.3 / e2[1],
        "m2_b2_mmdt": weight * 0.09 / e2[2],
        "n2_b1_mmdt": weight * 0.12 / e2[1] ** 2,
        "n2_b2_mmdt": weight * 0.0144 / e2[2] ** 2,
        "mass_mmdt": 81.5,
        "multiplicity": 3.0,
    }
    assert tuple(expected) == FEATURES
    np.testing.assert_allclose(jet_features(jet, jet, 81.5), list(expected.values()), rtol=1e-12)


def test_correlations_equal_the_sums_over_all_triples() -> None:
    random = np.random.RandomState(3)
    jet = np.stack([random.rand(9) + 0.1, random.randn(9), random.rand(9) * 2 * np.pi], axis=1)
    z, r = jet[:, 0] / jet[:, 0].sum(), distances(jet[:, 1], jet[:, 2])
    found = energy_correlations(jet)
    for b in (1, 2):
        sums = np.zeros(3)
        for i, j, k in itertools.combinations(range(9), 3):
            low, middle, high = sorted((r[i, j], r[i, k], r[j, k]))
            sums += z[i] * z[j] * z[k] * np.array([low * middle * high, low, low * middle]) ** b
        np.testing.assert_allclose([found.e3[b], found.e3_min[b], found.e3_min2[b]], sums, rtol=1e-12)


@pytest.mark.parametrize("groomed", [1, 2])
def test_a_jet_groomed_to_almost_nothing_has_finite_features(groomed: int) -> None:
    jet = np.array([[50.0, 0.0, 0.1], [30.0, 0.0, 0.4], [20.0, 0.4, 0.1]])
    values = dict(zip(FEATURES, jet_features(jet, jet[:groomed], 0.0), strict=True))
    assert all(math.isfinite(value) for value in values.values())
    assert values["d2_b1_mmdt"] == values["n2_b1_mmdt"] == 0
    assert values["multiplicity"] == 3


# ---- simulated jets


@pytest.fixture
def simulator() -> None:
    for name in ("pythia8mc", "fastjet"):
        pytest.importorskip(name, reason="needs qap2fpga[simulate]")


@pytest.fixture
def some_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulation, "versions", lambda: {"pythia8mc": "0", "fastjet": "0"})


def fake_source(chunk: Chunk) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.random.RandomState(chunk.pythia_seed()).rand(chunk.size, len(FEATURES)).astype(np.float32)


@pytest.mark.usefixtures("some_versions")
def test_chunks_merge_class_by_class_and_only_when_complete(tmp_path: Path) -> None:
    config = JetConfig(tmp_path / "jets.npz", tmp_path / "chunks", jets_a_class=5, chunk=2)
    chunks = list(chunks_of(config))
    assert [chunk.size for chunk in chunks] == [2] * 10 + [1] * 5
    for chunk in chunks[:-1]:
        write_chunk(chunk, config.folder, fake_source)
    with pytest.raises(QapError, match=r"z-00002.* is missing"):
        merge(config)
    assert not config.output.exists()
    write_chunk(chunks[-1], config.folder, fake_source)
    merge(config)
    data = load(config.output)
    assert data.features == FEATURES
    assert data.classes == CLASSES
    assert data.rows.y.tolist() == [c for size in (2, 2, 1) for c in range(5) for _ in range(size)]
    np.testing.assert_array_equal(data.rows.x[:2], fake_source(chunks[0]))


@pytest.mark.usefixtures("some_versions")
def test_another_recipe_is_another_file_and_another_seed(tmp_path: Path) -> None:
    config = JetConfig(tmp_path / "jets.npz", tmp_path, jets_a_class=40, chunk=10)
    chunks = [chunk for seed in (1, 2) for chunk in chunks_of(dataclasses.replace(config, seed=seed))]
    chunks.append(dataclasses.replace(chunks[0], size=11))
    assert len({chunk.path(tmp_path) for chunk in chunks}) == len(chunks)
    assert len({chunk.pythia_seed() for chunk in chunks[:-1]}) == len(chunks) - 1
    last = Chunk("z", simulation.CHUNKS_A_CLASS - 1, 1, simulation.SEEDS - 1)
    assert last.pythia_seed() <= 900_000_000


def test_a_missing_extra_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", absent)
    with pytest.raises(QapError) as caught:
        generate(JetConfig(tmp_path / "jets.npz", tmp_path / "chunks"), silent)
    assert caught.value.cure == "pip install 'qap2fpga[simulate]'"
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("simulator")
def test_a_stopped_simulation_goes_on_and_ends_in_the_same_bytes(tmp_path: Path) -> None:
    config = JetConfig(tmp_path / "jets.npz", tmp_path / "chunks", jets_a_class=1, chunk=1, seed=4, processes=2)
    generate(config, silent)
    whole = config.output.read_bytes()
    kept, lost = sorted(config.folder.iterdir())[0::2], sorted(config.folder.iterdir())[1::2]
    before = [path.stat().st_mtime_ns for path in kept]
    config.output.unlink()
    for path in lost:
        path.unlink()
    lines: list[str] = []
    generate(config, lines.append)
    assert lines[0] == "3 of 5 chunks are there"
    assert [path.stat().st_mtime_ns for path in kept] == before
    assert config.output.read_bytes() == whole
    x = load(config.output).rows.x
    mass, multiplicity = x[:, FEATURES.index("mass_mmdt")], x[:, FEATURES.index("multiplicity")]
    assert ((mass >= 0) & (mass < 1000)).all()
    assert ((multiplicity > 5) & (multiplicity < 400)).all()


# ---- data


def test_the_scaler_sees_the_training_part_only(toy_file: Path) -> None:
    data = load(toy_file)
    parts = split(data)
    scaler = Scaler.fit(parts.training)
    x = data.rows.x.copy()
    outside = np.ones(len(x), bool)
    outside[np.random.RandomState(2021).permutation(len(x))[: len(parts.training)]] = False
    x[outside] *= 1000
    changed = dataclasses.replace(data, rows=Part(x, data.rows.y))
    again = Scaler.fit(split(changed).training)
    np.testing.assert_array_equal(scaler.mean, again.mean)
    np.testing.assert_array_equal(scaler.std, again.std)
    scaled = scaler(parts.training).x.astype(np.float64)
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(scaled.std(axis=0), 1, atol=1e-6)


def test_the_parts_are_all_the_rows_and_share_none() -> None:
    x = np.arange(200, dtype=np.float32)[:, None]
    parts = split(Dataset(Part(x, np.arange(200) % 2), ("f",), ("a", "b"), "name", ""))
    assert [len(parts.training), len(parts.validation), len(parts.test)] == [140, 30, 30]
    assert sorted(np.concatenate([parts.training.x, parts.validation.x, parts.test.x]).ravel()) == list(range(200))
    # The rule is a promise: these rows never change.
    assert parts.test.x[:5].ravel().tolist() == [120, 189, 123, 54, 144]


def test_a_constant_feature_becomes_zero() -> None:
    x = np.full((10, 1), 0.1, np.float32)
    part = Part(x, np.arange(10) % 2)
    np.testing.assert_allclose(Scaler.fit(part)(part).x, 0, atol=1e-6)


BAD: list[tuple[str, Callable[[dict[str, Any]], None], str]] = [
    ("no labels", lambda a: a.pop("y"), "no array 'y'"),
    ("no data", lambda a: a.pop("X"), "no array 'X'"),
    ("NaN", lambda a: a["X"].__setitem__((3, 2), np.nan), r"X\[3, 2\] is nan"),
    ("infinite", lambda a: a["X"].__setitem__((3, 2), np.inf), r"X\[3, 2\] is inf"),
    ("beyond float32", lambda a: a.update(X=a["X"].astype(float) + 1e39), "no finite float32"),
    ("flat X", lambda a: a.update(X=a["X"][:, 0]), "X has shape"),
    ("no rows", lambda a: a.update(X=a["X"][:0], y=a["y"][:0]), "X has shape"),
    ("words", lambda a: a.update(X=a["X"].astype(str)), "X is of type"),
    ("objects", lambda a: a.update(X=a["X"].astype(object)), "cannot be read"),
    ("one-hot labels", lambda a: a.update(y=np.eye(3)[a["y"]]), "y has shape"),
    ("float labels", lambda a: a.update(y=a["y"].astype(float)), "y has shape"),
    ("lengths", lambda a: a.update(y=a["y"][:-1]), "400 rows, y has 399"),
    ("one class", lambda a: a["y"].fill(1), "all rows are of class"),
    ("label too large", lambda a: a.update(classes=["a", "b"]), "label 2 is not one of 0 to 1"),
    ("label negative", lambda a: a["y"].__setitem__(0, -1), "label -1"),
    ("names", lambda a: a.update(features=["a", "b"]), "2 names in 'features' for 6 columns"),
]


@pytest.mark.parametrize(("change", "message"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_bad_data_is_refused(tmp_path: Path, change: Callable[[dict[str, Any]], None], message: str) -> None:
    part = toy()
    arrays: dict[str, Any] = {"X": part.x, "y": part.y}
    change(arrays)
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(QapError, match=message):
        load(tmp_path / "bad.npz")


@pytest.mark.parametrize("content", [b"", b"not an npz", b"PK\x03\x04 a torn zip"])
def test_a_broken_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.npz").write_bytes(content)
    with pytest.raises(QapError, match="cannot be read"):
        load(tmp_path / "bad.npz")


def test_a_single_array_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "bad.npz").open("wb") as stream:
        np.save(stream, toy().x)
    with pytest.raises(QapError, match="holds a single array"):
        load(tmp_path / "bad.npz")


def test_too_few_rows_are_refused(tmp_path: Path) -> None:
    part = toy(4)
    np.savez(tmp_path / "few.npz", X=part.x, y=np.array([0, 1, 2, 0]))
    with pytest.raises(QapError, match="only 4 rows"):
        split(load(tmp_path / "few.npz"))


# ---- network


def test_the_layers_and_their_names() -> None:
    names = ["fc1", "bn1", "act1", "fc2", "bn2", "act2", "fc3"]
    assert [name for name, _ in quantized().named_children()] == ["input", *names]
    assert [name for name, _ in float_network(SIZES, batch_norm=True).named_children()] == names
    plain = [name for name in names if not name.startswith("bn")]
    assert [name for name, _ in float_network(SIZES, batch_norm=False).named_children()] == plain


def test_quantizers_are_what_they_are_said_to_be() -> None:
    network = quantized(scale=0.25)
    first: Any = network[0]
    inputs = torch.tensor([[0.3, -0.125, 0.375, 100.0, -100.0, 0.0]])
    assert first(inputs).tolist() == [[0.25, 0.0, 0.5, 31.75, -32.0, 0.0]]
    for _, layer in dense_layers(network):
        values = integer_weights(layer)
        assert np.abs(values).max() == 7
        scale = float(layer.weight.detach().abs().max()) / 7
        np.testing.assert_array_equal(values, np.rint(layer.weight.detach().numpy() / np.float32(scale)))
    activation: Any = network.get_submodule("act1")
    assert activation(torch.tensor([[100.0]])).item() == pytest.approx(6.0)
    assert float(activation.act_quant.scale()) == pytest.approx(6 / 15)


def test_the_input_scale_is_the_best_power_of_two_and_stays() -> None:
    part = toy()
    x = part.x * 3
    scale = power_of_two_scale(x, 4, signed=True)

    def loss(s: float) -> float:
        return float(np.mean(np.abs(np.clip(np.rint(x / s), -8, 7) * s - x)))

    assert scale == min((2.0**e for e in range(-8, 8)), key=loss)
    network = quantized_network(SIZES, 4, 4, 4, scale, batch_norm=True)
    fit_pruned(network, Rows.of(part), Rows.of(part), QUICK, QUICK, 0.5, 2, silent)
    first: Any = network[0]
    assert float(first.act_quant.scale()) == scale


# ---- pruning and the loop


def masks(network: nn.Module) -> dict[str, torch.Tensor]:
    return {name: mask.clone() for name, mask in network.named_buffers() if name.endswith("weight_mask")}


def test_a_pruned_weight_is_zero_in_every_forward_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    network, rows = quantized(), Rows.of(toy())
    passes = 0

    def check(layer: Any, _inputs: object) -> None:
        nonlocal passes
        passes += 1
        pruned = layer.weight_mask == 0
        assert (layer.weight[pruned] == 0).all()
        assert (layer.weight_orig[pruned] == 0).all()
        assert (layer.quant_weight().value[pruned] == 0).all()

    # Registered anew after each step of pruning, whose own hooks must run first.
    def pruned(network: nn.Module, sparsity: float, report: Callable[[str], None]) -> None:
        before = masks(network)
        prune_to(network, sparsity, report)
        assert all((masks(network)[name] <= old).all() for name, old in before.items())
        for _, layer in dense_layers(network):
            layer.register_forward_pre_hook(check)

    monkeypatch.setattr("qap2fpga.train.loop.prune_to", pruned)
    with reproducible(1):
        fit_pruned(network, rows, rows, QUICK, QUICK, 0.8, 3, silent)
    assert passes > 3 * 2 * len(rows.y) / QUICK.batch
    total = sum(layer.weight.numel() for _, layer in dense_layers(network))
    assert mask_sparsity(network) == pytest.approx(math.ceil(0.8 * total) / total)
    overall, layers = integer_sparsity(network)
    assert overall >= mask_sparsity(network) >= 0.8
    assert set(layers) == {"fc1", "fc2", "fc3"}


def test_the_smallest_weights_go_whatever_their_layer() -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    first, second = network
    assert isinstance(first, nn.Linear)
    assert isinstance(second, nn.Linear)
    with torch.no_grad():
        first.weight.copy_(torch.tensor([[1.0, -2.0], [3.0, -9.0]]))
        second.weight.copy_(torch.tensor([[0.5, -8.0], [7.0, 2.5]]))
    prune_to(network, 0.5, silent)
    assert first.weight.tolist() == [[0, 0], [3, -9]]
    assert second.weight.tolist() == [[0, -8], [7, 0]]
    prune_to(network, 0.7, silent)
    assert first.weight.tolist() == [[0, 0], [0, -9]]
    assert second.weight.tolist() == [[0, -8], [0, 0]]


def test_an_emptied_layer_is_protected_and_said_so() -> None:
    network = quantized()
    with torch.no_grad():
        network.get_submodule("fc2").weight.mul_(1e-6)  # type: ignore[operator]
    lines: list[str] = []
    prune_to(network, 0.6, lines.append)
    assert lines == ["fc2 would have lost all its weights: its largest one is kept"]
    kept = {name: int((integer_weights(layer) != 0).sum()) for name, layer in dense_layers(network)}
    assert kept["fc2"] == 1
    assert mask_sparsity(network) >= 0.6
    prune_to(network, 0.999, silent)
    assert {int((integer_weights(layer) != 0).sum()) for _, layer in dense_layers(network)} == {1}


def test_the_steps_of_pruning() -> None:
    assert steps(0.0, 8) == []
    assert steps(0.8, 1) == [0.8]
    kept = [1.0, *(1 - sparsity for sparsity in steps(0.8, 4))]
    assert [b / a for a, b in itertools.pairwise(kept)] == pytest.approx([0.2**0.25] * 4)
    assert steps(0.8, 4)[-1] == 0.8


def test_the_same_seed_gives_the_same_weights() -> None:
    rows = Rows.of(toy())

    def weights(seed: int) -> dict[str, torch.Tensor]:
        with reproducible(seed):
            network = quantized()
            fit_pruned(network, rows, rows, QUICK, QUICK, 0.5, 2, silent)
        return network.state_dict()

    torch.manual_seed(7)
    first = weights(3)
    noise = torch.rand(1)
    second, other = weights(3), weights(4)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["fc1.weight_orig"], other["fc1.weight_orig"])
    # The caller's own random numbers are left alone.
    torch.manual_seed(7)
    assert torch.equal(noise, torch.rand(1))


def test_the_best_epoch_is_the_one_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = Rows.of(toy())
    seen: list[float] = []

    def watched(network: nn.Module, part: Rows) -> Any:
        score = evaluate(network, part)
        seen.append(score.loss)
        return score

    monkeypatch.setattr("qap2fpga.train.loop.evaluate", watched)
    with reproducible(1):
        network = float_network(SIZES, batch_norm=True)
        recipe = Recipe(epochs=40, patience=3, learning_rate=0.1, batch=16, l1=0)
        score = fit(network, rows, Rows.of(toy(100, seed=1)), recipe)
    *epochs, final = seen
    assert final == score.loss == min(epochs)
    assert len(epochs) == epochs.index(min(epochs)) + 1 + 4 < 40


def test_l1_pulls_at_the_dense_weights_only() -> None:
    rows = Rows.of(toy())

    def magnitude(l1: float) -> float:
        with reproducible(1):
            network = float_network(SIZES, batch_norm=True)
            fit(network, rows, rows, dataclasses.replace(QUICK, epochs=10, l1=l1))
        return sum(float(layer.weight.detach().abs().sum()) for _, layer in dense_layers(network))

    assert magnitude(1e-2) < 0.5 * magnitude(0)


def test_divergence_is_told() -> None:
    rows = Rows.of(toy())
    network = float_network(SIZES, batch_norm=False)
    with torch.no_grad():
        network.get_submodule("fc1").weight.fill_(torch.inf)  # type: ignore[operator]
    with pytest.raises(QapError, match="diverged"):
        fit(network, rows, rows, QUICK)


# ---- the whole run


def small(data: Path, output: Path) -> TrainConfig:
    return TrainConfig(
        data, output, widths=(8, 6), epochs=3, tuning_epochs=1, prune_steps=2, batch=32, learning_rate=1e-2
    )


def test_a_run_writes_a_model_that_says_where_it_comes_from(toy_file: Path, tmp_path: Path) -> None:
    output = tmp_path / "model.pt"
    output.write_bytes(b"an old file")
    config = dataclasses.replace(small(toy_file, output), vectors=tmp_path / "vectors.npz")
    lines: list[str] = []
    result = train(config, lines.append)
    stored = torch.load(output, weights_only=True)
    origin = stored["provenance"]
    json.dumps(origin)
    assert str(tmp_path) not in json.dumps(origin)
    assert origin["metrics"]["test_accuracy"] == result.accuracy
    assert origin["config"]["weight_bits"] == 6
    assert origin["config"]["widths"] == [8, 6]
    scaler = Scaler.fit(split(load(toy_file)).training)
    assert origin["scaler"] == {"mean": scaler.mean.tolist(), "std": scaler.std.tolist()}
    assert result.sparsity >= 0.8
    assert result.test_rows == 60
    assert len(lines) == 8
    vectors = load(tmp_path / "vectors.npz")
    np.testing.assert_array_equal(vectors.rows.x, scaler(split(load(toy_file)).test).x)
    again = dataclasses.replace(config, output=tmp_path / "again" / "model.pt")
    train(again, silent)
    assert again.output.read_bytes() == output.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again", "model.pt", "toy.npz", "vectors.npz"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data": Path("no/such.npz")}, "no data file"),
        ({"sparsity": 1.0}, "sparsity"),
        ({"sparsity": -0.1}, "sparsity"),
        ({"sparsity": math.nan}, "sparsity"),
        ({"weight_bits": 1}, "weight_bits"),
        ({"activation_bits": 17}, "activation_bits"),
        ({"input_bits": 0}, "input_bits"),
        ({"widths": ()}, "widths"),
        ({"widths": (8, 0)}, "widths"),
        ({"epochs": 0}, "epochs"),
        ({"batch": 1}, "batch"),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"l1": math.inf}, "l1"),
        ({"seed": -1}, "seed"),
        ({"output": Path(__file__).parent}, "is a folder"),
        ({"output": Path(__file__) / "model.pt"}, "cannot be written"),
    ],
)
def test_a_mistake_is_told_before_any_work(
    toy_file: Path, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    lines: list[str] = []
    with pytest.raises(QapError, match=message):
        train(dataclasses.replace(small(toy_file, tmp_path / "model.pt"), **change), lines.append)
    assert not lines
    assert not (tmp_path / "model.pt").exists()


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
