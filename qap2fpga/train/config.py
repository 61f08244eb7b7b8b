# SPDX-License-Identifier: Apache-2.0
"""The settings of one training run, read from YAML and checked; imports nothing heavy."""

from __future__ import annotations

import dataclasses
import json
import math
import typing
from pathlib import Path
from typing import Any

from qap2fpga.system import documents
from qap2fpga.system.codec import tree
from qap2fpga.system.errors import QapError, nearest
from qap2fpga.system.reading import shown, yaml_object
from qap2fpga.train.paper import MISTAKES
from qap2fpga.train.settings import FLOAT_BITS, DataConfig, ModelConfig, PruningConfig, RunConfig

LEAST_BITS, MOST_BITS = 2, 16
# Names that stand for several settings.
SHORTHANDS = {"model.bits": ("model.weight_bits", "model.activation_bits")}
CHOICES = {
    "model.scales": ("arbitrary", "power_of_two"),
    "training.schedule": ("cosine", "constant"),
    "training.loss": ("cross_entropy", "binary_cross_entropy"),
    "training.quantization": ("aware", "after"),
    "training.device": ("auto", "cpu", "cuda"),
    "pruning.schedule": ("fine_tuning", "lottery_ticket", "learning_rate_rewinding", "none"),
    "pruning.scope": ("global", "layer", "neuron", "balanced"),
}


def load(path: Path, source: str | None = None) -> RunConfig:
    """Read and check a YAML file; `source` replaces its data. Raises `QapError` for what is not a configuration."""
    settings = read_yaml(path)
    if source is not None:
        data = settings.get("data")
        settings["data"] = {**(data if isinstance(data, dict) else {}), "source": source}
    return from_dict(settings, str(path))


def of_source(source: str) -> RunConfig:
    """Return the default configuration on that data."""
    return RunConfig(DataConfig(source))


def read_yaml(path: Path) -> dict[str, object]:
    """Return the mapping in a YAML file. Raises `QapError` if there is none."""
    return yaml_object(path, f"{documents.place('training')} has an example")


def from_dict(settings: dict[str, object], where: str = "the configuration") -> RunConfig:
    """Return the checked configuration of plain values. Raises `QapError` that names the setting that is wrong."""
    settings = dict(settings)
    if settings.get("paper_code") == "all":
        settings["paper_code"] = list(MISTAKES)
    config = tree(RunConfig, settings, "", where)
    check(config)
    return config


def to_dict(config: RunConfig) -> dict[str, object]:
    """Return the configuration as plain JSON values; `from_dict` gives it back."""
    plain = json.loads(json.dumps(dataclasses.asdict(config)))
    return typing.cast(dict[str, object], plain)


def replace(config: RunConfig, path: str, value: object) -> RunConfig:
    """Return the configuration with the setting at the dotted `path` (as 'model.weight_bits', or 'model.bits') changed.

    It is checked only when it is used, so that several settings can be changed one after the other.
    """
    settings = to_dict(config)
    for name in SHORTHANDS.get(path, (path,)):
        *sections, last = name.split(".")
        place: Any = settings
        for section in sections:
            if not isinstance(place.get(section), dict):
                raise QapError(f"there is no setting '{path}'", nearest(path, names()))
            place = place[section]
        if last not in place or isinstance(place[last], dict):
            raise QapError(f"there is no setting '{path}'", nearest(path, names()))
        place[last] = list(MISTAKES) if name == "paper_code" and value == "all" else value
    return tree(RunConfig, settings, "", "the configuration")


def names() -> list[str]:
    """Return the dotted path of every setting, and the shorthands."""
    hints = typing.get_type_hints(RunConfig)
    paths = [name for name, hint in hints.items() if not dataclasses.is_dataclass(hint)]
    for name, hint in hints.items():
        if dataclasses.is_dataclass(hint):
            paths += [f"{name}.{one.name}" for one in dataclasses.fields(hint)]
    return [*paths, *SHORTHANDS]


def check(config: RunConfig) -> None:
    """Raise `QapError` for the first value out of range, without looking into the data."""
    for path, choices in CHOICES.items():
        value = _get(config, path)
        if value not in choices:
            raise QapError(f"{path} = {shown(value)} is not known", nearest(str(value), choices))
    _check_data(config.data)
    _check_model(config.model)
    _check_training(config)
    _check_pruning(config.pruning)
    for name in config.paper_code:
        if name not in MISTAKES:
            raise QapError(f"paper_code: there is no mistake '{name}'", nearest(name, MISTAKES))


def _check_data(data: DataConfig) -> None:
    if len(data.split) != 3 or not all(math.isfinite(part) and part > 0 for part in data.split):
        _refuse("data.split", list(data.split), "give three shares, or three numbers of rows, above 0")
    shares = max(data.split) < 1
    if shares and sum(data.split) > 1 + 1e-9:
        _refuse("data.split", list(data.split), "the shares may add up to 1 at most")
    if not shares and any(part < 2 or part != int(part) for part in data.split):
        _refuse("data.split", list(data.split), "give three shares below 1, or three whole numbers of rows")
    if not 0 <= data.randomize <= 1:
        _refuse("data.randomize", data.randomize, "choose a share of the training labels, 0 to 1")
    if data.features is not None and (not data.features or len(set(data.features)) != len(data.features)):
        _refuse("data.features", list(data.features), "name one column or more, each once")


def _check_model(model: ModelConfig) -> None:
    if not model.widths or min(model.widths) < 1:
        _refuse("model.widths", model.widths, "give one or more hidden layers of 1 neuron or more")
    if not model.is_float:
        layers = {"weight_bits": len(model.widths) + 1, "activation_bits": len(model.widths)}
        for name, count in layers.items():
            bits = getattr(model, name)
            if isinstance(bits, tuple) and len(bits) != count:
                _refuse(f"model.{name}", list(bits), f"give one number, or {count}: one per layer")
            for one in bits if isinstance(bits, tuple) else (bits,):
                _check_bits(f"model.{name}", one)
        _check_bits("model.input_bits", model.input_bits)
        if model.bias_bits is not None:
            _check_bits("model.bias_bits", model.bias_bits)
    elif model.scales != "arbitrary":
        _refuse("model.scales", model.scales, "a float network has no scales: leave it out, or choose weight_bits")


def _check_bits(name: str, bits: int) -> None:
    if not LEAST_BITS <= bits <= MOST_BITS:
        more = f"; model.weight_bits: {FLOAT_BITS} is a float network" if bits == FLOAT_BITS else ""
        _refuse(name, bits, f"choose {LEAST_BITS} to {MOST_BITS}{more}")


def _check_training(config: RunConfig) -> None:
    training, pruning = config.training, config.pruning
    counts = {"training.epochs": training.epochs, "training.patience": training.patience}
    for name, count in (counts | {"pruning.steps": pruning.steps, "pruning.epochs": pruning.epochs}).items():
        if count < 1:
            _refuse(name, count, "choose 1 or more")
    if training.batch < 2:
        _refuse("training.batch", training.batch, "choose 2 or more: batch norm needs two rows")
    if not (math.isfinite(training.learning_rate) and training.learning_rate > 0):
        _refuse("training.learning_rate", training.learning_rate, "choose a positive number")
    if not (math.isfinite(training.l1) and training.l1 >= 0):
        _refuse("training.l1", training.l1, "choose 0 or a positive number")
    if training.quantization == "after" and (config.model.is_float or config.model.scales != "arbitrary"):
        _refuse("training.quantization", "after", "it needs weight bits of 16 or fewer, and scales: arbitrary")
    if not 0 <= config.seed < 2**63:
        _refuse("seed", config.seed, "choose 0 or a positive integer")
    if config.fold is not None and not 1 <= config.fold[0] <= config.fold[1] >= 2:
        _refuse("fold", list(config.fold), "give [k, n]: fold k of n, k from 1 to n, and n of 2 or more")


def _check_pruning(pruning: PruningConfig) -> None:
    if not 0 <= pruning.sparsity < 1:
        hint = "choose a share of the weights from 0 up to, but not including, 1: 0.8 prunes 80 %"
        _refuse("pruning.sparsity", pruning.sparsity, hint)
    if isinstance(pruning.sparsities, tuple):
        rising = all(a < b for a, b in zip((0.0, *pruning.sparsities), pruning.sparsities, strict=False))
        if not rising or not all(sparsity < 1 for sparsity in pruning.sparsities):
            _refuse("pruning.sparsities", list(pruning.sparsities), "give rising shares above 0 and below 1")
    if (pruning.lanes is not None) != (pruning.scope == "balanced"):
        raise QapError(
            f"pruning.scope = {pruning.scope} with pruning.lanes = {shown(pruning.lanes)}",
            "give the lanes of folded layers with scope: balanced, and with no other",
        )
    if pruning.lanes is not None and pruning.lanes < 1:
        _refuse("pruning.lanes", pruning.lanes, "give the number of lanes of folded layers, 1 or more")


def _refuse(name: str, value: object, hint: str) -> typing.NoReturn:
    raise QapError(f"{name} = {shown(value)} is out of range", hint)


def _get(config: RunConfig, path: str) -> object:
    value: object = config
    for name in path.split("."):
        value = getattr(value, name)
    return value
