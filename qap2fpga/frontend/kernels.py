# SPDX-License-Identifier: Apache-2.0
"""Kernels of convolutions and pools, as ONNX says them: strides, dilations, pads, and what stands in the pads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from onnx import NodeProto

from qap2fpga.frontend.axes import Axes
from qap2fpga.frontend.values import Signal, refused
from qap2fpga.frontend.walk import Walk
from qap2fpga.ir.geometry import Geometry
from qap2fpga.ir.tensors import Shape


@dataclass(frozen=True)
class Kernel:
    """A `geometry` over frames, and how the tensor that it makes is laid out."""

    geometry: Geometry
    source: Shape
    spatial: int

    def axes(self, channels: int) -> Axes:
        """Return the axes of the result."""
        return Axes.of(self.geometry.output(self.source, channels), self.spatial, last=False)


def kernel(walk: Walk, node: NodeProto, signal: Signal, size: Sequence[int]) -> Kernel:
    """Return the kernel of `size` of `node`, over `signal`. Raises `QapError` if its numbers describe none."""
    spatial = len(size)
    if spatial not in (1, 2):
        raise refused(node, f"its kernel has {spatial} dimensions; 1 and 2 are supported")
    check_layout(node, signal, spatial)
    stated = walk.option(node, "kernel_shape", list)
    if stated is not None and list(stated) != list(size):
        raise refused(node, f"its kernel_shape is {list(stated)}, its weights are for {list(size)}")
    strides = _each(walk, node, "strides", spatial)
    dilations = _each(walk, node, "dilations", spatial)
    top, left, bottom, right = signal.pads
    extents = [signal.shape.height + top + bottom, signal.shape.width + left + right][2 - spatial :]
    reach = [(one - 1) * dilation + 1 for one, dilation in zip(size, dilations, strict=True)]
    pads = _pads(walk, node, extents, reach, strides)
    own = (*_pair(pads[:spatial], 0), *_pair(pads[spatial:], 0))
    up, before, down, behind = (one + more for one, more in zip(own, signal.pads, strict=True))
    geometry = Geometry(_pair(size, 1), _pair(strides, 1), _pair(dilations, 1), (up, before, down, behind))
    check(node, signal, geometry)
    return Kernel(geometry, signal.shape, spatial)


def check(node: NodeProto, signal: Signal, geometry: Geometry) -> None:
    """Raise `QapError` if there is no such kernel, or if it does not fit into frames of `signal`."""
    try:
        geometry.check()
        geometry.output(signal.shape, 1)
    except ValueError as error:
        raise refused(node, str(error)) from error


def check_layout(node: NodeProto, signal: Signal, spatial: int) -> None:
    """Raise `QapError` where the dimensions of `signal` are not channels, rows and columns, as `node` takes them."""
    if signal.axes != Axes.of(signal.shape, spatial, last=False):
        what = "does not hold channels, rows and columns in this order"
        raise refused(node, f"its input, of shape {signal.axes.shape}, {what}")


def zero(node: NodeProto, signal: Signal) -> int:
    """Return the integer that stands for the real 0 in every channel of `signal`. Raises `QapError` if none does."""
    integers = {
        -shift / slope if slope else None
        for slope, shift in zip(signal.affine.slope, signal.affine.intercept, strict=True)
        if slope or shift  # where all integers stand for 0, any does
    }
    value = integers.pop() if integers else Fraction(0)
    if integers or value is None or value.denominator != 1:
        raise refused(node, "it pads with zeros, and no integer of its input stands for 0 in every channel")
    return int(value)


def _each(walk: Walk, node: NodeProto, name: str, spatial: int) -> list[int]:
    """One value per spatial dimension."""
    values = walk.option(node, name, list)
    values = [1] * spatial if values is None else [int(value) for value in values]
    if len(values) != spatial:
        raise refused(node, f"its {name} are {values}, for {spatial} dimensions")
    return values


def _pads(
    walk: Walk, node: NodeProto, extents: Sequence[int], reach: Sequence[int], strides: Sequence[int]
) -> list[int]:
    """Those before each dimension, then those after."""
    spatial, automatic = len(extents), walk.option(node, "auto_pad", bytes) or b"NOTSET"
    pads = walk.option(node, "pads", list)
    if automatic in (b"NOTSET", b"VALID"):
        pads = [0] * 2 * spatial if pads is None or automatic == b"VALID" else [int(pad) for pad in pads]
        if len(pads) != 2 * spatial:
            raise refused(node, f"its pads are {pads}, for {spatial} dimensions")
        return pads
    if automatic not in (b"SAME_UPPER", b"SAME_LOWER"):
        raise refused(node, f"its attribute auto_pad is {automatic.decode(errors='replace')}, which is not known")
    if min(strides) < 1:
        raise refused(node, f"its strides are {list(strides)}")
    needed = [
        max(0, (-(-extent // stride) - 1) * stride + size - extent)
        for extent, stride, size in zip(extents, strides, reach, strict=True)
    ]
    less, more = [one // 2 for one in needed], [one - one // 2 for one in needed]
    return [*less, *more] if automatic == b"SAME_UPPER" else [*more, *less]


def _pair(values: Sequence[int], missing: int) -> tuple[int, int]:
    """Rows and columns; of one dimension there are columns alone."""
    rows, columns = [missing] * (2 - len(values)) + list(values)
    return rows, columns


def padded(geometry: Geometry, node: NodeProto, signal: Signal) -> Geometry:
    """Return the kernel with the integer of 0 beyond the borders, if it sees any of them."""
    return replace(geometry, pad=zero(node, signal)) if geometry.is_padded else geometry
