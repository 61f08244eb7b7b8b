# SPDX-License-Identifier: Apache-2.0
"""From the layers of a QONNX graph to the integer network, exactly.

A hidden layer becomes integer weights and, a channel, the sorted accumulator values where its quantizer steps
up. A channel whose real value falls with the accumulator (a negative batch-norm gamma) has its weights negated,
so that every step function rises. The last layer becomes integers of one common scale.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np

from qap2fpga.exact import integers as exact
from qap2fpga.exact.thresholds import Affine, thresholds
from qap2fpga.frontend.values import RawGraph, RawLayer
from qap2fpga.ir.functions import Logits, Step
from qap2fpga.ir.graph import Graph, chain
from qap2fpga.ir.tensors import Range
from qap2fpga.ir.units import Unit, dense
from qap2fpga.passes import exactness, logits
from qap2fpga.system.errors import ConstantNetwork, QapError


def lower(graph: RawGraph) -> Graph:
    """Return the integer network of `graph`, layer for layer (nothing is dropped yet); see also `fit_logits`.

    Raises `QapError` that names the layer when it is pruned away whole or has scales that do not fit.
    """
    if graph.input is None:
        raise QapError("the network has no input quantizer", "give --input-data FILE or --input-range LOW,HIGH")
    low = np.full(graph.layers[0].weights.shape[0], graph.input.low)
    high = np.full(graph.layers[0].weights.shape[0], graph.input.high)
    layers: list[Unit] = []
    output_scale = graph.output_scale
    for raw in graph.layers:
        if not raw.weights.any() and raw.nonzero_floats:
            raise ConstantNetwork(
                f"layer {raw.name}: its quantizer makes 0 of each of the {raw.nonzero_floats} weights that are not 0",
                "the weights are not pruned: their scale is too large, or the quantizer takes no negative ones",
            )
        if not raw.weights.any():
            raise ConstantNetwork(
                f"layer {raw.name} is pruned away: every weight is zero",
                "prune it less; nothing would reach the output",
            )
        if raw.levels is not None:
            layer = _hidden(raw, low, high)
        else:
            # The scale of its outputs is chosen once there are vectors: `fit_logits`.
            layer, output_scale = _last(raw, low, high)
        layers.append(layer)
        low, high = layer.activation.range(*layer.range(low, high))
    return chain(tuple(layers), graph.input, output_scale, tuple(graph.notes))


def _dense(raw: RawLayer, weights: np.ndarray, activation: Step | Logits) -> Unit:
    return dense(raw.name, weights, activation, raw.weight_bits, raw.input_bits, raw.output_bits)


def rising(raw: RawLayer) -> tuple[np.ndarray, Affine]:
    """Return the layer's weights and affine map with the sign of falling channels moved into the weights."""
    signs = np.array([-1 if slope < 0 else 1 for slope in raw.affine.slope])
    weights = exact.multiply_add(raw.weights, signs, 0, f"layer {raw.name}")
    return weights, replace(raw.affine, slope=tuple(abs(slope) for slope in raw.affine.slope))


def _hidden(raw: RawLayer, low: np.ndarray, high: np.ndarray) -> Unit:
    assert raw.levels is not None
    weights, affine = rising(raw)
    lowest, highest = exact.matmul_range(low, high, weights, f"the accumulators of layer {raw.name}")
    rows = [
        thresholds(affine, channel, raw.levels, int(lowest[channel]), int(highest[channel]))
        for channel in range(affine.channels)
    ]
    base = raw.levels.low - raw.levels.zero_point
    return _dense(raw, weights, Step(np.array(rows, np.int64).reshape(affine.channels, -1), base, raw.levels.step))


def fit_logits(network: Graph, graph: RawGraph, vectors: np.ndarray, *, values: bool = False) -> Graph:
    """`network` with the scale of its outputs chosen for `values`, or for the exact class on `vectors` (n, inputs).

    A network that ends in a quantizer is returned as it is. The outputs are compared with their exact values.
    """
    last, raw = network.layers[-1], graph.layers[-1]
    if isinstance(last.activation, Step):
        return network
    accumulators, span = network.trace(vectors)[last.name], Range(*network.ranges[-1].accumulators)
    end = logits.choose(raw.affine, accumulators, span, values=values)
    exactness.check(raw.affine, end, span, accumulators)
    ended = network.with_nodes(last.changed(activation=end.logits).requantizer)
    return replace(ended, output_scale=end.scale).with_notes(*end.notes)


def _last(raw: RawLayer, low: np.ndarray, high: np.ndarray) -> tuple[Unit, Fraction]:
    if raw.affine.clips:
        raise QapError(f"layer {raw.name}: a Relu or Clip ends the network", "quantize its output, or leave it out")
    span = Range(*exact.matmul_range(low, high, raw.weights, f"the accumulators of layer {raw.name}"))
    end = logits.choose(raw.affine, np.zeros((0, len(span.low)), np.int64), span)
    return _dense(raw, raw.weights, end.logits), end.scale


def meanings(graph: RawGraph) -> list[RawLayer]:
    """Return the layers of `graph` with the real meaning that the lowered network's accumulators have, in order."""
    return [raw if raw.levels is None else replace(raw, affine=rising(raw)[1]) for raw in graph.layers]
