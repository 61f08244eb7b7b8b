# SPDX-License-Identifier: Apache-2.0
"""The data of a run as its network gets them: loaded, parted, standardised, quantized, on the training's device."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from qap2fpga.ir.quantizer import power_of_two_scale
from qap2fpga.system.errors import QapError
from qap2fpga.system.files import write_atomically
from qap2fpga.train.convert import quantize_inputs
from qap2fpga.train.data import Dataset, Part, Scaler, Split, load, randomize, split
from qap2fpga.train.loop import Rows
from qap2fpga.train.network import Shape
from qap2fpga.train.settings import RunConfig

# Rows of the test part that go into the file of test vectors.
VECTORS = 2000


@dataclass(frozen=True)
class Prepared:
    """The data of one run. `parts` are standardised; the tables keep names and hash, not their rows.

    scale: value of one step of the input integers; None in a float network.
    clipped: share of the training inputs beyond the input quantizer's range.
    """

    data: Dataset
    parts: Split
    scaler: Scaler
    scale: float | None
    clipped: float


def prepare(config: RunConfig) -> Prepared:
    """Load and part the data of a run. Raises `QapError` for data that cannot be used."""
    data = load(config.data)
    raw = split(data, config.data.split, config.fold)
    training = randomize(raw.training, config.data.randomize, len(data.classes), config.seed)
    scaler = Scaler.fit(training)
    test_scaler = Scaler.fit(raw.test) if "own_test_scaler" in config.paper_code else scaler
    parts = Split(scaler(training), scaler(raw.validation), test_scaler(raw.test))
    empty = Part(np.empty((0, len(data.features)), np.float32), np.empty(0, np.int64))
    names = Dataset(empty, data.features, data.classes, data.name, data.sha256)
    if config.model.is_float:
        return Prepared(names, parts, scaler, None, 0.0)
    bits = config.model.input_bits
    scale = power_of_two_scale(parts.training.x, bits, signed=True)
    clipped = float(np.mean(np.abs(parts.training.x) > scale * (1 << bits - 1)))
    return Prepared(names, parts, scaler, scale, clipped)


def shape_of(config: RunConfig, prepared: Prepared, *, is_float: bool) -> Shape:
    """The shape of the network that is trained; a float one if `is_float`."""
    model = config.model
    sizes = (len(prepared.data.features), *model.widths, len(prepared.data.classes))
    if is_float:
        return Shape(sizes, None, None, None, None, None, model.batch_norm)
    return Shape(
        sizes,
        model.layer_weight_bits,
        model.layer_activation_bits,
        # With power-of-two scales the bias gets its grid only then.
        model.bias_bits if model.scales == "arbitrary" else None,
        model.input_bits,
        prepared.scale,
        model.batch_norm,
    )


def rows(part: Part, shape: Shape, device: str) -> Rows:
    """The rows as a network of `shape` takes them."""
    return Rows(inputs(part, shape).to(device), torch.from_numpy(part.y).to(device))


def inputs(part: Part, shape: Shape) -> Tensor:
    """The inputs of a network of `shape`: quantized, but for a float one."""
    x = torch.from_numpy(part.x)
    if shape.input_bits is None:
        return x
    assert shape.input_scale is not None
    return quantize_inputs(x, shape.input_bits, shape.input_scale)


def device_of(name: str) -> str:
    """The device to train on. Raises `QapError` if CUDA is asked for and not there."""
    if name == "cuda" and not torch.cuda.is_available():
        raise QapError("training.device: cuda, but torch finds no CUDA device", "choose auto, or cpu")
    return "cuda" if name != "cpu" and torch.cuda.is_available() else "cpu"


def write_vectors(path: Path, prepared: Prepared) -> None:
    """The first test rows, standardised as the network expects them: X, y, features, classes."""
    test, content = prepared.parts.test, io.BytesIO()
    np.savez_compressed(
        content,
        X=test.x[:VECTORS],
        y=test.y[:VECTORS],
        features=np.array(prepared.data.features),
        classes=np.array(prepared.data.classes),
    )
    write_atomically(path, content.getvalue())
