# SPDX-License-Identifier: Apache-2.0
"""Quantizers of signals, where a new set of integers begins, and the network's end."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
from onnx import NodeProto

from qap2fpga.exact.thresholds import Affine, Levels
from qap2fpga.frontend import multithreshold, quantizers
from qap2fpga.frontend.checkpoint.widths import MAX_BITS
from qap2fpga.frontend.operators import SUPPORTED
from qap2fpga.frontend.values import RawNode, RawStep, Signal, Tensor, label, refused
from qap2fpga.frontend.walk import Walk
from qap2fpga.ir.graph import INPUT
from qap2fpga.ir.units import end_name
from qap2fpga.system.errors import QapError


def quant(walk: Walk, node: NodeProto) -> Tensor:
    """Return a quantized constant, or the activations that a quantizer makes of a signal."""
    value = walk.tensors.get(node.input[0])
    most = quantizers.WIDEST_CONSTANT if isinstance(value, np.ndarray) else MAX_BITS
    bits, levels, scale = quantizers.parameters(node, walk.constant, most)
    if isinstance(value, np.ndarray):
        walk.constant(node, 0)
        return quantizers.of_constant(node, value, bits, levels, scale)
    if not isinstance(value, Signal):
        raise refused(node, "it quantizes what is quantized already")
    levels = replace(levels, scale=tuple(walk.factors(node, 1, value)))
    if value.node == INPUT and not value.quantized:
        return _of_input(walk, node, value, bits, levels)
    return step(walk, node, value, bits, levels, levels.scale)


def truncate(walk: Walk, node: NodeProto) -> Signal:
    """Return the activations that a truncation makes of a signal."""
    value = walk.line(node)
    scales = tuple(walk.factors(node, 1, value))
    bits, levels, unit = quantizers.truncation(node, walk.constant, scales)
    return step(walk, node, value, bits, levels, unit)


def multi_threshold(walk: Walk, node: NodeProto) -> Signal:
    """Return the activations of a quantizer whose thresholds are stored one by one."""
    value = walk.signal(node)
    bits, levels = multithreshold.read(walk, node, value)
    if value.node == INPUT and not value.quantized:
        return _of_input(walk, node, value, bits, levels)
    return step(walk, node, value, bits, levels, levels.scale)


def _of_input(walk: Walk, node: NodeProto, value: Signal, bits: int, levels: Levels) -> Signal:
    of_input = multithreshold.of_input if levels.bounds else quantizers.of_input
    quantizer = of_input(node, value, levels)
    if walk.graph.input is not None and quantizer != walk.graph.input:
        raise refused(node, "the network's input has another quantizer already; one is supported")
    signal = _quantized(value, node.output[0], INPUT, bits, levels.scale)
    walk.graph.input, walk.graph.input_bits = quantizer, bits
    walk.graph.quantized_input = walk.graph.quantized_input or signal
    return signal


def step(walk: Walk, node: NodeProto, value: Signal, bits: int, levels: Levels, units: tuple[Fraction, ...]) -> Signal:
    """Return the activations of a quantizer's `levels`, worth `units`, which is a node of its own."""
    source = walk.graph.nodes.get(value.node)
    has_weights = isinstance(source, RawNode) and source.stored is not None
    name = walk.name(end_name(value.node) if has_weights else label(node))
    walk.add(RawStep(name, walk.rising(value), levels, bits, node.output[0], units))
    return _quantized(value, node.output[0], name, bits, units)


def _quantized(value: Signal, tensor: str, node: str, bits: int, units: tuple[Fraction, ...]) -> Signal:
    """The signal of a quantizer's integers."""
    affine = Affine.scaled(list(units))
    return replace(value, tensor=tensor, node=node, affine=affine, bits=bits, quantized=True, stages=())


def finish(walk: Walk, signal: Signal) -> None:
    """Note the output `signal`, the result of a quantizer or sums, and what it is worth."""
    graph = walk.graph
    if not graph.layers:
        raise QapError("the graph has no dense layer and no convolution", SUPPORTED)
    if signal.quantized and signal.bends:
        signal = walk.straight(walk.origin(signal), signal)
    affine = signal.affine
    same = len(set(affine.slope)) == 1 and affine.slope[0] > 0 and not any(affine.intercept)
    if signal.quantized and same:
        graph.output_scale = affine.slope[0]
    # Levels that channels scale or shift in ways of their own end in integers of one scale, as sums do.
    graph.ends = [replace(signal, quantized=signal.quantized and same)]
