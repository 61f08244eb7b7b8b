# SPDX-License-Identifier: Apache-2.0
"""Data as arrays X and y, the layout of our own .npz files, which an .h5 file may have too."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from qap2fpga.system import arrays
from qap2fpga.system.arrays import Arrays
from qap2fpga.system.errors import QapError
from qap2fpga.system.files import sha256
from qap2fpga.system.reading import line
from qap2fpga.train.data.rows import Dataset, Part, checked, labels, numbers

LAYOUT = "give an npz with X (rows, features) of floats, y (rows,) of integers, and maybe features and classes"


def load(path: Path) -> Dataset:
    """Read and check an npz file. Raises `QapError` that names what is wrong with it."""
    return from_arrays(path, arrays.load_npz(path, LAYOUT))


def from_arrays(path: Path, fields: Arrays) -> Dataset:
    """Return the data in the arrays `X`, `y` and maybe `features` and `classes`, which came from `path`."""
    for name in ("X", "y"):
        if name not in fields:
            present = line(", ".join(sorted(fields)) or "nothing")
            raise QapError(f"{path} has no array '{name}', it has {present}", LAYOUT)
    names = arrays.texts(fields["features"], f"{path}: features", LAYOUT) if "features" in fields else ()
    x = numbers(str(path), fields["X"], names if fields["X"].shape[1:] == (len(names),) else (), LAYOUT)
    y = labels(str(path), fields["y"], LAYOUT)
    if len(x) != len(y):
        raise QapError(f"{path}: X has {len(x)} rows, y has {len(y)}", "give one label per row")
    if names and len(names) != x.shape[1]:
        raise QapError(f"{path}: {len(names)} names in 'features' for {x.shape[1]} columns of X", LAYOUT)
    features = names or tuple(f"f{i}" for i in range(x.shape[1]))
    classes = arrays.texts(fields["classes"], f"{path}: classes", LAYOUT) if "classes" in fields else _counted(path, y)
    data = checked(Dataset(Part(x, y), features, classes, str(path), ""))
    return Dataset(data.rows, features, classes, path.name, sha256(path))


def _counted(path: Path, y: NDArray[np.int64]) -> tuple[str, ...]:
    """Names of classes of which only the numbers are known. Raises `QapError` for more of them than rows."""
    largest = int(y.max())
    if largest >= len(y):
        raise QapError(f"{path}: label {largest} in {len(y)} rows", "count labels from 0, or name all in 'classes'")
    return tuple(f"class{number}" for number in range(largest + 1))
