# SPDX-License-Identifier: Apache-2.0
"""What of a dense layer its hardware is predicted from: measures of the weights, and of the shape alone.

Each measure is defined here or where it is imported from, once. `of_layer` needs the integer weights; `hls4ml`
needs only the shape, as the published tables of HLS runs state no weights.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from qap2fpga.backends.rtl.adders import signed_digits
from qap2fpga.backends.rtl.datapaths import datapaths
from qap2fpga.exact.integers import width
from qap2fpga.ir import bops
from qap2fpga.ir.channelwise import Depthwise
from qap2fpga.ir.graph import Graph
from qap2fpga.ir.units import Ranges, Unit
from qap2fpga.ir.windowed import Weighted

# From here on Vitis and Vivado HLS give a product with a weight of so many bits to a DSP block.
DSP_WEIGHT_BITS = 5
# Widths at which what a constant product costs is fitted; in between it is interpolated.
KNOTS = (2, 4, 6, 8, 10, 12, 14)


@dataclass(frozen=True)
class DenseFeatures:
    """Measures of one dense layer with known weights.

    - `inputs`, `outputs`: the layer's size; `fan_in`: most non-zero weights of a neuron; `fan_out`: most non-zero
      weights that read one input.
    - `nonzeros`: weights that are not zero, after integer rounding.
    - `bops`: Hawks et al. 2021, "Ps and Qs", equation 1 (`ir/bops.py`), in bit operations.
    - `nonzero_products`: sum of b_a b_w over the non-zero weights, as `qonnx.util.inference_cost` with
      `discount_sparsity=True`.
    - `ebops`: effective bit operations, see `ebops`.
    - `signed_digits`: non-zero digits of all weights in non-adjacent form (Reitwiesner 1960).
    - `adders`: two-operand adders and subtractors that sum these digits, nothing shared.
    - `adder_bits`: these, each as wide as its neuron's accumulator.
    - `accumulator_bits`: of a signed type that holds every accumulator that can be reached.
    - `positions`: how often a frame uses them, 1 of a dense layer. Bit operations are those of all positions.
    """

    inputs: int
    outputs: int
    fan_in: int
    fan_out: int
    nonzeros: int
    weight_bits: int
    input_bits: int
    accumulator_bits: int
    bops: float
    nonzero_products: int
    ebops: int
    signed_digits: int
    adders: int
    adder_bits: int
    positions: int = 1


def of_layer(layer: Unit, ranges: Ranges) -> DenseFeatures:
    """The measures of `layer`, whose inputs and accumulators reach `ranges`."""
    weights = layer.weights
    used = weights != 0
    operands = signed_digits(weights).sum(axis=0)
    adders = np.maximum(operands - 1, 0)
    low, high = ranges.accumulators
    widths = np.array([width(min(int(a), -1), int(b)) for a, b in zip(low, high, strict=True)])
    input_widths = [width(int(a), int(b)) for a, b in zip(*ranges.inputs, strict=True)]
    density = layer.nonzeros / weights.size
    return DenseFeatures(
        inputs=layer.inputs,
        outputs=layer.outputs,
        fan_in=int(used.sum(axis=0).max(initial=0)),
        fan_out=int(used.sum(axis=1).max(initial=0)),
        nonzeros=layer.nonzeros,
        weight_bits=layer.weight_bits,
        input_bits=layer.input_bits,
        accumulator_bits=ranges.accumulator_bits,
        bops=bops.equation(layer.inputs, layer.outputs, density, layer.input_bits, layer.weight_bits),
        nonzero_products=layer.nonzeros * layer.input_bits * layer.weight_bits,
        ebops=ebops(weights, np.array(input_widths)),
        signed_digits=int(operands.sum()),
        adders=int(adders.sum()),
        adder_bits=int((adders * widths).sum()),
    )


def of_network(network: Graph) -> dict[str, DenseFeatures]:
    """Return the measures of every node that multiplies, by name, as it is built: after compaction."""
    measures = {}
    for path in datapaths(network, "logits").values():
        one = of_layer(path.unit, path.ranges)
        if isinstance(path.node, Depthwise):
            # Each channel is a layer of its own, of as many inputs as the kernel has taps.
            taps, channels = path.node.weights.shape
            bits, density = (one.input_bits, one.weight_bits), one.nonzeros / path.node.weights.size
            one = replace(one, inputs=taps, bops=channels * bops.equation(taps, 1, density, *bits))
        if isinstance(path.node, Weighted):
            measures[path.unit.name] = _per_frame(one, network.shapes[path.node.name].positions)
    return measures


def _per_frame(one: DenseFeatures, positions: int) -> DenseFeatures:
    """The measures of a layer used at so many `positions`: its operations are repeated, its adders are not."""
    operations = ("bops", "nonzero_products", "ebops")
    return replace(one, positions=positions, **{name: positions * getattr(one, name) for name in operations})


def ebops(weights: np.ndarray, input_bits: np.ndarray) -> int:
    """Effective bit operations: the sum of b_a b_w over all products, where b_w are the bits of the weight between its
    highest and its lowest one (both counted, the sign not), and b_a the bits of the input, its sign counted.

    Sun et al. 2024, "Gradient-based Automatic Mixed Precision Quantization for Neural Networks On-Chip" (HGQ), section
    on EBOPs. `weights` are integers (inputs, outputs), `input_bits` is (inputs,).
    """
    magnitude = np.abs(weights).astype(np.int64)
    # Dividing by the lowest one leaves an odd number, whose length is the span.
    odd = magnitude // np.maximum(magnitude & -magnitude, 1)
    spans = np.ceil(np.log2(odd + 1)).astype(np.int64)
    return int((spans.sum(axis=1) * input_bits).sum())


@dataclass(frozen=True)
class Hls4mlLayer:
    """A dense layer of hls4ml, as far as the tables of HLS runs describe it; `strategy` is 'latency' or 'resource'."""

    inputs: int
    outputs: int
    weight_bits: int
    reuse_factor: int
    strategy: str

    @property
    def multipliers(self) -> int:
        """Products at a time: hls4ml's block factor (nnet_utils/nnet_dense_resource.h)."""
        return math.ceil(self.inputs * self.outputs / self.reuse_factor)


def _padded(number: int) -> int:
    """The next power of two: a multiplexer of any smaller number of ways is estimated as one of so many."""
    return 1 << (number - 1).bit_length()


def _weight_memories(layer: Hls4mlLayer) -> float:
    """Return the blocks of 18 kbit for the weights: `reuse_factor` words, each of the products at one time.

    A RAMB18 is 36 bits wide at 512 words, 18 at 1024 and 9 at 2048 (AMD UG473).
    """
    depth = max(512, _padded(layer.reuse_factor))
    return math.ceil(layer.multipliers * layer.weight_bits / max(36 * 512 / depth, 1))


def _products_near(bits: int) -> Callable[[Hls4mlLayer], float]:
    """Products, weighed by how near the weights' width is to `bits`: 1 there, 0 at the next width that is fitted.
    Weights narrower or wider than all of these count as the narrowest or widest."""
    step = KNOTS[1] - KNOTS[0]

    def near(layer: Hls4mlLayer) -> float:
        width = min(max(layer.weight_bits, KNOTS[0]), KNOTS[-1])
        return layer.inputs * layer.outputs * max(0.0, 1 - abs(width - bits) / step)

    return near


# Features of an hls4ml layer by name; calibration files give a coefficient to some of them.
HLS4ML: dict[str, Callable[[Hls4mlLayer], float]] = {
    "one": lambda layer: 1.0,
    "inputs": lambda layer: layer.inputs,
    "outputs": lambda layer: layer.outputs,
    "reuse_factor": lambda layer: layer.reuse_factor,
    "multipliers": lambda layer: layer.multipliers,
    "weight_word_bits": lambda layer: layer.multipliers * layer.weight_bits,
    "multipliers_in_dsp": lambda layer: layer.multipliers * (layer.weight_bits >= DSP_WEIGHT_BITS),
    # Bits that sums of so many inputs grow by, in all accumulators.
    "accumulator_growth_bits": lambda layer: layer.outputs * (layer.inputs - 1).bit_length(),
    # Each multiplier adds to any of the accumulators, and reads any of the inputs.
    "accumulator_ways": lambda layer: layer.multipliers * _padded(layer.outputs),
    "input_ways": lambda layer: layer.multipliers * _padded(layer.inputs),
    "weight_memories": _weight_memories,
    **{f"products_near_{bits}_bits": _products_near(bits) for bits in KNOTS},
    # In the latency strategy wide weights cost more LUTs than in the resource strategy.
    "latency_products_over_8_bits": lambda layer: (
        (layer.strategy == "latency") * layer.inputs * layer.outputs * max(0, layer.weight_bits - 8)
    ),
}  # fmt: skip


def hls4ml(layer: Hls4mlLayer) -> dict[str, float]:
    """All features of `layer` by name."""
    return {name: float(feature(layer)) for name, feature in HLS4ML.items()}
