# SPDX-License-Identifier: Apache-2.0
"""The proof of an adder graph covers every node and output."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from qap2fpga.backends.rtl.adders import Adder, AdderGraph, Output
from qap2fpga.system.errors import CheckFailed


def test_every_part_of_an_adder_graph_is_proven():
    weights = np.array([[3, -4], [6, 8]])
    graph = AdderGraph(2, (Adder(0, 1, 1, 1, 1), Adder(0, 1, 1, -1, 1)), (Output(2, 0, 1, 3), Output(3, 2, 1)))
    graph.prove(weights, "fc7")
    halved = AdderGraph(2, graph.adders, (Output(2, -1, 1, 6), Output(3, 2, 1)))
    halved.prove(weights, "fc7")
    assert graph.ranges(np.array([-1, -2]), np.array([3, 5]))[2:] == [(-5, 13), (-7, 11)]
    first, second = graph.adders
    wrong = [
        (replace(first, left_sign=-1), second),
        (replace(first, right_sign=-1), second),
        (replace(first, shift=2), second),
        (first, replace(second, left=1)),
    ]
    for adders in wrong:
        with pytest.raises(CheckFailed, match="layer fc7, channel"):
            replace(graph, adders=adders).prove(weights, "fc7")
    for parts in ((2, 0, -1, 3), (2, 0, 1, 1), (2, 1, 1, 3), (3, 0, 1, 3), (2, -1, 1, 3)):
        with pytest.raises(CheckFailed, match="layer fc7, channel 0"):
            replace(graph, outputs=(Output(*parts), graph.outputs[1])).prove(weights, "fc7")
