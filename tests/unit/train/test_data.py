# SPDX-License-Identifier: Apache-2.0
"""Sources of data, splits, folds, scalers, random labels, and every way that data can be wrong."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import numpy as np
import pandas
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qap2fpga.system.errors import QapError
from qap2fpga.train.data import Dataset, Part, Scaler, find, randomize, split
from qap2fpga.train.data import load as load_source
from qap2fpga.train.data.arrays import load
from qap2fpga.train.settings import DataConfig
from tests.support.training import toy

NAMES = ("alpha", "beta", "gamma", "delta", "epsilon", "zeta")


@pytest.fixture
def toy_file(tmp_path: Path) -> Path:
    part = toy()
    np.savez(tmp_path / "toy.npz", X=part.x, y=part.y)
    return tmp_path / "toy.npz"


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


# ---- named columns


def write(path: Path, columns: dict[str, Any]) -> Path:
    """The columns as the kind of file that `path` is."""
    if path.suffix == ".h5":
        with h5py.File(path, "w") as file:
            for name, values in columns.items():
                stored = np.array(values, dtype="S8") if np.asarray(values).dtype.kind in "OU" else values
                file.create_dataset(name, data=stored)
    elif path.suffix == ".csv":
        pandas.DataFrame(columns).to_csv(path, index=False)
    else:
        pandas.DataFrame(columns).to_parquet(path)
    return path


def table() -> dict[str, Any]:
    part = toy()
    kinds = np.array(["gluon", "quark", "top"])
    return {**{name: part.x[:, i] for i, name in enumerate(NAMES)}, "kind": kinds[part.y]}


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".h5"])
def test_named_columns_are_found_whatever_the_file(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"toy{suffix}", table())
    data = load_source(DataConfig(str(path), label="kind", features=("gamma", "alpha")))
    assert data.features == ("gamma", "alpha")
    assert data.classes == ("gluon", "quark", "top")
    np.testing.assert_array_equal(data.rows.y, toy().y)
    np.testing.assert_array_equal(data.rows.x, toy().x[:, [2, 0]])
    assert len(data.sha256) == 64
    everything = load_source(DataConfig(str(path), label="kind"))
    assert set(everything.features) == set(NAMES)


def test_labels_may_be_any_whole_numbers(tmp_path: Path) -> None:
    columns = table() | {"kind": toy().y * 10.0 - 5}
    data = load_source(DataConfig(str(write(tmp_path / "toy.csv", columns)), label="kind"))
    assert data.classes == ("-5", "5", "15")
    np.testing.assert_array_equal(data.rows.y, toy().y)


def test_an_h5_file_may_hold_records_or_our_arrays(tmp_path: Path) -> None:
    part = toy()
    records = np.empty(len(part), dtype=[("a", "f4"), ("b", "f8"), ("kind", "i8")])
    records["a"], records["b"], records["kind"] = part.x[:, 0], part.x[:, 1], part.y
    with h5py.File(tmp_path / "records.h5", "w") as file:
        file.create_dataset("jets", data=records)
    data = load_source(DataConfig(str(tmp_path / "records.h5"), label="kind"))
    assert data.features == ("a", "b")
    with h5py.File(tmp_path / "arrays.h5", "w") as file:
        file.create_dataset("X", data=part.x)
        file.create_dataset("y", data=part.y)
        file.create_dataset("features", data=np.array(NAMES, dtype="S8"))
    data = load_source(DataConfig(str(tmp_path / "arrays.h5"), features=("beta",)))
    np.testing.assert_array_equal(data.rows.x[:, 0], part.x[:, 1])


@pytest.mark.parametrize(
    ("change", "config", "message", "hint"),
    [
        ({}, {"label": "kin"}, "has no column 'kin'", "did you mean 'kind'"),
        ({}, {}, "which column is the label", "kind"),
        ({}, {"label": "kind", "features": ("alpha", "bta")}, "has no column 'bta'", "did you mean 'beta'"),
        ({}, {"label": "kind", "features": ("kind", "beta")}, "is one of the features", "copy"),
        ({"word": np.array(["x"] * 400)}, {"label": "kind"}, "'word' is no column of numbers", "data.features"),
        ({"beta": np.full(400, np.nan)}, {"label": "kind"}, r"X[0, 1] (beta) is nan", "399 more"),
        ({"kind": np.full(400, "top")}, {"label": "kind"}, "all rows are of class top", "two classes"),
        ({"kind": np.r_[np.zeros(399), 0.5]}, {"label": "kind"}, "row 399 has label 0.5", "whole numbers"),
        ({"kind": ["top"] * 399 + [None]}, {"label": "kind"}, "row 399 has no label", "remove"),
    ],
)
def test_a_bad_table_is_refused(
    tmp_path: Path, change: dict[str, Any], config: dict[str, Any], message: str, hint: str
) -> None:
    path = write(tmp_path / "bad.parquet", table() | change)
    with pytest.raises(QapError) as caught:
        load_source(DataConfig(str(path), **config))
    assert message in caught.value.message
    assert hint in caught.value.hint


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".h5"])
def test_a_broken_table_is_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"bad{suffix}"
    path.write_bytes(b"" if suffix == ".csv" else b"not a table")
    with pytest.raises(QapError, match="cannot be read"):
        load_source(DataConfig(str(path), label="kind"))


def test_a_missing_reader_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "toy.h5", table())
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(QapError, match="needs h5py") as caught:
        load_source(DataConfig(str(path), label="kind"))
    assert "qap2fpga[train]" in caught.value.hint


def test_a_source_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(QapError, match="there is no data file"):
        find(str(tmp_path / "no.npz"))
    (tmp_path / "data.txt").write_text("1 2 3")
    with pytest.raises(QapError, match="unknown kind"):
        find(str(tmp_path / "data.txt"))
    assert find("openml") is None
    simulated = load_source(DataConfig("simulated", features=("mass_mmdt",)))
    assert simulated.name == "jets.npz"
    assert simulated.rows.x.shape == (24000, 1)


# ---- openml


def test_openml_gives_its_columns_and_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    import sklearn.datasets

    part = toy()
    frame = pandas.DataFrame({name: part.x[:, i].astype(float) for i, name in enumerate(NAMES)})
    requests = []

    def fetch(name: str, **options: Any) -> SimpleNamespace:
        requests.append((name, options))
        return SimpleNamespace(data=frame, target=pandas.Series(np.array(list("gqt"))[part.y], dtype="category"))

    monkeypatch.setattr(sklearn.datasets, "fetch_openml", fetch)
    data = load_source(DataConfig("openml"))
    assert requests == [("hls4ml_lhc_jets_hlf", {"version": 1, "as_frame": True})]
    assert data.classes == ("g", "q", "t")
    assert data.features == NAMES
    np.testing.assert_array_equal(data.rows.x, part.x)
    assert load_source(DataConfig("openml", features=("beta",))).features == ("beta",)


def test_openml_without_network_says_how_to_use_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    import sklearn.datasets

    def fetch(name: str, **options: Any) -> SimpleNamespace:
        raise OSError("[Errno -3] Temporary failure in name resolution")

    monkeypatch.setattr(sklearn.datasets, "fetch_openml", fetch)
    with pytest.raises(QapError, match=r"openml\.org gives no hls4ml_lhc_jets_hlf") as caught:
        load_source(DataConfig("openml"))
    assert "data.label: class" in caught.value.hint
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(QapError, match="scikit-learn"):
        load_source(DataConfig("openml"))


# ---- splits, folds, random labels


def rows(count: int) -> Dataset:
    x = np.arange(count, dtype=np.float32)[:, None]
    return Dataset(Part(x, np.arange(count) % 2), ("f",), ("a", "b"), "name", "")


def numbers(part: Part) -> set[float]:
    return set(part.x.ravel().tolist())


@given(st.integers(40, 400), st.integers(2, 6))
def test_folds_share_no_row_and_leave_the_test_rows_alone(count: int, folds: int) -> None:
    whole = split(rows(count))
    parts = [split(rows(count), fold=(k, folds)) for k in range(1, folds + 1)]
    pool = numbers(whole.training) | numbers(whole.validation)
    assert all(numbers(part.test) == numbers(whole.test) for part in parts)
    validated = [numbers(part.validation) for part in parts]
    assert set().union(*validated) == pool
    assert sum(len(one) for one in validated) == len(pool)
    for part in parts:
        assert numbers(part.training) == pool - numbers(part.validation)


def test_parts_may_be_counted_in_rows() -> None:
    parts = split(rows(200), (100, 40, 20))
    assert [len(part) for part in (parts.training, parts.validation, parts.test)] == [100, 40, 20]
    shares = split(rows(200), (0.5, 0.2, 0.1))
    assert numbers(parts.training) == numbers(shares.training)
    assert numbers(parts.test) == numbers(shares.test)
    with pytest.raises(QapError, match="asks for 201 rows"):
        split(rows(200), (100, 40, 61))


@given(st.floats(0, 1), st.integers(2, 7), st.integers(0, 2**63 - 1))
def test_random_labels_are_as_many_as_asked_for(share: float, classes: int, seed: int) -> None:
    part = Part(np.zeros((300, 1), np.float32), np.full(300, classes, np.int64))
    changed = randomize(part, share, classes, seed)
    assert int((changed.y != classes).sum()) == round(share * 300)
    assert (part.y == classes).all()
    np.testing.assert_array_equal(changed.y, randomize(part, share, classes, seed).y)


def test_random_labels_are_equally_likely() -> None:
    part = Part(np.zeros((30000, 1), np.float32), np.zeros(30000, np.int64))
    counts = np.bincount(randomize(part, 0.75, 5, 1).y)
    # 22,500 labels in 5 classes: 4,500 each, with a standard deviation of 60.
    assert (np.abs(counts[1:] - 4500) < 300).all()
    assert abs(counts[0] - 12000) < 300
