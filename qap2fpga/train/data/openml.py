# SPDX-License-Identifier: Apache-2.0
"""The hls4ml LHC jet data (doi:10.5281/zenodo.3602260) from openml.org: 830,000 jets of 5 classes, 16 features."""

from __future__ import annotations

from qap2fpga.system.errors import QapError
from qap2fpga.train.data.rows import Dataset
from qap2fpga.train.data.tables import from_columns

NAME, VERSION = "hls4ml_lhc_jets_hlf", 1
LABEL = "class"


def load(features: tuple[str, ...] | None) -> Dataset:
    """Fetch the data, or take them from scikit-learn's cache. Raises `QapError` without network or scikit-learn."""
    try:
        from sklearn.datasets import fetch_openml
    except ImportError as error:
        raise QapError("data.source: openml needs scikit-learn", "pip install 'qap2fpga[train]'") from error
    try:
        fetched = fetch_openml(NAME, version=VERSION, as_frame=True)
    except (OSError, ValueError) as error:
        hint = (
            f"get '{NAME}' on a machine with network, save it as .csv, .parquet or .npz, and give that file as "
            f"data.source (with data.label: {LABEL} for a table); or copy that machine's ~/scikit_learn_data"
        )
        raise QapError(f"openml.org gives no {NAME}: {error}", hint) from error
    frame = fetched.data
    columns = {str(name): frame[name].to_numpy() for name in frame.columns}
    return from_columns(NAME, columns | {LABEL: fetched.target.astype(str).to_numpy()}, LABEL, features)
