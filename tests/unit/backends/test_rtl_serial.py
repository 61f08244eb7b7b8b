# SPDX-License-Identifier: Apache-2.0
"""Which layers take their inputs one after the other, and when each of them is taken."""

from __future__ import annotations

import numpy as np
import pytest

from qap2fpga.backends.rtl import serial
from qap2fpga.backends.rtl.dataflow.timing import Slots, Timing
from qap2fpga.backends.rtl.serial import serial_layers
from tests.support.graphs import pooled, random_graph, small_cnn, wide


def test_a_queue_is_emptied_in_order() -> None:
    slots = Slots(Timing(np.array([0, 1, 2, 12]), np.arange(4), 16), 3)
    assert slots.leave.cycles.tolist() == [1, 4, 7, 13]
    assert (slots.depth, slots.keeps_up) == (2, True)


@pytest.mark.parametrize("period, enough", [(12, True), (11, False)])
def test_a_frame_has_a_cycle_for_each_integer(period: int, enough: bool) -> None:
    assert Slots(Timing(np.array([0, 1, 2, 3]), np.arange(4), period), 3).keeps_up == enough


def test_large_layers_after_pools_are_serial() -> None:
    assert serial_layers(pooled(), 1) == {"dense1", "dense2"}


def test_small_layers_and_layers_without_time_are_not() -> None:
    assert not serial_layers(small_cnn(), 1)
    assert not serial_layers(random_graph(3), 1)


def test_the_cheaper_way_is_taken() -> None:
    graph = pooled(outputs=2)
    for name in ("dense1", "dense2"):
        cheaper = serial.luts(graph, graph[name]) < serial.unrolled_luts(graph, graph[name])  # type: ignore[arg-type]
        assert (name in serial_layers(graph, 1)) == cheaper
    assert "dense2" not in serial_layers(graph, 1)


@pytest.mark.parametrize(
    "pace, layers", [(1, set()), (2, {"dense"}), (17, {"dense"}), (18, {"conv1", "conv2", "dense"})]
)
def test_more_cycles_share_more_multipliers(pace: int, layers: set[str]) -> None:
    """A convolution of 18 inputs at each position, and after a pool of four one of 36."""
    assert serial_layers(wide(), pace) == layers
