# SPDX-License-Identifier: Apache-2.0
"""A stored `IntegerNetwork` read back: every part of the file is checked before a network is made of it."""

from __future__ import annotations

import re
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Annotated, NotRequired, TypedDict

import numpy as np

from qap2fpga.ir.network import FORMAT, ROUNDINGS, DenseLayer, InputQuantizer, IntegerNetwork, Logits, Step
from qap2fpga.system.arrays import Arrays, load_npz
from qap2fpga.system.codec import Count, Positive, Range, Size, check
from qap2fpga.system.errors import QapError
from qap2fpga.system.reading import line, parse_json

HINT = "build the model again"
# Digits of the numerator and of the denominator of a scale; those of any two float64 values are fewer.
SCALE = re.compile(r"-?\d{1,1500}(/\d{1,1500})?")
SIGN = "SIGN"
MOST_SHIFT = 1024


class _Quantizer(TypedDict):
    low: int
    high: int
    scale: list[Positive]
    offset: list[float]
    zero_point: int
    rounding: str


class _Step(TypedDict):
    base: int
    step: Size


class _Logits(TypedDict):
    shift: Annotated[int, Range(0, MOST_SHIFT)]
    fraction: int | None


class _Layer(TypedDict):
    name: str
    weight_bits: Size
    input_bits: Size
    output_bits: int | None
    channels: list[Count] | None
    step: NotRequired[_Step]
    logits: NotRequired[_Logits]


class _Head(TypedDict):
    input: _Quantizer
    layers: list[_Layer]
    notes: list[str]
    output_scale: str


def load(path: Path) -> IntegerNetwork:
    """Return the network that `IntegerNetwork.save` wrote. Raises `QapError` for anything else."""
    arrays = load_npz(path, HINT)
    head = _head(arrays, path)
    quantizer = head["input"]
    if quantizer["low"] > quantizer["high"] or quantizer["rounding"] not in (*ROUNDINGS, SIGN):
        raise _refused(path, "its input quantizer")
    layers = tuple(_layer(entry, index, arrays, path) for index, entry in enumerate(head["layers"]))
    if not layers or any(one.outputs != other.inputs for one, other in pairwise(layers)):
        raise _refused(path, "the shapes of its layers")
    if any(isinstance(layer.activation, Logits) for layer in layers[:-1]):
        raise _refused(path, "the order of its layers")
    scale, offset = (tuple(map(float, values)) for values in (quantizer["scale"], quantizer["offset"]))
    if any(len(values) not in (1, layers[0].inputs) for values in (scale, offset)):
        raise _refused(path, "its input quantizer")
    if not SCALE.fullmatch(head["output_scale"]) or head["output_scale"].rpartition("/")[2].strip("0-") == "":
        raise _refused(path, "its output scale")
    reads = InputQuantizer(quantizer["low"], quantizer["high"], scale, offset, quantizer["zero_point"],
                           quantizer["rounding"])  # fmt: skip
    return IntegerNetwork(layers, reads, Fraction(head["output_scale"]), tuple(head["notes"]))


def _head(arrays: Arrays, path: Path) -> _Head:
    if "head" not in arrays or arrays["head"].dtype != np.uint8:
        raise _refused(path, "its head")
    try:
        text = arrays["head"].tobytes().decode()
    except UnicodeDecodeError as error:
        raise _refused(path, "its head") from error
    head = parse_json(text, f"the head of {path}", HINT)
    if not isinstance(head, dict) or head.get("format") != FORMAT:
        stated = head.get("format") if isinstance(head, dict) else None
        raise QapError(f"{path}: format {line(repr(stated))}, this program reads {FORMAT}", HINT)
    check(_Head, head, "", str(path))
    return head  # type: ignore[return-value]


def _layer(entry: _Layer, index: int, arrays: Arrays, path: Path) -> DenseLayer:
    weights = _integers(arrays, f"weights{index}", 2, path)
    if 0 in weights.shape:
        raise _refused(path, f"the weights of layer {index}")
    outputs = weights.shape[1]
    activation: Step | Logits
    if "step" in entry:
        thresholds = _integers(arrays, f"thresholds{index}", 2, path)
        if len(thresholds) != outputs or (thresholds[:, 1:] < thresholds[:, :-1]).any():
            raise _refused(path, f"the thresholds of layer {index}")
        activation = Step(thresholds, entry["step"]["base"], entry["step"]["step"])
    elif "logits" in entry:
        multiplier, offset = (_integers(arrays, f"{name}{index}", 1, path) for name in ("multiplier", "offset"))
        if not len(multiplier) == len(offset) == outputs:
            raise _refused(path, f"the logits of layer {index}")
        activation = Logits(multiplier, offset, entry["logits"]["shift"], entry["logits"]["fraction"])  # type: ignore[arg-type]
    else:
        raise _refused(path, f"the activation of layer {index}")
    channels = entry["channels"]
    if channels is not None and len(channels) != outputs:
        raise _refused(path, f"the channels of layer {index}")
    return DenseLayer(entry["name"], weights, activation, entry["weight_bits"], entry["input_bits"],
                      entry["output_bits"], None if channels is None else tuple(channels))  # fmt: skip


def _integers(arrays: Arrays, name: str, dimensions: int, path: Path) -> np.ndarray:
    array = arrays.get(name)
    if array is None or array.dtype.kind != "i" or array.ndim != dimensions:
        raise _refused(path, f"the array '{name}'")
    return array


def _refused(path: Path, what: str) -> QapError:
    return QapError(f"{path} is not an integer network: {what} is not sound", HINT)
