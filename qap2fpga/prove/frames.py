# SPDX-License-Identifier: Apache-2.0
"""Frames of several positions: which position of which frame passes by where, in every run.

Control does not depend on data. So the control between two layers has few states, and all of them are run through from
the reset on, beside what can be seen of the streams before it (`automaton.py`). Data keep their names on the way
(`machine.py`). Where a layer's inputs pass by, every position must leave once, in order, for every frame that began,
and its bits must be those that the layer's kernel sees there, or pads. So what a window, a pad, a delay or a queue is
made of does not matter.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from qap2fpga.exact.integers import width
from qap2fpga.hw.design import Design
from qap2fpga.ir.channelwise import Max, Repeat
from qap2fpga.ir.graph import Graph
from qap2fpga.ir.joins import Concat
from qap2fpga.ir.nodes import Node
from qap2fpga.prove import gate
from qap2fpga.prove.automaton import Automaton, Move, Seen, Token, circle, explored, smallest
from qap2fpga.prove.cells import Bits, NotProven, Register
from qap2fpga.prove.expressions import Codes, Expressions
from qap2fpga.prove.gate import net
from qap2fpga.prove.layers import Layer
from qap2fpga.prove.linear import Lane, Value
from qap2fpga.prove.logic import Logic
from qap2fpga.prove.machine import Machine
from qap2fpga.prove.pipeline import Pipeline
from qap2fpga.prove.streams import MOST_FRAMES, Channel, Labels, Stream, Tap, floors, placed, sums_up, taps_of
from qap2fpga.prove.tasks import Check, Copies, Sums, Task

# The next frame that begins is expected, from its first position on.
NEXT = Token(-1, 0)


class State(NamedTuple):
    """What a part holds: the state of what is before it, its registers, what runs along with data, what leaves next."""

    before: int
    registers: Codes
    queues: tuple[tuple[Token | None, ...], ...]
    due: Token


class Frames:
    """The streams of a design, as far as they are proven: what can be seen of them while everything moves."""

    def __init__(self, pipeline: Pipeline, design: Design, network: Graph, inputs: Sequence[Value]) -> None:
        self.pipeline, self.network, self.states = pipeline, network, 0
        self.expressions = Expressions()
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
            if not place and 0 not in moving:
                raise NotProven("between frames all stands still until the next one comes")
            for offered in moving:
                (valid, flush), after = machine.step(registers, {root.ports.in_valid: offered})
                if valid is None:
                    raise NotProven("whether a position enters is not known")
                token = Token(0, place) if valid else None
                next_place = (place + valid) % positions
                yield bool(valid) and place == 0, (Seen(valid, flush, token),), (after, next_place)

        automaton, states = explored((machine.after_reset, 0), moves)
        self.states += len(states)
        # The last move of each state is that with a position offered.
        offered = [(own[-1]._replace(begins=own[-1].seen[0].token is not None),) for own in automaton]
        if circle(offered, lambda state: True):
            raise NotProven("a position that is offered may never be taken")
        return automaton

    def follow(self, node: Node, layer: Layer, later: Sequence[Node]) -> list[Task]:
        """Return the tasks that are left of `layer`, whose result is `node`, once its inputs were followed.

        `later` are the nodes after it. Raises `NotProven` unless every position of every frame passes by once.
        """
        sums, module = self.network[layer.name], self.pipeline.module
        if node.name not in self.probes:
            raise NotProven(f"node {node.name}: no probe says where its inputs pass by")
        probe = self.probes[node.name]
        part, beside = probe.signal.removesuffix(".y"), probe.valid.removesuffix(".out_valid")
        # What has its two bits itself takes elements one after the other: its results are looked at.
        serial = part == beside
        valid, flush = (net(module, f"{beside}.{'out_' if serial else ''}{name}") for name in ("valid", "flush"))
        bits = module.named.get(f"{part}.x", ())
        if serial:
            bits = tuple(bit for lane in layer.lanes for bit in lane.bits)
        channels = [channel for source in sums.sources for channel in self._of(source)]
        taps, what = taps_of(self.network, sums, channels), f"the inputs of node {sums.name}"
        labels = Labels({name: self.streams[name] for name in dict.fromkeys(one.stream for one in channels)})
        positions = self.network.shapes[sums.name].positions
        rows = [labels.expected(taps, place, self.pipeline.moving) for place in range(positions)]
        totals = sums_up(self.network, sums)
        check: Check = Sums(self.expressions, labels, taps, rows) if serial or totals else Copies(labels, rows, what)
        if isinstance(check, Copies) and len(bits) != len(rows[0]):
            raise NotProven(f"node {sums.name}: its inputs are {len(bits)} bits, not {len(rows[0])}")
        self.automaton = self._walk(labels, (valid, flush, *bits), check, positions, what)
        self.names.append(node.name)
        self.streams[node.name] = Stream(valid, flush, (), 0, positions)
        self._forget({stream for one in later for source in one.sources for stream in self._read(source)})
        if isinstance(check, Copies):
            least = floors(taps, len(layer.lanes)) if isinstance(sums, Max) else ()
            return [Task(self.pipeline, layer, placed(taps, bits), floors=least)]
        if serial:
            return [check.task(layer, codes) for codes in check.results]
        return self._totals(layer, taps, check, bits)

    def _totals(self, layer: Layer, taps: Sequence[Tap], check: Sums, bits: Bits) -> list[Task]:
        """Return the tasks of a layer that multiplies sums over the frame, which are on `bits`."""
        count, channels, values, at = len(taps) // len(layer.lanes), len(layer.lanes), [], 0
        for tap in taps[:channels]:
            low, high = tap.value.low * count, tap.value.high * count
            size = width(low, high)
            values.append(Value(bits[at : at + size], low < 0, low, high))
            at += size
        if at != len(bits):
            raise NotProven(f"node {layer.name}: its inputs are {len(bits)} bits, not {at}")
        every = np.concatenate([np.eye(channels, dtype=np.int64)] * count)
        sums = replace(layer, weights=every, function=None, lanes=tuple(Lane(one.bits, one.signed) for one in values))
        one_tap = replace(layer, weights=layer.weights[:channels])
        return [
            *(replace(check.task(sums, codes), whole=False) for codes in check.results),
            Task(self.pipeline, one_tap, values),
        ]

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
        check = Copies(Labels({final: stream}), [()] * stream.positions, "the results")
        self._walk(check.labels, (self.root.result, 0), check, stream.positions, "the results", at_once=True)

    def _add(self, name: str, values: Sequence[Value], valid: int, flush: int, stages: int) -> None:
        bits = tuple(dict.fromkeys(bit for value in values for bit in self.pipeline.moving.settle(value.bits)))
        positions = self.network.shapes[name].positions
        self.streams[name] = Stream(valid, flush, tuple(bit for bit in bits if bit > 1), stages, positions)
        self.channels[name] = tuple(Channel(name, value, np.arange(positions)) for value in values)

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

    def _machine(self, targets: Bits, leaves: set[int]) -> Machine:
        return Machine(self.pipeline, self.reset, targets, leaves, self.expressions)

    def _walk(
        self, labels: Labels, targets: Bits, check: Check, positions: int, what: str, *, at_once: bool = False
    ) -> Automaton:
        """Return the automaton with one stream more, seen at `targets`: its two bits, and others that `check` looks at.

        `at_once`: a position passes by exactly when it does in the first stream of `labels`.
        """
        sources, streams = list(labels.streams), list(labels.streams.values())
        leaves = {bit for one in streams for bit in (one.valid, one.flush, *one.bits)} - {0, 1}
        machine = self._machine(targets, leaves)
        older: dict[int, int | None] = {}
        columns = [self.names.index(name) for name in sources]
        queues = tuple((None,) * one.stages for one in streams)

        def moves(state: State) -> Iterator[tuple[bool, tuple[Seen, ...], State]]:
            for begins, seen, after in self.automaton[state.before]:
                registers, queues, due = state.registers, state.queues, state.due
                if begins:
                    registers = self.expressions.replaced(registers, labels.older, older)
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
                if valid is None:
                    raise NotProven(f"{what}: whether a position passes by is not known")
                if valid and due.age < 0:
                    raise NotProven(f"{what}: position {due.place} of a frame that has not begun passes by")
                token = due if valid else None
                if token is not None:
                    check(token, codes)
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

    def _forget(self, live: set[str]) -> None:
        """Leave out dead streams; of a single one, the frames are those that it begins."""
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
