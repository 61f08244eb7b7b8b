# SPDX-License-Identifier: Apache-2.0
"""Labelled rows, checked: what every source of data becomes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qap2fpga.system.errors import QapError, nearest


@dataclass(frozen=True)
class Part:
    """Some rows: x (N, features) float32, y (N,) int64."""

    x: NDArray[np.float32]
    y: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.y)


@dataclass(frozen=True)
class Dataset:
    """All rows of a source, raw, with the names of its columns and labels, and a hash of its bytes."""

    rows: Part
    features: tuple[str, ...]
    classes: tuple[str, ...]
    name: str
    sha256: str


def numbers(name: str, x: NDArray[np.generic], columns: Sequence[str], layout: str) -> NDArray[np.float32]:
    """`x` (rows, features) as float32. Raises `QapError` for another shape or type, and for what is not finite."""
    if x.ndim != 2 or 0 in x.shape:
        raise QapError(f"{name}: X has shape {x.shape}", layout)
    if x.dtype.kind not in "fiu":
        raise QapError(f"{name}: X is of type {x.dtype}", layout)
    with np.errstate(over="ignore"):
        values = x.astype(np.float32)
    bad = np.argwhere(~np.isfinite(values))
    if len(bad):
        row, column = bad[0]
        label = f" ({columns[column]})" if columns else ""
        what = f"{name}: X[{row}, {column}]{label} is {x[row, column]}, no finite float32"
        raise QapError(what, f"remove or repair it, and {len(bad) - 1} more such values")
    return values


def labels(name: str, y: NDArray[np.generic], layout: str) -> NDArray[np.int64]:
    """`y` (rows,) of integers as int64."""
    if y.ndim != 1 or y.dtype.kind not in "iu":
        raise QapError(
            f"{name}: y has shape {y.shape} and type {y.dtype}", f"{layout}; if y is one-hot, take its argmax"
        )
    return y.astype(np.int64)


def checked(data: Dataset) -> Dataset:
    """Return the same data if rows, labels and classes fit together."""
    rows, classes = data.rows, data.classes
    if len(rows.x) != len(rows.y):
        raise QapError(f"{data.name}: X has {len(rows.x)} rows, y has {len(rows.y)}", "give one label per row")
    if rows.y.min() < 0 or rows.y.max() >= len(classes):
        wrong = rows.y[(rows.y < 0) | (rows.y >= len(classes))][0]
        raise QapError(f"{data.name}: label {wrong} is not one of 0 to {len(classes) - 1}", "count labels from 0")
    if len(np.unique(rows.y)) < 2:
        only = classes[rows.y[0]]
        raise QapError(f"{data.name}: all rows are of class {only}", "give rows of two classes or more")
    return data


def select(data: Dataset, features: Sequence[str]) -> Dataset:
    """Return the data with these columns alone, in this order."""
    for feature in features:
        if feature not in data.features:
            raise QapError(f"{data.name} has no column '{feature}'", nearest(feature, data.features))
    columns = [data.features.index(feature) for feature in features]
    rows = Part(np.ascontiguousarray(data.rows.x[:, columns]), data.rows.y)
    return Dataset(rows, tuple(features), data.classes, data.name, data.sha256)
