# SPDX-License-Identifier: Apache-2.0
"""QCDQ: QuantizeLinear, Clip and DequantizeLinear of one scale as one Quant, and stored integers as what they mean."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper

from qap2fpga.frontend.dialects import datatypes
from qap2fpga.frontend.dialects.datatypes import IntegerType
from qap2fpga.frontend.dialects.rewriting import Rewriting
from qap2fpga.frontend.operators import ONNX_DOMAINS
from qap2fpga.frontend.values import label, refused

EXACT_IN_FLOAT64 = 1 << 52
# What an attribute must be; `axis` is read where a scale has one. https://onnx.ai/onnx/operators/
OPTIONS = {"axis": None, "block_size": 0, "saturate": 1, "output_dtype": 0, "precision": 0}
RANGES = {
    name: (low, high)
    for bits in (4, 8, 16, 32)
    for name, low, high in ((f"int{bits}", -(1 << bits - 1), (1 << bits - 1) - 1), (f"uint{bits}", 0, (1 << bits) - 1))
}


@dataclass(frozen=True)
class Parameters:
    """Scale (a number, or one per index of `axis`), zero points, and the integers that it can give."""

    scale: np.ndarray
    zero_point: np.ndarray
    axis: int
    low: int
    high: int

    def same_scale(self, other: Parameters) -> bool:
        """Return whether `other` undoes what this does."""
        return all(
            one.shape == two.shape and (one == two).all()
            for one, two in ((self.scale, other.scale), (self.zero_point, other.zero_point))
        ) and (not self.scale.ndim or self.axis == other.axis)


def as_quantizers(model: ModelProto) -> ModelProto:
    """Return `model` with a quantizer in the place of each DequantizeLinear, as far as it stands for one."""
    if not any(node.op_type == "DequantizeLinear" for node in model.graph.node):
        return model
    rewriting = Rewriting(model)
    for node in rewriting.nodes:
        if node.op_type != "DequantizeLinear" or node.domain not in ONNX_DOMAINS:
            rewriting.keep(node)
            continue
        before = _Before.of(rewriting, node.input[0])
        _write(rewriting, node, before)
    return rewriting.finished()


@dataclass(frozen=True)
class _Before:
    """What stands before a DequantizeLinear: its `clip` and `quantize` if there are some, and where that begins."""

    clip: NodeProto | None
    quantize: NodeProto | None
    casts: tuple[NodeProto, ...]
    source: str

    @staticmethod
    def of(rewriting: Rewriting, tensor: str) -> _Before:
        """Go back from `tensor`; a Cast there is torch's, to the type that the integers have already."""
        clip = quantize = None
        casts: list[NodeProto] = []
        for kind in ("Cast", "Clip", "Cast", "QuantizeLinear"):
            one = rewriting.producer(tensor, kind)
            if one is None:
                continue
            tensor = one.input[0]
            casts += [one] if kind == "Cast" else []
            clip = one if kind == "Clip" else clip
            quantize = one if kind == "QuantizeLinear" else quantize
        return _Before(clip, quantize, tuple(casts), tensor)

    def check_casts(self, known: Parameters) -> None:
        """Raise `QapError` for a Cast to a type that does not hold all that a QuantizeLinear gives."""
        for cast in self.casts:
            to = next((item.i for item in cast.attribute if item.name == "to"), 0)
            name = TensorProto.DataType.Name(to).lower() if to in TensorProto.DataType.values() else ""
            low, high = RANGES.get(name, (0, -1))
            if self.quantize is None or not low <= known.low < known.high <= high:
                raise refused(cast, "it stands between integers and their DequantizeLinear, and may change them")


def _write(rewriting: Rewriting, node: NodeProto, chain: _Before) -> None:
    quantize, clip = chain.quantize, chain.clip
    after = _parameters(rewriting, node)
    if quantize is not None:
        before = _parameters(rewriting, quantize)
        if not before.same_scale(after):
            raise refused(node, f"its scale or zero point is not that of {label(quantize)} before it")
        after = before
    chain.check_casts(after)
    low, high = _clipped(rewriting, clip, after)
    if quantize is None:
        stored = rewriting.constant(chain.source)
        if stored is None or stored.dtype.name not in RANGES:
            raise refused(node, "before it is no QuantizeLinear, with or without a Clip, and no stored integers")
        if len(node.input) < 3:
            least, most = RANGES[stored.dtype.name]
            after = replace(after, low=least, high=most)
            low, high = _clipped(rewriting, clip, after)
        _write_integers(rewriting, node, after, np.clip(stored.astype(np.int64), low, high), (low, high))
        return
    source = rewriting.constant(quantize.input[0])
    if source is not None and after.zero_point.any():
        rounded = np.rint(source / _along(after.scale, after.axis, source.shape, node))
        integers = rounded + _along(after.zero_point, after.axis, source.shape, node)
        integers = np.clip(np.clip(integers, after.low, after.high), low, high).astype(np.int64)
        _write_integers(rewriting, node, after, integers, (low, high))
        return
    _write_quantizer(rewriting, node, after, quantize.input[0], source, (low, high))


def _write_quantizer(
    rewriting: Rewriting, node: NodeProto, known: Parameters, source: str, value: np.ndarray | None,
    ends: tuple[int, int],
) -> None:  # fmt: skip
    """Write a Quant of a tensor that flows, or of stored floats without a zero point."""
    kind = datatypes.of_range(*ends)
    if kind is None:
        raise refused(node, f"its integers are {ends[0]} to {ends[1]}: no bit width has exactly these")
    scale, zero = known.scale, known.zero_point
    if value is not None:
        scale = _along(scale, known.axis, value.shape, node)
    elif scale.ndim:
        raise refused(node, "its scale varies over the channels of a tensor that is no constant")
    if zero.ndim and (zero != zero.reshape(-1)[0]).any():
        raise refused(node, "its zero point varies over the channels of a tensor that is no constant")
    point = int(zero.reshape(-1)[0])
    rewriting.quantize(source, node.output[0], scale, kind, node, point)


def _write_integers(
    rewriting: Rewriting, node: NodeProto, known: Parameters, integers: np.ndarray, ends: tuple[int, int]
) -> None:
    """Write stored `integers` as the numbers that they mean, and a Quant that gives exactly these integers back."""
    zero = _along(known.zero_point, known.axis, integers.shape, node)
    scale = _along(known.scale, known.axis, integers.shape, node)
    values = integers - zero
    low, high = ends[0] - int(known.zero_point.max()), ends[1] - int(known.zero_point.min())
    kind = datatypes.of_range(low, high) or _smallest(low, high)
    for number in (np.float32, np.float64):
        with np.errstate(all="ignore"):
            reals = (values * scale.astype(np.float64)).astype(number)
            back = np.rint(reals / scale.astype(number))
        if np.abs(values).max(initial=0) < EXACT_IN_FLOAT64 and (back == values).all():
            rewriting.quantize(rewriting.store(node.input[0], reals), node.output[0], scale, kind, node)
            return
    raise refused(node, "its integers times its scale leave the range of floats")


def _smallest(low: int, high: int) -> IntegerType:
    return datatypes.signed(max(2, 1 + max((-low - 1).bit_length(), high.bit_length())))


def _parameters(rewriting: Rewriting, node: NodeProto) -> Parameters:
    options = {item.name: helper.get_attribute_value(item) for item in node.attribute}
    for name, value in options.items():
        wanted = OPTIONS.get(name, value)
        if name not in OPTIONS or (wanted is not None and value != wanted):
            raise refused(node, f"its attribute {name} is {value}")
    if not 2 <= len(node.input) <= 3:
        raise refused(node, f"it has {len(node.input)} inputs")
    scale = rewriting.constant(node.input[1])
    given = node.input[2] if len(node.input) == 3 else ""
    # Without a zero point QuantizeLinear gives uint8; what DequantizeLinear takes is said by its input.
    zero = rewriting.constant(given) if given else np.zeros((), np.uint8)
    if scale is None or zero is None:
        raise refused(node, "its scale and its zero point must be constants")
    if zero.dtype.name not in RANGES or scale.dtype.kind != "f":
        raise refused(node, f"a scale of {scale.dtype.name} and integers of {zero.dtype.name}")
    if scale.ndim > 1 or zero.ndim > 1 or not scale.size or zero.size not in (1, scale.size):
        raise refused(node, f"a scale of shape {scale.shape} and a zero point of shape {zero.shape}")
    if not (np.isfinite(scale) & (scale > 0)).all():
        raise refused(node, "its scale must be above 0")
    if scale.size == 1:
        scale, zero = scale.reshape(()), zero.reshape(())
    axis = options.get("axis", 1)
    low, high = RANGES[zero.dtype.name]
    return Parameters(scale, zero.astype(np.int64), int(axis), low, high)


def _clipped(rewriting: Rewriting, clip: NodeProto | None, known: Parameters) -> tuple[int, int]:
    """The ends of the integers that `known` can give, after `clip`; its bounds are attributes before opset 11."""
    ends = [known.low, known.high]
    if clip is None:
        return ends[0], ends[1]
    given = {item.name: np.asarray(item.f) for item in clip.attribute}
    for place, name in enumerate(("min", "max")):
        tensor = clip.input[place + 1] if len(clip.input) > place + 1 else ""
        bound = rewriting.constant(tensor) if tensor else given.get(name, np.asarray(ends[place]))
        if bound is None or bound.size != 1 or float(bound.reshape(())) != np.floor(float(bound.reshape(()))):
            raise refused(clip, f"its {name} must be one whole number")
        ends[place] = (max, min)[place](ends[place], int(bound.reshape(())))
    if ends[0] > ends[1]:
        raise refused(clip, "its lower bound is above its upper bound")
    return ends[0], ends[1]


def _along(values: np.ndarray, axis: int, shape: tuple[int, ...], node: NodeProto) -> np.ndarray:
    """`values`, one number or one per index of `axis`, so that they broadcast against a tensor of `shape`."""
    if not values.ndim:
        return values
    if not -len(shape) <= axis < len(shape) or shape[axis] != values.size:
        raise refused(node, f"{values.size} scales along axis {axis} of a tensor of shape {shape}")
    lengths = [1] * len(shape)
    lengths[axis] = values.size
    return values.reshape(lengths)
