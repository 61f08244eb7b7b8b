# SPDX-License-Identifier: Apache-2.0
"""The graph that every backend must equal, bit for bit, and that every complexity figure is counted from.

Nothing in here is a float except the scales that give the integers their meaning.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from typing import TypeVar

import numpy as np

from qap2fpga.ir.bops import Bops, Sizes
from qap2fpga.ir.nodes import Input, Node, Requantizer
from qap2fpga.ir.quantizer import InputQuantizer
from qap2fpga.ir.tensors import Range, Shape
from qap2fpga.ir.units import Ranges, Unit, joined, of_chain, ranges_of
from qap2fpga.ir.windowed import Weighted
from qap2fpga.system.errors import CheckFailed, QapError

T = TypeVar("T")
# The identity of the input; a layer of a model that has the same name gets another.
INPUT = "input/"
# Integers of the largest tensor that are held at a time.
MOST_VALUES = 1 << 22


@dataclass(frozen=True, eq=False)
class Graph:
    """Nodes in an order in which every source comes before its readers; the first is the `Input`.

    The result of the node `output` leaves the network, and `output_scale` is what one unit of it is worth. `notes` say
    what lowering and passes did, for people.
    """

    nodes: tuple[Node, ...]
    output: str
    output_scale: Fraction
    notes: tuple[str, ...] = field(default=())

    def __getitem__(self, name: str) -> Node:
        """Return the node `name`."""
        return self._named[name]

    @cached_property
    def _named(self) -> Mapping[str, Node]:
        return {node.name: node for node in self.nodes}

    @property
    def input(self) -> InputQuantizer:
        """What the integers that come in mean."""
        return self.source.quantizer

    @property
    def source(self) -> Input:
        """The node where frames come in."""
        first = self.nodes[0]
        assert isinstance(first, Input)
        return first

    @property
    def inputs(self) -> int:
        """Integers of a frame that comes in."""
        return self.source.size.size

    @property
    def outputs(self) -> int:
        """Integers of a frame that goes out."""
        return self.shapes[self.output].size

    @property
    def end(self) -> Requantizer:
        """The requantizer whose result leaves the network. Raises `QapError` naming another node that it ends in."""
        node = self[self.output]
        if not isinstance(node, Requantizer):
            what = f"the network ends in the node {node.name} ({node.kind}), which is no requantizer"
            raise QapError(what, "leave --output-kind out: the values of this node leave the chip")
        return node

    def readers(self, name: str) -> tuple[Node, ...]:
        """Return the nodes that take the result of `name`; several are a fork."""
        return tuple(node for node in self.nodes if name in node.sources)

    @cached_property
    def shapes(self) -> Mapping[str, Shape]:
        """The shape of every node's result."""
        return self._through(lambda node, sources: node.shape(sources))

    @property
    def has_positions(self) -> bool:
        """Whether any result has more than one position, as an image or a signal has."""
        return any(shape.positions > 1 for shape in self.shapes.values())

    @cached_property
    def node_ranges(self) -> Mapping[str, Range]:
        """The range of every node's result."""
        return self._through(lambda node, sources: node.range(sources))

    @cached_property
    def weighted(self) -> tuple[Weighted, ...]:
        """The nodes that multiply by constants, in their order."""
        return tuple(node for node in self.nodes if isinstance(node, Weighted))

    @cached_property
    def layers(self) -> tuple[Unit, ...]:
        """The units of a chain. Raises `QapError` for a graph that is none."""
        return of_chain(self.nodes)

    @property
    def is_chain(self) -> bool:
        """Whether it is dense layers one after the other, each with a requantizer."""
        try:
            return bool(self.layers)
        except QapError:
            return False

    @cached_property
    def ranges(self) -> tuple[Ranges, ...]:
        """What can be reached in each of the `layers`."""
        return tuple(ranges_of(unit, self.node_ranges) for unit in self.layers)

    def bops(
        self,
        stored_densities: Mapping[str, float] | None = None,
        groups: Mapping[str, int] | None = None,
        sizes: Mapping[str, Sizes] | None = None,
    ) -> dict[str, Bops]:
        """Return the bit operations of every node for one frame; `total` adds them up.

        `stored_densities`: per node, the share of what the model's file stores for it that is not 0; `groups`: of what
        is convolved in some; `sizes`: of what has bits of its own for each input or weight.
        """
        densities, grouped, sized = stored_densities or {}, groups or {}, sizes or {}
        first = self.source.name
        return {
            node.name: node.bops(
                self.shapes[node.name].positions,
                first=first in node.sources,
                stored_density=densities.get(node.name),
                groups=grouped.get(node.name, 1),
                sizes=sized.get(node.name),
            )
            for node in self.nodes
        }

    def _through(self, of: Callable[[Node, Sequence[T]], T]) -> dict[str, T]:
        results: dict[str, T] = {}
        for node in self.nodes:
            results[node.name] = of(node, [results[source] for source in node.sources])
        return results

    def run(self, frames: np.ndarray) -> np.ndarray:
        """Return the output integers (n, outputs) of input integers (n, inputs)."""
        return self.result(self.output, frames)

    def result(self, name: str, frames: np.ndarray) -> np.ndarray:
        """Return the result (n, size) of the node `name` for input integers (n, inputs), a few frames at a time."""
        few = max(1, MOST_VALUES // max(shape.size for shape in self.shapes.values()))
        parts = [self._result(name, frames[first : first + few]) for first in range(0, max(1, len(frames)), few)]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _result(self, name: str, frames: np.ndarray) -> np.ndarray:
        """The result of `name`, of all that it needs alone; what is dead is forgotten."""
        needed = [node for node in self.nodes if node.name in self._before[name]]
        last_reader = {source: node.name for node in needed for source in node.sources}
        results: dict[str, np.ndarray] = {}
        for node in needed:
            sources = [results[source] for source in node.sources]
            results[node.name] = node.evaluate(sources or [self.source.size.tensor(frames.astype(np.int64))])
            for source in node.sources:
                if last_reader[source] == node.name:
                    results.pop(source, None)
        return results[name].reshape(len(frames), self.shapes[name].size)

    @cached_property
    def _before(self) -> Mapping[str, frozenset[str]]:
        """For every node, the nodes that its result needs, itself among them."""
        return self._through(lambda node, sources: frozenset({node.name}).union(*sources))

    def trace(self, frames: np.ndarray) -> dict[str, np.ndarray]:
        """Return the result (n, size) of every node for input integers (n, inputs)."""
        first = self.source.size.tensor(frames.astype(np.int64))
        results = self._through(lambda node, sources: node.evaluate(sources or [first]))
        return {name: values.reshape(len(frames), self.shapes[name].size) for name, values in results.items()}

    @cached_property
    def values(self) -> int:
        """Integers of all results of one frame, and of all that kernels see on the way."""
        return self.inputs + sum(
            self.shapes[node.name].positions * node.taps * self.shapes[source].channels + self.shapes[node.name].size
            for node in self.nodes
            for source in node.sources
        )

    def with_notes(self, *notes: str) -> Graph:
        """Return the same graph with `notes` added."""
        return replace(self, notes=self.notes + notes)

    def with_input(self, quantizer: InputQuantizer) -> Graph:
        """Return the graph whose inputs `quantizer` gives."""
        return self.with_nodes(replace(self.source, quantizer=quantizer))

    def with_layers(self, layers: Sequence[Unit]) -> Graph:
        """Return the chain of `layers` after the same input."""
        nodes = (self.source, *joined(layers, self.source.name))
        return replace(self, nodes=nodes, output=nodes[-1].name)

    def with_nodes(self, *changed: Node) -> Graph:
        """Return the graph in which `changed` stand for the nodes of their names."""
        by_name = {node.name: node for node in changed}
        return replace(self, nodes=tuple(by_name.get(node.name, node) for node in self.nodes))


def chain(
    layers: Sequence[Unit], quantizer: InputQuantizer, output_scale: Fraction, notes: tuple[str, ...] = ()
) -> Graph:
    """Return the graph of `layers` one after the other, whose inputs `quantizer` gives."""
    source = Input(name=INPUT, size=Shape(layers[0].inputs), quantizer=quantizer)
    return Graph((source,), INPUT, output_scale, notes).with_layers(layers)


def verify(graph: Graph, where: str) -> Graph:
    """Return `graph` if it is well formed; else raise `CheckFailed`, a bug in `where`, that names the node."""

    def refuse(name: str, why: str) -> CheckFailed:
        return CheckFailed(f"{where}: node {name}: {why}", "please report this bug with the model")

    known: dict[str, Shape] = {}
    for place, node in enumerate(graph.nodes):
        if node.name in known:
            raise refuse(node.name, "two nodes have this name")
        if isinstance(node, Input) != (place == 0):
            raise refuse(node.name, "a graph has one input, its first node")
        missing = [source for source in node.sources if source not in known]
        if missing or bool(node.sources) != (place > 0):
            raise refuse(node.name, f"its sources {missing or 'are none, or it'} do not come before it")
        try:
            node.check()
            known[node.name] = node.shape([known[source] for source in node.sources])
        except ValueError as error:
            raise refuse(node.name, str(error)) from error
        if node.channels is not None and len(node.channels) != known[node.name].channels:
            raise refuse(node.name, f"{len(node.channels)} numbers for {known[node.name].channels} channels")
    if graph.output not in known:
        raise refuse(graph.output, "the output is no node")
    unread = [node.name for node in graph.nodes if node.name != graph.output and not graph.readers(node.name)]
    if unread:
        raise refuse(unread[0], "no node takes its result")
    return graph
