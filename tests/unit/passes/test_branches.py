# SPDX-License-Identifier: Apache-2.0
"""Compaction of graphs with kernels, pools and branches."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from qap2fpga.ir.graph import Graph
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
        assert small.reach[name].contains(values).all(), name


def test_every_kind_is_drawn() -> None:
    kinds = Counter(node.kind for seed in range(60) for node in branching(seed, nodes=8).nodes)
    assert min(kinds[kind] for kind in ("depthwise", "max", "sum", "concat", "repeat", "requantizer")) > 20
