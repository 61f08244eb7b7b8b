# SPDX-License-Identifier: Apache-2.0
"""What a report says of a network: layers, bit operations, accuracy, and what an added quantizer costs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np

from qap2fpga.exact.integers import width
from qap2fpga.frontend.values import RawGraph, RawNode
from qap2fpga.ir import bops, described, shown
from qap2fpga.ir.bops import Bops, Sizes
from qap2fpga.ir.channelwise import Depthwise
from qap2fpga.ir.functions import Logits
from qap2fpga.ir.graph import Graph
from qap2fpga.ir.nodes import Requantizer
from qap2fpga.ir.quantizer import InputQuantizer
from qap2fpga.ir.shown import Described, Frame, Head
from qap2fpga.ir.windowed import Weighted
from qap2fpga.passes import exactness
from qap2fpga.passes.scales import End
from qap2fpga.system.codec import encode

# What a record has of a layer whose kernel moves.
KERNEL = ("positions", "kernel", "stride", "dilation", "pads")


@dataclass(frozen=True)
class Output:
    """What leaves the network: 'levels' of a quantizer, or 'logits'.

    One unit is worth `scale`, an exact fraction. `error` is the most that a value can be off its exact one, for all
    inputs; `sign`: whether every sign is exact.
    """

    kind: str
    scale: str
    error: float
    sign: bool


@dataclass(frozen=True)
class Hardware:
    """The extents of a layer after compaction, and the widths of its integers in bits."""

    inputs: int
    outputs: int
    nonzeros: int
    weight_bits: int
    accumulator_bits: int


@dataclass(frozen=True)
class Layer:
    """A layer as the model has it: extents, the quantizers' widths in bits, how many of its weights are zero.

    `kind` is 'dense', 'conv' or 'depthwise'; `kernel` (rows, columns) moves over as many `positions`, with `pads` (top,
    left, bottom, right) beyond the borders. They are None of a dense layer.
    """

    name: str
    kind: str
    inputs: int
    outputs: int
    weight_bits: int
    input_bits: int
    output_bits: int | None
    weights: int
    zeros: int
    bops: Bops
    hardware: Hardware
    positions: int | None = None
    kernel: tuple[int, int] | None = None
    stride: tuple[int, int] | None = None
    dilation: tuple[int, int] | None = None
    pads: tuple[int, int, int, int] | None = None

    def record(self) -> dict[str, object]:
        """Return the plain values that a report keeps."""
        plain = asdict(self)
        return plain if self.positions is not None else {k: v for k, v in plain.items() if k not in KERNEL}


@dataclass(frozen=True)
class Network:
    """The network: integers of a frame that come in (of `input_bits`) and go out, its layers, and their sum of BOPs.

    `frame` is None where rows of the model are vectors, `nodes` are none of a chain of dense layers. `heads` are the
    model's outputs, where it has several.
    """

    inputs: int
    outputs: int
    input: InputQuantizer
    input_bits: int
    output: Output
    layers: tuple[Layer, ...]
    bops: Bops
    frame: Frame | None = None
    nodes: tuple[Described, ...] = ()
    heads: tuple[Head, ...] = ()

    def record(self) -> dict[str, object]:
        """Return the plain values that a report keeps."""
        graph = {
            "frame": encode(self.frame),
            "nodes": [encode(node) for node in self.nodes],
            "heads": [encode(head) for head in self.heads],
        }
        return {
            "inputs": self.inputs,
            "outputs": self.outputs,
            "input": {**asdict(self.input), "bits": self.input_bits, "signed": self.input.signed},
            "output": asdict(self.output),
            "layers": [layer.record() for layer in self.layers],
            "bops": asdict(self.bops),
            **{name: one for name, one in graph.items() if one},
        }


@dataclass(frozen=True)
class Difference:
    """How far two float executions are apart on `rows`: the fraction of one class, and the largest difference."""

    rows: int
    same_class: float
    largest_difference: float


@dataclass(frozen=True)
class QuantizerCost(Difference):
    """What an added input quantizer does; the accuracies without (`raw`) and with it, None without labels."""

    accuracy_raw: float | None = None
    accuracy: float | None = None


@dataclass(frozen=True)
class Facts:
    """What is known of a model file's network.

    `rows` of `data` were recorded vectors; `masked` counts pruned weights per layer. `input_quantizer_cost` is None
    where none was added, `export` where torch and QONNX were not compared, `accuracy` without labels.
    """

    file: str
    data: str | None
    rows: int
    network: Network
    masked: Mapping[str, int] | None
    input_quantizer_cost: QuantizerCost | None
    export: Difference | None
    accuracy: float | None
    notes: tuple[str, ...]

    def record(self) -> dict[str, object]:
        """Return the plain values that a report keeps, without what there is none of."""
        extra = {"masked": self.masked, "input_quantizer_cost": self.input_quantizer_cost, "export": self.export}
        return {
            "file": self.file,
            "data": self.data,
            "rows": self.rows,
            **self.network.record(),
            **{name: _without_none(value) for name, value in extra.items() if value is not None},
            "accuracy": self.accuracy,
            "notes": list(self.notes),
        }


def _without_none(value: Mapping[str, int] | Difference) -> dict[str, object]:
    plain = value if isinstance(value, Mapping) else asdict(value)
    return {name: one for name, one in plain.items() if one is not None}


def describe(graph: RawGraph, lowered: Graph, network: Graph) -> Network:
    """Return the network as the model has it (`lowered`, read as `graph`) and as the hardware has it (`network`)."""
    counts = count(graph, lowered)
    layers = [_layer(raw, lowered, network, counts[raw.name]) for raw in graph.layers if raw.name in counts]
    return Network(
        lowered.inputs,
        lowered.outputs,
        lowered.input,
        graph.input_bits,
        _output(graph, lowered),
        tuple(layers),
        bops.total(counts.values()),
        _frame(graph),
        () if lowered.is_chain else described.nodes(lowered),
        graph.heads,
    )


def _frame(graph: RawGraph) -> Frame | None:
    """How a row of the model becomes a frame; None where both are the same vector."""
    shape, axes = graph.frame, graph.input_axes
    if axes.shape == (shape.channels,):
        return None
    return shown.frame((shape.height, shape.width, shape.channels), axes.shape, axes.factors)


def count(graph: RawGraph, lowered: Graph) -> dict[str, Bops]:
    """Return the BOPs of every node of `lowered`, which was read as `graph`."""
    densities = {layer.name: layer.stored_density for layer in graph.layers if layer.stored_density is not None}
    groups = {layer.name: layer.groups for layer in graph.layers}
    sizes = {layer.name: _sizes(layer, lowered) for layer in graph.layers if layer.sizes is not None}
    return lowered.bops(densities, groups, sizes)


def _sizes(layer: RawNode, lowered: Graph) -> Sizes:
    """The bits of each input of a layer, as far as they are reached, and of each weight."""
    node = lowered[layer.name]
    assert layer.sizes is not None and isinstance(node, Weighted)
    ends = lowered.node_ranges[node.sources[0]].ends
    bits = np.array([min(width(*one), node.input_bits) for one in ends])
    if isinstance(node, Depthwise):
        return Sizes(np.broadcast_to(bits, layer.sizes.shape), layer.sizes)
    each = np.tile(bits, len(layer.sizes) // len(bits))[:, None]
    return Sizes(np.broadcast_to(each, layer.sizes.shape), layer.sizes)


def _output(graph: RawGraph, lowered: Graph) -> Output:
    """What one unit of an output is worth, and how far a value can be from the exact one, for all inputs."""
    end, scale = lowered[lowered.output], lowered.output_scale
    if not isinstance(end, Requantizer) or not isinstance(end.function, Logits):
        return Output("levels", str(scale), 0.0, sign=True)
    affine, span = graph.output.affine, lowered.node_ranges[end.sources[0]]
    bound = exactness.error(affine, End(end.function, scale), span)
    rounded_up = math.nextafter(float(bound), math.inf) if bound else 0.0
    return Output("logits", str(scale), rounded_up, sign=exactness.signs_are_exact(affine, end.function, span))


def _layer(raw: RawNode, lowered: Graph, network: Graph, counted: Bops) -> Layer:
    node, name, groups = lowered[raw.name], raw.name, raw.groups
    assert isinstance(node, Weighted)
    readers = [one for one in lowered.readers(name) if isinstance(one, Requantizer)]
    kind = "depthwise" if isinstance(node, Depthwise) else described.in_words(node, lowered.shapes[name])[0]
    geometry = node.geometry
    moves = (lowered.shapes[name].positions, geometry.kernel, geometry.stride, geometry.dilation, geometry.pads)
    return Layer(
        name,
        kind,
        node.inputs // groups,
        node.outputs,
        node.weight_bits,
        node.input_bits,
        readers[0].bits if len(readers) == 1 else None,
        node.weights.size // groups,
        node.weights.size // groups - node.nonzeros,
        counted,
        _hardware(name, network),
        *(() if kind == "dense" else moves),
    )


def _hardware(name: str, network: Graph) -> Hardware:
    """What compaction has left of a layer, which may be nothing."""
    node = next((one for one in network.weighted if one.name == name), None)
    if node is None:
        return Hardware(0, 0, 0, 0, 0)
    bits = network.node_ranges[name].signed_bits
    return Hardware(node.inputs, node.outputs, node.nonzeros, node.weight_width, bits)


def accuracy(network: Graph, recorded: np.ndarray, labels: np.ndarray | None) -> float | None:
    """Return the fraction of the rows whose largest output is the labelled one; None without labels."""
    if labels is None or network.outputs == 1 or not len(recorded):
        return None
    return float((network.run(recorded).argmax(axis=1) == labels).mean())


def quantizer_cost(plain: np.ndarray, quantized: np.ndarray, labels: np.ndarray | None) -> QuantizerCost:
    """Return what the added input quantizer does to the float model's outputs (n, outputs)."""
    accuracies: list[float | None] = [None, None]
    if labels is not None and plain.shape[1] > 1:
        accuracies = [float((outputs.argmax(axis=1) == labels).mean()) for outputs in (plain, quantized)]
    return QuantizerCost(**asdict(difference(plain, quantized)), accuracy_raw=accuracies[0], accuracy=accuracies[1])


def difference(one: np.ndarray, other: np.ndarray) -> Difference:
    """Return how far two float executions' outputs (n, outputs) are apart."""
    same = float((one.argmax(axis=1) == other.argmax(axis=1)).mean())
    return Difference(len(one), same, float(np.abs(one - other).max()))
