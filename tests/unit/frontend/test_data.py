# SPDX-License-Identifier: Apache-2.0
"""The user's rows and labels, and the scale that an input quantizer gets from them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
        ({"X": np.where(ROWS == 5, np.nan, ROWS)}, (), "X is empty, or has NaN"),
        ({"X": np.where(ROWS == 5, 1e300, ROWS)}, (), "or infinite"),
        ({"X": ROWS.astype(object)}, (), "an array of type object"),
        ({"X": ROWS, "y": [0, 1]}, (), r"y has shape \(2,\) and type int64 for 4 rows"),
        ({"X": ROWS, "y": ["a", "b", "c", "d"]}, (), "y has shape .* type <U1"),
        ({"X": ROWS, "y": [0.5, 1, 2, 0], "classes": ["a", "b", "c"]}, (), "labels that are not 0, 1, 2"),
        ({"X": ROWS, "y": [-1, 1, 1, -1], "classes": ["a", "b"]}, (), "labels that are not 0, 1, 2"),
        ({"X": ROWS, "y": [np.nan, 1, 2, 0]}, (), "y is empty, or has NaN"),
        ({"X": ROWS, "y": np.zeros((4, 0))}, (), "y is empty, or has NaN"),
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


def error(values: np.ndarray, scale: float, bits: int, signed: bool) -> float:
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    return float(np.abs(np.clip(np.round(values / scale), low, high) * scale - values).mean())


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    bits=st.integers(2, 12),
    signed=st.booleans(),
    size=st.sampled_from([1e-6, 0.3, 1.0, 700.0]),
    tail=st.booleans(),
)
def test_the_scale_loses_least_of_all_powers_of_two(
    seed: int, bits: int, signed: bool, size: float, tail: bool
) -> None:
    values = np.random.default_rng(seed).normal(0, size, 300)
    values = values**3 / size**2 if tail else values
    values = values if signed else np.abs(values)
    scale = data.power_of_two_scale(values, bits, signed=signed)
    assert np.log2(scale) % 1 == 0
    found = error(values, scale, bits, signed)
    assert found <= min(error(values, scale * 2.0**step, bits, signed) for step in range(-20, 21)) * (1 + 1e-12)


@pytest.mark.parametrize("bits", [1, 2, 8, 16])
@pytest.mark.parametrize("signed", [False, True])
def test_zeros_have_a_scale_too(bits: int, signed: bool) -> None:
    assert data.power_of_two_scale(np.zeros((3, 2)), bits, signed=signed) > 0


def test_the_scale_of_a_sign_is_near_the_mean() -> None:
    """One bit is -1 or +1 here, so the loss is that of the size alone."""
    values = np.random.default_rng(0).normal(0, 5, 1000)
    scale = data.power_of_two_scale(values, 1, signed=True)
    errors = {2.0**e: np.abs(np.where(values >= 0, 1, -1) * 2.0**e - values).mean() for e in range(-5, 8)}
    assert scale == min(errors, key=errors.__getitem__) == 4.0


@settings(max_examples=100, deadline=None)
@given(low=st.floats(-1e6, 0), high=st.floats(1e-6, 1e6), bits=st.integers(1, 16))
def test_the_scale_of_a_range_is_the_smallest_that_reaches(low: float, high: float, bits: int) -> None:
    scale = data.scale_for_range(low, high, bits)
    assert np.log2(scale) % 1 == 0
    least, most = (-(2 ** (bits - 1)), max(1, 2 ** (bits - 1) - 1)) if low < 0 else (0, 2**bits - 1)

    def reaches(step: float) -> bool:
        return least * step <= low and high <= most * step

    assert reaches(scale)
    assert not reaches(scale / 2)
