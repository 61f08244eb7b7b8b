# SPDX-License-Identifier: Apache-2.0
"""Nodes with weights: dense layers, whose kernel is the whole frame, and convolutions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial

import numpy as np
from onnx import NodeProto

from qap2fpga.exact import integers as exact
from qap2fpga.exact.thresholds import Affine, common
from qap2fpga.frontend.axes import Axes
from qap2fpga.frontend.granular import common_grid
from qap2fpga.frontend.kernels import Kernel, kernel, padded
from qap2fpga.frontend.values import Quantized, Signal, Stored, refused
from qap2fpga.frontend.walk import Walk
from qap2fpga.ir.channelwise import Depthwise
from qap2fpga.ir.geometry import POINT, Geometry
from qap2fpga.ir.linear import Linear

# A source's channels may differ in scale by whole factors up to this: they go into the weights.
LARGEST_FACTOR = 1 << 16


@dataclass(frozen=True)
class _Matrix:
    """Integers (inputs, outputs) with an exact scale per output, as a node has them; `bits` are the quantizer's.

    `sizes` are the bits of each weight, where each has a scale of its own; `bits` those of the grid of all then.
    """

    integers: np.ndarray
    scale: list[Fraction]
    bits: int
    nonzero_floats: int
    sizes: np.ndarray | None = None


def dense(walk: Walk, node: NodeProto) -> Signal:
    """Return the accumulators of a dense layer: over whole frames, or over the channels of each position."""
    signal, weight = _operands(walk, node)
    factor = Fraction(1)
    if node.op_type == "Gemm":
        if walk.option(node, "transB", int):
            weight = weight.moved(np.transpose)
        factor = walk.multiple(node, "alpha")
    extent = signal.axes.shape[-1] if signal.axes.dims else 1
    if weight.integers.ndim != 2 or weight.integers.shape[0] != extent:
        raise refused(node, f"weights of shape {weight.integers.shape} for {extent} inputs")
    outputs = weight.integers.shape[1]
    if extent == signal.shape.size:
        weight = weight.moved(lambda array: Axes(signal.axes.dims[-1:]).frames(array.T).T)
        geometry = Geometry((signal.shape.height, signal.shape.width))
        axes = Axes((*((),) * (len(signal.axes.dims) - 1), ((outputs, 1),) if outputs > 1 else ()))
    elif signal.axes.dims[-1] == Axes.of(signal.shape, 0, last=True).dims[-1]:
        geometry, axes = POINT, signal.axes.with_channels(signal.shape.channels, outputs)
    else:
        raise refused(node, "it multiplies rows or columns; a dense layer takes whole frames, or channels")
    result = _linear(walk, node, signal, _matrix(node, weight, factor), geometry, axes)
    if node.op_type == "Gemm" and len(node.input) > 2 and node.input[2]:
        beta = walk.multiple(node, "beta")
        result = _biased(walk, result, [beta * value for value in walk.factors(node, 2, result)])
    return result


def convolution(walk: Walk, node: NodeProto) -> Signal:
    """Return the sums of a convolution over all channels, or of each channel by itself."""
    signal, weight = _operands(walk, node)
    # (outputs, channels, ...) as (outputs, ..., channels)
    weight = weight.moved(lambda array: np.moveaxis(array, 1, -1) if array.ndim > 1 else array)
    size = weight.integers.shape
    spec = kernel(walk, node, signal, size[1:-1])
    groups, channels = walk.option(node, "group", int), signal.shape.channels
    if groups < 1 or channels % groups or size[0] % groups:
        raise refused(node, f"{groups} groups for {channels} channels that come in and {size[0]} that go out")
    if size[-1] != channels // groups:
        raise refused(node, f"weights of shape {size} for {channels} channels in {groups} groups")
    geometry = padded(spec.geometry, node, signal)
    if groups == 1:
        weight = weight.moved(lambda array: array.reshape(size[0], -1).T)
        result = _linear(walk, node, signal, _matrix(node, weight), geometry, spec.axes(size[0]))
    elif groups == channels == size[0]:
        weight = weight.moved(lambda array: array.reshape(channels, -1).T)
        result = _depthwise(walk, node, signal, _matrix(node, weight), geometry, spec)
    else:
        matrix = _matrix(node, weight.moved(lambda array: array.reshape(size[0], -1).T))
        whole = partial(_between_groups, taps=geometry.taps, groups=groups)
        sizes = None if matrix.sizes is None else whole(matrix.sizes)
        matrix = replace(matrix, integers=whole(matrix.integers), sizes=sizes)
        result = _linear(walk, node, signal, matrix, geometry, spec.axes(size[0]), groups)
    if len(node.input) > 2 and node.input[2]:
        result = _biased(walk, result, list(walk.exact(node, 2).reshape(-1)))
    return result


def _operands(walk: Walk, node: NodeProto) -> tuple[Signal, Quantized]:
    signal, weight = walk.signal(node), walk.tensors.get(node.input[1])
    if isinstance(weight, Signal):
        raise refused(node, "it multiplies two tensors that depend on the network's input")
    if not isinstance(weight, Quantized):
        raise refused(node, "its weights are floats: a Quant or BipolarQuant node must stand on them")
    if not weight.integers.size:
        raise refused(node, f"its weights have shape {weight.integers.shape}: there are none")
    if walk.graph.quantized_input is None or (signal.node == walk.graph.quantized_input.node and not signal.quantized):
        raise refused(node, "its input is not quantized: put a quantizer before it")
    return walk.straight(node, signal), weight


def _matrix(node: NodeProto, weight: Quantized, factor: Fraction = Fraction(1)) -> _Matrix:
    scale, integers = np.broadcast_to(weight.scale, weight.integers.shape), weight.integers.astype(np.int64)
    if (scale == scale[:1]).all():
        scales = [Fraction(float(value)) * factor for value in scale[0]]
        return _Matrix(integers, scales, weight.bits, weight.nonzero_floats)
    grid = common_grid(integers, scale, LARGEST_FACTOR)
    if grid is None:
        what = "its weight scale varies over the inputs: one per output, or powers of two of one another, are supported"
        raise refused(node, what)
    lifted, steps = grid
    bits = int(exact.signed_widths(lifted).max())
    scales = [Fraction(float(value)) * factor for value in steps]
    return _Matrix(lifted, scales, bits, weight.nonzero_floats, exact.signed_widths(integers))


def _between_groups(weights: np.ndarray, taps: int, groups: int) -> np.ndarray:
    """Weights over all channels (taps * channels, outputs) of those over the channels of each output's own group."""
    each, outputs = len(weights) // taps, weights.shape[1]
    whole = np.zeros((taps, groups, each, groups, outputs // groups), np.int64)
    for group, part in enumerate(np.split(weights.reshape(taps, each, outputs), groups, axis=2)):
        whole[:, group, :, group] = part
    return whole.reshape(-1, outputs)


def _linear(
    walk: Walk, node: NodeProto, signal: Signal, matrix: _Matrix, geometry: Geometry, axes: Axes, groups: int = 1
) -> Signal:
    """The sums over all channels that the kernel sees."""
    step, factors = _common_step(node, signal)
    taps = geometry.taps
    weights = matrix.integers
    affine = _sums(matrix, step, signal.affine, weights.reshape(taps, signal.shape.channels, -1).sum(axis=0), weights)
    if factors is not None:
        weights = exact.multiply_add(weights, np.tile(factors, taps)[:, None], 0, f"node {node.name}")
    linear = Linear(
        name=walk.layer_name(node), sources=(signal.node,), weights=weights, weight_bits=matrix.bits,
        input_bits=signal.bits, geometry=geometry,
    )  # fmt: skip
    stored = Stored(matrix.nonzero_floats, groups=groups, sizes=matrix.sizes)
    return walk.result(node.output[0], linear, [signal], axes, affine, stored=stored)


def _depthwise(
    walk: Walk, node: NodeProto, signal: Signal, matrix: _Matrix, geometry: Geometry, spec: Kernel
) -> Signal:
    """The sums of each channel, which may have its own scale."""
    totals = matrix.integers.sum(axis=0).tolist()
    sizes = np.abs(matrix.integers).sum(axis=0).tolist()
    lines = zip(matrix.scale, totals, signal.affine.intercept, strict=True)
    affine = Affine.scaled(
        [scale * slope for scale, slope in zip(matrix.scale, signal.affine.slope, strict=True)],
        [scale * total * shift for scale, total, shift in lines],
        [scale * size * one for scale, size, one in zip(matrix.scale, sizes, signal.affine.magnitude, strict=True)],
    )
    kernels = Depthwise(
        name=walk.layer_name(node), sources=(signal.node,), weights=matrix.integers, weight_bits=matrix.bits,
        input_bits=signal.bits, geometry=geometry,
    )  # fmt: skip
    axes = spec.axes(signal.shape.channels)
    return walk.result(
        node.output[0], kernels, [signal], axes, affine, stored=Stored(matrix.nonzero_floats, sizes=matrix.sizes)
    )


def _common_step(node: NodeProto, signal: Signal) -> tuple[Fraction, np.ndarray | None]:
    """The step of all channels of `signal`, and by which whole number of it each differs; None where none does."""
    slopes = signal.affine.slope
    if len(set(slopes)) == 1:
        return slopes[0], None
    step = common(slopes)
    factors = [int(slope / step) for slope in slopes] if step else []
    if not factors or max(map(abs, factors)) > LARGEST_FACTOR:
        raise refused(node, "its input has a scale per channel; the quantizer before it must be per tensor")
    return step, np.array(factors, np.int64)


def _sums(matrix: _Matrix, step: Fraction, entering: Affine, totals: np.ndarray, weights: np.ndarray) -> Affine:
    """The real value of sums of what enters, of which `totals` (channels, outputs) are the weights at all taps."""
    nothing = [Fraction(0)] * len(matrix.scale)
    offsets, magnitudes = nothing, nothing
    if any(entering.intercept):
        offsets = _weighted(matrix.scale, totals, entering.intercept)
    if any(entering.magnitude):  # what cancelled before it came here has been rounded all the same
        sizes = np.abs(weights).reshape(-1, *totals.shape).sum(axis=0)
        magnitudes = _weighted([abs(scale) for scale in matrix.scale], sizes, entering.magnitude)
    return Affine.scaled([scale * step for scale in matrix.scale], offsets, magnitudes)


def _weighted(scales: Sequence[Fraction], totals: np.ndarray, values: Sequence[Fraction]) -> list[Fraction]:
    return [
        scale * sum((total * value for total, value in zip(column, values, strict=True) if total), start=Fraction(0))
        for scale, column in zip(scales, totals.T.tolist(), strict=True)
    ]


def _biased(walk: Walk, signal: Signal, addend: list[Fraction]) -> Signal:
    """The sums with the node's own bias."""
    walk.count_bias(signal, addend)
    return replace(signal, affine=signal.affine.then([Fraction(1)] * len(addend), addend))
