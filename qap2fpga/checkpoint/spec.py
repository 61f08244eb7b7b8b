# SPDX-License-Identifier: Apache-2.0
"""A trained network as plain values: what a `model.pt` holds, whoever wrote it.

A model is a chain of operations in the order they run. Weights and scales are the stored float32 values, so
the integers that follow from them are the ones the network was trained with.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from qap2fpga import names
from qap2fpga.checkpoint.widths import MAX_BITS
from qap2fpga.errors import QapError

KINDS = ("quantize", "dense", "batch_norm", "relu", "hard_tanh")
AGAIN = "the tensors do not fit together: save the model again"
ROUNDING_MODES = ("ROUND", "FLOOR", "CEIL", "ROUND_TO_ZERO")


@dataclass(frozen=True)
class QuantSpec:
    """A uniform quantizer: the integer `clamp(round(x / scale + zero_point), min, max)`.

    `scale` is float32, () or one a channel. One bit is the sign of x, with sign(0) = +1, worth +-scale.
    """

    bits: int
    signed: bool
    narrow: bool
    scale: np.ndarray
    zero_point: int = 0
    rounding: str = "ROUND"


@dataclass(frozen=True)
class Op:
    """One operation. `tensors` by kind: dense `weight` (out, in) and optional `bias` (out,); batch_norm
    `weight`, `bias`, `running_mean`, `running_var` (features,). `quantizer` belongs to a dense layer's weights
    and to every activation; None on a relu or hard_tanh leaves the quantizing to a later operation.
    """

    name: str
    kind: str
    tensors: dict[str, np.ndarray] = field(default_factory=dict)
    quantizer: QuantSpec | None = None
    epsilon: float = 1e-5


@dataclass(frozen=True)
class Model:
    """A chain of operations, with what travels beside it.

    `masks` (layer name -> bool (out, in)) say which weights were kept; `example` (rows, inputs) are real
    inputs, used as recorded vectors; `labels` (rows,) their classes, if known.
    """

    ops: tuple[Op, ...]
    masks: dict[str, np.ndarray]
    provenance: dict[str, Any]
    example: np.ndarray | None = None
    labels: np.ndarray | None = None
    notes: tuple[str, ...] = ()

    @property
    def inputs(self) -> int:
        return int(next(op for op in self.ops if op.kind == "dense").tensors["weight"].shape[1])

    @property
    def has_input_quantizer(self) -> bool:
        for op in self.ops:
            if op.kind == "dense":
                return False
            if op.quantizer is not None:
                return True
        return False


def check(model: Model) -> Model:
    """The same model, its names as labels, if shapes fit and numbers are finite; else a `QapError` with the layer."""
    model = _labelled(model)
    dense = [op for op in model.ops if op.kind == "dense"]
    if not dense:
        raise QapError("the model has no dense layer", "qap2fpga takes chains of QuantLinear layers")
    features: int | None = None
    for op in model.ops:
        if op.kind not in KINDS:
            raise QapError(f"layer {op.name}: unknown kind '{op.kind}'", f"known: {', '.join(KINDS)}")
        for key, values in op.tensors.items():
            if not np.isfinite(values).all():
                raise QapError(f"layer {op.name}: {key} has NaN or infinite values", "train or export it again")
        if op.quantizer is not None:
            _check_quantizer(op.name, op.quantizer)
        features = _check_shapes(op, features)
        mask = model.masks.get(op.name)
        if mask is not None and mask.shape != op.tensors["weight"].shape:
            raise QapError(f"layer {op.name}: its mask is {mask.shape}, its weight {op.tensors['weight'].shape}", AGAIN)
    if model.example is not None and model.example.shape[1:] != (model.inputs,):
        shape = model.example.shape
        raise QapError(
            f"the example input has shape {shape}, the network takes {model.inputs} inputs", "give rows of it"
        )
    return model


def _labelled(model: Model) -> Model:
    """The model with names that can be shown: they are for people, nothing is called by them."""
    given = [op.name for op in model.ops]
    twice = next((name for index, name in enumerate(given) if name in given[:index]), None)
    if twice is not None:
        raise QapError(f"two layers are called {names.shown(twice)}", "give every layer a name of its own")
    labels = dict(zip(given, names.labels(given), strict=True))
    ops = tuple(replace(op, name=labels[op.name]) for op in model.ops)
    masks = {labels.get(name, names.shown(name)): mask for name, mask in model.masks.items()}
    return replace(model, ops=ops, masks=masks)


def _check_quantizer(name: str, quantizer: QuantSpec) -> None:
    if not 1 <= quantizer.bits <= MAX_BITS:
        raise QapError(f"layer {name}: a bit width of {quantizer.bits}", f"bit widths are 1 to {MAX_BITS}")
    if not np.isfinite(quantizer.scale).all() or not (quantizer.scale > 0).all():
        raise QapError(f"layer {name}: its scale must be finite and above 0", "train or export it again")
    if quantizer.rounding not in ROUNDING_MODES:
        raise QapError(f"layer {name}: rounding '{quantizer.rounding}'", f"known: {', '.join(ROUNDING_MODES)}")


def _check_shapes(op: Op, features: int | None) -> int | None:
    if op.kind == "dense":
        weight = op.tensors["weight"]
        if weight.ndim != 2 or 0 in weight.shape:
            raise QapError(f"layer {op.name}: its weight has shape {weight.shape}, expected (outputs, inputs)", AGAIN)
        if features is not None and weight.shape[1] != features:
            raise QapError(
                f"layer {op.name} takes {weight.shape[1]} inputs but the layer before gives {features}", AGAIN
            )
        if op.quantizer is None:
            raise QapError(f"layer {op.name}: its weights are not quantized", "give it a weight quantizer")
        features = weight.shape[0]
    for key, values in op.tensors.items():
        is_vector = key != "weight" or op.kind == "batch_norm"
        if is_vector and features is not None and values.shape != (features,):
            raise QapError(f"layer {op.name}: {key} has shape {values.shape}, expected ({features},)", AGAIN)
    if op.kind == "batch_norm" and (op.tensors["running_var"] + op.epsilon <= 0).any():
        raise QapError(f"layer {op.name}: a running variance below 0", "train or export it again")
    return features
