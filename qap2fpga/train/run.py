# SPDX-License-Identifier: Apache-2.0
"""One training run from the data file to the model file."""

from __future__ import annotations

import importlib.metadata
import io
import platform
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from qap2fpga.data import power_of_two_scale
from qap2fpga.files import write_atomically
from qap2fpga.train.data import SPLIT_SEED, TRAINING, VALIDATION, Dataset, Part, Scaler, Split, load, split
from qap2fpga.train.flags import TrainConfig, TrainResult
from qap2fpga.train.loop import Recipe, Rows, Score, evaluate, fit, fit_pruned, reproducible
from qap2fpga.train.network import float_network, quantized_network
from qap2fpga.train.prune import integer_sparsity

# Rows of the test part that go into the file of test vectors.
VECTORS = 2000
# Those of them that the model itself carries.
EXAMPLES = 1000


@dataclass(frozen=True)
class Outcome:
    """A trained network and how it does on the validation and the test part."""

    network: nn.Sequential
    validation: Score
    test: Score


def run(config: TrainConfig, report: Callable[[str], None]) -> TrainResult:
    """See `qap2fpga.train.train`, which has checked `config`."""
    with warnings.catch_warnings():
        # Brevitas names the dimensions of its tensors, and torch warns that it may stop to allow that.
        warnings.filterwarnings("ignore", message="Named tensors")
        return _run(config, report)


def _run(config: TrainConfig, report: Callable[[str], None]) -> TrainResult:
    started = time.monotonic()
    data = load(config.data)
    raw = split(data)
    scaler = Scaler.fit(raw.training)
    parts = Split(scaler(raw.training), scaler(raw.validation), scaler(raw.test))
    scale = power_of_two_scale(parts.training.x, config.input_bits, signed=True)
    report(f"{data.name}: {len(parts.training)} rows to train on, {len(parts.validation)} to validate on")
    baseline = train_baseline(config, data, parts)
    report(f"float: validation loss {baseline.validation.loss:.4f}, accuracy {baseline.validation.accuracy:.4f}")
    quantized = train_quantized(config, data, parts, scale, report)
    sparsity, layers = integer_sparsity(quantized.network)
    result = TrainResult(
        output=config.output,
        accuracy=quantized.test.accuracy,
        float_accuracy=baseline.test.accuracy,
        validation_accuracy=quantized.validation.accuracy,
        float_validation_accuracy=baseline.validation.accuracy,
        test_rows=len(parts.test),
        sparsity=sparsity,
        layer_sparsity=layers,
        seconds=time.monotonic() - started,
    )
    report(f"test accuracy {result.accuracy:.4f}, float {result.float_accuracy:.4f}; {sparsity:.1%} zero weights")
    if config.vectors is not None:
        write_vectors(config, data, parts.test)
        report(f"wrote {config.vectors}")
    _save(quantized.network, config, parts.test, provenance(config, data, scaler, parts, scale, result))
    report(f"wrote {config.output}")
    return result


def train_baseline(config: TrainConfig, data: Dataset, parts: Split) -> Outcome:
    """The float network of the same shape, without L1 and pruning."""
    with reproducible(config.seed):
        network = float_network(_sizes(config, data), config.batch_norm)
        recipe = replace(_recipe(config), l1=0.0)
        validation = fit(network, Rows.of(parts.training), Rows.of(parts.validation), recipe)
        return Outcome(network, validation, evaluate(network, Rows.of(parts.test)))


def train_quantized(
    config: TrainConfig, data: Dataset, parts: Split, scale: float, report: Callable[[str], None]
) -> Outcome:
    """The quantized network, pruned in steps; `scale` is that of its input integers."""
    with reproducible(config.seed):
        network = quantized_network(
            _sizes(config, data),
            config.weight_bits,
            config.activation_bits,
            config.input_bits,
            scale,
            config.batch_norm,
        )
        dense = _recipe(config)
        tuning = replace(dense, epochs=config.tuning_epochs)
        training, validation = Rows.of(parts.training), Rows.of(parts.validation)
        score = fit_pruned(network, training, validation, dense, tuning, config.sparsity, config.prune_steps, report)
        return Outcome(network, score, evaluate(network, Rows.of(parts.test)))


def write_vectors(config: TrainConfig, data: Dataset, test: Part) -> None:
    """The first test rows, standardised as the network expects them: X, y, features, classes."""
    assert config.vectors is not None
    content = io.BytesIO()
    np.savez_compressed(
        content,
        X=test.x[:VECTORS],
        y=test.y[:VECTORS],
        features=np.array(data.features),
        classes=np.array(data.classes),
    )
    write_atomically(config.vectors, content.getvalue())


def provenance(
    config: TrainConfig, data: Dataset, scaler: Scaler, parts: Split, scale: float, result: TrainResult
) -> dict[str, Any]:
    """Where the model comes from, as plain JSON values.

    No times and no folders: the same data and configuration give the same bytes anywhere.
    """
    settings = asdict(config)
    for path in ("data", "output", "vectors"):
        del settings[path]
    settings["widths"] = list(config.widths)
    limit = scale * (1 << config.input_bits - 1)
    return {
        "made_by": "qap2fpga train",
        "config": settings,
        "data": {
            "name": data.name,
            "sha256": data.sha256,
            "training_rows": len(parts.training),
            "validation_rows": len(parts.validation),
            "test_rows": len(parts.test),
            "split": {"seed": SPLIT_SEED, "training": TRAINING, "validation": VALIDATION},
        },
        "features": list(data.features),
        "classes": list(data.classes),
        "scaler": {"mean": scaler.mean.tolist(), "std": scaler.std.tolist()},
        "input": {"scale": scale, "clipped": float(np.mean(np.abs(parts.training.x) > limit))},
        "metrics": {
            "test_accuracy": result.accuracy,
            "float_test_accuracy": result.float_accuracy,
            "validation_accuracy": result.validation_accuracy,
            "float_validation_accuracy": result.float_validation_accuracy,
            "sparsity": result.sparsity,
            "layer_sparsity": result.layer_sparsity,
        },
        "versions": {"python": platform.python_version(), **_versions("torch", "brevitas", "numpy")},
    }


def _versions(*names: str) -> dict[str, str]:
    return {name: importlib.metadata.version(name) for name in names}


def _sizes(config: TrainConfig, data: Dataset) -> tuple[int, ...]:
    return (len(data.features), *config.widths, len(data.classes))


def _recipe(config: TrainConfig) -> Recipe:
    return Recipe(config.epochs, config.patience, config.learning_rate, config.batch, config.l1)


def _save(network: nn.Sequential, config: TrainConfig, test: Part, origin: dict[str, Any]) -> None:
    from qap2fpga.checkpoint import save

    network.eval()
    inputs, labels = test.x[:EXAMPLES], test.y[:EXAMPLES]
    save(network, torch.from_numpy(inputs), config.output, labels=torch.from_numpy(labels), provenance=origin)
