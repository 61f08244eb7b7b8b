# SPDX-License-Identifier: Apache-2.0
"""Where a set of integers begins and ends: dense layers, quantizers, and the network's end.

A dense layer starts a new set of integers (its accumulators), a quantizer another (its activations).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import numpy as np
from onnx import NodeProto

from qap2fpga.exact.thresholds import Affine, Levels
from qap2fpga.frontend import multithreshold, quantizers
from qap2fpga.frontend.checkpoint.widths import MAX_BITS
from qap2fpga.frontend.operators import SUPPORTED
from qap2fpga.frontend.values import Quantized, RawLayer, Signal, Tensor, label, refused
from qap2fpga.frontend.walk import Walk
from qap2fpga.ir.quantizer import InputQuantizer
from qap2fpga.system import names
from qap2fpga.system.errors import QapError

STORED_BITS = 32  # of a constant; what weights may have is checked once all layers are known


def dense(walk: Walk, node: NodeProto) -> Signal:
    """Return the accumulators of a dense layer, which is open from now on."""
    signal, weight = walk.signal(node), walk.tensors.get(node.input[1])
    if not isinstance(weight, Quantized):
        raise refused(node, "its weights are floats: a Quant or BipolarQuant node must stand on them")
    if not signal.quantized:
        raise refused(node, "its input is not quantized: put a quantizer before it")
    if signal.affine.clips:
        raise refused(node, "a Relu or Clip stands between the quantizer and it: put the quantizer after them")
    integers, scale = weight.integers, np.broadcast_to(weight.scale, weight.integers.shape)
    factor = Fraction(1)
    if node.op_type == "Gemm":
        if walk.option(node, "transB", int):
            integers, scale = integers.T, scale.T
        factor = walk.multiple(node, "alpha")
    if integers.ndim != 2 or integers.shape[0] != signal.affine.channels:
        raise refused(node, f"weights of shape {integers.shape} for {signal.affine.channels} inputs")
    if (scale != scale[:1]).any():
        raise refused(node, "its weight scale varies over the inputs; one scale per output is supported")
    if len(set(signal.affine.slope)) != 1:
        raise refused(node, "its input has a scale per channel; the quantizer before it must be per tensor")
    if walk.open is not None:
        raise refused(node, "no quantizer stands between it and the dense layer before it")
    step = signal.affine.slope[0]
    scales = [Fraction(float(value)) * factor for value in scale[0]]
    shifts = signal.affine.intercept
    offsets, magnitudes = [], []
    sizes = signal.affine.magnitude  # what cancelled before it came here has been rounded all the same
    for scale_out, column in zip(scales, integers.T.tolist(), strict=True):
        products = [weight * shift for weight, shift in zip(column, shifts, strict=True) if weight and shift]
        offsets.append(scale_out * sum(products, start=Fraction(0)))
        rounded = [abs(weight) * size for weight, size in zip(column, sizes, strict=True) if weight and size]
        magnitudes.append(abs(scale_out) * sum(rounded, start=Fraction(0)))
    affine = Affine.scaled([value * step for value in scales], offsets, magnitudes)
    index = len(walk.graph.layers)
    name = walk.layer_names[index] if index < len(walk.layer_names) else label(node)
    walk.open = RawLayer(
        name,
        integers.astype(np.int64),
        weight.bits,
        signal.bits,
        affine,
        input_tensor=node.input[0],
        entering=signal.affine,
        nonzero_floats=weight.nonzero_floats,
    )
    result = Signal(affine, 0, quantized=False)
    if node.op_type == "Gemm" and len(node.input) > 2 and node.input[2]:
        beta = walk.multiple(node, "beta")
        addend = [beta * value for value in walk.factors(node, 2, (affine.channels,))]
        walk.count_bias(affine, addend)
        result = Signal(affine.then([Fraction(1)] * affine.channels, addend), 0, quantized=False)
    return result


def quant(walk: Walk, node: NodeProto) -> Tensor:
    """Return a quantized constant, or the activations that close the open layer."""
    value = walk.tensors.get(node.input[0])
    most = STORED_BITS if isinstance(value, np.ndarray) else MAX_BITS
    bits, levels, scale = quantizers.parameters(node, walk.constant, most)
    if isinstance(value, np.ndarray):
        walk.constant(node, 0)
        return quantizers.of_constant(node, value, bits, levels, scale)
    if not isinstance(value, Signal):
        raise refused(node, "it quantizes what is quantized already")
    scales = walk.factors(node, 1, walk.shape(node.input[0]))
    levels = quantizers.on_channels(node, value, bits, levels, scales)
    return _quantized(walk, node, bits, levels, quantizers.of_input)


def multi_threshold(walk: Walk, node: NodeProto) -> Signal:
    """Return the activations that close the open layer, at the thresholds that are stored."""
    return _quantized(walk, node, *multithreshold.read(walk, node), multithreshold.of_input)


def _quantized(
    walk: Walk, node: NodeProto, bits: int, levels: Levels,
    of_input: Callable[[NodeProto, Signal, Levels], InputQuantizer],
) -> Signal:  # fmt: skip
    """Close the open layer with `levels`, or let them be the input's quantizer, and return what leaves them."""
    value = walk.signal(node)
    if walk.open is not None:
        walk.close(value.affine, levels, bits, node.output[0])
    elif walk.graph.input is None:
        walk.graph.input = of_input(node, value, levels)
        walk.graph.input_bits = bits
    else:
        raise refused(node, "it quantizes what is quantized already")
    return Signal(Affine.scaled(list(levels.scale)), bits, quantized=True)


def finish(walk: Walk) -> None:
    """Close the last layer; the graph must end in it or in its quantizer."""
    last = [value for value in walk.tensors.items() if isinstance(value[1], Signal)][-1]
    signal = last[1]
    assert isinstance(signal, Signal)
    walk.graph.output_tensor, walk.graph.output = last[0], signal.affine
    if walk.open is not None:
        walk.close(signal.affine, None, None, last[0])
    if not walk.graph.layers:
        raise QapError("the graph has no dense layer", SUPPORTED)
    unique = names.labels(layer.name for layer in walk.graph.layers)
    walk.graph.layers = [replace(layer, name=name) for layer, name in zip(walk.graph.layers, unique, strict=True)]
    end = walk.graph.layers[-1].levels
    if end is not None and (
        len(set(signal.affine.slope)) != 1
        or set(signal.affine.intercept) != {Fraction(0)}
        or signal.affine.clips
        or signal.affine.slope[0] <= 0
    ):
        raise QapError("what follows the last quantizer cannot be lowered", "end the network in the quantizer")
    if end is not None:
        walk.graph.output_scale = signal.affine.slope[0]
