# SPDX-License-Identifier: Apache-2.0
"""What a report says of a network: layers, bit operations, accuracy, and what an added quantizer costs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from qap2fpga.frontend.values import RawGraph, RawLayer
from qap2fpga.ir import bops
from qap2fpga.ir.functions import Step
from qap2fpga.ir.graph import Graph
from qap2fpga.ir.tensors import Range
from qap2fpga.ir.units import Unit
from qap2fpga.passes import exactness
from qap2fpga.passes.scales import End


def describe(graph: RawGraph, lowered: Graph, network: Graph) -> dict[str, Any]:
    """The network as the graph has it (`lowered`) and as the hardware has it (`network`)."""
    per_layer = bops_of_layers(graph.layers)
    layers = [
        _layer(raw, count, layer, network.ranges[index].accumulator_bits)
        for index, (raw, count, layer) in enumerate(zip(graph.layers, per_layer, network.layers, strict=True))
    ]
    return {
        "inputs": lowered.inputs,
        "outputs": lowered.outputs,
        "input": {**asdict(lowered.input), "bits": graph.input_bits, "signed": lowered.input.signed},
        "output": _output(graph, lowered),
        "layers": layers,
        "bops": asdict(bops.total(per_layer)),
    }


def _output(graph: RawGraph, lowered: Graph) -> dict[str, Any]:
    """What one unit of an output is worth, and how far a value can be from the exact one, for all inputs."""
    last, scale = lowered.layers[-1].activation, lowered.output_scale
    if isinstance(last, Step):
        return {"kind": "levels", "scale": str(scale), "error": 0.0, "sign": True}
    affine, span = graph.layers[-1].affine, Range(*lowered.ranges[-1].accumulators)
    bound = exactness.error(affine, End(last, scale), span)
    return {
        "kind": "logits",
        "scale": str(scale),
        "error": math.nextafter(float(bound), math.inf) if bound else 0.0,
        "sign": exactness.signs_are_exact(affine, last, span),
    }


def bops_of_layer(layer: RawLayer, *, first: bool) -> bops.Bops:
    """BOPs of one layer as the graph has it, before compaction."""
    inputs, outputs = layer.weights.shape
    as_stored = (layer.nonzero_floats + layer.nonzero_biases) / (layer.weights.size + layer.biases)
    return bops.of_counts(
        inputs,
        outputs,
        int(np.count_nonzero(layer.weights)),
        as_stored,
        weight_bits=layer.weight_bits,
        input_bits=layer.input_bits,
        first=first,
    )


def bops_of_layers(layers: Sequence[RawLayer]) -> list[bops.Bops]:
    """BOPs of every layer, in order."""
    return [bops_of_layer(layer, first=index == 0) for index, layer in enumerate(layers)]


def _layer(raw: RawLayer, count: bops.Bops, compacted: Unit, accumulator_bits: int) -> dict[str, Any]:
    zeros = int(raw.weights.size - np.count_nonzero(raw.weights))
    return {
        "name": raw.name,
        "kind": compacted.kind,
        "inputs": raw.weights.shape[0],
        "outputs": raw.weights.shape[1],
        "weight_bits": raw.weight_bits,
        "input_bits": raw.input_bits,
        "output_bits": raw.output_bits,
        "weights": raw.weights.size,
        "zeros": zeros,
        "bops": asdict(count),
        "hardware": {
            "inputs": compacted.inputs,
            "outputs": compacted.outputs,
            "nonzeros": compacted.nonzeros,
            "weight_bits": compacted.weight_width,
            "accumulator_bits": accumulator_bits,
        },
    }


def accuracy(network: Graph, recorded: np.ndarray, labels: np.ndarray | None) -> float | None:
    """Part of the rows whose largest output is the labelled one; None without labels."""
    if labels is None or network.outputs == 1 or not len(recorded):
        return None
    return float((network.run(recorded).argmax(axis=1) == labels).mean())


def quantizer_cost(plain: np.ndarray, quantized: np.ndarray, labels: np.ndarray | None) -> dict[str, Any]:
    """What the added input quantizer does to the float model's outputs (n, outputs)."""
    before, after = plain.argmax(axis=1), quantized.argmax(axis=1)
    cost = difference(plain, quantized)
    if labels is not None and plain.shape[1] > 1:
        cost |= {"accuracy_raw": float((before == labels).mean()), "accuracy": float((after == labels).mean())}
    return cost


def difference(one: np.ndarray, other: np.ndarray) -> dict[str, Any]:
    """How far two float executions' outputs (n, outputs) are apart."""
    return {
        "rows": len(one),
        "same_class": float((one.argmax(axis=1) == other.argmax(axis=1)).mean()),
        "largest_difference": float(np.abs(one - other).max()),
    }
