# SPDX-License-Identifier: Apache-2.0
"""Which blocks each kind of node becomes, and in which types values pass between them."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from qap2fpga.backends.finn.stream import fifos, library, own
from qap2fpga.backends.finn.stream.blocks import Block, Kind
from qap2fpga.backends.finn.stream.draw import Drawing, Drawn, Lanes
from qap2fpga.backends.finn.stream.handlers import HANDLERS
from qap2fpga.ir.channelwise import Max
from qap2fpga.ir.functions import Logits
from qap2fpga.ir.geometry import Geometry
from qap2fpga.ir.graph import INPUT, Graph
from qap2fpga.ir.joins import Sum
from qap2fpga.ir.tensors import Shape
from tests.support.streams import PAD1, Nodes, cnn, everything, residual


def drawn(graph: Graph, folding: dict[str, Lanes] | None = None, kind: str = "logits") -> Drawn:
    every = {node.name: Lanes() for node in graph.nodes} | (folding or {})
    return Drawing(graph, every, fifos.without(), deep=False, kind=kind).drawn(HANDLERS)


def kinds(design: Drawn) -> list[str]:
    return [type(block).__name__ for block in design.blocks]


def of(design: Drawn, cls: type[Block]) -> list[Block]:
    return [block for block in design.blocks if isinstance(block, cls)]


def test_a_cnn() -> None:
    design = drawn(cnn())
    # All taps of a window, of all channels, are together.
    assert [one.given.shape for one in of(design, library.Windows)] == [(6, 6, 27), (3, 3, 16), (2, 2, 16)]
    assert kinds(design) == [
        "Pad", "Windows", "Product", "Thresholds", "Windows", "Largest", "Windows", "Product", "Thresholds", "Product",
        "Scores",
    ]  # fmt: skip


def test_a_dense_layer_over_a_frame_needs_no_windows_and_no_order() -> None:
    design = drawn(cnn(), {"fc": Lanes(8, 3)})
    product = of(design, library.Product)[-1]
    assert product.taken.lanes == 8  # two positions at once
    assert product.taken.beats == 2


def test_a_pool_of_two_taps_over_a_whole_frame_needs_no_windows() -> None:
    nodes = Nodes(Shape(2, 1, 2))
    nodes.add(Max(name="pool", sources=(INPUT,), geometry=Geometry((1, 2))))
    nodes.logits("out", "pool", 2)
    graph = nodes.graph()
    assert kinds(drawn(graph, {"input/": Lanes(pe=2), "pool": Lanes(pe=2)})) == ["Largest", "Scores"]
    assert kinds(drawn(graph))[0] == "Windows"  # channel by channel they come in another order


def test_every_kind_of_node() -> None:
    counts = Counter(kinds(drawn(everything())))
    assert counts["Fork"] == 2  # two results have two readers
    assert counts["Flip"] == 2  # before and after padding with another value than 0: depthwise
    assert {"Weighted", "Largest", "Add", "Join", "Again"} <= set(counts)


def test_every_edge_has_one_reader_and_every_node_is_shown() -> None:
    graph = everything()
    design = drawn(graph)
    read = Counter(edge for block in design.blocks for edge in block.sources)
    edges = [INPUT_EDGE, *(target for block in design.blocks for target in block.targets)]
    assert {edge: read[edge] for edge in edges if edge != design.end} == dict.fromkeys(edges[:-1], 1)
    shown = {block.node for block in design.blocks if block.shows}
    assert shown == {node.name for node in graph.nodes} - {INPUT, "out"}


INPUT_EDGE = "in0"


def test_bits_of_one_become_two_before_a_product_alone() -> None:
    nodes = Nodes(Shape(2), 0, 1)
    nodes.step("step", nodes.linear("fc1", INPUT, 2, 4), 4, 1)
    nodes.add(Sum(name="sum", sources=("step", "step"), multipliers=(1, 2)))
    nodes.linear("fc2", "sum", 4, 2)
    nodes.logits("out", "fc2", 2)
    products = of(drawn(nodes.graph()), library.Product)
    assert products[0].taken.kind == Kind(2, False)
    assert of(drawn(nodes.graph()), own.Add)[0].taken.kind == Kind(1, False)


def test_a_pad_outside_of_the_type_makes_it_wider_and_one_below_a_pool_does_not() -> None:
    nodes = Nodes(Shape(2, 4, 4), 0, 3)
    nodes.add(Max(name="pool", sources=(INPUT,), geometry=Geometry((2, 2), pads=PAD1, pad=-9)))
    nodes.linear("conv", "pool", 2, 2, Geometry((2, 2), pads=PAD1, pad=-3))
    nodes.logits("out", "conv", 2)
    first, second = of(drawn(nodes.graph()), library.Pad)
    assert first.taken.kind == Kind(2, False)
    assert second.taken.kind == Kind(3, True)


def test_levels_that_are_no_counts() -> None:
    nodes = Nodes(Shape(3), 0, 7)
    nodes.step("step", nodes.linear("fc", INPUT, 3, 4), 4, 3, base=-2, step=2)
    nodes.logits("out", nodes.linear("fc2", "step", 4, 2), 2)
    design = drawn(nodes.graph())
    (thresholds,), (offset,) = of(design, library.Thresholds), of(design, own.Extend)
    assert isinstance(thresholds, library.Thresholds)
    rows = nodes.graph()["step"].function.thresholds  # type: ignore[attr-defined]
    assert np.array_equal(thresholds.rows[:, :6], np.repeat(rows, 2, axis=1))
    assert offset.given.kind == Kind(4, True)  # -2 to 4


def test_what_leaves() -> None:
    assert drawn(cnn(), kind="class").result.kind == Kind(2, False)
    assert drawn(cnn(), kind="accumulators").blocks[-1].op == "MVAU_rtl"
    step_end = drawn(residual())
    assert step_end.blocks[-1].op == "Thresholding_rtl"
    assert isinstance(cnn()["out"].function, Logits)  # type: ignore[attr-defined]
    assert kinds(drawn(cnn()))[-1] == "Scores"


@pytest.mark.parametrize(("low", "high", "kind"), [(0, 0, (1, False)), (0, 7, (3, False)), (-1, 0, (1, True)),
                                                   (-4, 3, (3, True)), (-1, 4, (4, True))])  # fmt: skip
def test_types(low: int, high: int, kind: tuple[int, bool]) -> None:
    found = Kind.of(low, high)
    assert (found.bits, found.signed) == kind
    assert found.low <= low <= high <= found.high
    assert Kind(3, False).holding(-1, 0) == Kind(4, True)
