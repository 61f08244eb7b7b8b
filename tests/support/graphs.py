# SPDX-License-Identifier: Apache-2.0
"""Small integer graphs for the tests."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np

from qap2fpga.ir.channelwise import Depthwise, Max, Repeat
from qap2fpga.ir.functions import Logits, Step
from qap2fpga.ir.geometry import Geometry
from qap2fpga.ir.graph import Graph, chain, verify
from qap2fpga.ir.joins import Concat, Sum
from qap2fpga.ir.linear import Linear
from qap2fpga.ir.nodes import Input, Node, Requantizer
from qap2fpga.ir.quantizer import InputQuantizer
from qap2fpga.ir.tensors import Shape
from qap2fpga.ir.units import dense


def small_chain(
    weights: list[list[list[int]]], thresholds: list[list[list[int]]], *, base: int = 0, step: int = 1,
    low: int = -4, high: int = 3,
) -> Graph:  # fmt: skip
    """Return a chain of layers `fc1`, `fc2`, ... that ends in logits which are the last sums."""
    layers = []
    for number, matrix in enumerate(weights, start=1):
        array, end = np.array(matrix, np.int64), None
        if number <= len(thresholds):
            end = Step(np.array(thresholds[number - 1], np.int64).reshape(array.shape[1], -1), base, step)
        else:
            ones = np.ones(array.shape[1], np.int64)
            end = Logits(ones, 0 * ones, 0, 0)
        layers.append(dense(f"fc{number}", array, end, 4, 4, 4))
    return chain(layers, InputQuantizer(low, high, (1.0,)), Fraction(1))


def residual() -> Graph:
    """A frame of 4x5 with 2 channels: a convolution, its skip, pools of both, enlarged, and a dense end."""
    random = np.random.default_rng(5)

    def linear(name: str, source: str, inputs: int, outputs: int, geometry: Geometry) -> Linear:
        weights = random.integers(-2, 3, (inputs, outputs))
        return Linear(name=name, sources=(source,), weights=weights, weight_bits=3, input_bits=3, geometry=geometry)

    def step(name: str, source: str) -> Requantizer:
        rows = np.sort(random.integers(-9, 10, (2, 3)), axis=1)
        return Requantizer(name=name, sources=(source,), function=Step(rows), bits=2)

    window = Geometry((2, 2), (2, 2))
    quantizer = InputQuantizer(-2, 1, (1.0,))
    nodes: tuple[Node, ...] = (
        Input(name="in", size=Shape(2, 4, 5), quantizer=quantizer),
        linear("conv", "in", 18, 2, Geometry((3, 3), pads=(1, 1, 1, 1))),
        step("a", "conv"),
        Sum(name="add", sources=("a", "in"), multipliers=(3, -2)),
        step("b", "add"),
        Max(name="pool", sources=("b",), geometry=window),
        Depthwise(
            name="mean", sources=("a",), weights=np.ones((4, 2), np.int64), weight_bits=1, input_bits=2, geometry=window
        ),
        Concat(name="both", sources=("pool", "mean")),
        Repeat(name="large", sources=("both",), rows=1, columns=3),
        linear("dense", "large", 48, 3, Geometry((2, 6))),
    )
    return verify(Graph(nodes, "dense", Fraction(1)), "a test")


def small_cnn(seed: int = 3, *, size: tuple[int, int, int] = (2, 6, 5)) -> Graph:
    """Return a network of frames of (channels, height, width): convolution, pool, convolution, dense end, logits."""
    random, shape = np.random.default_rng(seed), Shape(*size)
    nodes: list[Node] = [Input(name="in", size=shape, quantizer=InputQuantizer(-4, 3, (1.0,)))]

    def linear(name: str, outputs: int, geometry: Geometry) -> None:
        source = nodes[-1]
        before = verify(Graph(tuple(nodes), source.name, Fraction(1)), "a test").shapes[source.name]
        weights = random.integers(-3, 4, (geometry.taps * before.channels, outputs))
        weights[random.random(weights.shape) < 0.4] = 0
        nodes.append(
            Linear(name=name, sources=(source.name,), weights=weights, weight_bits=3, input_bits=3, geometry=geometry)
        )

    def step(channels: int) -> None:
        rows = np.sort(random.integers(-12, 13, (channels, 3)), axis=1)
        source = nodes[-1].name
        nodes.append(Requantizer(name=f"{source}/step", sources=(source,), function=Step(rows), bits=2))

    linear("conv1", 3, Geometry((3, 3), pads=(1, 1, 1, 1)))
    step(3)
    nodes.append(Max(name="pool", sources=("conv1/step",), geometry=Geometry((2, 2), (2, 2))))
    linear("conv2", 2, Geometry((2, 2)))
    step(2)
    linear("dense", 4, Geometry((size[1] // 2 - 1, size[2] // 2 - 1)))
    end = Logits(np.array([5, 7, -3, 4]), random.integers(-9, 10, 4), 1, None)
    nodes.append(Requantizer(name="logits", sources=("dense",), function=end))
    return verify(Graph(tuple(nodes), "logits", Fraction(1)), "a test")


def pooled(seed: int = 1, *, outputs: int = 12) -> Graph:
    """Return a pool of frames of 8x8 with 2 channels, two dense layers after it, and logits."""
    random = np.random.default_rng(seed)
    nodes: list[Node] = [
        Input(name="in", size=Shape(2, 8, 8), quantizer=InputQuantizer(-8, 7, (1.0,))),
        Max(name="pool", sources=("in",), geometry=Geometry((2, 2), (2, 2))),
    ]
    for name, inputs, geometry in (("dense1", 32, Geometry((4, 4))), ("dense2", outputs, Geometry())):
        weights = random.integers(-31, 32, (inputs, outputs))
        nodes.append(Linear(name=name, sources=(nodes[-1].name,), weights=weights, weight_bits=6, input_bits=4,
                            geometry=geometry))  # fmt: skip
        end: Step | Logits = Step(np.sort(random.integers(-300, 300, (outputs, 15)), axis=1))
        if name == "dense2":
            end = Logits(random.integers(5, 90, outputs), random.integers(-9, 10, outputs), 4, None)
        nodes.append(Requantizer(name=f"{name}/end", sources=(name,), function=end))
    return verify(Graph(tuple(nodes), "dense2/end", Fraction(1)), "a test")


def wide(seed: int = 4) -> Graph:
    """Return two convolutions of 6 bits with a pool between them, of frames of 6x6 with 2 channels, and a dense end."""
    random, window = np.random.default_rng(seed), Geometry((3, 3), pads=(1, 1, 1, 1))
    nodes: list[Node] = [Input(name="in", size=Shape(2, 6, 6), quantizer=InputQuantizer(-4, 3, (1.0,)))]
    for name, inputs, outputs, geometry in (
        ("conv1", 18, 4, window), ("conv2", 36, 4, window), ("dense", 36, 3, Geometry((3, 3))),
    ):  # fmt: skip
        weights = random.integers(-31, 32, (inputs, outputs))
        nodes.append(Linear(name=name, sources=(nodes[-1].name,), weights=weights, weight_bits=6, input_bits=3,
                            geometry=geometry))  # fmt: skip
        end: Step | Logits = Step(np.sort(random.integers(-200, 200, (outputs, 7)), axis=1))
        if name == "dense":
            end = Logits(np.array([3, 5, 7]), np.array([1, 2, -3]), 1, None)
        nodes.append(Requantizer(name=f"{name}/end", sources=(name,), function=end))
        if name == "conv1":
            nodes.append(Max(name="pool", sources=("conv1/end",), geometry=Geometry((2, 2), (2, 2))))
    return verify(Graph(tuple(nodes), "dense/end", Fraction(1)), "a test")


def enlarged(size: tuple[int, int, int] = (2, 3, 4), *, pooled: bool = False) -> Graph:
    """Return rows and columns twice, a convolution, a pool and a dense end of frames of (channels, height, width).

    `pooled`: what is enlarged was pooled before, and stands beside the frame itself.
    """
    random, shape = np.random.default_rng(0), Shape(*size)
    nodes: list[Node] = [Input(name="in", size=shape, quantizer=InputQuantizer(0, 3, (1.0,)))]
    if pooled:
        nodes.append(Max(name="small", sources=("in",), geometry=Geometry((2, 2), (2, 2))))
    nodes.append(Repeat(name="large", sources=(nodes[-1].name,), rows=2, columns=2))
    if pooled:
        nodes.append(Concat(name="both", sources=("large", "in")))
    channels, rows, columns = (2 * size[0], *size[1:]) if pooled else (size[0], 2 * size[1], 2 * size[2])

    def linear(name: str, inputs: int, outputs: int, geometry: Geometry) -> Linear:
        weights = random.integers(-2, 3, (inputs, outputs))
        return Linear(name=name, sources=(nodes[-1].name,), weights=weights, weight_bits=3, input_bits=2,
                      geometry=geometry)  # fmt: skip

    nodes.append(linear("conv", 9 * channels, 2, Geometry((3, 3), pads=(1, 1, 1, 1))))
    levels = np.sort(random.integers(-6, 7, (2, 3)), axis=1)
    nodes.append(Requantizer(name="a", sources=("conv",), function=Step(levels), bits=2))
    nodes.append(Max(name="pool", sources=("a",), geometry=Geometry((2, 2), (2, 2))))
    nodes.append(linear("dense", rows // 2 * (columns // 2) * 2, 3, Geometry((rows // 2, columns // 2))))
    end = Logits(np.array([3, 5, 7]), np.array([1, 2, -3]), 1, None)
    nodes.append(Requantizer(name="out", sources=("dense",), function=end))
    return verify(Graph(tuple(nodes), "out", Fraction(1)), "a test")


def averaged(seed: int = 2) -> Graph:
    """Return a convolution of frames of 4x5 with 2 channels, its sums over the frame, a step, and a dense end."""
    random = np.random.default_rng(seed)
    window = Geometry((3, 3), pads=(1, 1, 1, 1))
    ones = np.broadcast_to(np.array([1, 3, 1]), (20, 3)).astype(np.int64)
    nodes: tuple[Node, ...] = (
        Input(name="in", size=Shape(2, 4, 5), quantizer=InputQuantizer(-2, 1, (1.0,))),
        Linear(name="conv", sources=("in",), weights=random.integers(-2, 3, (18, 3)), weight_bits=3, input_bits=2,
               geometry=window),
        Requantizer(name="a", sources=("conv",), function=Step(np.array([[-3, 0, 4]] * 3), -1, 1), bits=2),
        Depthwise(name="mean", sources=("a",), weights=ones, weight_bits=2, input_bits=2, geometry=Geometry((4, 5))),
        Requantizer(name="b", sources=("mean",), function=Step(np.array([[-4, 0, 5], [0, 9, 20], [2, 4, 9]])), bits=2),
        Linear(name="dense", sources=("b",), weights=random.integers(-3, 4, (3, 2)), weight_bits=3, input_bits=2),
        Requantizer(name="out", sources=("dense",), function=Logits(np.array([3, -5]), np.array([1, 2]), 1, None)),
    )  # fmt: skip
    return verify(Graph(nodes, "out", Fraction(1)), "a test")


def layer_results(graph: Graph, frames: np.ndarray) -> list[np.ndarray]:
    """Return what leaves each layer of a chain, in order, for input integers `frames` (n, inputs)."""
    results = graph.trace(frames)
    return [results[layer.requantizer.name] for layer in graph.layers]


def random_graph(seed: int, *, dead: bool = False) -> Graph:
    """Return a chain of two or three layers with drawn sizes, weights and thresholds; `dead`: some channels are."""
    drawn = (_drawn(np.random.default_rng([seed, attempt]), dead=dead) for attempt in itertools.count())
    return next(graph for graph in drawn if _alive(graph))


def _alive(graph: Graph) -> bool:
    """Whether no layer is constant as a whole."""
    return not any(graph.node_ranges[node.name].constant.all() for node in graph.nodes)


def _drawn(random: np.random.Generator, *, dead: bool) -> Graph:
    sizes = [int(one) for one in random.integers(2, 7, random.integers(3, 5))]
    signs = bool(random.integers(2))
    weights, thresholds = [], []
    for inputs, outputs in itertools.pairwise(sizes):
        matrix = random.integers(-3, 4, (inputs, outputs))
        matrix[0, matrix.any(axis=0) == 0] = 1
        if dead and len(weights) < len(sizes) - 2:
            matrix[:, 0] = 0
        weights.append(matrix.tolist())
        thresholds.append(np.sort(random.integers(-5, 6, (outputs, 1 if signs else 3)), axis=1).tolist())
    return small_chain(weights, thresholds[:-1], base=-1 if signs else 0, step=2 if signs else 1)


def all_frames(graph: Graph, count: int, seed: int) -> np.ndarray:
    """Return `count` drawn frames; every frame there is if `count` is 0."""
    quantizer = graph.input
    if not count:
        values = range(quantizer.low, quantizer.high + 1)
        return np.array(list(itertools.product(values, repeat=graph.inputs)), np.int64)
    return np.random.default_rng(seed).integers(quantizer.low, quantizer.high, (count, graph.inputs), endpoint=True)
