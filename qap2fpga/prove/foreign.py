# SPDX-License-Identifier: Apache-2.0
"""Another tool's Verilog, of a fixed latency, computes the network's integers: layer by layer along the graph.

Between its ports it is logic without registers (`latency.py`). Each layer's results are looked for there, and proven to
be what they are taken for (`located.py`), before the next one is looked at; those of the last layer lie at the port.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from qap2fpga.exact.integers import matmul, multiply_add, shifted, width
from qap2fpga.ir.channelwise import Max
from qap2fpga.ir.functions import Function, Logits, Step
from qap2fpga.ir.graph import Graph
from qap2fpga.ir.nodes import Requantizer
from qap2fpga.prove import affine, classes
from qap2fpga.prove.cells import Bits, NotProven
from qap2fpga.prove.ground import Ground, Result, hidden
from qap2fpga.prove.latency import NO_CLOCK, combinational
from qap2fpga.prove.layers import Channels
from qap2fpga.prove.linear import Lane, Value
from qap2fpga.prove.located import Sums, locate
from qap2fpga.prove.reading import Module
from qap2fpga.prove.signatures import vectors

ACCUMULATORS, CLASS = "accumulators", "class"
# What tells inputs that the hardware does not take from results that lie nowhere.
FIRST_UNTAKEN = 1 << 40


@dataclass(frozen=True)
class Number:
    """A value at a port: its bits; times 2 to the `exponent` it is the network's integer."""

    bits: int
    signed: bool
    exponent: int = 0


@dataclass(frozen=True)
class Ports:
    """Two ports and the values at them, the first in the lowest bits; what is above them is zeros.

    `clock` is empty where there is none; `reset` has the value `running` while frames come in.
    """

    input: str
    inputs: tuple[Number, ...]
    output: str
    outputs: tuple[Number, ...]
    latency: int
    clock: str = ""
    reset: str = ""
    running: int = 1


def prove(
    module: Module, ports: Ports, network: Graph, kind: str, place: Path, limit_s: float, say: Callable[[str], None]
) -> str:  # fmt: skip
    """Return what was compared. Raises `NotProven`; ABC has `limit_s`. `kind` of outputs as in `ir.outputs`."""
    values, inputs, same = _inputs(ports, network, module)
    outputs = module.outputs.get(ports.output, ())
    clock = module.single(ports.clock) if ports.clock else NO_CLOCK
    fixed = {module.single(ports.reset): ports.running} if ports.reset else {}
    logic = combinational(module, clock, fixed, inputs, outputs, ports.latency, same)
    walk = Walk(Ground(logic.parts, logic.named), values, network, logic.outputs, say)
    lanes = _lanes(logic.outputs, ports.outputs)
    if kind == CLASS:
        walk.until(network.output, itself=True)
        walk.classes(lanes, place, limit_s)
    else:
        last = network.end.sources[0] if kind == ACCUMULATORS else network.output
        walk.until(last, itself=False)
        walk.end(last, lanes, ports.outputs)
    when = f"{ports.latency} cycles" if ports.clock else "no registers"
    return f"{walk.count} layers, {when}, {walk.cases:,} accumulators"


class Walk:
    """A network along its nodes, beside the logic of `ground`, whose inputs are `values`."""

    def __init__(
        self, ground: Ground, values: Sequence[Value], network: Graph, outputs: Bits, say: Callable[[str], None]
    ) -> None:
        self.ground, self.network, self.outputs, self.say = ground, network, outputs, say
        source = network.source.name
        self.results: dict[str, list[Result]] = {source: [Result(value) for value in values]}
        self.affine = {source: affine.result(source, network.inputs)}
        self.count = self.cases = 0

    def until(self, last: str, *, itself: bool) -> None:
        """Prove the results that the node `last` depends on, and those of it `itself`."""
        needed = {last}
        for node in reversed(self.network.nodes):
            needed |= set(node.sources) if node.name in needed else set()
        for node in self.network.nodes[1:]:
            if node.name not in needed or (node.name == last and not itself and isinstance(node, Requantizer)):
                continue
            shapes = [self.network.shapes[source] for source in node.sources]
            size = self.network.shapes[node.name].size
            if isinstance(node, Max):
                raise NotProven(f"node {node.name}: largest values of windows are not looked for")
            if isinstance(node, Requantizer):
                sums = self.sums(node.name, node.sources[0], self._function(node))
                self.say(f"layer {sums.name}: {size} results")
                others, whole = self._read_later(node.name, needed), itself and node.name == last
                self.results[node.name], cases = locate(self.ground, sums, others, self.outputs, whole)
                self.affine[node.name] = affine.result(node.name, size)
                self.count, self.cases = self.count + 1, self.cases + cases
            else:
                self.affine[node.name] = affine.through(node, [self.affine[one] for one in node.sources], shapes, size)

    def _read_later(self, name: str, needed: AbstractSet[str]) -> list[Value]:
        """Return results of other nodes that nodes after `name` read as well."""
        names = [node.name for node in self.network.nodes]
        done = names[: names.index(name)]
        later = {one for node in self.network.nodes[len(done) + 1 :] if node.name in needed for one in node.sources}
        read = {of for one in later & self.affine.keys() for of in self.affine[one].weights}
        return [one.value for of in read for one in self.results[of]]

    def _function(self, node: Requantizer) -> Function:
        """Return the function of each value of a frame."""
        shape = self.network.shapes[node.name]
        return node.function.select(np.arange(shape.size) % shape.channels)

    def sums(self, name: str, source: str, function: Function | None) -> Sums:
        """Return the sums of the node `source`, and the `function` of them, over what is known of other nodes."""
        its, shape = self.affine[source], self.network.shapes[source]
        every = [one for node in its.weights for one in self.results[node]]
        weights = np.concatenate([*its.weights.values(), np.zeros((0, shape.size), np.int64)])
        lacking = {int(column): one.missing for row, one in enumerate(every) if one.missing is not None
                   for column in np.flatnonzero(weights[row])}  # fmt: skip
        # A result that is known by another code is a factor, and a constant of its sums.
        split = [(row, *one.split()) for row, one in enumerate(every) if weights[row].any()]
        known = [(row, factor, value) for row, _, parts in split for factor, value in parts]
        factors = np.array([factor for _, factor, _ in known], np.int64)[:, None]
        scaled = multiply_add(weights[[row for row, _, _ in known]], factors, 0, name)
        offsets = np.array([[one for _, one, _ in split]], np.int64)
        added = matmul(offsets, weights[[row for row, _, _ in split]], name)[0]
        constants = multiply_add(added, 1, its.constants, name)
        if constants.any():
            ones = np.ones(shape.size, np.int64)
            function = (function or Logits(ones, ones * 0, 0, None)).fed(ones, constants, name)
        names = tuple(self._name(source, at) for at in range(shape.size))
        return Sums(source, tuple(value for _, _, value in known), scaled, function, names, lacking)

    def _name(self, node: str, at: int) -> str:
        """Return what messages call a result of a node."""
        position, channel = divmod(at, self.network.shapes[node].channels)
        where = f" at position {position}" if self.network.shapes[node].positions > 1 else ""
        return self.network[node].channel_name(channel) + where

    def end(self, last: str, lanes: Sequence[Lane], numbers: Sequence[Number]) -> None:
        """Prove that the results of the node `last` lie on `lanes`."""
        node = self.network[last]
        source, function = (node.sources[0], self._function(node)) if isinstance(node, Requantizer) else (last, None)
        sums = self.sums(last, source, function)
        if len(lanes) != len(sums.names):
            raise NotProven(f"the output has {len(lanes)} values, the network {len(sums.names)}")
        cut = self.ground.cut(sums.values, vectors(sums.values, sums.weights))
        for at, lane in enumerate(lanes):
            if not all(bit in cut.bits for bit in lane.bits):
                what = NotProven(f"output {at}: it depends on more than the results of layers before it")
                raise sums.lacking.get(at, what)
        bits = tuple(bit for lane in lanes for bit in lane.bits)
        channels = Channels(self.ground.pipeline(cut.parts, sums.values), sums.layer, sums.values, bits)
        for at, (lane, number) in enumerate(zip(lanes, numbers, strict=True)):
            its, scaled = _scaled(lane, number, sums.function, f"output {at}", len(lanes))
            try:
                self.cases += channels.prove(at, its, scaled)[1]
            except NotProven as error:
                raise sums.lacking.get(at, error) from error
        self.count += 1

    def classes(self, lanes: Sequence[Lane], place: Path, limit_s: float) -> None:
        """Prove that the one lane is the number of the largest result."""
        values = []
        for one in self.results[self.network.output]:
            if one.missing is not None:
                raise one.missing
            values.append(one.value)
        (lane,) = lanes
        cut = self.ground.cut(values, vectors(values, np.eye(len(values), dtype=np.int64)))
        if not all(bit in cut.bits for bit in lane.bits):
            raise NotProven("the class depends on more than the results of the last layer")
        classes.prove(self.ground.pipeline(cut.parts, values), values, lane.bits, place, limit_s)


def _scaled(
    lane: Lane, number: Number, function: Function | None, what: str, size: int
) -> tuple[Lane, Function | None]:
    """Return a lane and the `function`, of `size` channels, in one unit: the network's, or a smaller one."""
    places = number.exponent
    if places >= 0:
        return replace(lane, bits=(0,) * places + lane.bits), function
    if isinstance(function, Step) or (function is not None and function.shift):
        if any(lane.bits[:-places]):
            raise NotProven(f"{what}: bits below the network's unit are no zeros")
        return replace(lane, bits=lane.bits[-places:] or (0,)), function
    ones = np.ones(size, np.int64)
    function = function or Logits(ones, ones * 0, 0, None)
    multiplier, offset = (shifted(one, -places, what) for one in (function.multiplier, function.offset))
    return lane, replace(function, multiplier=multiplier, offset=offset)


def _lanes(bits: Bits, numbers: Sequence[Number]) -> list[Lane]:
    lanes, at = list[Lane](), 0
    for one in numbers:
        # A value without bits is 0.
        lanes.append(Lane(bits[at : at + one.bits] or (0,), one.signed))
        at += one.bits
    return lanes


def _inputs(ports: Ports, network: Graph, module: Module) -> tuple[list[Value], Bits, dict[int, int]]:
    """Return the integers that come in, the bits that they lie on, and bits that are copies of these, or zeros."""
    bits, at = module.inputs.get(ports.input, ()), 0
    ends = network.node_ranges[network.source.name].ends * network.source.size.positions
    if len(ports.inputs) != len(ends) or sum(one.bits for one in ports.inputs) > len(bits):
        raise NotProven("the input's port is not as it is described")
    values, leaves, same = list[Value](), list[int](), dict[int, int]()
    for number, (one, (low, high)) in enumerate(zip(ports.inputs, ends, strict=True)):
        its, size = bits[at : at + one.bits], width(low, high)
        at += one.bits
        if not one.bits:
            values.append(hidden(FIRST_UNTAKEN + number, low, high))
            continue
        if len(its) < size or (low < 0 and not one.signed):
            raise NotProven(f"the input's port does not hold {low} to {high}")
        # Above those that hold the range, bits repeat its sign, or are 0.
        same.update(dict.fromkeys(its[size:], its[size - 1] if low < 0 else 0))
        values.append(Value(its[:size], low < 0, low, high))
        leaves += its
    same.update(dict.fromkeys(bits[at:], 0))
    return values, (*leaves, *bits[at:]), same
