# SPDX-License-Identifier: Apache-2.0
"""Data as arrays X and y, the layout of our own .npz files, which an .h5 file may have too."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from qap2fpga.errors import QapError
from qap2fpga.files import sha256
from qap2fpga.train.data.rows import Dataset, Part, checked, labels, numbers

LAYOUT = "give an npz with X (rows, features) of floats, y (rows,) of integers, and maybe features and classes"
Arrays = dict[str, NDArray[np.generic]]


def load(path: Path) -> Dataset:
    """Read and check an npz file. Raises `QapError` that names what is wrong with it."""
    try:
        stored = np.load(path, allow_pickle=False)
        if not isinstance(stored, np.lib.npyio.NpzFile):
            raise QapError(f"{path} holds a single array", LAYOUT)
        with stored:
            arrays = {name: stored[name] for name in stored.files}
    except (OSError, ValueError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        raise QapError(f"{path} cannot be read: {error}", LAYOUT) from error
    return from_arrays(path, arrays)


def from_arrays(path: Path, arrays: Arrays) -> Dataset:
    """The data in arrays `X`, `y` and maybe `features` and `classes`, which came from `path`."""
    for name in ("X", "y"):
        if name not in arrays:
            present = ", ".join(sorted(arrays)) or "nothing"
            raise QapError(f"{path} has no array '{name}', it has {present}", LAYOUT)
    given = _texts(arrays["features"]) if "features" in arrays else ()
    x = numbers(str(path), arrays["X"], given if arrays["X"].shape[1:] == (len(given),) else (), LAYOUT)
    y = labels(str(path), arrays["y"], LAYOUT)
    if given and len(given) != x.shape[1]:
        raise QapError(f"{path}: {len(given)} names in 'features' for {x.shape[1]} columns of X", LAYOUT)
    features = given or tuple(f"f{i}" for i in range(x.shape[1]))
    classes = _texts(arrays["classes"]) if "classes" in arrays else tuple(f"class{i}" for i in range(int(y.max()) + 1))
    found = checked(Dataset(Part(x, y), features, classes, str(path), ""))
    return Dataset(found.rows, features, classes, path.name, sha256(path))


def _texts(names: NDArray[np.generic]) -> tuple[str, ...]:
    return tuple(name.decode() if isinstance(name, bytes) else str(name) for name in names.ravel())
