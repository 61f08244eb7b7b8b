# SPDX-License-Identifier: Apache-2.0
"""The user's rows and labels, and the scale that an input quantizer gets from them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qap2fpga.frontend import data
from qap2fpga.system.errors import QapError

ROWS = np.arange(12, dtype=np.float64).reshape(4, 3)


def write(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


def test_rows_and_labels_are_read(tmp_path: Path) -> None:
    rows = data.load(write(tmp_path / "a.npz", X=ROWS, y=[0, 1, 2, 0]), 3)
    assert rows.values.dtype == np.float32
    assert np.array_equal(rows.values, ROWS)
    assert rows.labels.tolist() == [0, 1, 2, 0]


def test_forms_that_people_save(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", ROWS.astype(np.uint8))
    assert data.load(tmp_path / "a.npy", 3).labels is None
    images = write(tmp_path / "b.npz", X=ROWS.reshape(2, 1, 2, 3), y=np.array([2.0, 1.0]))
    assert data.load(images, 6).values.shape == (2, 6)
    assert data.load(images, 6).labels.tolist() == [2, 1]
    one_hot = write(tmp_path / "c.npz", X=ROWS, y=np.eye(4)[[3, 0, 2, 1]])
    assert data.load(one_hot, 3).labels.tolist() == [3, 0, 2, 1]
    extra = write(tmp_path / "d.npz", X=ROWS, meta=np.array([{"a": 1}], dtype=object))
    assert len(data.load(extra, 3).values) == 4


@pytest.mark.parametrize(
    ("y", "labels"),
    [
        ([[3], [0], [2], [1]], [3, 0, 2, 1]),
        (np.array([[3.0], [0], [2], [1]], np.float32), [3, 0, 2, 1]),
        ([True, False, False, True], [1, 0, 0, 1]),
        ([[0.2, 0.8], [0.9, 0.1], [0.4, 0.6], [1, 0]], [1, 0, 1, 0]),
        (np.array([[1 / 3, 1 / 6, 1 / 2]] * 4, np.float16), [2, 2, 2, 2]),
    ],
)
def test_classes_are_whole_numbers_or_rows_that_add_up_to_one(tmp_path: Path, y: Any, labels: list[int]) -> None:
    rows = data.load(write(tmp_path / "a.npz", X=ROWS, y=y), 3)
    assert rows.labels.tolist() == labels
    assert rows.targets is None


@pytest.mark.parametrize(
    "y",
    [
        [0.5, 1, 2, 0],
        [-1, 1, 1, -1],
        [[0.1], [0.2], [0.3], [0.9]],
        [[0.2, 0.9], [0.9, 0.1], [0.4, 0.6], [1, 0]],
        [[1.5, -0.5]] * 4,
        [[1, 1], [0, 0], [0, 1], [1, 0]],
        [2.0**40, 0, 1, 2],
    ],
)
def test_real_values_are_targets_and_never_classes(tmp_path: Path, y: Any) -> None:
    rows = data.load(write(tmp_path / "a.npz", X=ROWS, y=y), 3)
    assert rows.labels is None
    assert np.array_equal(rows.targets, np.reshape(np.array(y, float), (4, -1)))


def test_labels_are_renumbered_to_the_networks_classes(tmp_path: Path) -> None:
    path = write(tmp_path / "a.npz", X=ROWS, y=[0, 1, 2, 2], classes=np.array(["g", "q", "t"]))
    assert data.load(path, 3, ("t", "g", "q")).labels.tolist() == [1, 2, 0, 0]
    assert data.load(path, 3).labels.tolist() == [0, 1, 2, 2]


@pytest.mark.parametrize(
    ("arrays", "classes", "what"),
    [
        ({"Y": ROWS}, (), "has no array 'X'"),
        ({"X": ROWS[:, :2]}, (), r"X has shape \(4, 2\)"),
        ({"X": ROWS[0]}, (), r"X has shape \(3,\)"),
        ({"X": ROWS.astype(str)}, (), "X has shape"),
        ({"X": ROWS[:0]}, (), "X is empty"),
        ({"X": np.where(ROWS == 5, np.nan, ROWS)}, (), "X has NaN in row 1, column 2"),
        ({"X": np.where(ROWS == 5, 1e300, ROWS)}, (), "X has an infinite value in row 1, column 2"),
        ({"X": ROWS.astype(object)}, (), "an array of type object"),
        ({"X": ROWS, "y": [0, 1]}, (), r"y has shape \(2,\) and type int64 for 4 rows"),
        ({"X": ROWS, "y": ["a", "b", "c", "d"]}, (), "y has shape .* type <U1"),
        ({"X": ROWS, "y": [0.5, 1, 2, 0], "classes": ["a", "b", "c"]}, (), "labels that are not 0, 1, 2"),
        ({"X": ROWS, "y": [-1, 1, 1, -1], "classes": ["a", "b"]}, (), "labels that are not 0, 1, 2"),
        ({"X": ROWS, "y": [np.nan, 1, 2, 0]}, (), "y has NaN in row 0 "),
        ({"X": ROWS, "y": np.zeros((4, 0))}, (), "y is empty"),
        ({"X": ROWS, "y": np.zeros((4, 2, 1))}, (), r"y has shape \(4, 2, 1\)"),
        ({"X": ROWS, "y": [0, 1, 0, 1]}, ("a", "b"), "the data names no classes"),
        ({"X": ROWS, "y": [0, 1, 0, 1], "classes": ["a", "c"]}, ("a", "b"), "the data has class 'c'"),
        ({"X": ROWS, "y": [0, 1, 2, 1], "classes": ["a", "b"]}, ("a", "b"), "label 2 and names 2 classes"),
    ],
)
def test_data_that_does_not_fit_is_refused(tmp_path: Path, arrays: Any, classes: tuple[str, ...], what: str) -> None:
    with (
        np.errstate(over="ignore", invalid="ignore"),
        pytest.raises(QapError, match=what) as caught,
    ):
        data.load(write(tmp_path / "a.npz", **arrays), 3, classes)
    assert caught.value.hint


def test_files_that_are_no_data_are_refused(tmp_path: Path) -> None:
    good = io.BytesIO()
    np.savez_compressed(good, X=ROWS, y=np.arange(4))
    content = good.getvalue()
    damaged = bytearray(content)
    damaged[60:80] = bytes(20)
    for name, held in (
        ("empty.npz", b""),
        ("text.npz", b"hello"),
        ("short.npz", content[: len(content) // 2]),
        ("damaged.npz", bytes(damaged)),
        ("pickle.npy", b"\x80\x04K\x01."),
    ):
        (tmp_path / name).write_bytes(held)
        with pytest.raises(QapError, match="cannot be read"):
            data.load(tmp_path / name, 3)
    with pytest.raises(QapError, match="does not exist"):
        data.load(tmp_path / "absent.npz", 3)
