# SPDX-License-Identifier: Apache-2.0
"""The schema of `record.json`, which runs write and studies and figures read; `docs/training.md` explains each key.

Efficiencies, accuracies and sparsities are fractions from 0 to 1. Imports nothing heavy.
"""

from __future__ import annotations

from typing import TypedDict


class Epoch(TypedDict):
    """One epoch: losses as the training minimises them."""

    learning_rate: float
    training_loss: float
    validation_loss: float
    validation_accuracy: float


class LayerEfficiency(TypedDict):
    """How much of its state space one layer uses."""

    entropy_bits: float
    neurons: int
    efficiency: float


class NeuralEfficiency(TypedDict):
    """The geometric mean over `layers`; on so many `rows` an entropy is at most `cap_bits`."""

    layers: dict[str, LayerEfficiency]
    network: float
    rows: int
    cap_bits: float


class Curve(TypedDict):
    """Points of a ROC curve, both rising."""

    background_efficiency: list[float]
    signal_efficiency: list[float]


class Value(TypedDict):
    """A number with its statistical error."""

    value: float
    error: float


class BackgroundEfficiency(Value):
    """The background that passes the cut of so much signal."""

    at_signal_efficiency: float


class ClassifierMetrics(TypedDict):
    """How well a classifier does, by class where there is a class; see `qap2fpga.train.metrics.evaluate`."""

    rows: int
    loss: float
    accuracy: float
    accuracy_error: float
    auc: dict[str, float]
    mean_auc: float
    roc: dict[str, Curve]
    background_efficiency: dict[str, BackgroundEfficiency]
    mean_background_efficiency: Value


class TestMetrics(ClassifierMetrics):
    """All metrics on the test rows."""

    neural_efficiency: NeuralEfficiency
    aiq: float


class ValidationMetrics(TypedDict):
    """What the training looks at."""

    loss: float
    accuracy: float


class StepMetrics(TypedDict):
    """The metrics of one step's network."""

    validation: ValidationMetrics
    test: TestMetrics


class BopsCounts(TypedDict):
    """Bit operations of one frame; `nonzero` are those of products with weights that are not zero."""

    paper: float
    paper_code: float
    nonzero: int


class Estimate(TypedDict):
    """LUTs that the rtl backend would take, None with the reason as `message`."""

    lut: float | None
    backend: str
    message: str | None


class FurtherRecord(TypedDict, total=False):
    """How what is made of the trained network learned, where it did; an estimate is added where one is asked for."""

    tuning_epochs: list[Epoch]
    best_tuning_epoch: int
    estimate: Estimate


class StepRecord(FurtherRecord):
    """One step of pruning: how it learned, and what its network, in the file `checkpoint`, is worth."""

    step: int
    target_sparsity: float
    mask_sparsity: float
    integer_sparsity: float
    layer_sparsity: dict[str, float]
    nonzeros: dict[str, int]
    epochs: list[Epoch]
    best_epoch: int
    metrics: StepMetrics
    bops: BopsCounts
    messages: list[str]
    checkpoint: str


class DataRecord(TypedDict):
    """Which data it was, and into how many rows it was split."""

    name: str
    sha256: str | None
    training_rows: int
    validation_rows: int
    test_rows: int
    features: list[str]
    classes: list[str]


class Record(TypedDict):
    """One run; `config` are its settings as `qap2fpga.train.config.to_dict` has them."""

    schema: int
    finished: bool
    config: dict[str, object]
    versions: dict[str, str]
    data: DataRecord
    seconds: float
    steps: list[StepRecord]
