# SPDX-License-Identifier: Apache-2.0
"""From the nodes of a QONNX graph to the integer network, exactly.

A quantizer becomes, per channel, the sorted integers where it steps up. Every step function rises: where a real value
falls with the integer that it is computed from (a negative batch-norm gamma), that channel's weights are negated, or a
node of its own turns its sign. What ends the network without a quantizer becomes integers of one common scale.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np

from qap2fpga.exact import integers as exact
from qap2fpga.exact.curves import thresholds_of
from qap2fpga.exact.thresholds import Levels, Truncation, thresholds
from qap2fpga.frontend.checkpoint.widths import MAX_BITS
from qap2fpga.frontend.values import RawGraph, RawNode, RawStep, Signal
from qap2fpga.ir.channelwise import Depthwise, Max
from qap2fpga.ir.functions import Logits, Step
from qap2fpga.ir.graph import INPUT, Graph
from qap2fpga.ir.linear import Linear
from qap2fpga.ir.nodes import Input, Node, Requantizer
from qap2fpga.ir.tensors import Range
from qap2fpga.ir.units import end_name
from qap2fpga.ir.windowed import Weighted
from qap2fpga.passes import exactness, logits
from qap2fpga.system.errors import ConstantNetwork, QapError


def lower(raw: RawGraph) -> Graph:
    """Return the integer network of `raw`, node for node (nothing is dropped yet); see also `fit_logits`.

    Raises `QapError` that names the node when it is pruned away whole or has scales that do not fit.
    """
    if raw.input is None:
        raise QapError("the network has no input quantizer", "give --input-data FILE or --input-range LOW,HIGH")
    _check_widths(raw)
    return _Lowering(raw).graph()


def _check_widths(raw: RawGraph) -> None:
    """An activation has a threshold per level: widths that nobody means would fill the memory."""
    widths = {"the input": raw.input_bits}
    for one in raw.nodes.values():
        if isinstance(one, RawStep):
            widths[f"layer {one.name}"] = one.bits
        elif isinstance(one.node, Weighted):
            widths[f"layer {one.name}"] = one.node.weight_bits
    for name, widest in widths.items():
        if widest > MAX_BITS:
            raise QapError(f"{name}: a bit width of {widest}", f"bit widths are 1 to {MAX_BITS}")


class _Lowering:
    """The integer nodes that were made of `raw` so far, with the ranges of their results."""

    def __init__(self, raw: RawGraph) -> None:
        assert raw.input is not None
        self.raw = raw
        source = Input(name=INPUT, size=raw.frame, quantizer=raw.input)
        self.nodes: dict[str, Node] = {INPUT: source}
        self.ranges: dict[str, Range] = {INPUT: source.range(())}
        # Nodes that are not there any more, and which one stands for each.
        self.instead: dict[str, str] = {}

    def graph(self) -> Graph:
        for raw in self._needed():
            if isinstance(raw, RawStep):
                self._step(raw)
            elif not (raw.turns and self._turn(raw)):
                self._node(raw)
        output, scale = self._end()
        return Graph(tuple(self.nodes.values()), output, scale, tuple(self.raw.notes))

    def _needed(self) -> list[RawNode | RawStep]:
        """The nodes of which something reaches the output."""
        wanted, needed = {self.raw.output.node}, []
        for raw in reversed(self.raw.nodes.values()):
            if raw.name in wanted:
                needed.append(raw)
                wanted.update(_sources(raw))
        return needed[::-1]

    def _add(self, node: Node) -> None:
        self.nodes[node.name] = node
        self.ranges[node.name] = node.range([self.ranges[source] for source in node.sources])

    def _source(self, name: str) -> str:
        return self.instead.get(name, name)

    def _node(self, raw: RawNode) -> None:
        if raw.stored is not None:
            _require_weights(raw)
        node = replace(raw.node, sources=tuple(self._source(name) for name in raw.node.sources))
        if isinstance(node, Linear | Depthwise) and not node.input_bits:
            node = replace(node, input_bits=self.ranges[node.sources[0]].bits)
        if raw.lowest and isinstance(node, Max):
            node = replace(node, geometry=replace(node.geometry, pad=self._lowest(node.sources[0])))
        self._add(node)

    def _lowest(self, name: str) -> int:
        """The smallest integer that there can be in any channel of the result of `name`."""
        node = self.nodes[name]
        if isinstance(node, Requantizer) and isinstance(node.function, Step):
            return node.function.low
        return self.ranges[name].lowest

    def _turn(self, raw: RawNode) -> bool:
        """Move the signs of `raw` into the weights of what it alone reads, if that has weights; return whether."""
        (source,) = raw.node.sources
        node = self.nodes[self._source(source)]
        readers = sum(source in _sources(other) for other in self.raw.nodes.values())
        alone = readers == 1 and self.raw.output.node != source
        if not alone or not isinstance(node, Linear | Depthwise):
            return False
        weights = exact.multiply_add(node.weights, raw.weights[0], 0, f"layer {node.name}")
        self._add(replace(node, weights=weights))
        self.instead[raw.name] = node.name
        return True

    def _step(self, raw: RawStep) -> None:
        source, signal, levels = self._source(raw.entering.node), raw.entering, raw.levels
        ends = self.ranges[source].ends
        whole = not levels.bounded and not isinstance(levels, Truncation)
        if not levels.bounded:
            levels = _bounded(levels, signal, ends)
        rows = [_thresholds(signal, channel, levels, *one) for channel, one in enumerate(ends)]
        base = levels.low - levels.zero_point
        function = Step(np.array(rows, np.int64).reshape(len(ends), -1), base, levels.step)
        if whole and _changes_nothing(function, ends):
            self.instead[raw.name] = source
            return
        self._add(Requantizer(name=raw.name, sources=(source,), function=function, bits=raw.bits))

    def _end(self) -> tuple[str, Fraction]:
        """The output, and what one unit of it is worth."""
        signal = self.raw.output
        source = self._source(signal.node)
        if self.raw.output_scale is not None:
            return source, self.raw.output_scale
        if signal.bends:
            what = "a LeakyRelu or another curve" if signal.stages else "a Relu or Clip"
            raise QapError(f"layer {source}: {what} ends the network", "quantize its output, or leave it out")
        # The scale of its outputs is chosen once there are vectors: `fit_logits`.
        end = logits.choose(signal.affine, np.zeros((0, signal.affine.channels), np.int64), self.ranges[source])
        name = exact_name(self.nodes, end_name(source))
        self._add(Requantizer(name=name, sources=(source,), function=end.logits))
        return name, end.scale


def _thresholds(signal: Signal, channel: int, levels: Levels, low: int, high: int) -> list[int]:
    """The smallest integer in `low..high + 1` that reaches each level above the lowest."""
    if signal.stages:
        return thresholds_of(signal.affine, signal.stages, channel, levels, low, high)
    return thresholds(signal.affine, channel, levels, low, high)


def _bounded(levels: Levels, signal: Signal, ends: list[tuple[int, int]]) -> Levels:
    """The levels that can be reached, of levels that have no bounds of their own."""
    values = ((channel, _value(signal, channel, integer)) for channel, both in enumerate(ends) for integer in both)
    reached = [levels.level(value, channel) for channel, value in values]
    return replace(levels, low=min(reached), high=max(*reached, min(reached) + 1))


def _value(signal: Signal, channel: int, integer: int) -> Fraction:
    """The exact real value of an integer, where every curve on the way has one."""
    value = signal.affine.value(channel, integer)
    for curve, affine in signal.stages:
        value = affine.of(channel, curve.value(value, channel))
    return value


def _changes_nothing(function: Step, ends: list[tuple[int, int]]) -> bool:
    """Whether each channel's integers `ends` (low, high) are what the function makes of them."""
    grid = np.arange(function.base + 1, function.high + 1)
    low, high = np.array(ends).T[:, :, None]
    covered = function.base <= low.min() and high.max() <= function.high
    return bool(covered) and np.array_equal(function.thresholds, np.clip(grid, low, high + 1))


def exact_name(nodes: dict[str, Node], name: str) -> str:
    """Return `name`, or one like it that no node has."""
    return name if name not in nodes else exact_name(nodes, f"{name}'")


def _sources(raw: RawNode | RawStep) -> tuple[str, ...]:
    return (raw.entering.node,) if isinstance(raw, RawStep) else raw.node.sources


def _require_weights(raw: RawNode) -> None:
    """Raise `ConstantNetwork` if all of a node's weights are 0."""
    assert raw.stored is not None
    if raw.weights.any():
        return
    if raw.stored.nonzero_floats:
        raise ConstantNetwork(
            f"layer {raw.name}: its quantizer makes 0 of each of the {raw.stored.nonzero_floats} weights that are not "
            "0",
            "the weights are not pruned: their scale is too large, or the quantizer takes no negative ones",
        )
    raise ConstantNetwork(
        f"layer {raw.name} is pruned away: every weight is zero", "prune it less; nothing would reach the output"
    )


def fit_logits(network: Graph, raw: RawGraph, vectors: np.ndarray, *, values: bool = False) -> Graph:
    """`network` with the scale of its outputs chosen for `values`, or for the exact class on `vectors` (n, inputs).

    A network that ends in a quantizer is returned as it is. The outputs are compared with their exact values.
    """
    last, affine = network[network.output], raw.output.affine
    if not isinstance(last, Requantizer) or not isinstance(last.function, Logits):
        return network
    (source,) = last.sources
    accumulators, span = network.result(source, vectors).reshape(-1, affine.channels), network.node_ranges[source]
    many = network.shapes[source].positions > 1
    end = logits.choose(affine, accumulators, span, values=values or many)
    exactness.check(affine, end, span, accumulators)
    ended = network.with_nodes(replace(last, function=end.logits))
    return replace(ended, output_scale=end.scale).with_notes(*end.notes)
