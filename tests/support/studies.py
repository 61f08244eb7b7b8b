# SPDX-License-Identifier: Apache-2.0
"""Study folders whose records look like those of real studies but follow from formulas; never a result."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np

from qap2fpga.ir.bops import equation
from qap2fpga.train import config as configuration
from qap2fpga.train.settings import RunConfig

CLASSES = ("g", "q", "w", "z", "t")
SPARSITIES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.966, 0.988)
BASE = configuration.from_dict({"data": {"source": "jets.npz"}})
FOLDS = 4


def configure(fold: tuple[int, int] | None = None, **varied: Any) -> RunConfig:
    """The base configuration with `section__name=value` and `bits=value` changed."""
    config = BASE
    for name, value in varied.items():
        path = "model.bits" if name == "bits" else name.replace("__", ".")
        config = configuration.replace(config, path, value)
    return config if fold is None else configuration.replace(config, "fold", list(fold))


def folded(**varied: Any) -> list[RunConfig]:
    """One configuration a fold."""
    return [configure((fold, FOLDS), **varied) for fold in range(1, FOLDS + 1)]


def paper() -> list[RunConfig]:
    """The experiments of all the paper's figures."""
    both = ("fine_tuning", "lottery_ticket")
    configs = [one for bits in (32, 12, 6, 4) for name in both for one in folded(bits=bits, pruning__schedule=name)]
    for bits in (32, 6):
        configs += [*folded(bits=bits, model__batch_norm=False), *folded(bits=bits, training__l1=0.0)]
    for share in (0.5, 0.75, 0.9):
        configs += folded(data__randomize=share)
        configs += folded(data__randomize=share, training__l1=0.0)
        configs += folded(data__randomize=share, model__batch_norm=False)
    configs += [*folded(training__quantization="after"), *folded(model__scales="power_of_two")]
    return configs


def trials() -> list[RunConfig]:
    """A search over widths at 6 and 32 bits."""
    widths = [(8 + 7 * n, 16 + 4 * (n % 5), 8 + 8 * (n % 3)) for n in range(10)]
    return [
        configure(bits=bits, model__widths=list(one), pruning__schedule="none") for bits in (6, 32) for one in widths
    ]


def write(folder: Path, configs: Sequence[RunConfig], search: Sequence[RunConfig] = (), *, luts: bool = True) -> Path:
    """A study folder with a finished record of every configuration."""
    listed = [_run(folder, f"runs/run-{index:03}", one, luts) for index, one in enumerate(configs)]
    tried = [_run(folder, f"runs/trial-{index:03}", one, luts) for index, one in enumerate(search)]
    dump(folder / "study.json", {"schema": 1, "runs": listed})
    if search:
        dump(folder / "search.json", {"trials": tried})
    return folder


def dump(path: Path, content: Any) -> None:
    """Write JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def _run(folder: Path, place: str, config: RunConfig, luts: bool) -> dict[str, Any]:
    dump(folder / place / "record.json", record(config, luts=luts))
    return {"name": Path(place).name, "folder": place, "status": "finished", "fold": config.fold}


def record(config: RunConfig, *, luts: bool = True) -> dict[str, Any]:
    """A finished run's record.json."""
    sparsities: Iterable[float] = (0.0,) if config.pruning.schedule == "none" else SPARSITIES
    random = np.random.default_rng(abs(hash_of(config)))
    steps = [_step(config, index, sparsity, random, luts) for index, sparsity in enumerate(sparsities)]
    return {"schema": 1, "finished": True, "config": configuration.to_dict(config), "steps": steps, "seconds": 1.0}


def hash_of(config: RunConfig) -> int:
    """A number that is the same in every process."""
    return int.from_bytes(json.dumps(configuration.to_dict(config), sort_keys=True).encode()[-6:], "little") + sum(
        map(ord, json.dumps(configuration.to_dict(config)))
    )


def accuracy(config: RunConfig, sparsity: float) -> float:
    """Falls with few bits, few neurons and few weights; less with regularization."""
    bits = min(config.model.layer_weight_bits)
    left = (1 - sparsity) * math.prod(config.model.widths) ** (1 / len(config.model.widths)) / 40
    value = 0.77 - 0.09 * 2.0 ** (3 - bits) * 0.5 - 0.0025 / left**0.95
    value -= 0.03 * config.data.randomize**3 * (1 if config.training.l1 else 1.8)
    value -= 0.006 * (not config.model.batch_norm) + (0.001 / left if config.training.l1 == 0 else 0.0)
    value -= 0.0006 / left if config.pruning.schedule == "lottery_ticket" else 0.0
    value -= 0.02 if config.training.quantization == "after" else 0.0
    return max(0.25, value)


def _step(config: RunConfig, index: int, sparsity: float, random: np.random.Generator, luts: bool) -> dict[str, Any]:
    right = accuracy(config, sparsity) + random.normal(0, 0.0008 / (1 - 0.8 * sparsity))
    loss = 2.35 - 2.2 * right
    count = int(random.integers(6, 14)) if index else 30
    rewound = 0.25 if config.pruning.schedule == "lottery_ticket" else 0.03
    start = 0.7 if index == 0 else rewound
    epochs = [
        {
            "learning_rate": 0.003,
            "training_loss": loss - 0.01 + start * math.exp(-epoch / 2.5) + abs(random.normal(0, 0.001)),
            "validation_loss": loss + start * math.exp(-epoch / 2.2) + random.normal(0, 0.003),
            "validation_accuracy": right,
        }
        for epoch in range(count)
    ]
    return {
        "step": index,
        "target_sparsity": sparsity,
        "mask_sparsity": sparsity,
        "epochs": epochs,
        "metrics": {"validation": {"loss": loss, "accuracy": right}, "test": _test(config, sparsity, right, loss)},
        "bops": {"paper": bops(config, sparsity), "paper_code": code_bops(config, sparsity)},
        **({"estimate": {"lut": _lut(config, sparsity)}} if luts else {}),
    }


def _test(config: RunConfig, sparsity: float, right: float, loss: float) -> dict[str, Any]:
    # Scores of signal and background are normal, their means `apart` from each other.
    normal = NormalDist()
    apart = {name: (1.7 + 0.25 * index) * (right / 0.77) ** 3 for index, name in enumerate(CLASSES)}
    passed = {name: normal.cdf(-d) for name, d in apart.items()}
    areas = {name: normal.cdf(d / math.sqrt(2)) for name, d in apart.items()}
    signal = [index / 60 for index in range(1, 60)]
    curves = {
        name: {
            "background_efficiency": [0.0, *(normal.cdf(normal.inv_cdf(one) - d) for one in signal), 1.0],
            "signal_efficiency": [0.0, *signal, 1.0],
        }
        for name, d in apart.items()
    }
    usage = 0.32 - 0.22 * sparsity**3 + 0.1 * config.data.randomize * (1 if config.training.l1 else 1.2)
    return {
        "rows": 240_000,
        "loss": loss,
        "accuracy": right,
        "auc": areas,
        "mean_auc": sum(areas.values()) / len(areas),
        "roc": curves,
        "background_efficiency": {
            name: {"value": one, "error": 1e-4, "at_signal_efficiency": 0.5} for name, one in passed.items()
        },
        "mean_background_efficiency": {"value": sum(passed.values()) / len(passed), "error": 1e-4},
        "neural_efficiency": {
            "layers": {f"act{index}": {"neurons": n} for index, n in enumerate(config.model.widths, start=1)},
            "network": usage,
            "rows": 240_000,
            "cap_bits": math.log2(240_000),
        },
        "aiq": (usage * right**2) ** (1 / 3),
    }


def bops(config: RunConfig, sparsity: float) -> float:
    """Equation 1, every layer pruned alike."""
    return _bops(config, sparsity, 32 if config.model.is_float else config.model.input_bits)


def code_bops(config: RunConfig, sparsity: float) -> float:
    """As the paper's code counts, which takes inputs of 32 bits."""
    return _bops(config, sparsity, 32)


def _bops(config: RunConfig, sparsity: float, input_bits: int) -> float:
    sizes = (16, *config.model.widths, len(CLASSES))
    weights = config.model.layer_weight_bits
    inputs = (input_bits, *config.model.layer_activation_bits)
    shapes = zip(sizes, sizes[1:], inputs, weights, strict=False)
    return sum(equation(n, m, 1 - sparsity, b_a, b_w) for n, m, b_a, b_w in shapes)


def _lut(config: RunConfig, sparsity: float) -> float | None:
    if config.model.is_float:
        return None
    requantizers = 1500 if config.model.scales == "power_of_two" else 6500
    return requantizers + 1500.0 * config.model.layer_weight_bits[0] ** 1.3 * (1 - sparsity)
