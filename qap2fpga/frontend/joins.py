# SPDX-License-Identifier: Apache-2.0
"""Where branches meet: sums of two signals, and channels side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from onnx import NodeProto

from qap2fpga.exact import integers as exact
from qap2fpga.exact.thresholds import Affine, common
from qap2fpga.frontend.axes import Axes
from qap2fpga.frontend.values import RawNode, Signal, label, refused
from qap2fpga.frontend.walk import Walk
from qap2fpga.ir.channelwise import Depthwise
from qap2fpga.ir.geometry import POINT
from qap2fpga.ir.joins import Concat, Sum


def added(walk: Walk, node: NodeProto, one: Signal, other: Signal, sign: int) -> Signal:
    """Return `one` plus `sign` times `other`, in whole multiples of the largest step that both have in common."""
    if (one.shape, one.axes) != (other.shape, other.axes):
        what = f"shapes {one.axes.shape} and {other.axes.shape}"
        raise refused(node, f"it joins branches of {what}, or in another order of dimensions; they must be equal")
    one, other = walk.straight(node, one), walk.straight(node, other)
    step = common([*one.affine.slope, *other.affine.slope])
    if step == 0:
        raise refused(node, "it joins two constants")
    name = walk.name(label(node))
    entering, multipliers = [], []
    for signal, factor in ((one, 1), (other, sign)):
        scaled, multiplier = _multiple(walk, name, signal, step)
        entering.append(scaled)
        multipliers.append(factor * multiplier)
    join = Sum(name=name, sources=tuple(signal.node for signal in entering), multipliers=tuple(multipliers))
    pairs = list(zip(one.affine.intercept, other.affine.intercept, strict=True))
    sizes = zip(one.affine.magnitude, other.affine.magnitude, strict=True)
    affine = Affine(
        (step,) * one.shape.channels,
        tuple(left + sign * right for left, right in pairs),
        one.affine.low,
        one.affine.high,
        tuple(left + right for left, right in sizes),
        max(one.affine.steps, other.affine.steps) + 1,
    )
    return walk.result(node.output[0], join, entering, one.axes, affine)


def _multiple(walk: Walk, name: str, signal: Signal, step: Fraction) -> tuple[Signal, int]:
    """`signal`, and by what its integers have to be multiplied to count in units of `step`.

    Where channels differ in that, a node of their own multiplies them.
    """
    factors = [int(slope / step) for slope in signal.affine.slope]
    if factors[0] and len(set(factors)) == 1:
        return signal, factors[0]
    weights = exact.array(factors, f"the scales that node {name} joins")
    node = Depthwise(
        name=walk.name(f"{name}/{signal.node}"), sources=(signal.node,), weights=weights[None], weight_bits=0,
        input_bits=signal.bits, geometry=POINT,
    )  # fmt: skip
    affine = replace(signal.affine, slope=(step,) * len(factors))
    walk.add(RawNode(node, (signal,), affine))
    return replace(signal, node=node.name, affine=affine), 1


def concatenated(walk: Walk, node: NodeProto) -> Signal:
    """Return the channels of all inputs, one after the other."""
    signals = [walk.tensors[name] for name in node.input]
    first = signals[0]
    if not isinstance(first, Signal) or not all(isinstance(one, Signal) for one in signals):
        raise refused(node, "it joins a constant with tensors that depend on the network's input")
    parts = [one for one in signals if isinstance(one, Signal)]
    rank = len(first.axes.dims) + 1
    axis = walk.option(node, "axis", int)
    place = (axis + rank if axis < 0 else axis) - 1
    if not 0 <= place < rank - 1:
        raise refused(node, f"its axis is {axis}: it joins rows instead of channels")
    shapes = {(one.shape.height, one.shape.width) for one in parts}
    inside = 0 < place < rank - 2  # neither the first dimension nor the last: rows or columns
    if inside or len(shapes) != 1 or any(one.axes != _layout(one, first, place) for one in parts):
        what = " and ".join(str(one.axes.shape) for one in parts)
        raise refused(node, f"it joins tensors of shapes {what} along axis {axis}; only channels can be joined")
    parts = [walk.straight(node, one) for one in parts]
    join = Concat(name=walk.name(label(node)), sources=tuple(one.node for one in parts))
    shape = join.shape([one.shape for one in parts])
    affine = _side_by_side([one.affine for one in parts])
    axes = _layout(replace(first, shape=shape), first, place)
    result = walk.result(node.output[0], join, parts, axes, affine)
    bits = max(one.bits for one in parts) if all(one.bits for one in parts) else 0
    return replace(result, bits=bits, quantized=all(one.quantized for one in parts))


def _layout(signal: Signal, first: Signal, place: int) -> Axes:
    """The axes of `signal` if it is laid out as `first` is, with its channels in dimension `place`."""
    rank = len(first.axes.dims)
    if place == rank - 1:
        return Axes.of(signal.shape, rank - 1, last=True)
    return Axes.of(signal.shape, rank - 1, last=False)


def _side_by_side(parts: Sequence[Affine]) -> Affine:
    """The channels of all, one after the other."""
    return Affine(
        tuple(value for part in parts for value in part.slope),
        tuple(value for part in parts for value in part.intercept),
        tuple(value for part in parts for value in part.low),
        tuple(value for part in parts for value in part.high),
        tuple(value for part in parts for value in part.magnitude),
        max(part.steps for part in parts),
    )
