# SPDX-License-Identifier: Apache-2.0
"""The quantizers of a QONNX graph: what a Quant or BipolarQuant node says, and what it makes of a tensor.

https://github.com/fastmachinelearning/qonnx/tree/main/docs/qonnx-custom-ops says what the nodes compute.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable
from fractions import Fraction

import numpy as np
from onnx import NodeProto, helper

from qap2fpga.exact.thresholds import ROUND_FIRST, Affine, Levels, Truncation
from qap2fpga.frontend.checkpoint.widths import MAX_BITS
from qap2fpga.frontend.operators import ROUNDS_FIRST
from qap2fpga.frontend.values import Quantized, Signal, refused
from qap2fpga.ir.quantizer import ROUNDINGS, InputQuantizer

MOST = 1 << 24  # of a zero point: further whole numbers are not exact in float32
# Of a constant: biases have as many bits as the sums that they are added to.
WIDEST_CONSTANT = 32
# qonnx's further names for the rounding rules that are known.
ALIASES = {"HALF_EVEN": "ROUND", "DOWN": "ROUND_TO_ZERO"}


def parameters(
    node: NodeProto, constant: Callable[[NodeProto, int], np.ndarray], most: int = MAX_BITS
) -> tuple[int, Levels, np.ndarray]:
    """(bits, levels without scale, scale array) of `node`, of `most` bits at most; `constant` gives the value of its
    input of a number.

    Raises `QapError` that names the node for what cannot be lowered.
    """
    scale = constant(node, 1)
    if (scale <= 0).any():
        raise refused(node, "its scale must be above 0")
    if node.op_type == "BipolarQuant":
        return 1, Levels(-1, 1, (), rounding="SIGN"), scale
    width = _whole(node, "bit width", constant(node, 3))
    zero = _whole(node, "zero point", constant(node, 2))
    if not 1 <= width <= most:
        raise refused(node, f"a bit width of {width}; one whole number from 1 to {most} is known")
    options = {item.name: helper.get_attribute_value(item) for item in node.attribute}
    signed, narrow = bool(options["signed"]), bool(options["narrow"])
    if width == 1 and signed:  # qonnx makes a sign of it, whatever the rounding
        if zero:
            raise refused(node, "a sign, that is a signed quantizer of one bit, has no zero point")
        return 1, Levels(-1, 1, (), rounding="SIGN"), scale
    rounding, (low, high) = _rounding(node, b"ROUND"), _ends(width, signed=signed, narrow=narrow)
    if low == high:
        raise refused(node, f"unsigned and narrow, of one bit, it has one level: {low}")
    if zero and rounding == "ROUND" and options.get(ROUNDS_FIRST):
        rounding = ROUND_FIRST
    return width, Levels(low, high, (), zero, rounding), scale


def truncation(
    node: NodeProto, constant: Callable[[NodeProto, int], np.ndarray], scales: tuple[Fraction, ...]
) -> tuple[int, Truncation, tuple[Fraction, ...]]:
    """(bits, levels, what one level is worth) of a Trunc `node`, of its first or second version.

    Raises `QapError` that names the node for what cannot be lowered.
    """
    second = len(node.input) == 6
    if (constant(node, 1) <= 0).any():
        raise refused(node, "its scale must be above 0")
    if _whole(node, "zero point", constant(node, 2)):
        raise refused(node, "its zero point must be 0")
    width = _whole(node, "bit width", constant(node, 5 if second else 4))
    if not 1 <= width <= MAX_BITS:
        raise refused(node, f"a bit width of {width}; one whole number from 1 to {MAX_BITS} is known")
    options = {item.name: helper.get_attribute_value(item) for item in node.attribute}
    rounding = _rounding(node, b"FLOOR")
    if not second:
        dropped = _whole(node, "bit width", constant(node, 3)) - width
        if dropped < 0:
            raise refused(node, f"it widens its input by {-dropped} bits")
        return width, Truncation(0, 0, scales, 0, rounding, dropped=dropped, bounded=False), scales
    after = {Fraction(float(value)) for value in constant(node, 4).reshape(-1)}
    if len(after) != 1 or len(set(scales)) != 1:
        raise refused(node, "its scales must be one number each")
    unit = after.pop()
    # The ratio is rounded to a power of two; the value of a level is the second scale as it is stored.
    dropped = round(math.log2(unit / scales[0])) if unit > 0 else -1
    if dropped < 0:
        raise refused(node, "its second scale is below the first")
    low, high = _ends(width, signed=bool(options.get("signed", 1)), narrow=bool(options.get("narrow", 0)))
    return width, Truncation(low, high, scales, 0, rounding, dropped=dropped), (unit,) * len(scales)


def _rounding(node: NodeProto, missing: bytes) -> str:
    """The rounding rule of `node`, by default the `missing` one."""
    options = {item.name: helper.get_attribute_value(item) for item in node.attribute}
    name = options.get("rounding_mode", missing).decode(errors="replace").upper()
    rule = ALIASES.get(name, name)
    if rule not in ROUNDINGS:
        raise refused(node, f"rounding mode {name}; known: {', '.join([*ROUNDINGS, *ALIASES])}")
    return rule


def _ends(width: int, *, signed: bool, narrow: bool) -> tuple[int, int]:
    """The lowest and the highest integer of `width` bits; a narrow quantizer does without one of them."""
    if signed:
        return -(2 ** (width - 1)) + narrow, 2 ** (width - 1) - 1
    return 0, 2**width - 1 - narrow


def _whole(node: NodeProto, what: str, values: np.ndarray) -> int:
    """The one whole number that `values` hold."""
    numbers = set(values.reshape(-1).tolist())
    number = float(numbers.pop()) if len(numbers) == 1 else 0.5
    if number != int(number) or abs(number) > MOST:
        raise refused(node, f"its {what} must be one whole number")
    return int(number)


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
    integers = np.where(value >= 0, 1, -1) if levels.rounding == "SIGN" else rounded(levels, value / scale)
    return Quantized(integers.astype(np.int64), scale, bits, int(np.count_nonzero(value)))


def rounded(levels: Levels, scaled: np.ndarray) -> np.ndarray:
    """Return the integers, without the zero point, of real values in units of the scale."""
    zero = levels.zero_point
    if levels.rounding == ROUND_FIRST:
        return np.asarray(np.clip(np.rint(scaled), levels.low - zero, levels.high - zero))
    return np.asarray(np.clip(ROUNDINGS[levels.rounding](scaled + zero), levels.low, levels.high) - zero)


def of_input(node: NodeProto, signal: Signal, levels: Levels) -> InputQuantizer:
    """Return what the host does to the network's input, when `node` is the quantizer that `signal` meets first."""
    affine = signal.affine
    if signal.stages or any(slope <= 0 for slope in affine.slope):
        raise refused(node, "only scaling, shifting and clipping may stand before the input's quantizer")
    ends = _ends_of_channels(affine, levels)
    if levels.rounding == "SIGN" and set(ends) != {(levels.low, levels.high)}:
        raise refused(node, "a clip before a sign; leave it out")
    scale = tuple(float(s / slope) for s, slope in zip(levels.scale, affine.slope, strict=True))
    offset = tuple(float(-shift / slope) for shift, slope in zip(affine.intercept, affine.slope, strict=True))
    zero, positions = levels.zero_point, signal.shape.positions
    first = levels.rounding == ROUND_FIRST  # then the zero point only shifts what is rounded
    return InputQuantizer(
        min(low for low, _ in ends),
        max(high for _, high in ends),
        shortest(scale, positions),
        shortest(offset, positions),
        0 if first else zero,
        "ROUND" if first else levels.rounding,
        tuple(ends) * positions if len(set(ends)) > 1 else (),
    )


def _ends_of_channels(affine: Affine, levels: Levels) -> list[tuple[int, int]]:
    """The lowest and the highest integer of each channel, whose values may be clipped before they are quantized."""
    lowest, highest = levels.low - levels.zero_point, levels.high - levels.zero_point
    return [
        (
            lowest if low is None else _integer(low, channel, levels),
            highest if high is None else _integer(high, channel, levels),
        )
        for channel, (low, high) in enumerate(zip(affine.low, affine.high, strict=True))
    ]


def _integer(value: Fraction, channel: int, levels: Levels) -> int:
    """The integer that a quantizer of `levels` makes of a real value."""
    scaled = value / levels.unit(channel)
    above = levels.boundaries(channel)
    count = bisect_left(above, True, key=lambda one: scaled <= one[0] if one[1] else scaled < one[0])
    return levels.low + levels.step * count - levels.zero_point


def shortest(values: tuple[float, ...], positions: int) -> tuple[float, ...]:
    """Return the one value of all channels, or one per value of a frame."""
    return values[:1] if len(set(values)) == 1 else values * positions
