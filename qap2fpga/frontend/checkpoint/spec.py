# SPDX-License-Identifier: Apache-2.0
"""A trained network as plain values: what a `model.pt` holds, whoever wrote it.

A model is a chain of operations in the order they run. Weights and scales are the stored float32 values, so
the integers that follow from them are the ones the network was trained with.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from qap2fpga.frontend.checkpoint.widths import MAX_BITS
from qap2fpga.system import names
from qap2fpga.system.errors import QapError, nearest


@dataclass(frozen=True)
class Kind:
    """What an operation of a kind has: tensors that it needs and may have, and whether a quantizer (None: may)."""

    needed: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    quantizer: bool | None = None


KINDS = {
    "quantize": Kind(quantizer=True),
    "dense": Kind(("weight",), ("bias",), quantizer=True),
    "batch_norm": Kind(("weight", "bias", "running_mean", "running_var"), quantizer=False),
    "relu": Kind(),
    "hard_tanh": Kind(),
}
AGAIN = "the tensors do not fit together: save the model again"
ROUNDING_MODES = ("ROUND", "FLOOR", "CEIL", "ROUND_TO_ZERO")
LARGEST = float(np.finfo(np.float32).max)


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
    provenance: dict[str, object]
    example: np.ndarray | None = None
    labels: np.ndarray | None = None
    notes: tuple[str, ...] = ()

    @property
    def inputs(self) -> int:
        """Real inputs of one row."""
        return int(next(op for op in self.ops if op.kind == "dense").tensors["weight"].shape[1])

    @property
    def has_input_quantizer(self) -> bool:
        """Whether a quantizer stands before the first dense layer."""
        for op in self.ops:
            if op.kind == "dense":
                return False
            if op.quantizer is not None:
                return True
        return False


def check(model: Model) -> Model:
    """The same model, its names as labels, if every operation has its parts, shapes fit and numbers are finite;

    else a `QapError` that names the layer.
    """
    model = _labelled(model)
    if not any(op.kind == "dense" for op in model.ops):
        raise QapError("the model has no dense layer", "qap2fpga takes chains of QuantLinear layers")
    for op in model.ops:
        _check_parts(op)
    features: int | None = None
    for op in model.ops:
        features = _check_shapes(op, features)
    features = model.inputs
    for op in model.ops:
        features = op.tensors["weight"].shape[0] if op.kind == "dense" else features
        if op.quantizer is not None:
            _check_quantizer(op, op.quantizer, features)
    _check_masks(model)
    _check_example(model)
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


def _check_parts(op: Op) -> None:
    """Whether the operation has what its kind needs, nothing else, and finite numbers."""
    if op.kind not in KINDS:
        raise QapError(f"layer {op.name}: unknown kind '{op.kind}'", nearest(op.kind, KINDS))
    kind = KINDS[op.kind]
    for key in kind.needed:
        if key not in op.tensors:
            raise QapError(f"layer {op.name}: a {op.kind} without {key}", f"it needs {', '.join(kind.needed)}")
    for key, values in op.tensors.items():
        if key not in (*kind.needed, *kind.optional):
            hint = nearest(key, (*kind.needed, *kind.optional)) if kind.needed else "save the model again"
            raise QapError(f"layer {op.name}: a {op.kind} has no '{key}'", hint)
        if values.dtype != np.float32:
            raise QapError(f"layer {op.name}: {key} is of type {values.dtype}", "give float32")
        if not np.isfinite(values).all():
            raise QapError(f"layer {op.name}: {key} has NaN or infinite values", "train or export it again")
    if kind.quantizer is False and op.quantizer is not None:
        raise QapError(f"layer {op.name}: a {op.kind} has no quantizer", "put an operation of kind quantize behind it")
    if kind.quantizer and op.quantizer is None:
        if op.kind == "dense":
            raise QapError(f"layer {op.name}: its weights are not quantized", "give it a weight quantizer")
        raise QapError(f"layer {op.name}: a {op.kind} without a quantizer", "give it one, or leave the layer out")
    if op.kind == "batch_norm" and not (0 <= op.epsilon <= LARGEST):
        raise QapError(f"layer {op.name}: an epsilon of {op.epsilon:g}", "give the batch norm's, such as 1e-05")


def _check_quantizer(op: Op, quantizer: QuantSpec, features: int) -> None:
    """Whether levels, scale and rounding are such as this program knows; one bit is always the sign."""
    if not 1 <= quantizer.bits <= MAX_BITS:
        raise QapError(f"layer {op.name}: a bit width of {quantizer.bits}", f"bit widths are 1 to {MAX_BITS}")
    if quantizer.scale.dtype != np.float32 or not np.isfinite(quantizer.scale).all() or (quantizer.scale <= 0).any():
        raise QapError(f"layer {op.name}: its scale must be finite and above 0", "train or export it again")
    if quantizer.scale.shape not in ((), (1,), (features,)):
        what = f"layer {op.name}: a scale of shape {quantizer.scale.shape} for {features} outputs"
        raise QapError(what, "scales are per tensor or per output channel")
    if quantizer.rounding not in ROUNDING_MODES:
        known = nearest(quantizer.rounding, ROUNDING_MODES)
        raise QapError(f"layer {op.name}: rounding '{quantizer.rounding}'", known)
    if op.kind == "dense" and quantizer.zero_point != 0:
        raise QapError(f"layer {op.name}: its weights have a zero point", "use a symmetric weight quantizer")
    if abs(quantizer.zero_point) >= 1 << MAX_BITS:
        raise QapError(f"layer {op.name}: a zero point of {quantizer.zero_point}", "it is one of the levels")
    if quantizer.bits == 1 and (not quantizer.signed or quantizer.zero_point != 0):
        raise QapError(
            f"layer {op.name}: a quantizer of 1 bit that is unsigned or has a zero point",
            "one bit is the sign: use a Binary quantizer, or two bits",
        )
    if op.kind == "relu" and quantizer.signed:
        hint = "half of its integers can never occur: use an unsigned quantizer, for example Uint8ActPerTensorFloat"
        raise QapError(f"layer {op.name}: a ReLU with a signed quantizer", hint)


def _check_shapes(op: Op, features: int | None) -> int | None:
    if op.kind == "dense":
        weight = op.tensors["weight"]
        if weight.ndim != 2 or 0 in weight.shape:
            raise QapError(f"layer {op.name}: its weight has shape {weight.shape}, expected (outputs, inputs)", AGAIN)
        if features is not None and weight.shape[1] != features:
            raise QapError(
                f"layer {op.name} takes {weight.shape[1]} inputs but the layer before gives {features}", AGAIN
            )
        features = weight.shape[0]
    for key, values in op.tensors.items():
        if op.kind == "dense" and key == "weight":
            continue
        if values.ndim != 1 or (features is not None and values.shape != (features,)):
            expected = "(outputs,)" if features is None else f"({features},)"
            raise QapError(f"layer {op.name}: {key} has shape {values.shape}, expected {expected}", AGAIN)
        features = len(values)
    if op.kind == "batch_norm" and (op.tensors["running_var"].astype(float) + op.epsilon <= 0).any():
        raise QapError(f"layer {op.name}: a running variance below 0", "train or export it again")
    return features


def _check_masks(model: Model) -> None:
    shapes = {op.name: op.tensors["weight"].shape for op in model.ops if op.kind == "dense"}
    for name, mask in model.masks.items():
        if name not in shapes:
            raise QapError(f"a mask for '{name}', which is no dense layer", nearest(name, shapes))
        if mask.shape != shapes[name] or mask.dtype != np.bool_:
            what = f"layer {name}: its mask is {mask.shape} of type {mask.dtype}, its weight {shapes[name]}"
            raise QapError(what, f"masks are bool; {AGAIN}")


def _check_example(model: Model) -> None:
    if model.example is None:
        return
    shape = model.example.shape
    if shape[1:] != (model.inputs,) or not shape[0]:
        raise QapError(
            f"the example input has shape {shape}, the network takes {model.inputs} inputs", "give rows of it"
        )
    if not np.isfinite(model.example).all():
        raise QapError("the example input has NaN or infinite values", "give rows of real inputs")
    if model.labels is not None and (model.labels.shape != shape[:1] or (model.labels < 0).any()):
        what = f"labels of shape {model.labels.shape} for {shape[0]} example inputs, or below 0"
        raise QapError(what, "give one class number a row: 0, 1, 2, ...")
