# SPDX-License-Identifier: Apache-2.0
"""What `peers.py` asks of a side: a trainer that turns a task into networks and the hardware of each.

A side is a class with a `name`, the `settings` of its trials, and `run`. It gets a `Task`, spends at most its CPU
seconds on training, and returns candidates: a front of its checkpoints, each as Verilog, with the accuracy of exactly
that hardware on validation and on test data. Everything else (trials, seeds, counting, results) is the frame's.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from sklearn.datasets import load_digits

from qap2fpga.system import arrays
from qap2fpga.system.errors import QapError
from qap2fpga.system.files import sha256
from qap2fpga.system.reading import json_object, line

Settings = Mapping[str, object]
PARTS = ("train", "validation", "test")
SHARES = (0.6, 0.2, 0.2)
SPLIT_SEED = 2021  # of the rows' order, the same for all runs
FEWEST_ROWS = 50
HINT = "an .npz with X (rows, features), real numbers, and y (rows,), classes from 0, as qap2fpga simulate-jets writes"


@dataclass(frozen=True)
class Task:
    """One training: the same for every side but for its `settings`.

    `data` is an `.npz` with X_train, y_train, X_validation, y_validation, X_test, y_test (X float32, standardised by
    the training rows; y int64) and `classes`, their number. `cpu_s`: CPU seconds of all threads that training may take,
    evaluation on validation rows included, conversion to hardware not. `seed` decides all that is drawn.
    """

    data: Path
    seed: int
    cpu_s: float
    settings: Settings

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the arrays of `data` by name."""
        return dict(arrays.load_npz(self.data, "the split that the benchmark wrote"))


@dataclass(frozen=True)
class Candidate:
    """One network as hardware. `validation` and `test`: shares of right classes, by exactly this hardware's integers.

    All `.v` and `.sv` files below `folder`, relative to the run's, are its Verilog, with the module `top`. `notes` are
    numbers of the side's own.
    """

    name: str
    validation: float
    test: float
    folder: str
    top: str
    notes: Mapping[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """What came of a task: the candidates, and the CPU seconds that training took.

    `notes` are numbers of the side's own; `unconverted`, if it is there, is how many networks have no hardware.
    """

    cpu_s: float
    candidates: tuple[Candidate, ...]
    notes: Mapping[str, float | None] = field(default_factory=dict)


class Side(Protocol):
    """A trainer."""

    @property
    def name(self) -> str:
        """What it is called on the command line, in results and in names of folders."""
        ...

    def settings(self, trials: int) -> Sequence[Settings]:
        """Return settings, plain values of JSON, for so many trials, the usual ones first.

        Raises `QapError` if it has not as many.
        """
        ...

    def run(self, task: Task, folder: Path) -> Outcome:
        """Train, and write hardware into `folder`, which is this task's alone and may hold what a killed run left.

        Raises `QapError` if it fails.
        """
        ...


def first(trials: int, name: str, usual: Settings, changes: Sequence[Settings]) -> Sequence[Settings]:
    """Return the `usual` settings with each of the first `changes`. Raises `QapError` if there are fewer."""
    if trials > len(changes):
        raise QapError(f"{trials} trials of {name}", f"{len(changes)} at most")
    return [{**usual, **one} for one in changes[:trials]]


def stored(outcome: Outcome) -> dict[str, object]:
    """Return `outcome` as JSON's plain values."""
    return asdict(outcome)


def read(path: Path) -> Outcome:
    """Return the outcome that was stored in `path`. Raises `QapError` if it is none."""
    content = json_object(path, "remove it: the task is then done again")
    try:
        candidates = content.pop("candidates")
        outcome = Outcome(candidates=tuple(Candidate(**one) for one in candidates), **content)  # type: ignore[arg-type, attr-defined]
    except (TypeError, KeyError) as error:
        raise QapError(f"{path} is no outcome of a task: {line(error)}", "remove it") from error
    checked(outcome, str(path))
    return outcome


def checked(outcome: Outcome, where: str) -> None:
    """Raise `QapError` for candidates with the same name, or with accuracies that are no shares."""
    names = [one.name for one in outcome.candidates]
    if len(set(names)) < len(names):
        raise QapError(f"{where}: two candidates have the same name", "a mistake of the side")
    for one in outcome.candidates:
        for what, share in (("validation", one.validation), ("test", one.test)):
            if not (isinstance(share, float) and 0 <= share <= 1):
                raise QapError(f"{where}: {what} accuracy of {one.name} is {share}", "a share from 0 to 1")
        if Path(one.folder).is_absolute() or ".." in Path(one.folder).parts:
            raise QapError(f"{where}: the folder of {one.name} is {one.folder}", "one below the task's folder")


@dataclass(frozen=True)
class Data:
    """The split data: its file, a digest of the source, and how many rows each part has."""

    path: Path
    digest: str
    rows: Mapping[str, int]


def digits(folder: Path) -> Path:
    """Write scikit-learn's digits into `folder`: 8x8 pixels of 0 to 16, but for those that are always the same."""
    images, labels = load_digits(return_X_y=True)
    path = folder / "digits.npz"
    training = images[_places(len(labels))["train"]]
    arrays.save_npz(path, {"X": images[:, training.std(axis=0) > 0], "y": labels})
    return path


def split(source: Path, folder: Path) -> Data:
    """Split the rows of `source` and standardise them; the file in `folder` is kept, by its source's digest.

    Raises `QapError` for data that is none.
    """
    content = arrays.load(source, HINT, only=("X", "y"))
    if not isinstance(content, dict) or not {"X", "y"} <= content.keys():
        raise QapError(f"{source} has no X and y", HINT)
    X, y = content["X"], content["y"]
    _require(source, X, y)
    parts = _places(len(y))
    digest = hashlib.sha256(f"{sha256(source)} {SHARES} {SPLIT_SEED}".encode()).hexdigest()[:12]
    path = folder / f"split-{digest}.npz"
    data = Data(path, digest, {name: len(places) for name, places in parts.items()})
    if path.exists():
        return data
    train = X[parts["train"]].astype(np.float64)
    mean, deviation = train.mean(axis=0), train.std(axis=0)
    constant = np.flatnonzero(deviation == 0)
    if constant.size:
        raise QapError(f"column {constant[0]} of X in {source} is the same in all training rows", "leave it out")
    split_arrays: dict[str, np.ndarray] = {"classes": np.array(int(y.max()) + 1)}
    for name, places in parts.items():
        split_arrays[f"X_{name}"] = ((X[places] - mean) / deviation).astype(np.float32)
        split_arrays[f"y_{name}"] = y[places].astype(np.int64)
    arrays.save_npz(path, split_arrays)
    return data


def _require(source: Path, X: np.ndarray, y: np.ndarray) -> None:
    if X.ndim != 2 or X.dtype.kind not in "fiu" or y.shape != (len(X),) or y.dtype.kind not in "iu":
        raise QapError(f"{source}: X is {X.dtype} {X.shape}, y is {y.dtype} {y.shape}", HINT)
    if len(y) < FEWEST_ROWS:
        raise QapError(f"{source} has {len(y)} rows", f"{FEWEST_ROWS} or more")
    arrays.require_finite(f"X in {source}", X)
    classes = np.unique(y)
    if len(classes) < 2 or classes[0] != 0 or classes[-1] != len(classes) - 1:
        raise QapError(
            f"{source}: y has the classes {line(classes.tolist()[:10])}", "two or more, from 0, none left out"
        )


def _places(rows: int) -> dict[str, np.ndarray]:
    """The rows of each part, in an order that only their number decides."""
    order = np.random.default_rng(SPLIT_SEED).permutation(rows)
    ends = [math.floor(rows * sum(SHARES[:part]) + 1e-9) for part in range(1, len(PARTS))]
    return dict(zip(PARTS, np.split(order, ends), strict=True))
