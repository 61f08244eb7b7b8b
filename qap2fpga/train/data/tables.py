# SPDX-License-Identifier: Apache-2.0
"""Data as named columns: .csv, .parquet and .h5 files. One column is the label, the others are numbers.

Labels may be texts or whole numbers: the classes are the distinct ones, sorted.
"""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from qap2fpga.system import arrays
from qap2fpga.system.errors import QapError, nearest
from qap2fpga.system.files import sha256
from qap2fpga.system.reading import MIB, line, size
from qap2fpga.train.data.arrays import from_arrays
from qap2fpga.train.data.rows import Dataset, Part, checked, numbers

if TYPE_CHECKING:
    from pandas import DataFrame

Columns = Mapping[str, NDArray[Any]]
LARGEST_TABLE = 4096 * MIB
# Bytes of a number in memory.
CELL = 8
LAYOUT = "give a table of named columns: one the label, the others numbers"


def load(path: Path, label: str | None, features: tuple[str, ...] | None) -> Dataset:
    """Read and check a table. Raises `QapError` that names what is wrong with it, or which package reads it."""
    columns = {".csv": _csv, ".parquet": _parquet, ".h5": _h5}[path.suffix](path)
    if label is None and {"X", "y"} <= columns.keys():
        return from_arrays(path, dict(columns))
    found = from_columns(str(path), columns, label, features)
    return Dataset(found.rows, found.features, found.classes, path.name, sha256(path))


def from_columns(name: str, columns: Columns, label: str | None, features: tuple[str, ...] | None) -> Dataset:
    """The data in named columns, each (rows,). `sha256` is that of the values."""
    if label is None:
        raise QapError(f"{name}: which column is the label?", f"set data.label; columns: {', '.join(columns)}")
    chosen = tuple(column for column in columns if column != label) if features is None else features
    for column in (label, *chosen):
        if column not in columns:
            raise QapError(f"{name} has no column '{column}'", nearest(column, columns))
    if label in chosen:
        raise QapError(f"{name}: the label '{label}' is one of the features", "a network would only copy it")
    if not chosen:
        raise QapError(f"{name} has no column beside the label '{label}'", LAYOUT)
    for column in chosen:
        if columns[column].dtype.kind not in "fiub":
            hint = "leave it out with data.features, or make it numbers"
            raise QapError(f"{name}: column '{column}' is no column of numbers", hint)
    y, classes = _classes(name, label, columns[label])
    if not len(y):
        raise QapError(f"{name} has no rows", LAYOUT)
    x = numbers(name, np.stack([columns[column].astype(np.float32) for column in chosen], axis=1), chosen, LAYOUT)
    digest = hashlib.sha256(x.tobytes() + y.tobytes()).hexdigest()
    return checked(Dataset(Part(x, y), chosen, classes, name, digest))


def _classes(name: str, label: str, values: NDArray[Any]) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Class numbers (rows,) and the classes' names."""
    if values.dtype.kind == "f":
        bad = np.flatnonzero(~np.isfinite(values) | (values != np.rint(values)))
        if len(bad):
            what = f"{name}: row {bad[0]} has label {values[bad[0]]} in column '{label}'"
            raise QapError(what, "labels are texts or whole numbers")
        values = values.astype(np.int64)
    if values.dtype.kind == "O":
        missing = [row for row, value in enumerate(values) if not isinstance(value, str | bytes | int)]
        if missing:
            raise QapError(f"{name}: row {missing[0]} has no label in column '{label}'", "remove such rows")
        values = np.array([_label(name, row, value) for row, value in enumerate(values)])
    found, numbered = np.unique(values, return_inverse=True)
    names = arrays.texts(found, f"{name}: column '{label}'", LAYOUT)
    return numbered.astype(np.int64), names


def _label(name: str, row: int, value: str | bytes | int) -> str:
    try:
        return value.decode() if isinstance(value, bytes) else str(value)
    except ValueError as error:  # no UTF-8, or too many digits
        raise QapError(f"{name}: row {row} has a label that is no text: {line(error)}", LAYOUT) from error


def _csv(path: Path) -> Columns:
    pandas = _package("pandas", path)
    return _frame(path, lambda: pandas.read_csv(path, low_memory=False))


def _parquet(path: Path) -> Columns:
    pandas = _package("pandas", path)
    parquet = _package("pyarrow", path).parquet

    def read() -> DataFrame:
        # A column of one repeated value takes a few bytes in the file, whatever its length.
        facts = parquet.read_metadata(path)
        _require_room(path, facts.num_rows * facts.num_columns * CELL)
        return pandas.read_parquet(path)

    return _frame(path, read)


def _frame(path: Path, read: Callable[[], DataFrame]) -> Columns:
    size(path, LARGEST_TABLE, LAYOUT)
    try:
        frame = read()
        return {str(name): frame[name].to_numpy() for name in frame.columns}
    except QapError:
        raise
    except Exception as error:  # pandas and its engines raise what they like
        raise QapError(f"{path} cannot be read: {line(error) or type(error).__name__}", LAYOUT) from error


def _require_room(path: Path, needed: int) -> None:
    if needed > arrays.LARGEST:
        what = f"{path} takes {needed:,} bytes once it is unpacked, more than the {arrays.LARGEST:,} that are read"
        raise QapError(what, "give fewer rows or columns")


def _h5(path: Path) -> Columns:
    """Every data set of one dimension is a column; so is every field of a data set of records."""
    h5py = _package("h5py", path)
    columns: dict[str, NDArray[Any]] = {}
    size(path, LARGEST_TABLE, LAYOUT)
    try:
        with h5py.File(path) as file:
            held = {str(name): data for name, data in file.items() if isinstance(data, h5py.Dataset)}
            _require_room(path, sum(data.size * max(data.dtype.itemsize, 1) for data in held.values() if data.shape))
            for name, data in held.items():
                values = np.asarray(data)
                if values.dtype.names:
                    columns.update({str(field): values[field] for field in values.dtype.names})
                else:
                    columns[name] = values
    # What h5py raises for a damaged file, or for a type that numpy has not.
    except (OSError, ValueError, TypeError, KeyError, RuntimeError, OverflowError, MemoryError) as error:
        raise QapError(f"{path} cannot be read: {line(error) or type(error).__name__}", LAYOUT) from error
    if not {"X", "y"} <= columns.keys():
        columns = {name: values for name, values in columns.items() if values.ndim == 1}
        if len({len(values) for values in columns.values()}) > 1:
            raise QapError(f"{path}: its columns have different lengths", LAYOUT)
    return columns


def _package(name: str, path: Path) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise QapError(f"{path}: reading it needs {name}", "pip install 'qap2fpga[train]'") from error
