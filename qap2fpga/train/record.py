# SPDX-License-Identifier: Apache-2.0
"""What a run writes down: the record of each step, and where a checkpoint comes from. All of it plain JSON values."""

from __future__ import annotations

import importlib.metadata
import platform
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from qap2fpga.ir import bops
from qap2fpga.train import metrics
from qap2fpga.train.config import to_dict
from qap2fpga.train.convert import zeros
from qap2fpga.train.data.split import SPLIT_SEED
from qap2fpga.train.loop import Progress, Score
from qap2fpga.train.network import Network
from qap2fpga.train.prepare import Prepared, inputs
from qap2fpga.train.prune import mask_sparsity
from qap2fpga.train.schedule import Step
from qap2fpga.train.schema import BopsCounts, FurtherRecord, Record, StepRecord, TestMetrics
from qap2fpga.train.settings import DataConfig, RunConfig

FLOAT_BITS = 32
# Settings that a model's provenance always names; the others only where they are not the defaults.
PLAIN = {
    "widths": "model.widths",
    "weight_bits": "model.weight_bits",
    "activation_bits": "model.activation_bits",
    "input_bits": "model.input_bits",
    "sparsity": "pruning.sparsity",
    "prune_steps": "pruning.steps",
    "l1": "training.l1",
    "batch_norm": "model.batch_norm",
    "epochs": "training.epochs",
    "tuning_epochs": "pruning.epochs",
    "patience": "training.patience",
    "batch": "training.batch",
    "learning_rate": "training.learning_rate",
    "seed": "seed",
}
NEVER = ("data.source", "training.device")


@dataclass(frozen=True)
class Learned:
    """How a step learned: its `progress`, that of its product where this was tuned, and how good it is."""

    progress: Progress
    tuning: Progress | None
    validation: Score
    messages: list[str]


def of_run(config: RunConfig, prepared: Prepared) -> Record:
    """Return the record of a run before its first step."""
    parts = prepared.parts
    return {
        "schema": 1,
        "finished": False,
        "config": to_dict(config),
        "versions": versions("torch", "numpy"),
        "data": {
            "name": prepared.data.name,
            "sha256": prepared.data.sha256,
            "training_rows": len(parts.training),
            "validation_rows": len(parts.validation),
            "test_rows": len(parts.test),
            "features": list(prepared.data.features),
            "classes": list(prepared.data.classes),
        },
        "seconds": 0.0,
        "steps": [],
    }


def of_step(
    network: Network, step: Step, learned: Learned, prepared: Prepared, checkpoint: str, softmax_over: int
) -> StepRecord:
    """Return the record of one step, whose outcome is `network`, on the CPU, stored as the file `checkpoint`.

    softmax_over: 0, or rows of a batch over which the paper's code would have taken the softmax.
    """
    gone = zeros(network)
    count = sum(values.size for values in gone.values())
    tuned = learned.tuning
    further: FurtherRecord = {}
    if tuned is not None:
        further = {"tuning_epochs": tuned.epochs, "best_tuning_epoch": tuned.best_epoch}
    return {
        "step": step.number,
        "target_sparsity": step.sparsity,
        "mask_sparsity": mask_sparsity(network),
        "integer_sparsity": sum(int(values.sum()) for values in gone.values()) / count,
        "layer_sparsity": {name: int(values.sum()) / values.size for name, values in gone.items()},
        "nonzeros": {name: int((~values).sum()) for name, values in gone.items()},
        "epochs": learned.progress.epochs,
        "best_epoch": learned.progress.best_epoch,
        "metrics": {
            "validation": {"loss": learned.validation.loss, "accuracy": learned.validation.accuracy},
            "test": test_metrics(network, prepared, softmax_over),
        },
        "bops": count_bops(network),
        "messages": learned.messages,
        **further,
        "checkpoint": checkpoint,
    }


def test_metrics(network: Network, prepared: Prepared, softmax_over: int) -> TestMetrics:
    """Return all metrics on the test part; see `qap2fpga.train.metrics`."""
    x = inputs(prepared.parts.test, network.shape)
    logits = over_batches(network.logits(x), softmax_over)
    quality = metrics.evaluate(logits.numpy(), prepared.parts.test.y, prepared.data.classes)
    efficiency = metrics.neural_efficiency({name: values.numpy() for name, values in network.states(x).items()})
    aiq = metrics.aiq(efficiency["network"], quality["accuracy"])
    return {**quality, "neural_efficiency": efficiency, "aiq": aiq}


def over_batches(logits: Tensor, rows: int) -> Tensor:
    """Return the logarithm of the softmax over the rows of each batch of `rows`; the logits themselves for 0 rows."""
    if not rows:
        return logits
    return torch.cat([torch.log_softmax(part, dim=0) for part in torch.split(logits, rows)])


def count_bops(network: Network) -> BopsCounts:
    """Return bit operations in three variants, see `qap2fpga.ir.bops.Bops`; a float network counts 32 bits."""
    shape, gone, counts = network.shape, zeros(network), []
    entering = (shape.input_bits or FLOAT_BITS, *(shape.activation_bits or (FLOAT_BITS,) * (shape.layers - 1)))
    for index, (layer, values) in enumerate(zip(network.layers, gone.values(), strict=True)):
        stored = int(torch.count_nonzero(layer.weight)) + int(torch.count_nonzero(layer.bias))
        counts.append(
            bops.of_counts(
                layer.weight.shape[1],
                layer.weight.shape[0],
                int(np.count_nonzero(~values)),
                stored / (layer.weight.numel() + layer.bias.numel()),
                weight_bits=FLOAT_BITS if shape.weight_bits is None else shape.weight_bits[index],
                input_bits=entering[index],
                first=index == 0,
            )
        )
    total = bops.total(counts)
    return {"paper": total.paper, "paper_code": total.paper_code, "nonzero": total.nonzero_products}


def provenance(config: RunConfig, prepared: Prepared, entry: StepRecord) -> dict[str, object]:
    """Return where the model of a step comes from.

    No times and no folders: the same data and configuration give the same bytes anywhere.
    """
    stated = {
        "test_accuracy": entry["metrics"]["test"]["accuracy"],
        "validation_accuracy": entry["metrics"]["validation"]["accuracy"],
        "sparsity": entry["integer_sparsity"],
        "layer_sparsity": entry["layer_sparsity"],
        **({"step": entry["step"]} if entry["step"] else {}),
    }
    return origin(prepared, config.data.split, settings(config), stated)


def origin(
    prepared: Prepared, shares: tuple[float, ...], config: dict[str, object], stated: dict[str, object]
) -> dict[str, object]:
    """Return where a model comes from: trained with `config` on data parted by `shares`; `stated` is how good it is."""
    parts, (training, validation, _) = prepared.parts, shares
    return {
        "made_by": "qap2fpga train",
        "config": config,
        "data": {
            "name": prepared.data.name,
            "sha256": prepared.data.sha256,
            "training_rows": len(parts.training),
            "validation_rows": len(parts.validation),
            "test_rows": len(parts.test),
            "split": {"seed": SPLIT_SEED, "training": training, "validation": validation},
        },
        "features": list(prepared.data.features),
        "classes": list(prepared.data.classes),
        "scaler": {"mean": prepared.scaler.mean.tolist(), "std": prepared.scaler.std.tolist()},
        **({} if prepared.scale is None else {"input": {"scale": prepared.scale, "clipped": prepared.clipped}}),
        "metrics": stated,
        "versions": {"python": platform.python_version(), **versions("torch", "brevitas", "numpy")},
    }


def settings(config: RunConfig) -> dict[str, object]:
    """Return the settings of a run on one level: the common ones, and by dotted path those that are no defaults."""
    values = _flat(to_dict(config))
    common = {name: values[path] for name, path in PLAIN.items()}
    usual = _flat(to_dict(RunConfig(DataConfig(""))))
    others = {path: value for path, value in values.items() if path not in (*PLAIN.values(), *NEVER)}
    return common | {path: value for path, value in others.items() if value != usual[path]}


def _flat(tree: dict[str, object]) -> dict[str, object]:
    """Dotted paths instead of a tree of two levels."""
    flat = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            flat.update({f"{key}.{inner}": one for inner, one in value.items()})
        else:
            flat[key] = value
    return flat


def versions(*names: str) -> dict[str, str]:
    """Return installed versions by package."""
    return {name: importlib.metadata.version(name) for name in names}
