# SPDX-License-Identifier: Apache-2.0
"""What a user's `y` says of the rows: classes, or the real values of a regression, which are never classes."""

from __future__ import annotations

import numpy as np

from qap2fpga.system.errors import QapError

# Probabilities that a program wrote in float16 add up to one within this.
ROUNDED = 2.0**-8


def class_numbers(values: np.ndarray) -> np.ndarray | None:
    """Return the classes (n,) int64 in `values`, or None if it holds something else.

    Classes are whole numbers from 0 on, flat or as one column, and rows (n, classes) that are one-hot or
    probabilities: not negative, with the sum 1. The class of such a row is its largest value.
    """
    if values.ndim not in (1, 2) or values.dtype.kind not in "biuf" or not np.isfinite(values).all():
        return None
    if values.ndim == 2 and values.shape[1] != 1:
        rows = values.astype(np.float64)
        if not values.shape[1] or (rows < 0).any() or (np.abs(rows.sum(axis=1) - 1) > ROUNDED).any():
            return None
        return np.asarray(rows.argmax(axis=1), np.int64)
    flat = values.reshape(-1)
    if (flat < 0).any() or (flat > np.iinfo(np.int32).max).any() or (flat != np.floor(flat)).any():
        return None
    return flat.astype(np.int64)


def check_labels(what: str, labels: np.ndarray | None, outputs: int) -> None:
    """Raise `QapError` for class numbers that none of several `outputs` has; `what` they are starts the message."""
    strange = np.zeros(0) if labels is None or outputs == 1 else labels[(labels < 0) | (labels >= outputs)]
    if strange.size:
        hint = "number the classes 0, 1, 2, ..."
        raise QapError(f"{what} {strange[0]}, the network has {outputs} outputs", hint)
