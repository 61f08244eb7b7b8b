# SPDX-License-Identifier: Apache-2.0
"""One training: a quantized and pruned network out of a table of data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from qap2fpga.library.table import Table, Tabular, of_dicts
from qap2fpga.system import documents
from qap2fpga.system.errors import QapError
from qap2fpga.train import config as settings
from qap2fpga.train.output import TrainResult
from qap2fpga.train.output import train as run

__all__ = ["Training", "train"]

Bits = int | Sequence[int] | None


@dataclass(frozen=True, eq=False, repr=False)
class Training(Tabular):
    """What a training came to; `train` gives one.

    Attributes:
        result: the model's path, its accuracies (shares, 0 to 1), zeros and seconds.
    """

    result: TrainResult

    @property
    def path(self) -> Path:
        """The model: give it to `load` and `build`."""
        return self.result.output

    @property
    def heading(self) -> str:
        """Return the training in one line."""
        one = self.result
        compared = "" if one.float_accuracy is None else f" (float {100 * one.float_accuracy:.2f} %)"
        rows = f"{one.test_rows} test rows"
        return (
            f"{one.output}: accuracy {100 * one.accuracy:.2f} % of {rows}{compared}, {100 * one.sparsity:.1f} % zeros"
        )

    @property
    def table(self) -> Table:
        """One row: accuracies as shares, zeros, seconds."""
        one = self.result
        return of_dicts([{
            "accuracy": one.accuracy, "float_accuracy": one.float_accuracy,
            "validation_accuracy": one.validation_accuracy, "test_rows": one.test_rows, "sparsity": one.sparsity,
            "seconds": one.seconds,
        }])  # fmt: skip


def train(
    config: str | Path | None = None,
    *,
    data: str | None = None,
    output: str | Path | None = None,
    vectors: str | Path | None = None,
    folder: str | Path | None = None,
    widths: Sequence[int] | None = None,
    weight_bits: Bits = None,
    activation_bits: Bits = None,
    input_bits: int | None = None,
    sparsity: float | None = None,
    l1: float | None = None,
    batch_norm: bool | None = None,
    epochs: int | None = None,
    learning_rate: float | None = None,
    seed: int | None = None,
    quiet: bool = False,
) -> Training:
    """Train and prune a dense network, quantization-aware, and write it as a model file.

    Args:
        config: a YAML file with the settings, docs/training.md; what is given here overrides it.
        data: .npz, .csv, .parquet, .h5, openml or simulated.
        output: the model.pt to write; with it a float network of the same shape is trained, for the comparison.
        vectors: also write standardised test rows here, for `build`.
        folder: keep record and checkpoints here; a stopped run resumes.
        widths: neurons of the hidden layers.
        weight_bits: 2 to 16, one or one per layer; 32: float.
        activation_bits: 2 to 16, one or one per layer.
        input_bits: 2 to 16.
        sparsity: part of the weights to prune.
        l1: strength of the L1 term on the weights.
        batch_norm: batch norm after every hidden layer.
        epochs: most epochs of the dense training.
        learning_rate: of Adam.
        seed: the same seed and versions give the same bytes.
        quiet: show nothing while it runs.

    Raises:
        QapError: a setting, the data or a place to write to is wrong; before any work.
    """
    if config is None and data is None:
        raise QapError(
            "there is nothing to train on", f"give --data FILE, or a CONFIG.yaml; {documents.place('training')}"
        )
    chosen = settings.of_source(str(data)) if config is None else settings.load(Path(config), data)
    changes = {
        "model.widths": tuple(widths or ()) or None,
        "model.weight_bits": _each(weight_bits),
        "model.activation_bits": _each(activation_bits),
        "model.input_bits": input_bits,
        "pruning.sparsity": sparsity,
        "training.l1": l1,
        "model.batch_norm": batch_norm,
        "training.epochs": epochs,
        "training.learning_rate": learning_rate,
        "seed": seed,
    }
    for path, value in changes.items():
        if value is not None:
            chosen = settings.replace(chosen, path, value)
    places = (None if place is None else Path(place) for place in (output, vectors, folder))
    return Training(run(chosen, (lambda line: None) if quiet else print, *places))


def _each(bits: Bits) -> int | tuple[int, ...] | None:
    """One number, or one per layer."""
    return bits if bits is None or isinstance(bits, int) else tuple(bits)
