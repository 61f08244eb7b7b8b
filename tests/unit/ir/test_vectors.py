# SPDX-License-Identifier: Apache-2.0
"""Vectors of graphs with kernels: the corners reach both ends of every channel; large frames are fewer."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from qap2fpga.ir import vectors
from qap2fpga.ir.channelwise import Depthwise
from qap2fpga.ir.geometry import Geometry
from qap2fpga.ir.graph import INPUT, Graph
from qap2fpga.ir.linear import Linear
from qap2fpga.ir.nodes import Input
from qap2fpga.ir.quantizer import InputQuantizer
from qap2fpga.ir.tensors import Shape
from tests.support.branches import branching

KERNEL = Geometry((3, 2), (1, 1), pads=(1, 0, 1, 1))


def over_images(kind: type[Linear] | type[Depthwise], geometry: Geometry) -> Graph:
    size = (3 * geometry.taps, 4) if kind is Linear else (geometry.taps, 3)
    weights = np.random.default_rng(3).integers(-4, 5, size)
    node = kind(name="conv", sources=(INPUT,), weights=weights, weight_bits=4, input_bits=3, geometry=geometry)
    source = Input(name=INPUT, size=Shape(3, 5, 4), quantizer=InputQuantizer(-4, 3, (1.0,)))
    return Graph((source, node), "conv", Fraction(1))


@pytest.mark.parametrize("kind", [Linear, Depthwise])
@pytest.mark.parametrize("geometry", [KERNEL, Geometry((2, 2), (2, 1)), Geometry((2, 2), dilation=(2, 1))])
def test_every_channel_of_a_kernel_reaches_both_ends(kind: type, geometry: Geometry) -> None:
    graph = over_images(kind, geometry)
    corners = vectors.extremes(graph)
    sums = graph.shapes["conv"].tensor(graph.run(corners))
    # At a position that sees no pad the largest sum is that of the largest products.
    weights = graph["conv"].weights
    best = np.where(weights > 0, 3 * weights, -4 * weights)
    worst = np.where(weights > 0, -4 * weights, 3 * weights)
    assert (sums.max(axis=(0, 1, 2)) == best.sum(axis=0)).all()
    assert (sums.min(axis=(0, 1, 2)) == worst.sum(axis=0)).all()


def test_corners_differ_and_lie_in_the_range() -> None:
    for seed in range(10):
        graph = branching(seed)
        corners = vectors.extremes(graph)
        assert len(np.unique(corners, axis=0)) == len(corners)
        assert corners.min() == graph.input.low
        assert corners.max() == graph.input.high


def test_large_frames_are_fewer(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = over_images(Linear, KERNEL)
    assert vectors.random_vectors(graph, 50, 1).shape == (50, 60)
    monkeypatch.setattr(vectors, "MOST_VALUES", 60 * 20)
    assert vectors.random_vectors(graph, 50, 1).shape == (20, 60)
    monkeypatch.setattr(vectors, "MOST_VALUES", 60)
    assert len(vectors.random_vectors(graph, 50, 1)) == 8


def test_vectors_stay_within_the_ends_of_each_feature_and_reach_them() -> None:
    ends = ((-2, 1), (0, 0), (-4, 3), (1, 2))
    source = Input(name=INPUT, size=Shape(4), quantizer=InputQuantizer(-4, 3, (1.0,), ends=ends))
    linear = Linear(name="fc", sources=(INPUT,), weights=np.ones((4, 1), np.int64), weight_bits=2, input_bits=3)
    graph = Graph((source, linear), "fc", Fraction(1))
    for rows in (vectors.extremes(graph), vectors.random_vectors(graph, 500, 1)):
        assert list(zip(rows.min(axis=0).tolist(), rows.max(axis=0).tolist(), strict=True)) == list(ends)
        assert graph.input.gives(rows)
        for place in (0, 2, 3):
            beyond = rows.copy()
            beyond[0, place] = ends[place][1] + 1
            assert not graph.input.gives(beyond)
