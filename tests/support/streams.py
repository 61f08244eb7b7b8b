# SPDX-License-Identifier: Apache-2.0
"""Small graphs of all kinds of nodes, for hardware that is simulated."""

from __future__ import annotations

import itertools
from dataclasses import replace
from fractions import Fraction

import numpy as np

from qap2fpga.ir.channelwise import Depthwise, Max, Repeat
from qap2fpga.ir.functions import Function, Logits, Step
from qap2fpga.ir.geometry import Geometry
from qap2fpga.ir.graph import INPUT, Graph, verify
from qap2fpga.ir.joins import Concat, Sum
from qap2fpga.ir.linear import Linear
from qap2fpga.ir.nodes import Input, Node, Requantizer
from qap2fpga.ir.quantizer import InputQuantizer
from qap2fpga.ir.tensors import Shape

PAD1 = (1, 1, 1, 1)


class Nodes:
    """Nodes as they are added; each method returns the name of its node."""

    def __init__(self, size: Shape, low: int = 0, high: int = 7, *, seed: int = 0) -> None:
        self.random = np.random.default_rng(seed)
        self.nodes: list[Node] = [Input(name=INPUT, size=size, quantizer=InputQuantizer(low, high, (1.0,)))]

    def graph(self) -> Graph:
        """Return the graph, whose last node is its output."""
        return verify(Graph(tuple(self.nodes), self.nodes[-1].name, Fraction(1)), "a test's graph")

    def add(self, node: Node) -> str:
        """Add any node."""
        self.nodes.append(node)
        return node.name

    def linear(self, name: str, source: str, inputs: int, outputs: int, geometry: Geometry = Geometry()) -> str:  # noqa: B008
        """Add a linear node of random weights; `inputs` are channels."""
        weights = self.random.integers(-3, 4, (inputs * geometry.taps, outputs))
        return self.add(
            Linear(name=name, sources=(source,), weights=weights, weight_bits=3, input_bits=3, geometry=geometry)
        )  # fmt: skip

    def depthwise(self, name: str, source: str, channels: int, geometry: Geometry) -> str:
        """Add a depthwise node of random weights."""
        weights = self.random.integers(-3, 4, (geometry.taps, channels))
        return self.add(
            Depthwise(name=name, sources=(source,), weights=weights, weight_bits=3, input_bits=3, geometry=geometry)
        )  # fmt: skip

    def step(self, name: str, source: str, channels: int, levels: int, *, base: int = 0, step: int = 1) -> str:
        """Add thresholds."""
        rows = np.sort(self.random.integers(-20, 21, (channels, levels)), axis=1)
        return self.function(name, source, Step(rows, base, step))

    def logits(self, name: str, source: str, channels: int) -> str:
        """Add logits."""
        return self.function(
            name, source, Logits(self.random.integers(5, 10, channels), self.random.integers(-9, 9, channels), 2, 2)
        )  # fmt: skip

    def function(self, name: str, source: str, function: Function) -> str:
        """Add a requantizer."""
        return self.add(Requantizer(name=name, sources=(source,), function=function, bits=3))


def pruned(graph: Graph, density: float) -> Graph:
    """Return a graph of which so many of the weights are left."""
    random = np.random.default_rng(11)
    for node in graph.nodes:
        if isinstance(node, Linear):
            weights = np.where(random.random(node.weights.shape) < density, node.weights, 0)
            graph = graph.with_nodes(replace(node, weights=weights))
    return verify(graph, "a pruned graph")


def dense_layers(*sizes: int) -> Graph:
    """Return a chain of dense layers of so many neurons, the inputs before them."""
    nodes = Nodes(Shape(sizes[0], 1, 1), -4, 3)
    last = INPUT
    for number, (inputs, neurons) in enumerate(itertools.pairwise(sizes[:-1]), 1):
        last = nodes.step(f"act{number}", nodes.linear(f"fc{number}", last, inputs, neurons), neurons, 7)
    nodes.logits("out", nodes.linear("fc", last, sizes[-2], sizes[-1]), sizes[-1])
    return nodes.graph()


def residual(*, height: int = 8, width: int = 8, channels: int = 4) -> Graph:
    """Return a convolution beside a skip, joined, requantized."""
    nodes = Nodes(Shape(channels, height, width), seed=7)
    nodes.linear("conv", INPUT, channels, channels, Geometry((3, 3), pads=PAD1))
    nodes.step("act", "conv", channels, 7)
    nodes.add(Sum(name="sum", sources=("act", INPUT), multipliers=(1, 1)))
    nodes.step("out", "sum", channels, 7)
    return nodes.graph()


def cnn() -> Graph:
    """Return convolution, pooling, convolution, dense layer, logits, on 6x6x3."""
    nodes = Nodes(Shape(3, 6, 6), seed=1)
    nodes.linear("conv1", INPUT, 3, 4, Geometry((3, 3), pads=PAD1))
    nodes.step("act1", "conv1", 4, 7)
    nodes.add(Max(name="pool", sources=("act1",), geometry=Geometry((2, 2), (2, 2))))
    nodes.linear("conv2", "pool", 4, 4, Geometry((2, 2)))
    nodes.step("act2", "conv2", 4, 7)
    nodes.linear("fc", "act2", 4, 3, Geometry((2, 2)))
    nodes.logits("out", "fc", 3)
    return nodes.graph()


def everything() -> Graph:
    """Return a graph of all kinds: signed input, pads of all values, unequal factors, levels that are no counts."""
    nodes = Nodes(Shape(2, 5, 5), -4, 3, seed=3)
    nodes.linear("conv1", INPUT, 2, 4, Geometry((3, 3), pads=PAD1))
    nodes.step("act1", "conv1", 4, 5, base=1)
    nodes.depthwise("dw", "act1", 4, Geometry((3, 3), pads=PAD1, pad=3))
    nodes.step("act2", "dw", 4, 7)
    nodes.linear("point", "act2", 4, 4)
    nodes.step("act3", "point", 4, 3, base=-1, step=2)
    nodes.add(Sum(name="sum", sources=("act1", "act3"), multipliers=(2, -3)))
    nodes.step("act4", "sum", 4, 1)
    nodes.add(Max(name="pool", sources=("act4",), geometry=Geometry((3, 3), (2, 2), pads=PAD1, pad=-100)))
    nodes.add(Repeat(name="up", sources=("pool",), rows=2, columns=2))
    nodes.linear("conv3", "act2", 4, 6, Geometry((2, 4), pads=(1, 2, 1, 2)))
    nodes.step("act5", "conv3", 6, 3)
    nodes.add(Concat(name="cat", sources=("up", "act5")))
    nodes.linear("fc", "cat", 10, 3, Geometry((6, 6)))
    nodes.logits("out", "fc", 3)
    return nodes.graph()
