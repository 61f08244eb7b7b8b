# SPDX-License-Identifier: Apache-2.0
"""Real inputs from the user's files: recorded vectors, labels, and what an input quantizer is fitted to."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from qap2fpga.frontend.labels import class_numbers
from qap2fpga.system import arrays
from qap2fpga.system.errors import QapError, nearest

KEYS = ("X", "y", "classes")
LAYOUT = "give an .npz with X (rows, inputs) and y, or an .npy; numbers as numbers, classes as texts, not as objects"


@dataclass(frozen=True)
class Rows:
    """Real inputs `values` (n, inputs) float32 and, if known, `labels` (n,): the index of the output that is right.

    `targets` (n, outputs) are the real values that a regression should give; they are no classes.
    """

    values: np.ndarray
    labels: np.ndarray | None = None
    targets: np.ndarray | None = None


def load(path: Path, inputs: int, classes: tuple[str, ...] = ()) -> Rows:
    """Read an `.npz` with `X` (n, inputs) and optionally `y` and `classes`, or an `.npy` with X alone.

    `y` is class numbers, flat or a column, one-hot rows or probabilities; anything else is a regression's targets.
    `classes` are the names of the network's outputs in order; labels are renumbered to them when the file names
    its own. Raises `QapError` when the file does not fit the network.
    """
    content = arrays.load(path, LAYOUT, KEYS)
    if isinstance(content, dict) and "X" not in content:
        raise QapError(f"{path} has no array 'X'", LAYOUT)
    fields = content if isinstance(content, dict) else {"X": content}
    values = fields["X"]
    if values.ndim > 2:
        values = values.reshape(len(values), math.prod(values.shape[1:]))
    if values.ndim != 2 or values.shape[1] != inputs or values.dtype.kind not in "fiu":
        raise QapError(f"{path}: X has shape {fields['X'].shape}", f"the network takes rows of {inputs} numbers")
    values = values.astype(np.float32)
    arrays.require_finite(f"{path}: X", values)
    labels = fields.get("y")
    if labels is None:
        return Rows(values)
    if labels.shape[:1] != (len(values),) or labels.ndim > 2 or labels.dtype.kind not in "biuf":
        what = f"shape {labels.shape} and type {labels.dtype}"
        raise QapError(f"{path}: y has {what} for {len(values)} rows", "y holds one class number per row")
    arrays.require_finite(f"{path}: y", labels)
    numbers = class_numbers(labels)
    if numbers is None:
        if "classes" in fields:
            hint = "y holds one class number per row: 0, 1, 2, ...; a regression has no classes"
            raise QapError(f"{path}: y has labels that are not 0, 1, 2, ..., and classes have names", hint)
        return Rows(values, targets=labels.reshape(len(labels), -1).astype(np.float64))
    return Rows(values, _renumber(numbers, _classes(fields, path), classes))


def _classes(fields: arrays.Arrays, path: Path) -> list[str]:
    return list(arrays.texts(fields["classes"], f"{path}: classes", LAYOUT)) if "classes" in fields else []


def _renumber(labels: np.ndarray, given: list[str], wanted: tuple[str, ...]) -> np.ndarray:
    if not wanted:
        return labels
    if not given:
        raise QapError("the data names no classes, so --classes cannot be matched", "add an array 'classes'")
    for name in given:
        if name not in wanted:
            raise QapError(f"the data has class '{name}', --classes has not", nearest(name, wanted))
    if labels.max() >= len(given):
        raise QapError(f"the data has label {labels.max()} and names {len(given)} classes", "name all of them")
    return np.array([wanted.index(name) for name in given])[labels]
