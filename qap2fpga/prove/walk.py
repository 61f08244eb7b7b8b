# SPDX-License-Identifier: Apache-2.0
"""A network along its nodes, beside logic that is to compute it: each layer's results are located, then the next's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from qap2fpga.exact.integers import matmul, multiply_add, width
from qap2fpga.ir.channelwise import Max
from qap2fpga.ir.functions import Function, Logits
from qap2fpga.ir.graph import Graph
from qap2fpga.ir.nodes import Requantizer
from qap2fpga.prove import affine, classes
from qap2fpga.prove.cells import Bits, NotProven
from qap2fpga.prove.ground import Ground, Result
from qap2fpga.prove.layers import Channels
from qap2fpga.prove.linear import Lane, Value
from qap2fpga.prove.located import Sums, locate
from qap2fpga.prove.signatures import vectors

ACCUMULATORS, CLASS = "accumulators", "class"
# ABC's time, for the number of a class.
ABC_S = 60.0


@dataclass(frozen=True)
class Number:
    """A value at a port: its bits; times 2 to the `exponent` it is the network's integer."""

    bits: int
    signed: bool
    exponent: int = 0


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

    def _until(self, last: str, *, itself: bool) -> None:
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
                sums = self._sums(node.name, node.sources[0], self._function(node))
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

    def prove(self, kind: str, lanes: Sequence[Lane], numbers: Sequence[Number], place: Path) -> None:
        """Prove that outputs of a `kind`, as in `ir.outputs`, lie on `lanes`; files of ABC go to `place`."""
        if kind == CLASS:
            self._until(self.network.output, itself=True)
            self._classes(lanes, numbers, place)
        else:
            last = self.network.end.sources[0] if kind == ACCUMULATORS else self.network.output
            self._until(last, itself=False)
            self._end(last, lanes, numbers)

    def vectors(self) -> np.ndarray:
        """Return inputs (n, inputs) of many kinds: such that sums of a layer that reads them go from end to end."""
        values = [one.value for one in self.results[self.network.source.name]]
        weights = np.eye(len(values), dtype=np.int64)
        for node in self.network.nodes[1:]:
            if node.sources == (self.network.source.name,) and not isinstance(node, Max | Requantizer):
                shape, size = self.network.source.size, self.network.shapes[node.name].size
                read = affine.through(node, [self.affine[node.sources[0]]], [shape], size)
                weights = np.concatenate([weights, read.weights[node.sources[0]]], axis=1)
        return vectors(values, weights)

    def _sums(self, name: str, source: str, function: Function | None) -> Sums:
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
        return Sums(source, tuple(value for _, _, value in known), scaled, constants, function, names, lacking)

    def _name(self, node: str, at: int) -> str:
        """Return what messages call a result of a node."""
        position, channel = divmod(at, self.network.shapes[node].channels)
        where = f" at position {position}" if self.network.shapes[node].positions > 1 else ""
        return self.network[node].channel_name(channel) + where

    def _end(self, last: str, lanes: Sequence[Lane], numbers: Sequence[Number]) -> None:
        """Prove that the results of the node `last` lie on `lanes`."""
        node = self.network[last]
        source, function = (node.sources[0], self._function(node)) if isinstance(node, Requantizer) else (last, None)
        sums = self._sums(last, source, function)
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
            self.ground.require_time(f"output {at}")
            below, above = max(0, -number.exponent), max(0, number.exponent)
            try:
                if below:
                    channels.require_zero(at, lane.bits[:below])
                its = replace(lane, bits=lane.bits[below:] or (0,))
                self.cases += channels.prove(at, its, (0, 1 << above))[1]
            except NotProven as error:
                raise sums.lacking.get(at, error) from error
        self.count += 1

    def _classes(self, lanes: Sequence[Lane], numbers: Sequence[Number], place: Path) -> None:
        """Prove that the one lane is the number of the largest result, as it is described."""
        values = []
        for one in self.results[self.network.output]:
            if one.missing is not None:
                raise one.missing
            values.append(one.value)
        (lane,), (number,) = lanes, numbers
        # What is compared below are bits: those of an unsigned number, in the unit of a class.
        if number.exponent or (number.signed and number.bits <= width(0, len(values) - 1)):
            raise NotProven("the class is described with an exponent, or with a sign where its largest number has a 1")
        cut = self.ground.cut(values, vectors(values, np.eye(len(values), dtype=np.int64)))
        if not all(bit in cut.bits for bit in lane.bits):
            raise NotProven("the class depends on more than the results of the last layer")
        if self.ground.open:
            raise NotProven("the class may depend on values that are left open")
        classes.prove(self.ground.pipeline(cut.parts, values), values, lane.bits, place, ABC_S)
