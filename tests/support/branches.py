# SPDX-License-Identifier: Apache-2.0
"""Random graphs with kernels, pools, residuals, concatenations and dead channels."""

from __future__ import annotations

import itertools
from dataclasses import replace
from fractions import Fraction

import numpy as np

from qap2fpga.ir.channelwise import Depthwise, Max, Repeat
from qap2fpga.ir.functions import Logits, Step
from qap2fpga.ir.geometry import Geometry
from qap2fpga.ir.graph import INPUT, Graph, verify
from qap2fpga.ir.joins import Concat, Sum
from qap2fpga.ir.linear import Linear
from qap2fpga.ir.nodes import Input, Node, Requantizer
from qap2fpga.ir.quantizer import InputQuantizer
from qap2fpga.ir.tensors import Shape


def branching(seed: int, *, nodes: int = 6) -> Graph:
    """Return a graph of so many drawn stages, each of a kernel, a pool or a join, then a dense end; some channels are
    dead. The network itself is no constant.
    """
    drawn = (_Drawing(np.random.default_rng([seed, attempt])).graph(nodes) for attempt in itertools.count())
    return next(graph for graph in drawn if not graph.node_ranges[graph.output].constant.all())


class _Drawing:
    def __init__(self, random: np.random.Generator) -> None:
        self.random = random
        low = int(random.integers(-3, 1))
        quantizer = InputQuantizer(low, low + int(random.integers(1, 6)), (1.0,))
        size = Shape(*(int(one) for one in random.integers((1, 3, 3), (4, 7, 7))))
        self.nodes: list[Node] = [Input(name=INPUT, size=size, quantizer=quantizer)]
        # The results that a stage may read, activations all, and their shapes.
        self.shapes = {INPUT: size}

    def graph(self, stages: int) -> Graph:
        """The drawn graph: what no stage has read is flattened, joined and read by the dense end."""
        for _ in range(stages):
            stage = self.random.choice(["conv", "conv", "depthwise", "max", "sum", "concat", "repeat", "again"])
            getattr(self, f"_{stage}")()
        read = {source for node in self.nodes for source in node.sources}
        ends = [name for name in self.shapes if name not in read] or [self._any()]
        sums = []
        for name in ends:
            shape = self.shapes[name]
            sums.append(self._linear(name, 3, Geometry((shape.height, shape.width))))
        total = self._add(Sum(name=self._name("sum"), sources=tuple(sums), multipliers=self._factors(len(sums))))
        ones = np.ones(3, np.int64)
        if self.random.integers(2):
            end: Step | Logits = Logits(3 * ones, self.random.integers(-9, 10, 3), 2, None)
        else:
            end = Step(np.sort(self.random.integers(-9, 10, (3, 3)), axis=1), -1, 2)
        output = self._add(Requantizer(name="out", sources=(total,), function=end))
        return verify(Graph(tuple(self.nodes), output, Fraction(1)), "a drawn graph")

    def _add(self, node: Node) -> str:
        self.nodes.append(node)
        return node.name

    def _name(self, kind: str) -> str:
        return f"{kind}{len(self.nodes)}"

    def _any(self) -> str:
        return str(self.random.choice(list(self.shapes)))

    def _factors(self, count: int) -> tuple[int, ...]:
        return tuple(int(one) for one in self.random.choice([-2, -1, 1, 1, 2, 3], count))

    def _geometry(self, shape: Shape, pad: int | None) -> Geometry:
        """A kernel that fits into `shape`; `pad`: what it may be padded with."""
        rows, columns = (int(self.random.integers(1, min(3, extent) + 1)) for extent in (shape.height, shape.width))
        pads = (0, 0, 0, 0)
        if pad is not None and self.random.integers(2):
            pads = tuple(int(self.random.integers(0, size)) for size in (rows, columns, rows, columns))  # type: ignore[assignment]
        stride = (int(self.random.integers(1, 3)), int(self.random.integers(1, 3)))
        return Geometry((rows, columns), stride, pads=pads, pad=pad or 0)

    def _weights(self, size: tuple[int, int]) -> np.ndarray:
        weights = self.random.integers(-2, 3, size) * (self.random.random(size) < 0.7)
        weights[:, self.random.random(size[1]) < 0.15] = 0
        weights[self.random.random(size[0]) < 0.1] = 0
        return weights

    def _linear(self, source: str, outputs: int, geometry: Geometry) -> str:
        weights = self._weights((geometry.taps * self.shapes[source].channels, outputs))
        return self._add(
            Linear(
                name=self._name("linear"), sources=(source,), weights=weights, weight_bits=3, input_bits=4,
                geometry=geometry,
            )
        )  # fmt: skip

    def _step(self, source: str, shape: Shape) -> None:
        """A step that may be a sign, signed or shifted; the value 0 has a level, so that it may be padded with."""
        base, step = [(0, 1), (-1, 2), (-2, 1), (-4, 2)][self.random.integers(4)]
        rows = np.sort(self.random.integers(-9, 10, (shape.channels, int(self.random.integers(1, 5)))), axis=1)
        rows[self.random.random(shape.channels) < 0.15] = 1 << 20
        name = self._name("step")
        self._add(Requantizer(name=name, sources=(source,), function=Step(rows, base, step), bits=3))
        self.shapes[name] = shape

    def _windowed(self, node: Linear | Depthwise | Max, source: str) -> Shape:
        self._add(node)
        return node.shape([self.shapes[source]])

    def _conv(self) -> None:
        source = self._any()
        name = self._linear(source, int(self.random.integers(1, 4)), self._geometry(self.shapes[source], 0))
        self._step(name, self.nodes[-1].shape([self.shapes[source]]))

    def _depthwise(self) -> None:
        source = self._any()
        geometry = self._geometry(self.shapes[source], 0)
        weights = self._weights((geometry.taps, self.shapes[source].channels))
        name = self._name("depthwise")
        node = Depthwise(
            name=name, sources=(source,), weights=weights, weight_bits=3, input_bits=4, geometry=geometry
        )  # fmt: skip
        self._step(name, self._windowed(node, source))

    def _max(self) -> None:
        source, name = self._any(), self._name("max")
        node = Max(name=name, sources=(source,), geometry=self._geometry(self.shapes[source], -4))
        self.shapes[name] = self._windowed(node, source)

    def _repeat(self) -> None:
        source, name = self._any(), self._name("repeat")
        shape = self.shapes[source]
        if shape.positions > 20:
            return
        self._add(Repeat(name=name, sources=(source,), rows=2, columns=1))
        self.shapes[name] = replace(shape, height=2 * shape.height)

    def _again(self) -> None:
        """A step after whatever there is."""
        source = self._any()
        self._step(source, self.shapes[source])

    def _alike(self, *, channels: bool) -> list[str]:
        """Two results of as many rows and columns, and of as many channels if asked for."""
        first = self._any()
        one = self.shapes[first]
        others = [
            name
            for name, shape in self.shapes.items()
            if (shape.height, shape.width) == (one.height, one.width)
            and (shape.channels == one.channels or not channels)
        ]
        return [first, str(self.random.choice(others))]

    def _sum(self) -> None:
        sources, name = self._alike(channels=True), self._name("sum")
        self._add(Sum(name=name, sources=tuple(sources), multipliers=self._factors(2)))
        self._step(name, self.shapes[sources[0]])

    def _concat(self) -> None:
        sources, name = self._alike(channels=False), self._name("concat")
        shape = self.shapes[sources[0]]
        self._add(Concat(name=name, sources=tuple(sources)))
        self.shapes[name] = replace(shape, channels=sum(self.shapes[source].channels for source in sources))
