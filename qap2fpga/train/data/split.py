# SPDX-License-Identifier: Apache-2.0
"""Rows parted into training, validation and test, standardised, and, on request, with random labels.

The parts depend on the number of rows alone. They are permuted by `numpy.random.RandomState(SPLIT_SEED)`, whose
stream numpy promises never to change; the first are for training, the next for validation, the next for test.
Everything that is chosen, from the scaler to the epoch to stop at, is chosen without the test part.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qap2fpga.system.errors import QapError
from qap2fpga.train.data.rows import Dataset, Part

SPLIT_SEED = 2021
DEFAULT = (0.70, 0.15, 0.15)


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


def split(data: Dataset, parts: tuple[float, ...] = DEFAULT, fold: tuple[int, int] | None = None) -> Split:
    """Return the three parts, by the rule above.

    `parts` are shares of the rows, or numbers of rows. With a `fold` (k, n) training and validation rows together
    are cut into n pieces of which the k-th, from 1, validates; the test rows stay. Raises `QapError` if there are
    too few rows to train on.
    """
    order = np.random.RandomState(SPLIT_SEED).permutation(len(data.rows))
    ends = _ends(data, parts)
    training, validation, test = order[: ends[0]], order[ends[0] : ends[1]], order[ends[1] : ends[2]]
    if fold is not None:
        pieces = np.array_split(order[: ends[1]], fold[1])
        validation = pieces.pop(fold[0] - 1)
        training = np.concatenate(pieces)
    whole = Split(*(Part(data.rows.x[rows], data.rows.y[rows]) for rows in (training, validation, test)))
    absent = set(np.unique(data.rows.y)) - set(np.unique(whole.training.y))
    if absent or min(len(training), len(validation), len(test)) < 2:
        what = f"{data.name} has only {len(order)} rows, too few to train on"
        raise QapError(what, "give more rows of each class")
    return whole


def _ends(data: Dataset, parts: tuple[float, ...]) -> list[int]:
    """Where the three parts end."""
    rows = len(data.rows)
    if max(parts) >= 1:
        ends = np.cumsum([int(part) for part in parts]).tolist()
        if ends[-1] > rows:
            hint = f"{data.name} has {rows}: ask for no more, or give shares as 0.7, 0.15, 0.15"
            raise QapError(f"data.split asks for {ends[-1]} rows", hint)
        return ends
    whole = abs(sum(parts) - 1) < 1e-9
    return [round(rows * parts[0]), round(rows * (parts[0] + parts[1])), rows if whole else round(rows * sum(parts))]


def randomize(part: Part, share: float, classes: int, seed: int) -> Part:
    """Return the part with `share` of its labels replaced by classes drawn at random, all equally likely."""
    if share == 0:
        return part
    random = np.random.RandomState(seed % 2**32)
    rows = random.permutation(len(part))[: round(share * len(part))]
    y = part.y.copy()
    y[rows] = random.randint(0, classes, len(rows))
    return Part(part.x, y)
