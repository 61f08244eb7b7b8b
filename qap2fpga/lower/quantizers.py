# SPDX-License-Identifier: Apache-2.0
"""The quantizers of a QONNX graph: what a Quant or BipolarQuant node says, and what it makes of a tensor.

https://github.com/fastmachinelearning/qonnx/tree/main/docs/qonnx-custom-ops says what the nodes compute.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from onnx import NodeProto, helper

from qap2fpga.errors import QapError
from qap2fpga.lower.exact import Levels, fractions
from qap2fpga.lower.values import Quantized, Signal, label, refused
from qap2fpga.network import ROUNDINGS, InputQuantizer


def parameters(node: NodeProto, constant: Callable[[NodeProto, int], np.ndarray]) -> tuple[int, Levels, np.ndarray]:
    """(bits, levels without scale, scale array) of `node`; `constant` gives the value of its input of a number.

    Raises `QapError` that names the node for what can not be lowered.
    """
    scale = constant(node, 1).astype(np.float64)
    if (scale <= 0).any():
        raise refused(node, "its scale must be above 0")
    if node.op_type == "BipolarQuant":
        return 1, Levels(-1, 1, (), rounding="SIGN"), scale
    zero_point, bits = constant(node, 2), constant(node, 3)
    if bits.size != 1 or float(bits.reshape(-1)[0]) != int(bits.reshape(-1)[0]) or int(bits.reshape(-1)[0]) < 1:
        raise refused(node, "its bit width must be one whole number")
    if len(set(zero_point.reshape(-1).tolist())) != 1 or float(zero_point.reshape(-1)[0]) % 1:
        raise refused(node, "its zero point must be one whole number")
    width, zero = int(bits.reshape(-1)[0]), int(zero_point.reshape(-1)[0])
    options = {item.name: helper.get_attribute_value(item) for item in node.attribute}
    signed, narrow = bool(options.get("signed", 1)), bool(options.get("narrow", 0))
    rounding = options.get("rounding_mode", b"ROUND").decode().upper()
    if rounding not in ROUNDINGS:
        raise refused(node, f"rounding mode {rounding}; known: {', '.join(ROUNDINGS)}")
    low = -(2 ** (width - 1)) + narrow if signed else 0
    high = 2 ** (width - 1) - 1 if signed else 2**width - 1 - narrow
    return width, Levels(low, high, (), zero, rounding), scale


def on_channels(node: NodeProto, signal: Signal, bits: int, levels: Levels, scale: np.ndarray) -> Levels:
    """`levels` with one exact `scale` for each channel of `signal`, which `node` quantizes."""
    try:
        scales = tuple(fractions(scale, signal.affine.channels))
    except ValueError as error:
        raise refused(node, str(error)) from error
    if signal.rectified and levels.low < 0 and bits > 1:
        raise QapError(
            f"node {label(node)}: a signed quantizer after a Relu",
            "half of its integers can never occur: use an unsigned one (Uint8ActPerTensorFloat)",
        )
    return replace(levels, scale=scales)


def of_constant(value: np.ndarray, bits: int, levels: Levels, scale: np.ndarray) -> Quantized:
    """The integers of `value`, computed in float32 as Brevitas and qonnx divide: these are what was trained with."""
    value, scale = value.astype(np.float32), scale.astype(np.float32)
    if levels.rounding == "SIGN":
        integers = np.where(value >= 0, 1, -1)
    else:
        rounding = ROUNDINGS[levels.rounding]
        rounded = np.clip(rounding(value / scale + levels.zero_point), levels.low, levels.high)
        integers = rounded - levels.zero_point
    return Quantized(integers.astype(np.int64), scale, bits, int(np.count_nonzero(value)))


def of_input(node: NodeProto, signal: Signal, levels: Levels) -> InputQuantizer:
    """What the host does to the network's input, when `node` is the quantizer that `signal` meets first."""
    affine = signal.affine
    if affine.clips or any(slope <= 0 for slope in affine.slope):
        raise refused(node, "only scaling and shifting may stand before the input's quantizer")
    scale = tuple(float(s / slope) for s, slope in zip(levels.scale, affine.slope, strict=True))
    offset = tuple(float(-shift / slope) for shift, slope in zip(affine.intercept, affine.slope, strict=True))
    zero = levels.zero_point
    return InputQuantizer(
        levels.low - zero, levels.high - zero, _shortest(scale), _shortest(offset), zero, levels.rounding
    )


def _shortest(values: tuple[float, ...]) -> tuple[float, ...]:
    return values[:1] if len(set(values)) == 1 else values
