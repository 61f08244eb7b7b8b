# SPDX-License-Identifier: Apache-2.0
"""How fast positions may come in."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from qap2fpga.backends.rtl.pace import pace, timings
from qap2fpga.ir.channelwise import Repeat
from tests.support.graphs import enlarged, residual, small_cnn


def test_a_position_per_cycle_where_nothing_is_enlarged_beyond_the_input() -> None:
    assert pace(small_cnn()) == 1
    assert pace(enlarged((2, 4, 6), pooled=True)) == 1
    assert pace(residual()) == 1


def test_what_gives_more_than_it_takes_slows_the_input() -> None:
    graph = enlarged()
    assert pace(graph) == 4
    large = graph["large"]
    assert isinstance(large, Repeat)
    rows = graph.with_nodes(replace(large, columns=1))
    assert pace(replace(rows, nodes=rows.nodes[:2], output="large")) == 2


def test_every_result_comes_after_its_sources() -> None:
    graph = residual()
    came = timings(graph, 2)
    assert came["in"].cycles.tolist() == list(range(0, 40, 2))
    for node in graph.nodes:
        assert len(came[node.name].cycles) == graph.shapes[node.name].positions
        assert (np.diff(came[node.name].cycles) > 0).all()
        for source in node.sources:
            assert came[node.name].last >= came[source].first
