# SPDX-License-Identifier: Apache-2.0
"""What to train, and what came of it; imports nothing heavy."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path

from qap2fpga.errors import QapError

LEAST_BITS, MOST_BITS = 2, 16


@dataclass(frozen=True)
class TrainConfig:
    """One training run; the shape and the pruning are those of Hawks et al. 2021 (arXiv:2102.11289).

    data: npz with X and y, see `qap2fpga.train.data`.
    output: the model, in the format of `qap2fpga.save`; replaced in one step if it exists.
    vectors: if given, an npz for `build --input-data`: the first rows of the test part, standardised.
    widths: neurons of the hidden layers.
    weight_bits, activation_bits, input_bits: 2 to 16.
    sparsity: share of the dense weights to prune away, 0 (none) up to but not including 1.
    prune_steps: how many steps pruning takes.
    l1: strength of the L1 term on the dense weights.
    epochs: most epochs of the dense training, and of the last fine-tuning.
    tuning_epochs: most epochs between two steps of pruning.
    patience: epochs without a lower validation loss after which a training ends.
    """

    data: Path
    output: Path
    vectors: Path | None = None
    widths: tuple[int, ...] = (64, 32, 32)
    weight_bits: int = 6
    activation_bits: int = 6
    input_bits: int = 8
    sparsity: float = 0.8
    prune_steps: int = 8
    l1: float = 1e-5
    batch_norm: bool = True
    epochs: int = 60
    tuning_epochs: int = 10
    patience: int = 15
    batch: int = 256
    learning_rate: float = 3e-3
    seed: int = 1


@dataclass(frozen=True)
class TrainResult:
    """The measured outcome; accuracies are shares of correct answers on the rows named, 0 to 1.

    sparsity: share of the dense weights that are zero as integers, masked or rounded to nothing.
    layer_sparsity: the same for each layer.
    """

    output: Path
    accuracy: float
    float_accuracy: float
    validation_accuracy: float
    float_validation_accuracy: float
    test_rows: int
    sparsity: float
    layer_sparsity: dict[str, float]
    seconds: float


def check(config: TrainConfig) -> None:
    """Raise `QapError` for the first value out of range, without looking into the data."""
    if not config.data.is_file():
        raise QapError(f"there is no data file {config.data}", "give an npz with arrays X and y to --data")
    for path in (config.output, config.vectors):
        if path is not None:
            _check_writable(path)
    for name in ("weight_bits", "activation_bits", "input_bits"):
        bits = getattr(config, name)
        if not LEAST_BITS <= bits <= MOST_BITS:
            raise QapError(f"{name} = {bits} is out of range", f"choose {LEAST_BITS} to {MOST_BITS}")
    if not 0 <= config.sparsity < 1:
        cure = "choose a share of the weights from 0 up to, but not including, 1: 0.8 prunes 80 %"
        raise QapError(f"sparsity = {config.sparsity} is out of range", cure)
    if not config.widths or min(config.widths) < 1:
        raise QapError(f"widths = {config.widths} is no shape", "give one or more hidden layers of 1 neuron or more")
    for name in ("prune_steps", "epochs", "tuning_epochs", "patience"):
        if getattr(config, name) < 1:
            raise QapError(f"{name} = {getattr(config, name)} is out of range", "choose 1 or more")
    if config.batch < 2:
        raise QapError(f"batch = {config.batch} is out of range", "choose 2 or more: batch norm needs two rows")
    if not (math.isfinite(config.learning_rate) and config.learning_rate > 0):
        raise QapError(f"learning_rate = {config.learning_rate} is out of range", "choose a positive number")
    if not (math.isfinite(config.l1) and config.l1 >= 0):
        raise QapError(f"l1 = {config.l1} is out of range", "choose 0 or a positive number")
    if not 0 <= config.seed < 2**63:
        raise QapError(f"seed = {config.seed} is out of range", "choose 0 or a positive integer")


def _check_writable(path: Path) -> None:
    """A file that cannot be written must not be found out after minutes of training."""
    if path.is_dir():
        raise QapError(f"{path} is a folder", "name the file to write")
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if not (folder.is_dir() and os.access(folder, os.W_OK)):
        raise QapError(f"{path} cannot be written: {folder} is not a folder of yours", "choose another place")
