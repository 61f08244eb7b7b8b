# SPDX-License-Identifier: Apache-2.0
"""One layer as one module: adders, then every channel's requantizer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qap2fpga.backends.rtl import requant
from qap2fpga.backends.rtl.adders import AdderGraph, Output
from qap2fpga.backends.rtl.circuit import Circuit, Delays
from qap2fpga.backends.rtl.netlist import verilog
from qap2fpga.backends.rtl.netlist.cells import Complement, Netlist
from qap2fpga.backends.rtl.netlist.wiring import Concat, Constant, Wire, extended, sliced, zeros
from qap2fpga.exact import integers as exact
from qap2fpga.exact.integers import width
from qap2fpga.ir.functions import Logits, Step
from qap2fpga.ir.units import Unit
from qap2fpga.requant.implementations import Implementation, Target

ZERO = Constant(0, 1, "b")
# With more results than these the outputs' own line is taken, and no cheaper implementation of their thresholds looked
# for.
LISTED = 1 << 17


@dataclass(frozen=True)
class Module:
    """One generated module."""

    name: str
    netlist: Netlist

    @property
    def outputs(self) -> tuple[tuple[int, int], ...]:
        """(low, high) of the lanes."""
        return tuple((wire.low, wire.high) for wire in self.netlist.outputs)

    @property
    def stages(self) -> int:
        """How many register stages deep."""
        return self.netlist.stages

    def verilog(self) -> str:
        """Return the text."""
        return verilog.module(self.name, self.netlist)


def falls(layer: Unit, channel: int, output: Output) -> bool:
    """Whether the channel's result falls while its node rises; its implementation then reads the node's complement."""
    activation = layer.activation
    falling = isinstance(activation, Logits) and int(activation.multiplier[channel]) < 0
    return (output.sign < 0) != falling


def target(layer: Unit, channel: int, output: Output, low: int, high: int) -> Target:
    """The channel's rising step function of x, which is its node, or the node's complement if it `falls`.

    `low..high` is the accumulator's reachable range, `accumulator = sign * unit * node`, and `node = -1 - ~node`.
    """
    if not output.factor:
        return Target(np.zeros(0, np.int64), 0, 0, _of_zero(layer, channel))
    unit = output.factor << max(output.shift, 0)
    flipped = falls(layer, channel, output)
    nodes = sorted((output.sign * low // unit, output.sign * high // unit))
    ends = (-nodes[1] - 1, -nodes[0] - 1) if flipped else (nodes[0], nodes[1])
    activation = layer.activation
    if isinstance(activation, Step):
        raw = -(-activation.thresholds[channel] // unit) - int(flipped)
        base = int((raw <= ends[0]).sum())
        return Target(raw[(raw > ends[0]) & (raw <= ends[1])].astype(np.int64), *ends, base)
    multiplier, offset = int(activation.multiplier[channel]) * output.sign * unit, int(activation.offset[channel])
    if flipped:
        multiplier, offset = -multiplier, offset - multiplier
    first, last = ((multiplier * end + offset) >> activation.shift for end in ends)
    if last - first > LISTED:
        return Target(np.zeros(0, np.int64), *ends, first, (multiplier, offset, activation.shift), last)
    line = (multiplier, offset, activation.shift) if multiplier > 0 else None
    # x from which on a level is reached: the quotient rounded up.
    above = np.arange(first + 1, last + 1)
    name = f"layer {layer.name}, channel {layer.channel_name(channel)}"
    thresholds = -exact.quotients(above, -(1 << activation.shift), offset, multiplier, name) if len(above) else above
    return Target(thresholds, *ends, first, line)


def stands_for(layer: Unit, channel: int, output: Output) -> tuple[int, int]:
    """(scale, start): the accumulator is `scale * x + start`, x being what the channel's `target` is a function of."""
    scale = output.sign * (output.factor << max(output.shift, 0))
    return (-scale, -scale) if output.factor and falls(layer, channel, output) else (scale, 0)


def _of_zero(layer: Unit, channel: int) -> int:
    """The channel's count or logit for accumulator 0."""
    activation = layer.activation
    if isinstance(activation, Step):
        return int((activation.thresholds[channel] <= 0).sum())
    return int(activation.offset[channel]) >> activation.shift


def build(
    name: str, layer: Unit, graph: AdderGraph, implementations: list[Implementation] | None,
    lanes: list[tuple[int, int]], results_in: list[tuple[int, int]], clock_ns: float, delays: Delays,
    levels: Step | None = None,
) -> Module:  # fmt: skip
    """The module `name`; `lanes` and `results_in` are the (low, high) of its inputs and outputs.

    Without `implementations` accumulators come out; with `levels`, which is the layer's function, its levels, not how
    many thresholds they stand for.
    """
    circuit = Circuit(clock_ns, delays)
    nodes = circuit.inputs(lanes)
    lows, highs = (np.array(ends, np.int64) for ends in zip(*lanes, strict=True))
    ranges = graph.ranges(lows, highs)
    circuit.comment(f"{len(graph.adders)} adders for {layer.nonzeros} weights that are not zero")
    for number, one in enumerate(graph.adders, start=len(lanes)):
        left, right = nodes[one.left], nodes[one.right]
        nodes.append(circuit.add(left, right, one.shift, one.left_sign, one.right_sign, ranges[number]))
    results = []
    for channel, output in enumerate(graph.outputs):
        node = _whole(circuit, nodes[output.node], output)
        if implementations is None:
            results.append(_accumulator(circuit, node, output))
            continue
        implementation = implementations[channel]
        circuit.comment(f"channel {layer.channel_name(channel)}: {describe(implementation)}")
        results.append(
            requant.build(circuit, implementation, complement(circuit, node) if falls(layer, channel, output) else node)
        )
    if levels is not None:
        results = [_level(circuit, *pair, levels) for pair in zip(results, results_in, strict=True)]
    ends = [narrowed(*pair) for pair in zip(results, results_in, strict=True)]
    return Module(name, circuit.netlist(ends))


def _level(circuit: Circuit, count: Wire, ends: tuple[int, int], step: Step) -> Wire:
    """The level in `ends` that `count` thresholds stand for."""
    low, high = ((end - step.base) // step.step for end in ends)
    return requant.level(circuit, narrowed(count, (low, high)), step)


def _whole(circuit: Circuit, node: Wire, output: Output) -> Wire:
    """The node that `output` reads, without low bits that are always zero."""
    if output.shift >= 0:
        return node
    low, high = node.low >> -output.shift, node.high >> -output.shift
    return circuit.wiring(sliced(node, -output.shift, width(low, high)), low, high, node.stage, node.ready)


def narrowed(wire: Wire, limits: tuple[int, int]) -> Wire:
    """`wire`, known to lie in `limits`: fewer of its bits if that takes fewer."""
    narrow = Wire(wire.net, *limits, wire.stage, wire.ready)
    if narrow.bits > wire.bits:
        raise AssertionError(f"{wire} cannot hold {limits}")
    return narrow


def complement(circuit: Circuit, wire: Wire) -> Wire:
    """`~wire`, that is -wire - 1; it costs nothing, since the LUTs after it absorb it."""
    low, high = -wire.high - 1, -wire.low - 1
    return circuit.put(Complement(circuit.new(low, high, wire.stage, wire.ready), extended(wire, width(low, high))))


def _accumulator(circuit: Circuit, node: Wire, output: Output) -> Wire:
    """The accumulator itself, from its node."""
    if not output.factor or node.low == node.high == 0:
        return circuit.wiring(ZERO, 0, 0, node.stage, 0.0)
    wire = node
    for shift in _digits(output.factor):
        wire = circuit.add(wire, node, shift, 1, 1) if shift else wire
    if output.sign < 0:
        zero = circuit.wiring(ZERO, 0, 0, wire.stage, 0.0)
        wire = circuit.add(zero, wire, 0, 1, -1)
    if output.shift > 0:
        low, high = wire.low << output.shift, wire.high << output.shift
        vector = Concat((extended(wire, width(low, high) - output.shift), zeros(output.shift)))
        wire = circuit.wiring(vector, low, high, wire.stage, wire.ready)
    return wire


def _digits(factor: int) -> list[int]:
    """Places of the one bits of `factor`, which is odd."""
    return [bit for bit in range(factor.bit_length()) if factor >> bit & 1]


def describe(implementation: Implementation) -> str:
    """One line for people."""
    kind = type(implementation).__name__.lower()
    terms = getattr(implementation, "terms", None)
    if terms is None:
        return kind
    slope = " ".join(f"{'+' if sign > 0 else '-'} x*2^{shift}" for sign, shift in terms)
    segments = f", {1 << implementation.bits} offsets" if implementation.bits else ""  # type: ignore[union-attr]
    return f"({slope.removeprefix('+ ')}) >> {implementation.shift}{segments}"  # type: ignore[union-attr]


__all__ = ["Module", "build", "complement", "describe", "falls", "stands_for", "target"]
