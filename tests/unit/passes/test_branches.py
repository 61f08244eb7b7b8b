# SPDX-License-Identifier: Apache-2.0
"""Compaction of graphs with kernels, pools and branches."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from fractions import Fraction
from itertools import product

import numpy as np
import pytest

from qap2fpga.ir.functions import Step
from qap2fpga.ir.geometry import Geometry
from qap2fpga.ir.graph import Graph, verify
from qap2fpga.ir.joins import Concat
from qap2fpga.ir.linear import Linear
from qap2fpga.ir.nodes import Input, Node, Requantizer
from qap2fpga.ir.quantizer import InputQuantizer
from qap2fpga.ir.tensors import Shape
from qap2fpga.passes.codes import count_from_zero
from qap2fpga.passes.compaction import compact
from qap2fpga.system.errors import ConstantNetwork
from tests.support.branches import branching


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


STEP = Step(np.array([[-2, 0, 2]]), 2, 2)
BORDER = Geometry((1, 2), pads=(0, 1, 0, 1), pad=0)
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


def test_channels_side_by_side_are_codes_where_nothing_pads_them() -> None:
    for geometry, counts in ((Geometry((1, 2)), True), (BORDER, False)):
        # The pad is a value of the step: alone it would be a count.
        node = coded(padded(replace(STEP, base=0), geometry, joined=True))["step"]
        assert isinstance(node, Requantizer) and isinstance(node.function, Step)
        assert node.function.counts is counts


def test_every_kind_is_drawn() -> None:
    kinds = Counter(node.kind for seed in range(60) for node in branching(seed, nodes=8).nodes)
    assert min(kinds[kind] for kind in ("depthwise", "max", "sum", "concat", "repeat", "requantizer")) > 20
