# SPDX-License-Identifier: Apache-2.0
"""Compaction of graphs with kernels, pools and branches."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from fractions import Fraction
from itertools import product

import numpy as np
import pytest

from qap2fpga.ir.channelwise import Max, Repeat
from qap2fpga.ir.functions import Step
from qap2fpga.ir.geometry import Geometry
from qap2fpga.ir.graph import Graph, verify
from qap2fpga.ir.joins import Concat, Sum
from qap2fpga.ir.linear import Linear
from qap2fpga.ir.nodes import Input, Node, Requantizer
from qap2fpga.ir.quantizer import InputQuantizer
from qap2fpga.ir.tensors import Shape
from qap2fpga.passes.codes import count_from_zero
from qap2fpga.passes.compaction import compact
from qap2fpga.system.errors import ConstantNetwork
from tests.support.branches import branching

STEP = Step(np.array([[-2, 0, 2]]), 2, 2)
BORDER = Geometry((1, 2), pads=(0, 1, 0, 1), pad=0)


def drawn_frames(graph: Graph, count: int, seed: int) -> np.ndarray:
    ends = graph.input.low, graph.input.high
    frames = np.random.default_rng(seed).integers(*ends, (count, graph.inputs), endpoint=True)
    frames[0], frames[1] = ends
    return frames


@pytest.mark.parametrize("seed", range(200))
def test_compaction_changes_no_output(seed: int) -> None:
    graph = branching(seed, nodes=3 + seed % 6)
    frames = drawn_frames(graph, 100, seed)
    try:
        small = compact(graph, frames)
    except ConstantNetwork:
        assert (graph.run(frames) == graph.run(frames)[0]).all()
        return
    assert np.array_equal(small.run(frames), graph.run(frames))
    for name, values in small.trace(frames).items():
        assert small.node_ranges[name].contains(values).all(), name


def summed(sources: tuple[str, ...]) -> Sum:
    return Sum(name="inner", sources=sources, multipliers=(1,) * len(sources))


POINTWISE = Linear(name="inner", sources=("dead",), weights=np.array([[3], [0]]), weight_bits=3, input_bits=3)
SILENT = replace(POINTWISE, weights=np.zeros((2, 1), np.int64))


@pytest.mark.parametrize("inner", [POINTWISE, SILENT, summed(("dead", "dead"))], ids=["linear", "zeros", "sum"])
def test_a_constant_beside_other_pads_keeps_something_that_it_is_made_of(inner: Node) -> None:
    """All that it reads could be folded, but it cannot go itself."""
    outputs = inner.shape([Shape(2, 1, 3)]).channels
    edge = {"weight_bits": 3, "input_bits": 3, "geometry": BORDER}
    ones = np.ones((2, 1), np.int64)
    nodes: list[Node] = [
        Input(name="in", size=Shape(2, 1, 3), quantizer=InputQuantizer(-2, 1, (1.0,))),
        Requantizer(name="dead", sources=("in",), function=Step(np.full((2, 1), 100), 5, 1)),
        inner,
        Requantizer(name="always", sources=("inner",), function=Step(np.full((outputs, 1), -100), 0, 2)),
        Linear(name="border", sources=("always",), weights=np.repeat(ones, outputs, axis=0), **edge),
        Linear(name="alive", sources=("in",), weights=np.arange(1, 5).reshape(-1, 1), **edge),
        Sum(name="total", sources=("border", "alive"), multipliers=(1, 1)),
        Requantizer(name="out", sources=("total",), function=Step(np.array([[-6, -2, 0, 4, 7]]))),
    ]
    graph = verify(Graph(tuple(nodes), "out", Fraction(1)), "a test")
    frames = np.array([*product(range(-2, 2), repeat=6)])
    assert np.array_equal(compact(graph, frames).run(frames), graph.run(frames))


def test_a_sum_drops_a_constant_of_which_another_reader_keeps_a_channel() -> None:
    """Its own channels would not fit those any more."""
    edge = {"weight_bits": 3, "input_bits": 3, "geometry": BORDER}
    nodes: list[Node] = [
        Input(name="in", size=Shape(2, 1, 3), quantizer=InputQuantizer(-2, 1, (1.0,))),
        Linear(name="before", sources=("in",), weights=np.eye(2, dtype=np.int64), weight_bits=3, input_bits=3),
        Requantizer(name="dead", sources=("before",), function=Step(np.full((2, 1), 100), 2, 1)),
        Sum(name="sum", sources=("in", "dead"), multipliers=(1, 3)),
        Requantizer(name="act", sources=("sum",), function=Step(np.array([[5, 6], [6, 7]]))),
        Linear(name="one", sources=("dead",), weights=np.array([[0], [1], [0], [2]]), **edge),
        Linear(name="two", sources=("act",), weights=np.arange(1, 5).reshape(-1, 1), **edge),
        Sum(name="total", sources=("one", "two"), multipliers=(1, 1)),
        Requantizer(name="out", sources=("total",), function=Step(np.array([[1, 3, 5, 7, 11]]))),
    ]
    graph = verify(Graph(tuple(nodes), "out", Fraction(1)), "a test")
    frames = np.array([*product(range(-2, 2), repeat=6)])
    small = compact(graph, frames)
    assert np.array_equal(small.run(frames), graph.run(frames))
    assert small["sum"].sources == ("in",)


def padded(step: Step, geometry: Geometry, *, joined: bool = False) -> Graph:
    """A frame of 1x3, a `step`, perhaps beside itself, and sums under `geometry`."""
    quantizer = InputQuantizer(-4, 3, (1.0,))
    channels = 2 if joined else 1
    weights = np.arange(1, geometry.taps * channels + 1).reshape(-1, 1)
    source = "both" if joined else "step"
    nodes: list[Node] = [
        Input(name="in", size=Shape(1, 1, 3), quantizer=quantizer),
        Requantizer(name="step", sources=("in",), function=step),
        Linear(name="sum", sources=(source,), weights=weights, weight_bits=3, input_bits=3, geometry=geometry),
        Requantizer(name="out", sources=("sum",), function=Step(np.array([[0, 4, 9, 20, 31]]))),
    ]
    if joined:
        nodes.insert(2, Concat(name="both", sources=("step", "step")))
    return verify(Graph(tuple(nodes), "out", Fraction(1)), "a test")


EVERY = np.array([*product(range(-4, 4), repeat=3)])


def coded(graph: Graph) -> Graph:
    changed = count_from_zero(graph)
    assert np.array_equal(changed.run(EVERY), graph.run(EVERY))
    return changed


def test_the_pad_is_a_code_too() -> None:
    graph = coded(padded(STEP, BORDER))
    step, sums = graph["step"], graph["sum"]
    assert isinstance(step, Requantizer) and isinstance(step.function, Step) and isinstance(sums, Linear)
    assert (step.function.base, step.function.step, sums.geometry.pad) == (1, 1, 0)
    below = coded(padded(replace(STEP, base=-1), BORDER))["step"]
    assert isinstance(below, Requantizer) and isinstance(below.function, Step)
    assert (below.function.base, below.function.step) == (0, 2)


@pytest.mark.parametrize(
    "between",
    [
        Max(name="between", sources=("step",), geometry=Geometry((1, 2))),
        Repeat(name="between", sources=("step",), rows=1, columns=2),
    ],
    ids=lambda node: str(node.kind),
)
def test_the_pad_of_what_hands_values_on_is_a_code_too(between: Node) -> None:
    plain = padded(STEP, BORDER)
    start, step, sums, end = plain.nodes
    graph = coded(replace(plain, nodes=(start, step, between, replace(sums, sources=("between",)), end)))
    node = graph["step"]
    assert isinstance(node, Requantizer) and isinstance(node.function, Step)
    assert (node.function.base, node.function.step) == (1, 1)


def test_channels_side_by_side_are_codes_where_nothing_pads_them() -> None:
    for geometry, counts in ((Geometry((1, 2)), True), (BORDER, False)):
        # The pad is a value of the step: alone it would be a count.
        node = coded(padded(replace(STEP, base=0), geometry, joined=True))["step"]
        assert isinstance(node, Requantizer) and isinstance(node.function, Step)
        assert node.function.counts is counts


def test_every_kind_is_drawn() -> None:
    kinds = Counter(node.kind for seed in range(60) for node in branching(seed, nodes=8).nodes)
    assert min(kinds[kind] for kind in ("depthwise", "max", "sum", "concat", "repeat", "requantizer")) > 20
