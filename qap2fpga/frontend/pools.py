# SPDX-License-Identifier: Apache-2.0
"""Nodes that pool: the largest of a window, and its mean, a sum whose scale is divided by the size of the window."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
from onnx import NodeProto

from qap2fpga.frontend.kernels import Kernel, check_layout, kernel, padded, zero
from qap2fpga.frontend.values import RawNode, Signal, label, refused
from qap2fpga.frontend.walk import Walk
from qap2fpga.ir.channelwise import Depthwise, Max
from qap2fpga.ir.geometry import Geometry


def largest(walk: Walk, node: NodeProto) -> Signal:
    """Return the largest value of each window. What is padded is never the largest."""
    signal = walk.signal(node)
    signal = walk.straight(node, signal) if any(signal.pads) else signal
    spec = kernel(walk, node, signal, walk.option(node, "kernel_shape", list))
    _check_ceil(walk, node)
    if any(signal.pads) and spec.geometry.pads != signal.pads:
        raise refused(node, "zeros are padded before it, and it pads too")
    return _largest(walk, node, signal, spec)


def global_largest(walk: Walk, node: NodeProto) -> Signal:
    """Return the largest value of each channel."""
    signal = walk.signal(node)
    return _largest(walk, node, signal, _whole(node, signal))


def _largest(walk: Walk, node: NodeProto, signal: Signal, spec: Kernel) -> Signal:
    rising = walk.rising(signal)
    # What it pads itself is set by lowering: the smallest integer that there can be.
    geometry = spec.geometry
    if any(signal.pads):
        geometry = replace(geometry, pad=zero(node, rising))
    windows = Max(name=walk.name(label(node)), sources=(rising.node,), geometry=geometry)
    walk.add(RawNode(windows, (rising,), rising.affine, lowest=geometry.is_padded and not any(signal.pads)))
    axes = spec.axes(signal.shape.channels)
    shape = windows.shape([signal.shape])
    return replace(rising, tensor=node.output[0], node=windows.name, shape=shape, axes=axes, pads=(0, 0, 0, 0))


def mean(walk: Walk, node: NodeProto) -> Signal:
    """Return the mean of each window."""
    signal = walk.line(node)
    spec = kernel(walk, node, signal, walk.option(node, "kernel_shape", list))
    _check_ceil(walk, node)
    pads_itself = spec.geometry.pads != signal.pads
    if pads_itself and not walk.option(node, "count_include_pad", int):
        raise refused(node, "it leaves its pads out of the mean, so that windows at borders have other divisors")
    return _mean(walk, node, signal, replace(spec, geometry=padded(spec.geometry, node, signal)))


def global_mean(walk: Walk, node: NodeProto) -> Signal:
    """Return the mean of each channel."""
    signal = walk.line(node)
    return _mean(walk, node, signal, _whole(node, signal))


def _mean(walk: Walk, node: NodeProto, signal: Signal, spec: Kernel) -> Signal:
    geometry, channels = spec.geometry, signal.shape.channels
    ones = np.ones((geometry.taps, channels), np.int64)
    sums = Depthwise(
        name=walk.name(label(node)), sources=(signal.node,), weights=ones, weight_bits=0, input_bits=signal.bits,
        geometry=geometry,
    )  # fmt: skip
    part = [Fraction(1, geometry.taps)] * channels
    affine = signal.affine.then(part, [Fraction(0)] * channels)
    # The integers are sums of as many values: so is what is added to them.
    affine = replace(affine, intercept=signal.affine.intercept, magnitude=signal.affine.magnitude)
    return walk.result(node.output[0], sums, [signal], spec.axes(channels), affine)


def _whole(node: NodeProto, signal: Signal) -> Kernel:
    """The kernel that sees a whole frame; the result keeps its spatial dimensions."""
    spatial = len(signal.axes.dims) - 1
    if spatial not in (1, 2):
        raise refused(node, f"its input has {spatial} dimensions beside channels; 1 and 2 are supported")
    check_layout(node, signal, spatial)
    return Kernel(Geometry((signal.shape.height, signal.shape.width)), signal.shape, spatial)


def _check_ceil(walk: Walk, node: NodeProto) -> None:
    if walk.option(node, "ceil_mode", int):
        raise refused(node, "its attribute ceil_mode is 1: windows that stand out of the frame are not supported")
