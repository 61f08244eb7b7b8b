# SPDX-License-Identifier: Apache-2.0
"""Our own modules do what the network's nodes say: which meaning each instance has, and its proof."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from qap2fpga.ir.channelwise import Depthwise, Max, Repeat
from qap2fpga.ir.functions import Logits, Step
from qap2fpga.ir.graph import Graph
from qap2fpga.ir.joins import Concat, Sum
from qap2fpga.ir.linear import Linear
from qap2fpga.ir.nodes import Node, Requantizer
from qap2fpga.ir.windowed import Windowed
from qap2fpga.prove.cells import NotProven
from qap2fpga.prove.finn import machine, modules, repeats, scores, units
from qap2fpga.prove.finn.contents import THRESHOLDS, Hints, rom
from qap2fpga.prove.finn.machine import Word, Words
from qap2fpga.prove.finn.memories import Content, Instance
from qap2fpga.prove.finn.modules import Kind
from qap2fpga.prove.finn.sparse import SPARSE, Unit
from qap2fpga.prove.reading import module_of

SCORES = "qap_logits"
N = TypeVar("N", bound=Node)


@dataclass(frozen=True)
class Own:
    """The instances of a design, and the network's nodes that they are said to be of."""

    network: Graph
    every: Mapping[str, Instance]
    hints: Hints

    def node(self, one: Instance, kind: type[N]) -> N:
        """Return the node of a `kind` that `one` is of."""
        name = self.hints.get(one.name, "")
        node = next((node for node in self.network.nodes if node.name == name), None)
        if not isinstance(node, kind):
            raise NotProven(f"{one.name}: no node of the network is known to be it")
        return node

    def require_fits(self, one: Instance, sources: Iterable[str], bits: str, signed: str) -> bool:
        """Return whether lanes are signed. Raises `NotProven` where they do not hold the results of `sources`."""
        sign, top = one.number(signed), 1 << one.number(bits) - one.number(signed)
        for source in sources:
            ends = self.network.node_ranges[source]
            if ends.lowest < (-top if sign else 0) or ends.highest >= top:
                raise NotProven(f"{one.name}: its lanes do not hold the results of node {source}")
        return bool(sign)


def prove(
    network: Graph, every: Mapping[str, Instance], hints: Hints, verilog: Content, place: Path, limit_s: float
) -> str:
    """Prove every instance of a module of ours, but those whose kind is none of `KINDS`.

    `verilog` are the modules as Yosys reads them. Raises `NotProven`, naming the instance.
    """
    own, counts = Own(network, every, hints), dict[str, int]()
    for one in every.values():
        if one.kind == SCORES:
            scale, lanes = _scores(own, one)
            scores.check(module_of(one.module, verilog), scale, lanes, place, one.name, limit_s)
        elif one.kind in KINDS:
            kind = KINDS[one.kind](own, one)
            machine.check(module_of(one.module, verilog), kind.begins, kind.spec, place, one.name, limit_s)
        else:
            continue
        counts[one.kind] = counts.get(one.kind, 0) + 1
    every_kind = ", ".join(f"{number} {kind}" for kind, number in sorted(counts.items()))
    return f"every state, all inputs, handshake and data: {every_kind}"


def _weights(own: Own, one: Instance) -> Kind:
    contents = [row.tolist() for row in one.memory(rom(one)).bits]
    return modules.weights(contents, max(1, (len(contents) - 1).bit_length()))


def _extend(own: Own, one: Instance) -> Kind:
    """Levels of a function that does not begin at 0 are counts, and then this; else values get more bits alone."""
    before = [each for each in own.every.values() if each.kind == THRESHOLDS
              and each.nets["out0_V_TDATA"] == one.nets["in0_V_TDATA"]]  # fmt: skip
    offset = _base(own, before[0]) if before else 0
    bits, signed = one.number("OUT_BITS"), bool(one.number("IN_SIGNED"))

    def lane(words: Words, value: Word) -> Word:
        return words.plus(words.wider(value, bits, signed=signed), words.constant(offset, bits))

    return modules.wires(one.number("PE"), one.number("IN_BITS"), lane)


def _base(own: Own, thresholds: Instance) -> int:
    node = own.node(thresholds, Requantizer)
    ends = node.name == own.network.output
    return node.function.base if isinstance(node.function, Step) and not ends else 0


def _flip(own: Own, one: Instance) -> Kind:
    """What pads with zeros pads with the node's pad between two of these; of a maximum, or with a larger one that no
    value is below.
    """
    bits, name = one.number("BITS"), own.hints.get(one.name)
    node = next((node for node in own.network.nodes if node.name == name), None)
    if not isinstance(node, Windowed):
        raise NotProven(f"{one.name}: no node with pads is known to be it")
    (source,), pad = node.sources, node.geometry.pad
    if isinstance(node, Max):
        lowest = own.network.node_ranges[source].lowest
        pad = max(pad, -(1 << bits - 1) if lowest < 0 else 0)
    return modules.wires(one.number("PE"), bits, lambda words, value: [
        bit ^ turned for bit, turned in zip(value, words.constant(pad, bits), strict=True)
    ])  # fmt: skip


def _fork(own: Own, one: Instance) -> Kind:
    return modules.fork(len(one.nets["out0_V_TVALID"]))


def _concat(own: Own, one: Instance) -> Kind:
    node = own.node(one, Concat)
    channels = [own.network.shapes[source].channels for source in node.sources]
    text, bits = one.parameters["BEATS"], one.number("COUNT_BITS")
    beats = [int("0" + text[::-1][at * bits :][:bits][::-1], 2) for at in range(len(channels))]
    if (
        0 in beats
        or len({count * beats[0] == channels[0] * beat for count, beat in zip(channels, beats, strict=True)}) > 1
    ):
        raise NotProven(f"{one.name}: beats of {beats} for channels of {channels}")
    return modules.concat(beats, one.number("WIDTH"))


def _pool(own: Own, one: Instance) -> Kind:
    node = own.node(one, Max)
    signed = own.require_fits(one, node.sources, "BITS", "SIGNED")
    return modules.pool(one.number("PE"), node.geometry.taps, one.number("BITS"), signed=signed)


def _sum(own: Own, one: Instance) -> Kind:
    node = own.node(one, Sum)
    signed = own.require_fits(one, node.sources, "IN_BITS", "IN_SIGNED")
    return modules.total(
        node.multipliers, one.number("PE"), one.number("IN_BITS"), one.number("OUT_BITS"), signed=signed
    )


def _kernels(own: Own, one: Instance) -> Kind:
    node = own.node(one, Depthwise)
    signed = own.require_fits(one, node.sources, "IN_BITS", "IN_SIGNED")
    lanes, *sizes = (one.number(name) for name in ("PE", "IN_BITS", "WEIGHT_BITS", "OUT_BITS"))
    return modules.kernels(lanes, node.geometry.taps, *sizes, signed=signed)


def _sparse(own: Own, one: Instance) -> Kind:
    """`contents.weights` compares the matrix that comes of it with the node's."""
    node = own.node(one, Linear)
    own.require_fits(one, node.sources, "IN_BITS", "IN_SIGNED")
    ends, top = own.network.node_ranges[node.name], 1 << one.number("OUT_BITS") - 1
    if ends.lowest < -top or ends.highest >= top:
        raise NotProven(f"{one.name}: its lanes do not hold the sums of node {node.name}")
    unit = Unit(one)
    unit.matrix()
    return units.kind(unit)


def _repeat(own: Own, one: Instance) -> Kind:
    node = own.node(one, Repeat)
    columns, fold, *times = (one.number(name) for name in ("COLUMNS", "FOLD", "ROW_TIMES", "COLUMN_TIMES"))
    shape = own.network.shapes[node.sources[0]]
    if columns != shape.width or times != [node.rows, node.columns] or shape.channels % max(fold, 1):
        raise NotProven(f"{one.name}: {columns} positions of {fold} beats, {times} times, for node {node.name}")
    memory = "gen_block" if one.number("BLOCK") else "gen_distributed"
    return repeats.repeat(columns, fold, node.rows, node.columns, memory)


def _class(own: Own, one: Instance) -> Kind:
    network, lanes = own.network, one.number("PE")
    channels = network.shapes[network.output].channels
    if one.number("FOLD") * lanes != channels or channels > 1 << one.number("OUT_BITS"):
        raise NotProven(f"{one.name}: {one.number('FOLD')} beats of {lanes} for {channels} classes")
    function = network.end.function
    if not isinstance(function, Step) or any(each.kind == SCORES for each in own.every.values()):
        own.require_fits(one, [network.output], "IN_BITS", "IN_SIGNED")
    elif function.thresholds.shape[1] >= 1 << one.number("IN_BITS") - one.number("IN_SIGNED"):
        raise NotProven(f"{one.name}: its lanes do not hold the counts of node {network.output}")
    return modules.largest(
        lanes, one.number("FOLD"), one.number("IN_BITS"), one.number("OUT_BITS"), signed=bool(one.number("IN_SIGNED"))
    )


def _scores(own: Own, one: Instance) -> tuple[scores.Scale, scores.Lanes]:
    """Return what comes after the last node: logits of its sums, or the levels of its counts."""
    node, network = own.network.end, own.network
    lanes = scores.Lanes(*(one.number(name) for name in ("PE", "IN_BITS", "OUT_BITS")))
    if isinstance(node.function, Logits):
        own.require_fits(one, node.sources, "IN_BITS", "IN_SIGNED")
        ends = network.node_ranges[node.sources[0]]
        function = node.function
        return scores.Scale(function.multiplier, function.offset, function.shift, ends.low, ends.high), lanes
    levels, channels = node.function.thresholds.shape[1], node.function.channels
    if levels >= 1 << lanes.bits - one.number("IN_SIGNED"):
        raise NotProven(f"{one.name}: its lanes do not hold the counts of node {node.name}")
    step, base, top = (np.full(channels, number) for number in (node.function.step, node.function.base, levels))
    return scores.Scale(step, base, 0, np.zeros_like(top), top), lanes


KINDS: Mapping[str, Callable[[Own, Instance], Kind]] = {
    "qap_weights": _weights, "qap_extend": _extend, "qap_flip": _flip, "qap_fork": _fork, "qap_concat": _concat,
    "qap_pool": _pool, "qap_sum": _sum, "qap_dw": _kernels, "qap_class": _class,
    SPARSE: _sparse, "qap_repeat": _repeat,
}  # fmt: skip
