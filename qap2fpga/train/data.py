# SPDX-License-Identifier: Apache-2.0
"""Labelled data from an npz file: loaded, checked, split and standardised.

The split depends on the number of rows alone. They are permuted by `numpy.random.RandomState(SPLIT_SEED)`,
whose stream numpy promises never to change; the first 70 % are for training, the next 15 % for validation,
the rest for test. Everything that is chosen, from the scaler to the epoch to stop at, is chosen without the
test part.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from qap2fpga.errors import QapError
from qap2fpga.files import sha256

SPLIT_SEED = 2021
TRAINING, VALIDATION = 0.70, 0.15
LAYOUT = "give an npz with X (rows, features) of floats, y (rows,) of integers, and maybe features and classes"


@dataclass(frozen=True)
class Part:
    """Some rows: x (N, features) float32, y (N,) int64."""

    x: NDArray[np.float32]
    y: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.y)


@dataclass(frozen=True)
class Dataset:
    """All rows of a file, raw, with the names of its columns and labels, and the hash of its bytes."""

    rows: Part
    features: tuple[str, ...]
    classes: tuple[str, ...]
    name: str
    sha256: str


@dataclass(frozen=True)
class Split:
    """The three disjoint parts of a data set."""

    training: Part
    validation: Part
    test: Part


@dataclass(frozen=True)
class Scaler:
    """Standardises each feature: `(x - mean) / std`; mean and std are (features,) float64.

    A feature that is constant in the training part has std 1: it becomes 0 instead of infinite.
    """

    mean: NDArray[np.float64]
    std: NDArray[np.float64]

    @classmethod
    def fit(cls, training: Part) -> Scaler:
        """Mean and standard deviation of the training part, the only part a scaler may see."""
        x = training.x.astype(np.float64)
        constant = x.max(axis=0) == x.min(axis=0)
        return cls(x.mean(axis=0), np.where(constant, 1.0, x.std(axis=0)))

    def __call__(self, part: Part) -> Part:
        """The part with its features standardised."""
        return Part(((part.x - self.mean) / self.std).astype(np.float32), part.y)


def load(path: Path) -> Dataset:
    """Read and check an npz file. Raises `QapError` that names what is wrong with it."""
    if not path.is_file():
        raise QapError(f"there is no data file {path}", LAYOUT)
    try:
        stored = np.load(path, allow_pickle=False)
        if not isinstance(stored, np.lib.npyio.NpzFile):
            raise QapError(f"{path} holds a single array", LAYOUT)
        with stored:
            arrays = {name: stored[name] for name in stored.files}
    except (OSError, ValueError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        raise QapError(f"{path} cannot be read: {error}", LAYOUT) from error
    for name in ("X", "y"):
        if name not in arrays:
            present = ", ".join(sorted(arrays)) or "nothing"
            raise QapError(f"{path} has no array '{name}', it has {present}", LAYOUT)
    rows = Part(_numbers(path, arrays["X"]), _labels(path, arrays["y"]))
    if len(rows.x) != len(rows.y):
        raise QapError(f"{path}: X has {len(rows.x)} rows, y has {len(rows.y)}", LAYOUT)
    features = _names(path, arrays, "features", rows.x.shape[1], "f")
    classes = _names(path, arrays, "classes", None if "classes" in arrays else int(rows.y.max()) + 1, "class")
    if rows.y.min() < 0 or rows.y.max() >= len(classes):
        wrong = rows.y[(rows.y < 0) | (rows.y >= len(classes))][0]
        raise QapError(f"{path}: label {wrong} is not one of 0 to {len(classes) - 1}", "count labels from 0")
    if len(np.unique(rows.y)) < 2:
        only = classes[rows.y[0]]
        raise QapError(f"{path}: all rows are of class {only}", "give rows of two classes or more")
    return Dataset(rows, features, classes, path.name, sha256(path))


def split(data: Dataset) -> Split:
    """The three parts, by the rule above. Raises `QapError` if there are too few rows to train on."""
    order = np.random.RandomState(SPLIT_SEED).permutation(len(data.rows))
    ends = [round(len(order) * TRAINING), round(len(order) * (TRAINING + VALIDATION))]
    parts = Split(*(Part(data.rows.x[rows], data.rows.y[rows]) for rows in np.split(order, ends)))
    absent = set(np.unique(data.rows.y)) - set(np.unique(parts.training.y))
    if absent or min(len(parts.training), len(parts.validation), len(parts.test)) < 2:
        what = f"{data.name} has only {len(order)} rows, too few to train on"
        raise QapError(what, "give more rows of each class")
    return parts


def _numbers(path: Path, x: NDArray[np.generic]) -> NDArray[np.float32]:
    if x.ndim != 2 or 0 in x.shape:
        raise QapError(f"{path}: X has shape {x.shape}", LAYOUT)
    if x.dtype.kind not in "fiu":
        raise QapError(f"{path}: X is of type {x.dtype}", LAYOUT)
    with np.errstate(over="ignore"):
        values = x.astype(np.float32)
    bad = np.argwhere(~np.isfinite(values))
    if len(bad):
        row, column = bad[0]
        what = f"{path}: X[{row}, {column}] is {x[row, column]}, no finite float32"
        raise QapError(what, f"remove or repair it, and {len(bad) - 1} more such values")
    return values


def _labels(path: Path, y: NDArray[np.generic]) -> NDArray[np.int64]:
    if y.ndim != 1 or y.dtype.kind not in "iu":
        cure = f"{LAYOUT}; if y is one-hot, take its argmax"
        raise QapError(f"{path}: y has shape {y.shape} and type {y.dtype}", cure)
    return y.astype(np.int64)


def _names(
    path: Path, arrays: dict[str, NDArray[np.generic]], what: str, count: int | None, prefix: str
) -> tuple[str, ...]:
    """Stored names, or made-up ones; `count`: how many there must be, None for any number."""
    if what not in arrays:
        return tuple(f"{prefix}{i}" for i in range(count or 0))
    names = tuple(str(name) for name in arrays[what].ravel())
    if count is not None and len(names) != count:
        raise QapError(f"{path}: {len(names)} names in '{what}' for {count} columns of X", LAYOUT)
    return names
