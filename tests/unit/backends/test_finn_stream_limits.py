# SPDX-License-Identifier: Apache-2.0
"""What the FINN backend refuses of graphs with kernels and branches: by node, all reasons at once, before any work."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from qap2fpga.backends.finn.backend import FinnBackend
from qap2fpga.backends.finn.options import FinnOptions
from qap2fpga.backends.finn.stream import limits
from qap2fpga.hw import boards
from qap2fpga.ir.channelwise import Max
from qap2fpga.ir.functions import Step
from qap2fpga.ir.geometry import Geometry
from qap2fpga.ir.graph import INPUT, Graph
from qap2fpga.ir.joins import Sum
from qap2fpga.ir.linear import Linear
from qap2fpga.ir.nodes import Requantizer
from qap2fpga.ir.tensors import Shape
from tests.support.streams import Nodes, cnn, everything, residual

BOARD = boards.load("pynq-z2")


def messages(graph: Graph, kind: str = "logits") -> list[str]:
    return [reason.message for reason in FinnBackend().refusals(graph, BOARD, FinnOptions(output_kind=kind))]


def test_what_can_be_built_is_not_refused() -> None:
    assert messages(cnn()) == messages(everything()) == messages(residual()) == []


def test_every_node_that_cannot_be_built_is_named_at_once() -> None:
    graph = everything()
    many = Step(np.tile(np.arange(300), (4, 1)))
    act, other = (replace(graph[name], function=many) for name in ("act1", "act2"))  # type: ignore[call-arg]
    assert messages(graph.with_nodes(act, other)) == [
        f"node {name} (requantizer): 300 levels; there may be 255" for name in ("act1", "act2")
    ]


def test_levels_count_as_many_times_as_a_step_is_large() -> None:
    graph = cnn()
    act = graph["act1"]
    assert isinstance(act, Requantizer)
    assert isinstance(act.function, Step)
    wide = replace(act, function=replace(act.function, step=40))
    assert messages(graph.with_nodes(wide)) == ["node act1 (requantizer): 280 levels; there may be 255"]


def test_logits_in_the_middle() -> None:
    nodes = Nodes(Shape(2, 3, 3))
    nodes.logits("early", INPUT, 2)
    nodes.linear("conv", "early", 2, 2, Geometry((2, 2)))
    nodes.logits("out", "conv", 2)
    assert messages(nodes.graph()) == ["node early (requantizer): logits in the middle of the network"]


def test_a_class_of_many_positions() -> None:
    assert messages(residual(), "class") == ["node out (requantizer): a class of 8x8x4"]


def test_values_that_are_too_wide_for_a_product_and_sums_too_wide_for_float32() -> None:
    nodes = Nodes(Shape(2, 3, 3), -128, 127)
    nodes.add(Sum(name="sum", sources=(INPUT, INPUT), multipliers=(1, 1)))
    nodes.linear("conv", "sum", 2, 2, Geometry((2, 2)))
    nodes.add(Sum(name="large", sources=("conv",), multipliers=(1 << 20,)))
    nodes.logits("out", "large", 2)
    assert messages(nodes.graph()) == [
        "node conv (linear): values of 9 bits come in; the FINN backend takes 8 at most",
        "node large (sum): results of 34 bits; FINN carries them in float32, exact to 24 bits",
    ]


def test_a_kernel_that_finns_generator_cannot_step_with() -> None:
    nodes = Nodes(Shape(2, 2, 6))
    nodes.add(Max(name="pool", sources=(INPUT,), geometry=Geometry((1, 1), (2, 2))))
    nodes.logits("out", "pool", 2)
    what = "FINN's window generator cannot step over 2x6x2 with kernel and stride of this size"
    assert messages(nodes.graph()) == [f"node pool (max): {what}"]


def test_the_kinds_of_nodes_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(limits.HANDLERS, Linear)
    assert messages(cnn())[0] == "node conv1 (linear): the FINN backend has no hardware for this kind of node"


@pytest.mark.parametrize(("width", "kernel", "possible"), [
    (5, (3, 3), True), (4, (3, 3), False), (3, (3, 3), False), (4, (1, 3), True), (8, (8, 8), False),
])  # fmt: skip
def test_parallel_windows_of_narrow_images_are_silently_wrong_and_never_taken(
    width: int, kernel: tuple[int, int], possible: bool
) -> None:
    assert limits.parallel_possible(Shape(2, 8, width), Geometry(kernel)) is possible


@pytest.mark.parametrize(("size", "kernel", "stride", "possible"), [
    ((8, 8), (3, 3), (1, 1), True), ((9, 9), (3, 3), (2, 2), True), ((8, 8), (2, 2), (3, 3), True),
    ((1, 12), (1, 2), (1, 11), False), ((10, 4), (2, 2), (9, 1), False), ((1, 2), (1, 2), (1, 1), True),
])  # fmt: skip
def test_what_the_serial_generator_can_address(
    size: tuple[int, int], kernel: tuple[int, int], stride: tuple[int, int], possible: bool
) -> None:
    assert limits.addressable(Shape(4, *size), Geometry(kernel, stride), 2) is possible


def test_the_two_taps_of_a_whole_frame_come_without_a_generator() -> None:
    # With all lanes FINN's counters would have no bits; with fewer they count beats.
    kernel = Geometry((1, 2))
    assert not limits.addressable(Shape(2, 1, 2), kernel, 1)
    assert limits.serial_lanes(Shape(2, 1, 2), kernel) == [1]
    assert limits.depthwise_lanes(Shape(2, 1, 2), kernel) == [1, 2]
    # What is left over has to be skipped.
    assert limits.depthwise_lanes(Shape(1, 1, 3), Geometry((1, 2), (1, 2))) == []
    assert limits.depthwise_lanes(Shape(2, 1, 3), kernel) == limits.serial_lanes(Shape(2, 1, 3), kernel)
