# SPDX-License-Identifier: Apache-2.0
"""One training: a quantized and pruned network out of a table of data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from qap2fpga.library.table import Table, Tabular, of_dicts
from qap2fpga.system import documents
from qap2fpga.system.errors import QapError
from qap2fpga.train import config as settings
from qap2fpga.train.output import Luts, Say, TrainResult, ready_to
from qap2fpga.train.output import train as run
from qap2fpga.train.settings import RunConfig

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
        zeros = f"{100 * one.sparsity:.1f} % zeros"
        return f"{one.output}: accuracy {100 * one.accuracy:.2f} % of {rows}{compared}, {zeros}{_luts(one.luts)}"

    @property
    def table(self) -> Table:
        """One row: accuracies as shares, zeros, seconds."""
        one = self.result
        return of_dicts([{
            "accuracy": one.accuracy, "float_accuracy": one.float_accuracy,
            "validation_accuracy": one.validation_accuracy, "test_rows": one.test_rows, "sparsity": one.sparsity,
            "seconds": one.seconds, **({} if one.luts is None else asdict(one.luts)),
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
    max_lut: int | None = None,
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
        max_lut: train to a budget: every weight and activation learns its bits, and the network, unrolled, takes at
            most as many LUTs. Bits, sparsity and batch norm are not chosen then.
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
    places = [None if place is None else Path(place) for place in (output, vectors, folder)]
    say = (lambda line: None) if quiet else print
    if max_lut is None:
        return Training(run(chosen, say, *places))
    given = {"bits": weight_bits or activation_bits or input_bits, "sparsity": sparsity, "batch_norm": batch_norm}
    if clash := [name for name, value in given.items() if value is not None]:
        raise QapError(f"max_lut and {clash[0]} are both given", "a budget chooses the bits: leave the other out")
    return Training(_to_budget(chosen, max_lut, say, places))


def _to_budget(config: RunConfig, luts: int, say: Say, places: Sequence[Path | None]) -> TrainResult:
    """Train to a budget, and let Yosys count what came of it."""
    output, vectors, folder = places
    if output is None:
        raise QapError("nowhere to write to", "give --output MODEL.pt")
    ready_to(config, (output, vectors))
    from qap2fpga.library.measured import luts_of
    from qap2fpga.train.budgeted import train_to

    result = train_to(config, luts, say, output, vectors, folder)
    assert result.luts is not None
    say("counting LUTs with Yosys")
    return replace(result, luts=replace(result.luts, measured=luts_of(output)))


def _luts(luts: Luts | None) -> str:
    if luts is None:
        return ""
    counted = "" if luts.measured is None else f", {luts.measured:,} measured by Yosys"
    return f"; {luts.expected:,.0f} LUTs expected{counted} (budget {luts.budget:,})"


def _each(bits: Bits) -> int | tuple[int, ...] | None:
    """One number, or one per layer."""
    return bits if bits is None or isinstance(bits, int) else tuple(bits)
