# SPDX-License-Identifier: Apache-2.0
"""Nodes that pool: the largest of a window, and its mean, a sum whose scale is divided by the size of the window."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
from onnx import NodeProto

from qap2fpga.frontend.kernels import Kernel, check_layout, kernel, zero
from qap2fpga.frontend.operators import CHANNELS_LAST
from qap2fpga.frontend.values import Signal, label, refused
from qap2fpga.frontend.walk import Walk
from qap2fpga.ir.channelwise import Depthwise, Max
from qap2fpga.ir.geometry import Geometry


def largest(walk: Walk, node: NodeProto) -> Signal:
    """Return the largest value of each window. What is padded is never the largest."""
    last = node.domain == CHANNELS_LAST
    signal = walk.signal(node)
    spec = kernel(walk, node, signal, walk.option(node, "kernel_shape", list), last=last)
    _check_ceil(walk, node)
    return _largest(walk, node, signal, spec)


def global_largest(walk: Walk, node: NodeProto) -> Signal:
    """Return the largest value of each channel."""
    signal = walk.signal(node)
    return _largest(walk, node, signal, _whole(node, signal))


def _largest(walk: Walk, node: NodeProto, signal: Signal, spec: Kernel) -> Signal:
    rising = walk.rising(signal)
    name, channels = walk.name(label(node)), signal.shape.channels
    # Lowering sets the pad: the smallest integer that there can be.
    largest_of = Max(name=name, sources=(rising.node,), geometry=spec.geometry)
    result = walk.result(node.output[0], largest_of, [rising], spec.axes(channels), rising.affine)
    return replace(result, bits=rising.bits, quantized=rising.quantized, rectified=rising.rectified)


def mean(walk: Walk, node: NodeProto) -> Signal:
    """Return the mean of each window."""
    signal = walk.signal(node)
    spec = kernel(walk, node, signal, walk.option(node, "kernel_shape", list), last=False)
    _check_ceil(walk, node)
    geometry = spec.geometry
    if geometry.is_padded:
        if not walk.option(node, "count_include_pad", int):
            raise refused(
                node, "it leaves its pads out of the mean, so that windows at the borders have other divisors"
            )
        geometry = replace(geometry, pad=zero(node, signal))
    return _mean(walk, node, signal, replace(spec, geometry=geometry))


def global_mean(walk: Walk, node: NodeProto) -> Signal:
    """Return the mean of each channel."""
    signal = walk.signal(node)
    return _mean(walk, node, signal, _whole(node, signal))


def _mean(walk: Walk, node: NodeProto, signal: Signal, spec: Kernel) -> Signal:
    if signal.affine.clips:
        raise refused(node, "a Relu or Clip stands between the quantizer and it: put the quantizer after them")
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
    return replace(walk.result(node.output[0], sums, [signal], spec.axes(channels), affine), rectified=signal.rectified)


def _whole(node: NodeProto, signal: Signal) -> Kernel:
    """The kernel that sees a whole frame; the result keeps its spatial dimensions."""
    spatial = len(signal.axes.dims) - 1
    if spatial not in (1, 2):
        raise refused(node, f"its input has {spatial} dimensions beside channels; 1 and 2 are supported")
    check_layout(node, signal, spatial, last=False)
    return Kernel(Geometry((signal.shape.height, signal.shape.width)), signal.shape, spatial, last=False)


def _check_ceil(walk: Walk, node: NodeProto) -> None:
    if walk.option(node, "ceil_mode", int):
        raise refused(node, "its attribute ceil_mode is 1: windows that stand out of the frame are not supported")
