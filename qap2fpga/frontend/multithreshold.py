# SPDX-License-Identifier: Apache-2.0
"""MultiThreshold: a quantizer whose thresholds are stored, one by one, as real numbers.

https://github.com/fastmachinelearning/qonnx/blob/main/src/qonnx/custom_op/general/multithreshold.py
says what it computes: `out_scale * (number of thresholds that x reaches) + out_bias`.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from onnx import NodeProto

from qap2fpga.exact.thresholds import Levels
from qap2fpga.frontend import quantizers
from qap2fpga.frontend.checkpoint.widths import MAX_BITS
from qap2fpga.frontend.dialects import datatypes
from qap2fpga.frontend.values import Signal, rationals, refused
from qap2fpga.frontend.walk import Walk
from qap2fpga.ir.quantizer import InputQuantizer

# What is nearer to a threshold of 0 is lost in float64, with an offset of some steps.
NEAREST = 2.0**-40


def read(walk: Walk, node: NodeProto, signal: Signal) -> tuple[int, Levels]:
    """(bits, levels) of `node`, with a row of bounds per channel of the `signal` that it quantizes."""
    rows = np.sort(walk.constant(node, 1), axis=-1)
    if rows.ndim != 2 or not rows.size:
        raise refused(node, f"its thresholds have shape {rows.shape}; known: (channels, thresholds)")
    count = rows.shape[1]
    bits = count.bit_length()
    if bits > MAX_BITS:
        raise refused(node, f"it has {count} thresholds, more than a type of {MAX_BITS} bits has levels")
    kind = datatypes.parse(walk.option(node, "out_dtype", bytes).decode(errors="replace"))
    if kind is None or count > kind.high - kind.low:
        raise refused(node, f"{count} thresholds, and an out_dtype that is no integer type of so many levels")
    base, step, scale = _levels(walk, node)
    different, places = np.unique(rows, axis=0, return_inverse=True)
    exact = [tuple(row) for row in rationals(different)]
    bounds = tuple(exact[place] for place in _row_of_each(walk, node, signal, places.reshape(-1)))
    return bits, Levels(base, base + step * count, (scale,) * len(bounds), rounding="TABLE", bounds=bounds)


def _levels(walk: Walk, node: NodeProto) -> tuple[int, int, Fraction]:
    """(base, step, scale): its values are `scale * (base + step * count)`, of whole numbers."""
    scale, bias = walk.multiple(node, "out_scale"), walk.multiple(node, "out_bias")
    if scale <= 0:
        raise refused(node, f"its out_scale is {float(scale):g}; it must be above 0")
    for step in (1, 2):
        base = bias / scale * step
        if base.denominator == 1 and abs(base) < 1 << MAX_BITS:
            return int(base), step, scale / step
    raise refused(node, "its out_bias is no whole number of halves of its out_scale")


def _row_of_each(walk: Walk, node: NodeProto, signal: Signal, rows: np.ndarray) -> list[int]:
    """The row of thresholds of each channel, of which `rows` says what those of the graph's channels have."""
    shape, count = signal.axes.shape, len(rows)
    if count == 1:
        return [0] * signal.shape.channels
    layout = walk.option(node, "data_layout", bytes).decode(errors="replace")
    if not layout and len(shape) == 2:
        raise refused(node, "it has thresholds per channel of a tensor of three dimensions, and does not say which")
    axis = layout.index("C") - 1 if "C" in layout else 0
    if not 0 <= axis < len(shape) or len(layout) not in (0, len(shape) + 1) or shape[axis] != count:
        raise refused(node, f"thresholds of {count} channels, layout {layout!r}, for a tensor of shape (1, {shape})")
    lengths = [1] * len(shape)
    lengths[axis] = count
    try:
        return [int(row) for row in signal.axes.per_channel(rows.reshape(lengths), signal.shape.channels)]
    except ValueError as error:
        raise refused(node, f"its input 1 {error}") from error


def of_input(node: NodeProto, signal: Signal, levels: Levels) -> InputQuantizer:
    """Return the host's quantizer that equals `levels` on each float32, but for those within `NEAREST` steps from 0.

    Raises `QapError` where there is none.
    """
    affine = signal.affine
    if affine.clips or any(slope <= 0 for slope in affine.slope):
        raise refused(node, "only scaling and shifting may stand before the input's quantizer")
    known: dict[tuple[tuple[Fraction, ...], Fraction, Fraction], tuple[float, float]] = {}
    lines = []
    for bounds, slope, intercept in zip(levels.bounds, affine.slope, affine.intercept, strict=True):
        key = (bounds, slope, intercept)
        if key not in known:
            line = _line([(bound - intercept) / slope for bound in bounds], levels)
            if line is None:
                raise refused(node, "its thresholds are not evenly spaced, as those of the input's quantizer must be")
            known[key] = line
        lines.append(known[key])
    scale, offset = (quantizers.shortest(values, signal.shape.positions) for values in zip(*lines, strict=True))
    return _quantizer(scale, offset, levels)


def is_even(rows: np.ndarray) -> bool:
    """Return whether the host can quantize real numbers at each of these `rows` of thresholds."""
    if rows.ndim != 2 or not rows.size or not np.isfinite(rows).all():
        return True  # the walk says what is wrong with them
    different = rationals(np.unique(np.sort(rows, axis=-1), axis=0))
    return all(_line(list(row), Levels(0, len(row), ())) is not None for row in different)


def _line(bounds: list[Fraction], levels: Levels) -> tuple[float, float] | None:
    """(scale, offset) of evenly spaced `bounds`, in units of the network's input; None if they are not."""
    scale = float((bounds[-1] - bounds[0]) / (len(bounds) - 1)) if len(bounds) > 1 else float(abs(bounds[0])) or 1.0
    offset = float(bounds[0]) if levels.step == 2 else float(bounds[0] - Fraction(scale) * (levels.low + 1))
    if scale <= 0 or not np.isfinite((scale, offset)).all() or (levels.step == 2 and len(bounds) > 1):
        return None
    first = np.array([_first_float(bound) for bound in bounds], np.float32)
    before = np.minimum(np.nextafter(first, np.float32(-np.inf)), first.astype(np.float64) - NEAREST * scale)
    level = levels.low + levels.step * np.arange(1, len(bounds) + 1)
    quantizer = _quantizer((scale,), (offset,), levels)
    reached, missed = (quantizer.quantize(values.reshape(1, -1))[0] for values in (first, before))
    return (scale, offset) if (reached >= level).all() and (missed < level).all() else None


def _quantizer(scale: tuple[float, ...], offset: tuple[float, ...], levels: Levels) -> InputQuantizer:
    rounding = "SIGN" if levels.step == 2 else "FLOOR"
    return InputQuantizer(levels.low, levels.high, scale, offset, rounding=rounding)


def _first_float(bound: Fraction) -> np.float32:
    """The smallest float32 that is not below `bound`."""
    nearest = np.float32(float(bound))
    return nearest if Fraction(float(nearest)) >= bound else np.nextafter(nearest, np.float32(np.inf))
