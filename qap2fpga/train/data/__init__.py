# SPDX-License-Identifier: Apache-2.0
"""Labelled data, from wherever they are: `load` gives rows, `split` parts them.

A source is a file with arrays (.npz, .h5) or named columns (.csv, .parquet, .h5), 'openml' for the hls4ml LHC jet
data, or 'simulated' for the jets that ship with the project. The 16 jet features are defined in
`qap2fpga.train.features`.
"""

from __future__ import annotations

from pathlib import Path

from qap2fpga.system.errors import QapError
from qap2fpga.system.files import PACKAGE
from qap2fpga.system.reading import is_file, line
from qap2fpga.train.data import arrays, openml, tables
from qap2fpga.train.data.rows import Dataset, Part, select
from qap2fpga.train.data.split import Scaler, Split, randomize, split
from qap2fpga.train.settings import DataConfig

__all__ = ["Dataset", "Part", "Scaler", "Split", "find", "load", "randomize", "split"]

SUFFIXES = (".npz", ".csv", ".parquet", ".h5")
SIMULATED = PACKAGE.parent / "examples" / "jets.npz"


def find(source: str) -> Path | None:
    """The file of a source; None where there is none to look for. Raises `QapError` if it is not there."""
    if source == "openml":
        return None
    path = SIMULATED if source == "simulated" else Path(source)
    if is_file(path):
        if path.suffix not in SUFFIXES:
            raise QapError(f"{path} is of an unknown kind", f"known: {', '.join(SUFFIXES)}")
        return path
    if source == "simulated":
        hint = "make some with 'qap2fpga simulate-jets jets.npz', and give that file as data.source"
        raise QapError("the simulated jets are part of a checkout, and this is none", hint)
    hint = f"{arrays.LAYOUT}; or a table with data.label; or 'openml', or 'simulated'"
    raise QapError(f"there is no data file {line(path)}", hint)


def load(config: DataConfig) -> Dataset:
    """Read and check the data. Raises `QapError` that names what is wrong with them."""
    path = find(config.source)
    if path is None:
        return openml.load(config.features)
    data = arrays.load(path) if path.suffix == ".npz" else tables.load(path, config.label, config.features)
    return data if config.features is None else select(data, config.features)
