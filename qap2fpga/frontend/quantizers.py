# SPDX-License-Identifier: Apache-2.0
"""The quantizers of a QONNX graph: what a Quant or BipolarQuant node says, and what it makes of a tensor.

https://github.com/fastmachinelearning/qonnx/tree/main/docs/qonnx-custom-ops says what the nodes compute.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np
from onnx import NodeProto, helper

from qap2fpga.exact.thresholds import Levels
from qap2fpga.frontend.checkpoint.widths import MAX_BITS
from qap2fpga.frontend.values import Quantized, Signal, label, refused
from qap2fpga.ir.quantizer import ROUNDINGS, InputQuantizer
from qap2fpga.system.errors import QapError

MOST = 1 << 24  # of a zero point: further whole numbers are not exact in float32
# qonnx's further names for the rounding rules that are known.
ALIASES = {"HALF_EVEN": "ROUND", "DOWN": "ROUND_TO_ZERO"}


def parameters(
    node: NodeProto, constant: Callable[[NodeProto, int], np.ndarray], most_bits: int = MAX_BITS
) -> tuple[int, Levels, np.ndarray]:
    """(bits, levels without scale, scale array) of `node`; `constant` gives the value of its input of a number.

    Raises `QapError` that names the node for what cannot be lowered.
    """
    scale = constant(node, 1)
    if (scale <= 0).any():
        raise refused(node, "its scale must be above 0")
    if node.op_type == "BipolarQuant":
        return 1, Levels(-1, 1, (), rounding="SIGN"), scale
    width = _whole(node, "bit width", constant(node, 3))
    zero = _whole(node, "zero point", constant(node, 2))
    if not 1 <= width <= most_bits:
        raise refused(node, f"a bit width of {width}; one whole number from 1 to {most_bits} is known")
    options = {item.name: helper.get_attribute_value(item) for item in node.attribute}
    signed, narrow = bool(options["signed"]), bool(options["narrow"])
    if width == 1 and signed:  # qonnx makes a sign of it, whatever the rounding
        if zero:
            raise refused(node, "a sign, that is a signed quantizer of one bit, has no zero point")
        return 1, Levels(-1, 1, (), rounding="SIGN"), scale
    name = options.get("rounding_mode", b"ROUND").decode(errors="replace").upper()
    rounding = ALIASES.get(name, name)
    if rounding not in ROUNDINGS:
        raise refused(node, f"rounding mode {name}; known: {', '.join([*ROUNDINGS, *ALIASES])}")
    low = -(2 ** (width - 1)) + narrow if signed else 0
    high = 2 ** (width - 1) - 1 if signed else 2**width - 1 - narrow
    return width, Levels(low, high, (), zero, rounding), scale


def _whole(node: NodeProto, what: str, values: np.ndarray) -> int:
    """The one whole number that `values` hold."""
    numbers = set(values.reshape(-1).tolist())
    number = float(numbers.pop()) if len(numbers) == 1 else 0.5
    if number != int(number) or abs(number) > MOST:
        raise refused(node, f"its {what} must be one whole number")
    return int(number)


def on_channels(node: NodeProto, signal: Signal, bits: int, levels: Levels, scales: Sequence[Fraction]) -> Levels:
    """`levels` with the exact scale of each channel of `signal`, which `node` quantizes."""
    if signal.rectified and levels.low < 0 and bits > 1:
        raise QapError(
            f"node {label(node)}: a signed quantizer after a Relu",
            "half of its integers can never occur: use an unsigned one (Uint8ActPerTensorFloat)",
        )
    return replace(levels, scale=tuple(scales))


def of_constant(node: NodeProto, value: np.ndarray, bits: int, levels: Levels, scale: np.ndarray) -> Quantized:
    """The integers of `value`, divided in float32 as Brevitas and qonnx do: these are what was trained with. Stored
    float64 is divided in float64.
    """
    number = np.float64 if np.float64 in (value.dtype, scale.dtype) else np.float32
    value, scale = value.astype(number), scale.astype(number)
    try:
        np.broadcast_to(scale, value.shape)
    except ValueError as error:
        raise refused(node, f"a scale of shape {scale.shape} for a tensor of shape {value.shape}") from error
    if levels.rounding == "SIGN":
        integers = np.where(value >= 0, 1, -1)
    else:
        rounding = ROUNDINGS[levels.rounding]
        rounded = np.clip(rounding(value / scale + levels.zero_point), levels.low, levels.high)
        integers = rounded - levels.zero_point
    return Quantized(integers.astype(np.int64), scale, bits, int(np.count_nonzero(value)))


def of_values(levels: Levels, values: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Return the integers of real `values` (..., channels) in floats, with the `scale` of each channel."""
    if levels.bounds:
        counts = [
            np.searchsorted([float(bound) for bound in bounds], values[..., channel], side="right")
            for channel, bounds in enumerate(levels.bounds)
        ]
        return levels.low + levels.step * np.stack(counts, axis=-1)
    if levels.rounding == "SIGN":
        return np.where(values >= 0, 1, -1)
    rounded = ROUNDINGS[levels.rounding](values / scale + levels.zero_point)
    return np.asarray(np.clip(rounded, levels.low, levels.high) - levels.zero_point)


def of_input(node: NodeProto, signal: Signal, levels: Levels) -> InputQuantizer:
    """Return what the host does to the network's input, when `node` is the quantizer that `signal` meets first."""
    affine = signal.affine
    if affine.clips or any(slope <= 0 for slope in affine.slope):
        raise refused(node, "only scaling and shifting may stand before the input's quantizer")
    scale = tuple(float(s / slope) for s, slope in zip(levels.scale, affine.slope, strict=True))
    offset = tuple(float(-shift / slope) for shift, slope in zip(affine.intercept, affine.slope, strict=True))
    zero, positions = levels.zero_point, signal.shape.positions
    return InputQuantizer(
        levels.low - zero,
        levels.high - zero,
        shortest(scale, positions),
        shortest(offset, positions),
        zero,
        levels.rounding,
    )


def shortest(values: tuple[float, ...], positions: int) -> tuple[float, ...]:
    """Return the one value of all channels, or one per value of a frame."""
    return values[:1] if len(set(values)) == 1 else values * positions
