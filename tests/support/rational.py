# SPDX-License-Identifier: Apache-2.0
"""ONNX and QONNX graphs executed in rational numbers, written after the specifications and sharing no code with the
program: slow, and exact but for sigmoids and tangents, which have 60 digits.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

ROUNDED: dict[str, Callable[[Fraction], int]] = {
    "ROUND": round, "FLOOR": math.floor, "CEIL": math.ceil, "ROUND_TO_ZERO": math.trunc,
}  # fmt: skip
Tensors = dict[str, np.ndarray]


def fractions(values: np.ndarray) -> np.ndarray:
    """Return the exact values."""
    return np.array([Fraction(one) for one in values.reshape(-1).tolist()], object).reshape(values.shape)


def execute(model: onnx.ModelProto, rows: np.ndarray) -> Tensors:
    """Return every tensor of `model` for exact inputs `rows` (n, ...)."""
    tensors = {one.name: fractions(numpy_helper.to_array(one)) for one in model.graph.initializer}
    tensors[model.graph.input[0].name] = rows
    for node in model.graph.node:
        options = {item.name: helper.get_attribute_value(item) for item in node.attribute}
        inputs = [tensors[name] if name else None for name in node.input]
        tensors[node.output[0]] = OPERATORS[node.op_type](options, *inputs)
    return tensors


def _each(function: Callable[..., Fraction], *arrays: Any) -> np.ndarray:
    return np.asarray(np.frompyfunc(function, len(arrays), 1)(*arrays), object)


def _quant(options: dict[str, Any], x: Any, scale: Any, zero: Any, bits: Any) -> np.ndarray:
    signed, narrow = options["signed"], options["narrow"]
    rule = ROUNDED[options.get("rounding_mode", b"ROUND").decode()]
    if signed and (bits == 1).any():
        return _bipolar({}, x, scale)

    def level(value: Fraction, step: Fraction, zero: Fraction, width: Fraction) -> Fraction:
        low = -(2 ** (width - 1)) + narrow if signed else 0
        high = 2 ** (width - 1) - 1 if signed else 2**width - 1 - narrow
        return (min(max(rule(value / step + zero), low), high) - zero) * step

    return _each(level, x, scale, zero, bits)


def _bipolar(_: dict[str, Any], x: Any, scale: Any) -> np.ndarray:
    return _each(lambda v, s: s if v >= 0 else -s, x, scale)


def _trunc(options: dict[str, Any], x: Any, scale: Any, zero: Any, before: Any, after: Any) -> np.ndarray:
    unit = 2 ** int(before - after)
    rule = ROUNDED[options.get("rounding_mode", b"FLOOR").decode()]
    return _each(lambda v: (rule(Fraction(round(v / scale + zero), unit)) - zero) * scale, x)


def _dot(_: dict[str, Any], one: Any, other: Any) -> np.ndarray:
    return np.asarray(one.dot(other), object)


def _gemm(options: dict[str, Any], x: Any, weights: Any, bias: Any = None) -> np.ndarray:
    total = x.dot(weights.T if options.get("transB") else weights)
    return np.asarray(total if bias is None else total + bias, object)


def _windows(options: dict[str, Any], x: np.ndarray, kernel: list[int], fill: Any) -> Any:
    """What each position sees, (n, channels, positions..., kernel...)."""
    rank = len(kernel)
    strides, dilations = options.get("strides", [1] * rank), options.get("dilations", [1] * rank)
    pads = options.get("pads", [0] * 2 * rank)
    x = np.pad(x, [(0, 0), (0, 0), *zip(pads[:rank], pads[rank:], strict=True)], constant_values=fill)
    reach = [(size - 1) * step + 1 for size, step in zip(kernel, dilations, strict=True)]
    seen = np.lib.stride_tricks.sliding_window_view(x, reach, axis=tuple(range(2, 2 + rank)))
    places = tuple(slice(None, None, step) for step in (*strides, *dilations))
    return seen[(slice(None), slice(None), *places)]


def _conv(options: dict[str, Any], x: Any, weights: Any, bias: Any = None) -> np.ndarray:
    groups, kernel = options.get("group", 1), list(weights.shape[2:])
    seen = _windows(options, x, kernel, Fraction(0))
    places = seen.shape[2 : 2 + len(kernel)]
    parts = []
    for one, matrix in zip(np.split(seen, groups, axis=1), np.split(weights, groups), strict=True):
        columns = np.moveaxis(one, 1, 1 + len(kernel)).reshape(len(x), *places, -1)
        parts.append(columns.dot(matrix.reshape(len(matrix), -1).T))
    result = np.moveaxis(np.concatenate(parts, axis=-1), -1, 1)
    return result if bias is None else result + bias.reshape(-1, *(1,) * len(kernel))


def _largest(options: dict[str, Any], x: Any) -> np.ndarray:
    kernel = options["kernel_shape"]
    seen = _windows(options, x, kernel, Fraction(-(10**30)))
    return np.asarray(seen.max(axis=tuple(range(-len(kernel), 0))), object)


def _mean(options: dict[str, Any], x: Any) -> np.ndarray:
    kernel = options.get("kernel_shape", list(x.shape[2:]))
    seen = _windows(options, x, kernel, Fraction(0))
    return np.asarray(seen.sum(axis=tuple(range(-len(kernel), 0))) / Fraction(math.prod(kernel)), object)


def _reduced(options: dict[str, Any], x: Any, axes: Any = None) -> np.ndarray:
    places = tuple(int(one) for one in (options["axes"] if axes is None else axes))
    count = Fraction(math.prod(x.shape[place] for place in places))
    return np.asarray(x.sum(axis=places, keepdims=bool(options.get("keepdims", 1))) / count, object)


def _normal(options: dict[str, Any], x: Any, gamma: Any, beta: Any, mean: Any, variance: Any) -> np.ndarray:
    epsilon = Fraction(float(np.float32(options.get("epsilon", 1e-5))))
    shape = (-1, *(1,) * (x.ndim - 2))
    with localcontext() as context:
        context.prec = 400
        roots = [
            Fraction((Decimal(v.numerator) / Decimal(v.denominator)).sqrt())
            for v in (one + epsilon for one in variance)
        ]
    factor = np.array([g / root for g, root in zip(gamma, roots, strict=True)], object)
    return np.asarray((x - mean.reshape(shape)) * factor.reshape(shape) + beta.reshape(shape), object)


def _smooth(function: Callable[[Decimal], Decimal]) -> Callable[[dict[str, Any], Any], np.ndarray]:
    def one(value: Fraction) -> Fraction:
        with localcontext() as context:
            context.prec = 60
            return Fraction(function(Decimal(value.numerator) / Decimal(value.denominator)))

    return lambda _, x: _each(one, x)


def _pad(_: dict[str, Any], x: Any, pads: Any) -> np.ndarray:
    sizes = [int(one) for one in pads]
    around = list(zip(sizes[: x.ndim], sizes[x.ndim :], strict=True))
    return np.pad(x, around, constant_values=Fraction(0))


def _resize(_: dict[str, Any], x: Any, __: Any, scales: Any) -> np.ndarray:
    for axis, scale in enumerate(scales):
        x = x.repeat(int(scale), axis=axis)
    return np.asarray(x, object)


def _clip(_: dict[str, Any], x: Any, low: Any, high: Any) -> np.ndarray:
    return _each(lambda v: min(max(v, low.item()), high.item()), x)


def _leaky(options: dict[str, Any], x: Any) -> np.ndarray:
    alpha = Fraction(float(np.float32(options["alpha"])))
    return _each(lambda v: v if v >= 0 else alpha * v, x)


OPERATORS: dict[str, Callable[..., np.ndarray]] = {
    "Quant": _quant,
    "BipolarQuant": _bipolar,
    "Trunc": _trunc,
    "MatMul": _dot,
    "Gemm": _gemm,
    "Conv": _conv,
    "MaxPool": _largest,
    "AveragePool": _mean,
    "GlobalAveragePool": _mean,
    "ReduceMean": _reduced,
    "BatchNormalization": _normal,
    "Add": lambda _, one, other: one + other,
    "Sub": lambda _, one, other: one - other,
    "Mul": lambda _, one, other: one * other,
    "Div": lambda _, one, other: one / other,
    "Max": lambda _, one, other: _each(max, one, other),
    "Min": lambda _, one, other: _each(min, one, other),
    "Relu": lambda _, x: _each(lambda v: max(v, Fraction(0)), x),
    "Clip": _clip,
    "LeakyRelu": _leaky,
    "PRelu": lambda _, x, slope: _each(lambda v, s: v if v >= 0 else s * v, x, slope),
    "Sigmoid": _smooth(lambda v: 1 / (1 + (-v).exp())),
    "Tanh": _smooth(lambda v: 1 - 2 / ((2 * v).exp() + 1)),
    "Concat": lambda options, *parts: np.concatenate(parts, axis=options["axis"]),
    "Pad": _pad,
    "Resize": _resize,
    "Flatten": lambda _, x: x.reshape(len(x), -1),
    "Reshape": lambda _, x, shape: x.reshape(len(x), *(int(one) for one in shape[1:])),
    "Transpose": lambda options, x: x.transpose(options["perm"]),
    "Identity": lambda _, x: x,
}
