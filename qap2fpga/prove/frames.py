# SPDX-License-Identifier: Apache-2.0
"""Frames of several positions: which position of which frame passes by where, in every run.

Control does not depend on data. So the control between two layers has few states, and all of them are run through from
the reset on, beside what can be seen of the streams before it (`automaton.py`). Data keep their names on the way
(`machine.py`). Where a layer's inputs pass by, every position must leave once, in order, for every frame that began,
and its bits must be those that the layer's kernel sees there, or pads. So what a window, a pad, a delay or a queue is
made of does not matter.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from qap2fpga.exact.integers import width
from qap2fpga.hw.design import Design, Probe
from qap2fpga.ir.channelwise import Repeat
from qap2fpga.ir.geometry import POINT, Geometry
from qap2fpga.ir.graph import Graph
from qap2fpga.ir.joins import Concat
from qap2fpga.ir.nodes import Node
from qap2fpga.prove import gate
from qap2fpga.prove.automaton import Automaton, Move, Seen, Token, circle, explored, smallest
from qap2fpga.prove.cells import Bits, NotProven, Register
from qap2fpga.prove.linear import Value
from qap2fpga.prove.logic import Logic
from qap2fpga.prove.machine import Codes, Machine
from qap2fpga.prove.pipeline import Pipeline

# Frames that are in a part of the design at a time; older ones are not followed.
MOST_FRAMES = 4
# The next frame that begins is expected, from its first position on.
NEXT = Token(-1, 0)


@dataclass(frozen=True)
class Stream:
    """Where the results of a node pass by: on `bits`, `stages` moves after a position is seen at `valid`."""

    valid: int
    flush: int
    bits: Bits
    stages: int
    positions: int


@dataclass(frozen=True, eq=False)
class Channel:
    """A channel of a node's results: `value` of the `stream`, of which position `places[i]` is the node's i-th."""

    stream: str
    value: Value
    places: np.ndarray


@dataclass(frozen=True, eq=False)
class Tap:
    """What a tap of a kernel sees of a channel on `bits`, position by position: numbers of places, -1 where `pad`."""

    channel: Channel
    value: Value
    places: np.ndarray
    pad: int


class State(NamedTuple):
    """What a part holds: the state of what is before it, its registers, what runs along with data, what leaves next."""

    before: int
    registers: Codes
    queues: tuple[tuple[Token | None, ...], ...]
    due: Token


class Labels:
    """Names of the bits of streams: of every frame that is in a part, position and bit."""

    def __init__(self, streams: Mapping[str, Stream]) -> None:
        self.streams, self.firsts, self.total = streams, dict[str, int](), 0
        for name, one in streams.items():
            self.firsts[name] = 2 + self.total
            self.total += one.positions * len(one.bits)

    def bits(self, name: str, token: Token | None) -> dict[int, int | None]:
        """Return the names of the bits of a stream while a position passes by."""
        bits = self.streams[name].bits
        if token is None or token.age >= MOST_FRAMES:
            return dict.fromkeys(bits)
        first = self.firsts[name] + token.place * len(bits) + token.age * self.total
        return dict(zip(bits, range(first, first + len(bits)), strict=True))

    def expected(self, taps: Sequence[Tap], place: int, moving: Logic) -> Codes:
        """Return the names of what taps see at a place, of the newest frame."""
        codes: list[int | None] = []
        for tap in taps:
            value, seen, size = tap.channel.value, int(tap.places[place]), len(tap.value.bits)
            own: list[int | None] = [tap.pad >> at & 1 for at in range(size)]
            if seen >= 0:
                names = self.bits(tap.channel.stream, Token(0, seen)) | {0: 0, 1: 1}
                own = [names[bit] for bit in moving.settle(value.bits)][:size]
                own += [own[-1] if value.signed else 0] * (size - len(own))
            codes += own
        return tuple(codes)

    def aged(self, codes: Codes) -> Codes:
        """Return the codes after one more frame has begun."""
        return tuple(self.of_age(code, 1) for code in codes)

    def of_age(self, code: int | None, age: int) -> int | None:
        """Return the name of the same bit of an older frame; None if that is too old to be followed."""
        if code is None or code < 2:
            return code
        older = code + age * self.total
        return older if older < 2 + MOST_FRAMES * self.total else None


class Frames:
    """The streams of a design, as far as they are proven: what can be seen of them while everything moves."""

    def __init__(self, pipeline: Pipeline, design: Design, network: Graph, inputs: Sequence[Value]) -> None:
        self.pipeline, self.network, self.states = pipeline, network, 0
        self.root = gate.find(pipeline.module, design)
        self.reset = Logic(pipeline.module, {self.root.ports.reset: 0})
        self.probes = {probe.node: probe for probe in design.probes}
        self.channels: dict[str, tuple[Channel, ...]] = {}
        self.streams: dict[str, Stream] = {}
        # The streams of which the automaton tells.
        self.names: list[str] = [network.source.name]
        self.automaton = smallest(self._enter())
        self._add(network.source.name, inputs, self.root.valid, self.root.flush, 0)

    def _enter(self) -> Automaton:
        """Return what is seen of the positions that come in."""
        root, positions = self.root, self.network.shapes[self.network.source.name].positions
        machine = self._machine((root.valid, root.flush), {root.ports.in_valid})

        def moves(state: tuple[Codes, int]) -> Iterator[tuple[bool, tuple[Seen, ...], tuple[Codes, int]]]:
            registers, place = state
            moving = root.moves({one.out: code for one, code in zip(machine.registers, registers, strict=True)})
            for offered in moving:
                (valid, flush), after = machine.step(registers, {root.ports.in_valid: offered})
                if valid is None:
                    raise NotProven("whether a position enters is not known")
                token = Token(0, place) if valid else None
                next_place = (place + valid) % positions
                yield bool(valid) and place == 0, (Seen(valid, flush, token),), (after, next_place)

        automaton, states = explored((machine.after_reset, 0), moves)
        self.states += len(states)
        return automaton

    def follow(self, node: Node, sums: Node, later: Sequence[Node]) -> list[Value]:
        """Return the inputs of a layer of which `sums` is the first node and `node` the last, as they pass by.

        `later` are the nodes after it. Raises `NotProven` unless every position of every frame passes by once.
        """
        if node.name not in self.probes:
            raise NotProven(f"node {node.name}: no probe says where its inputs pass by")
        probe = self.probes[node.name]
        valid, flush = (self._net(probe, name) for name in ("valid", "flush"))
        bits = self.pipeline.module.named.get(f"{probe.signal.removesuffix('.y')}.x", ())
        taps = self._taps(sums, bits)
        positions = self.network.shapes[sums.name].positions
        sources = list(dict.fromkeys(tap.channel.stream for tap in taps))
        self.automaton = self._walk(sources, (valid, flush, *bits), taps, positions, f"the inputs of node {sums.name}")
        self.names.append(node.name)
        self.streams[node.name] = Stream(valid, flush, (), 0, positions)
        self._forget({stream for one in later for source in one.sources for stream in self._read(source)})
        return [tap.value for tap in taps]

    def result(self, node: Node, values: Sequence[Value], stages: int) -> None:
        """Take `values` for the results of a layer that was followed, so many moves after its inputs."""
        stream = self.streams[node.name]
        self._add(node.name, values, stream.valid, stream.flush, stages)

    def joined(self, node: Concat | Repeat) -> None:
        """Take channels side by side, or repeated positions, for what they are: wires or not, their readers show."""
        channels = [channel for source in node.sources for channel in self._of(source)]
        if isinstance(node, Repeat):
            shape = self.network.shapes[node.sources[0]]
            grid = np.arange(shape.positions).reshape(shape.height, shape.width)
            order = grid.repeat(node.rows, axis=0).repeat(node.columns, axis=1).ravel()
            channels = [replace(channel, places=channel.places[order]) for channel in channels]
        self.channels[node.name] = tuple(channels)

    def leave(self, final: str, stages: int, outputs: Bits) -> None:
        """Prove that `result` is 1 exactly when a position of `final`, `stages` moves after its inputs, is there.

        It stands still with the `outputs` without a move: both are of registers.
        """
        logic, module = self.root.logic, self.pipeline.module
        _, leaves = logic.in_order((self.root.result, *outputs), logic.part)
        if not all(isinstance(module.drivers.get(leaf), Register) for leaf in leaves):
            raise NotProven("the results depend on an input at once")
        stream = replace(self.streams[final], stages=stages, bits=())
        self.streams[final] = stream
        self._walk([final], (self.root.result, 0), (), stream.positions, "the results", at_once=True)

    def _add(self, name: str, values: Sequence[Value], valid: int, flush: int, stages: int) -> None:
        bits = tuple(dict.fromkeys(bit for value in values for bit in self.pipeline.moving.settle(value.bits)))
        positions = self.network.shapes[name].positions
        self.streams[name] = Stream(valid, flush, tuple(bit for bit in bits if bit > 1), stages, positions)
        self.channels[name] = tuple(Channel(name, value, np.arange(positions)) for value in values)

    def _net(self, probe: Probe, name: str) -> int:
        """Return the bit beside a layer's inputs that is called so, or beside its results, if it has none there."""
        bits = self.pipeline.module.named.get(f"{probe.valid.removesuffix('.out_valid')}.{name}", ())
        if len(bits) != 1:
            raise NotProven(f"node {probe.node}: no bit '{name}' is beside its inputs")
        return bits[0]

    def _of(self, name: str) -> tuple[Channel, ...]:
        if name not in self.channels:
            raise NotProven(f"node {name}: no probe says where its results lie")
        return self.channels[name]

    def _read(self, name: str) -> Iterator[str]:
        """Yield the streams that a reader of the node `name` reads."""
        if name in self.probes or name == self.network.source.name:
            yield name
        else:
            for source in self.network[name].sources:
                yield from self._read(source)

    def _taps(self, sums: Node, bits: Bits) -> list[Tap]:
        """Return what the taps of a layer see, tap by tap, on `bits`."""
        geometry: Geometry = getattr(sums, "geometry", POINT)
        shape = self.network.shapes[sums.sources[0]]
        grid = np.arange(shape.positions).reshape(1, shape.height, shape.width, 1)
        places = replace(geometry, pad=-1).windows(grid).reshape(-1, geometry.taps)
        channels = [channel for source in sums.sources for channel in self._of(source)]
        ends = [geometry.seen(self.network.node_ranges[source]).ends for source in sums.sources]
        lanes = [lane for source in ends for lane in source]
        taps, at = [], 0
        for column in places.T:
            for channel, (low, high) in zip(channels, lanes, strict=True):
                size, signed = width(low, high), low < 0
                if geometry.is_point:
                    size, signed = len(channel.value.bits), channel.value.signed
                seen = {channel.value.low, channel.value.high} if (column >= 0).any() else set()
                seen |= {geometry.pad} if (column < 0).any() else set()
                top = 1 << size - int(signed)
                if not (-top if signed else 0) <= min(seen) <= max(seen) < top:
                    raise NotProven(f"node {sums.name}: {size} bits do not hold {min(seen)} to {max(seen)}")
                own = Value(bits[at : at + size], signed, min(seen), max(seen))
                taps.append(Tap(channel, own, np.where(column < 0, -1, channel.places[column]), geometry.pad))
                at += size
        if at != len(bits):
            raise NotProven(f"node {sums.name}: its inputs are {len(bits)} bits, not {at}")
        return taps

    def _machine(self, targets: Bits, leaves: set[int]) -> Machine:
        return Machine(self.pipeline, self.reset, targets, leaves)

    def _walk(
        self, sources: Sequence[str], targets: Bits, taps: Sequence[Tap], positions: int, what: str,
        *, at_once: bool = False,
    ) -> Automaton:  # fmt: skip
        """Return the automaton with one stream more, seen at `targets`: its two bits, and those of its taps.

        `at_once`: a position passes by exactly when it does in the first of the `sources`.
        """
        streams = [self.streams[name] for name in sources]
        labels = Labels(dict(zip(sources, streams, strict=True)))
        leaves = {bit for one in streams for bit in (one.valid, one.flush, *one.bits)} - {0, 1}
        machine = self._machine(targets, leaves)
        expected = [labels.expected(taps, place, self.pipeline.moving) for place in range(positions)]
        columns = [self.names.index(name) for name in sources]
        queues = tuple((None,) * one.stages for one in streams)

        def moves(state: State) -> Iterator[tuple[bool, tuple[Seen, ...], State]]:
            for begins, seen, after in self.automaton[state.before]:
                registers, queues, due = state.registers, state.queues, state.due
                if begins:
                    registers = labels.aged(registers)
                    queues = tuple(tuple(one and one._replace(age=one.age + 1) for one in queue) for queue in queues)
                    due = due._replace(age=due.age + 1)
                if due.age >= MOST_FRAMES:
                    raise NotProven(f"{what}: position {due.place} does not pass by before {MOST_FRAMES} more frames")
                known: dict[int, int | None] = {}
                queues = tuple((*queue, seen[at].token) for queue, at in zip(queues, columns, strict=True))
                for name, one, queue, at in zip(sources, streams, queues, columns, strict=True):
                    known.update(labels.bits(name, queue[0]))
                    known |= {one.valid: seen[at].valid, one.flush: seen[at].flush}
                (valid, flush, *codes), following = machine.step(registers, known)
                token = self._checked(valid, due, codes, expected, labels, what)
                if at_once and token != queues[0][0]:
                    raise NotProven(f"{what}: a position passes by when its bits are not there")
                if token is not None:
                    due = Token(due.age - 1, 0) if due.place == positions - 1 else Token(due.age, due.place + 1)
                own = Seen(int(token is not None), flush, token)
                yield begins, (*seen, own), State(after, following, tuple(queue[1:] for queue in queues), due)

        automaton, states = explored(State(0, machine.after_reset, queues, NEXT), moves)
        self.states += len(states)
        if circle(automaton, lambda state: states[state].due.age >= 0):
            raise NotProven(f"{what}: a position may never pass by")
        return automaton

    def _checked(
        self, valid: int | None, due: Token, codes: Sequence[int | None], expected: Sequence[Codes], labels: Labels,
        what: str,
    ) -> Token | None:  # fmt: skip
        """Return the position that passes by: the one that is `due`. Raises `NotProven` for another."""
        if valid is None:
            raise NotProven(f"{what}: whether a position passes by is not known")
        if not valid:
            return None
        if due.age < 0:
            raise NotProven(f"{what}: position {due.place} of a frame that has not begun passes by")
        for bit, (code, wanted) in enumerate(zip(codes, expected[due.place], strict=True)):
            if code is None or code != labels.of_age(wanted, due.age):
                raise NotProven(f"{what}: position {due.place}, bit {bit} is not what its kernel sees there")
        return due

    def _forget(self, live: set[str]) -> None:
        """Leave out streams that nobody reads; of a single one, the frames are those that it begins."""
        kept = [at for at, name in enumerate(self.names) if name in live] or [len(self.names) - 1]
        self.names = [self.names[at] for at in kept]
        automaton = [tuple(move._replace(seen=tuple(move.seen[at] for at in kept)) for move in moves)
                     for moves in self.automaton]  # fmt: skip
        if len(kept) == 1:
            automaton = [tuple(map(_alone, moves)) for moves in automaton]
        self.automaton = smallest(automaton)


def _alone(move: Move) -> Move:
    """Return a move of one stream with frames that begin when their first position passes by there."""
    (seen,) = move.seen
    token = seen.token and Token(0, seen.token.place)
    return Move(token is not None and token.place == 0, (seen._replace(token=token),), move.after)
