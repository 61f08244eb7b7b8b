# SPDX-License-Identifier: Apache-2.0
"""What one training run is: a tree of settings; imports nothing heavy.

The shape and the pruning are those of Hawks et al. 2021 ("Ps and Qs", arXiv:2102.11289). `docs/training.md` has
every setting with its meaning.
"""

from __future__ import annotations

import typing
from dataclasses import dataclass, field

FLOAT_BITS = 32
# Fractions of the weights that are left, as the paper's code prunes them step by step.
PAPER_FRACTIONS = (0.10, 0.111, 0.125, 0.143, 0.166, 0.20, 0.25, 0.333, 0.50, 0.666, 0.666)


@dataclass(frozen=True)
class DataConfig:
    """Where the rows come from and how they are parted.

    source: a file (.npz, .csv, .parquet, .h5), 'openml' or 'simulated'.
    label: name of the column that holds the class, for files with named columns.
    features: names of the columns to train on; None: all but the label.
    split: shares, or numbers of rows, of training, validation and test.
    randomize: share of the training labels that are replaced by random ones.
    """

    source: str
    label: str | None = None
    features: tuple[str, ...] | None = None
    split: tuple[float, ...] = (0.70, 0.15, 0.15)
    randomize: float = 0.0


@dataclass(frozen=True)
class ModelConfig:
    """The network. Bits are one number, or one per layer; 32 weight bits make the whole network a float one.

    widths: neurons of the hidden layers.
    bias_bits: None: biases stay floats, and the lowering rounds them to the accumulators' own grid.
    scales: 'arbitrary', as the paper; 'power_of_two': every scale is one, and batch norm is merged into the weights.
    """

    widths: tuple[int, ...] = (64, 32, 32)
    weight_bits: int | tuple[int, ...] = 6
    activation_bits: int | tuple[int, ...] = 6
    input_bits: int = 8
    bias_bits: int | None = None
    batch_norm: bool = True
    scales: str = "arbitrary"

    @property
    def is_float(self) -> bool:
        """Whether nothing is quantized: the 32-bit baseline."""
        return self.weight_bits == FLOAT_BITS

    @property
    def layer_weight_bits(self) -> tuple[int, ...]:
        """Weight bits of every dense layer."""
        bits = self.weight_bits
        return bits if isinstance(bits, tuple) else (bits,) * (len(self.widths) + 1)

    @property
    def layer_activation_bits(self) -> tuple[int, ...]:
        """Bits of every hidden activation."""
        bits = self.activation_bits
        return bits if isinstance(bits, tuple) else (bits,) * len(self.widths)


@dataclass(frozen=True)
class TrainingConfig:
    """How to learn: Adam, at most `epochs` epochs, fewer when `patience` of them bring no lower validation loss.

    schedule: of the learning rate: 'cosine' falls to a hundredth of it at the last epoch.
    l1: strength of the L1 term on the dense weights.
    quantization: 'aware': the network learns quantized; 'after': it learns as floats, and is quantized at the end.
    """

    epochs: int = 60
    patience: int = 15
    batch: int = 256
    learning_rate: float = 3e-3
    schedule: str = "cosine"
    l1: float = 1e-5
    loss: str = "cross_entropy"
    quantization: str = "aware"
    device: str = "auto"


@dataclass(frozen=True)
class PruningConfig:
    """What is pruned and when; see `qap2fpga.train.schedule`.

    sparsities: pruned share of the weights after each step; None: `steps` steps up to `sparsity`; 'paper': the paper's.
    lanes: of scope 'balanced', how many inputs a folded layer reads at a time.
    epochs: most epochs between two steps.
    """

    schedule: str = "fine_tuning"
    sparsities: tuple[float, ...] | typing.Literal["paper"] | None = None
    sparsity: float = 0.8
    steps: int = 8
    scope: str = "global"
    lanes: int | None = None
    epochs: int = 10


@dataclass(frozen=True)
class RunConfig:
    """One training run.

    fold: (k, n): the k-th of n folds of cross-validation, k from 1: that n-th part of training and validation rows
        validates, the others train; the test rows are the same in all folds.
    paper_code: names of mistakes of the paper's own code to repeat, see `qap2fpga.train.paper`.
    """

    data: DataConfig
    model: ModelConfig = field(default_factory=ModelConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    pruning: PruningConfig = field(default_factory=PruningConfig)
    fold: tuple[int, int] | None = None
    seed: int = 1
    paper_code: tuple[str, ...] = ()
