# SPDX-License-Identifier: Apache-2.0
"""Jet features, and the simulation of jets: chunks, resuming, bytes."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import itertools
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qap2fpga.system.errors import QapError
from qap2fpga.train import jets as simulation
from qap2fpga.train.data.arrays import load
from qap2fpga.train.features import FEATURES, distances, energy_correlations, jet_features, leading
from qap2fpga.train.jets import CLASSES, Chunk, JetConfig, chunks_of, generate, merge, write_chunk


def silent(_line: str) -> None:
    """Ignore a report."""


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
    result = energy_correlations(jet)
    for b in (1, 2):
        sums = np.zeros(3)
        for i, j, k in itertools.combinations(range(9), 3):
            low, middle, high = sorted((r[i, j], r[i, k], r[j, k]))
            sums += z[i] * z[j] * z[k] * np.array([low * middle * high, low, low * middle]) ** b
        np.testing.assert_allclose([result.e3[b], result.e3_min[b], result.e3_min2[b]], sums, rtol=1e-12)


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
def test_constituents_are_beside_the_features(tmp_path: Path) -> None:
    config = JetConfig(tmp_path / "jets.npz", tmp_path / "chunks", jets_a_class=1, chunk=1, constituents=2)
    rows = np.arange(5 * 22, dtype=np.float32).reshape(5, 22)
    for row, chunk in zip(rows, chunks_of(config), strict=True):
        write_chunk(chunk, config.folder, lambda _chunk, row=row: row[None])
    merge(config)
    with np.load(config.output) as data:
        np.testing.assert_array_equal(data["X"], rows[:, :16])
        np.testing.assert_array_equal(data["particles"], rows[:, 16:].reshape(5, 2, 3))
        assert json.loads(str(data["recipe"]))["constituents"] == 2
    with pytest.raises(QapError, match="-1 constituents"):
        generate(dataclasses.replace(config, constituents=-1), silent)


def test_leading_constituents_lie_around_the_jet_hardest_first() -> None:
    # Around the axis at azimuth pi, where it wraps.
    jet = np.array([[10.0, 0.5, np.pi - 0.1], [30.0, 0.1, -np.pi + 0.1]])
    hardest = leading(jet, 3)
    np.testing.assert_allclose(hardest[0], [0.75, -0.1, 0.05], atol=1e-12)
    np.testing.assert_allclose(hardest[1], [0.25, 0.3, -0.15], atol=1e-12)
    assert not hardest[2].any()
    np.testing.assert_array_equal(leading(jet, 1), hardest[:1])
    assert leading(jet, 0).shape == (0, 3)


@pytest.mark.usefixtures("some_versions")
def test_another_recipe_is_another_file_and_another_seed(tmp_path: Path) -> None:
    config = JetConfig(tmp_path / "jets.npz", tmp_path, jets_a_class=40, chunk=10)
    chunks = [chunk for seed in (1, 2) for chunk in chunks_of(dataclasses.replace(config, seed=seed))]
    chunks.append(dataclasses.replace(chunks[0], size=11))
    chunks.append(dataclasses.replace(chunks[0], constituents=3))
    assert len({chunk.path(tmp_path) for chunk in chunks}) == len(chunks)
    assert len({chunk.pythia_seed() for chunk in chunks[:-2]}) == len(chunks) - 2
    last = Chunk("z", simulation.CHUNKS_A_CLASS - 1, 1, simulation.SEEDS - 1)
    assert last.pythia_seed() <= 900_000_000


def test_a_missing_extra_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", absent)
    with pytest.raises(QapError) as caught:
        generate(JetConfig(tmp_path / "jets.npz", tmp_path / "chunks"), silent)
    assert caught.value.hint == "pip install 'qap2fpga[simulate]'"
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
