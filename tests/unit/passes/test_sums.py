# SPDX-License-Identifier: Apache-2.0
"""Smaller multipliers of sums, on all pairs, and the smallest there are, beside a search through all of them."""

from __future__ import annotations

import itertools
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from qap2fpga.ir.functions import Step
from qap2fpga.ir.geometry import Geometry
from qap2fpga.ir.graph import Graph, verify
from qap2fpga.ir.joins import Sum
from qap2fpga.ir.linear import Linear
from qap2fpga.ir.nodes import Input, Requantizer
from qap2fpga.ir.quantizer import InputQuantizer
from qap2fpga.ir.tensors import Shape
from qap2fpga.passes.sums import simplest, small_multipliers

LOW, HIGH = -4, 3


def joined(multipliers: tuple[int, int], thresholds: list[list[int]], *, more: bool = False) -> Graph:
    """Two inputs, each taken alone, added up and compared with thresholds; `more`: something else reads the sum."""

    def alone(name: str, weights: list[int]) -> Linear:
        matrix = np.array([weights] * 1).T.repeat(len(thresholds), axis=1)
        return Linear(name=name, sources=("in",), weights=matrix, weight_bits=2, input_bits=3)

    step = Requantizer(name="step", sources=("sum",), function=Step(np.array(thresholds)))
    nodes = [
        Input(name="in", size=Shape(2), quantizer=InputQuantizer(LOW, HIGH, (1.0,))),
        alone("a", [1, 0]),
        alone("b", [0, 1]),
        Sum(name="sum", sources=("a", "b"), multipliers=multipliers),
        step,
    ]
    if more:
        nodes.append(Sum(name="end", sources=("step", "sum"), multipliers=(1, 1)))
    return verify(Graph(tuple(nodes), nodes[-1].name, Fraction(1)), "a test")


FRAMES = np.array(list(itertools.product(range(LOW, HIGH + 1), repeat=2)))


def possible(graph: Graph, p: int, q: int) -> bool:
    """Whether sums with p and q, of any thresholds, can tell all that the graph tells."""
    levels = graph.run(FRAMES)
    sums = FRAMES @ np.array([p, q])
    order = np.argsort(sums, kind="stable")
    for channel in range(levels.shape[1]):
        by_sum = levels[order, channel]
        same = np.diff(sums[order]) == 0
        if (np.diff(by_sum) < 0).any() or (np.diff(by_sum)[same] != 0).any():
            return False
    return True


@pytest.mark.parametrize("seed", range(40))
def test_the_smallest_multipliers_tell_the_same_on_all_pairs(seed: int) -> None:
    random = np.random.default_rng(seed)
    multipliers = tuple(int(one) for one in random.integers(300, 3000, 2) * random.choice([-1, 1], 2))
    thresholds = np.sort(random.integers(-9000, 9000, (int(random.integers(1, 3)), 4)), axis=1)
    graph = joined(multipliers, thresholds.tolist())
    small = verify(small_multipliers(graph), "the pass")
    node = small["sum"]
    assert isinstance(node, Sum)
    assert (small.run(FRAMES) == graph.run(FRAMES)).all()
    (p, q), signs = node.multipliers, np.sign(multipliers)
    assert (np.sign(node.multipliers) == signs).all()
    smaller = itertools.product(range(1, max(abs(p), abs(q))), repeat=2)
    assert not any(possible(graph, int(signs[0]) * one, int(signs[1]) * other) for one, other in smaller)


def test_thresholds_that_are_always_or_never_reached_ask_for_nothing() -> None:
    graph = joined((777, 1001), [[-(10**6), 10**6]])
    small = small_multipliers(graph)
    node = small["sum"]
    assert isinstance(node, Sum)
    assert node.multipliers == (1, 1)
    assert (small.run(FRAMES) == 1).all()


def test_a_sum_that_something_else_reads_stays_as_it_is() -> None:
    for graph in (
        joined((777, 1001), [[5]], more=True),
        joined((1, -1), [[1, 2]]),
        replace(joined((777, 1001), [[5]]), nodes=joined((777, 1001), [[5]]).nodes[:-1], output="sum"),
    ):
        assert small_multipliers(graph).nodes == graph.nodes


def test_the_simplest_fraction_between_two() -> None:
    for low, high in itertools.combinations([Fraction(p, q) for p in range(9) for q in range(1, 9)], 2):
        if low < high:
            found = simplest(low, high)
            assert low < found < high
            size = max(found.numerator, found.denominator)
            inside = (Fraction(p, q) for p in range(1, size) for q in range(1, size))
            assert not any(low < one < high for one in inside)
    assert simplest(Fraction(7, 2), None) == 4


def test_a_kernel_before_the_sum_changes_nothing() -> None:
    """Frames of several positions."""
    window = Geometry((1, 2))
    one = Linear(name="a", sources=("in",), weights=np.array([[1], [2]]), weight_bits=2, input_bits=3, geometry=window)
    nodes = (
        Input(name="in", size=Shape(1, 1, 4), quantizer=InputQuantizer(LOW, HIGH, (1.0,))),
        one,
        replace(one, name="b", weights=np.array([[-1], [1]])),
        Sum(name="sum", sources=("a", "b"), multipliers=(911, 1303)),
        Requantizer(name="step", sources=("sum",), function=Step(np.array([[-4000, 100, 5000]]))),
    )
    graph = verify(Graph(nodes, "step", Fraction(1)), "a test")
    frames = np.random.default_rng(0).integers(LOW, HIGH + 1, (500, 4))
    small = small_multipliers(graph)
    assert (small.run(frames) == graph.run(frames)).all()
    node = small["sum"]
    assert isinstance(node, Sum)
    assert max(node.multipliers) < 100
