# SPDX-License-Identifier: Apache-2.0
"""Sums over whole frames, a position after the other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from qap2fpga.backends.rtl.dataflow.parts import Window
from qap2fpga.backends.rtl.dataflow.total import Total
from qap2fpga.backends.rtl.datapaths import has_window, sums_up_frames
from qap2fpga.ir.channelwise import Depthwise
from qap2fpga.ir.geometry import Geometry
from qap2fpga.ir.graph import Graph
from qap2fpga.ir.tensors import Shape
from tests.support.graphs import averaged
from tests.unit.backends.test_rtl_dataflow import evaluated, simulated


def mean_of(graph: Graph) -> Depthwise:
    node = graph["mean"]
    assert isinstance(node, Depthwise)
    return node


def test_an_average_over_the_frame_holds_no_positions() -> None:
    graph = averaged()
    parts = evaluated(graph).flow.parts
    assert [type(part) for part in parts].count(Total) == 1
    assert [type(part) for part in parts].count(Window) == 1
    assert sums_up_frames(graph, mean_of(graph)) and not has_window(graph, mean_of(graph), frozenset())


@pytest.mark.parametrize("kind", ["class", "accumulators"])
def test_other_outputs(kind: str) -> None:
    evaluated(averaged(), kind)


def test_weights_that_differ_in_a_frame_need_a_window() -> None:
    graph = averaged()
    mean = mean_of(graph)
    weights = mean.weights.copy()
    weights[7, 1] = 2
    other = graph.with_nodes(replace(mean, weights=weights))
    assert not sums_up_frames(other, mean_of(other))
    parts = evaluated(other).flow.parts
    assert not any(isinstance(part, Total) for part in parts)


def test_one_position_has_nothing_to_sum_up() -> None:
    graph = averaged()
    mean = replace(mean_of(graph), weights=mean_of(graph).weights[:1], geometry=Geometry())
    small = graph.with_nodes(replace(graph.source, size=Shape(2)), mean)
    assert not sums_up_frames(small, mean_of(small))


def test_the_sums_of_each_channel_and_frame() -> None:
    part = next(part for part in evaluated(averaged()).flow.parts if isinstance(part, Total))
    values = np.random.default_rng(0).integers(-1, 3, (6, 4, 5, 3))
    assert (part.evaluate([values])[:, 0, 0] == values.sum(axis=(1, 2))).all()


@pytest.mark.slow
def test_an_average_in_verilator(tmp_path: Path) -> None:
    simulated(averaged(), tmp_path)
