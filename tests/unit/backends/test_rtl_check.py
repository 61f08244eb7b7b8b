# SPDX-License-Identifier: Apache-2.0
"""What the rtl backend refuses before any work."""

from __future__ import annotations

from dataclasses import dataclass, replace

from qap2fpga.backends.rtl.check import refusals
from qap2fpga.backends.rtl.estimate import before
from qap2fpga.backends.rtl.options import RtlOptions
from qap2fpga.hw import boards
from qap2fpga.ir.channelwise import Repeat
from qap2fpga.ir.geometry import Geometry
from qap2fpga.ir.graph import Graph
from qap2fpga.passes.compaction import compact
from tests.support.branches import branching
from tests.support.graphs import enlarged, residual, small_cnn, wide

BOARD = boards.load("pynq-z2")


def reasons(graph: Graph, kind: str = "logits") -> list[str]:
    return [error.message for error in refusals(graph, BOARD, RtlOptions(output_kind=kind))]


def test_what_can_be_built_has_no_reasons() -> None:
    assert not reasons(small_cnn())


@dataclass(frozen=True, eq=False, kw_only=True)
class Turned(Repeat):
    """A kind that no backend knows."""

    kind = "turned"


def test_a_kind_without_hardware_is_named() -> None:
    graph = residual()
    assert not reasons(graph)
    turned = Turned(name="large", sources=("both",), rows=1, columns=3)
    assert reasons(graph.with_nodes(turned)) == ["node large: the rtl backend has no hardware for the kind 'turned'"]


def test_accumulators_of_a_network_without_a_requantizer_at_its_end_are_refused() -> None:
    (reason,) = reasons(residual(), "accumulators")
    assert reason == "the network ends in the node dense (linear), which is no requantizer"


def test_pads_as_large_as_the_kernel_take_more_cycles() -> None:
    graph = small_cnn()
    wide = replace(graph["conv1"], geometry=Geometry((3, 3), pads=(2, 2, 2, 2)))  # type: ignore[call-arg]
    padded = replace(graph.with_nodes(wide), nodes=(graph.nodes[0], wide), output="conv1")
    assert not reasons(padded)
    (error,) = refusals(padded, BOARD, RtlOptions(target_interval=60))
    assert error.message == "--target-interval is 60; a frame takes 90 cycles at least"


def test_a_class_of_every_position_is_refused() -> None:
    graph = small_cnn()
    whole = replace(graph, nodes=graph.nodes[:3], output=graph.nodes[2].name)
    assert not reasons(whole)
    assert reasons(whole, "class") == [
        "--output-kind class: the network gives 6x5x3, so there is no one class of a frame"
    ]


def test_an_interval_that_no_frame_keeps_is_refused() -> None:
    graph = enlarged()
    (error,) = refusals(graph, BOARD, RtlOptions(target_interval=40))
    assert error.message == "--target-interval is 40; a frame takes 48 cycles at least"
    assert not refusals(graph, BOARD, RtlOptions(target_interval=48))


def test_rows_that_come_too_fast_to_be_repeated_are_refused() -> None:
    (reason,) = reasons(compact(branching(2003, nodes=9)))
    assert reason == "node repeat11: rows that a kernel makes of its pads come faster than they can be repeated"


def test_a_network_that_is_too_large_is_refused() -> None:
    graph = small_cnn(size=(64, 6, 5))
    small = replace(BOARD, lut=100)
    (error,) = refusals(graph, small, RtlOptions())
    assert "unrolled, the network's" in error.message and "pynq-z2 has 100" in error.message
    assert not refusals(graph, small, RtlOptions(allow_oversize=True))


def test_a_frame_of_positions_may_be_given_more_cycles() -> None:
    (error,) = refusals(wide(), replace(BOARD, lut=100), RtlOptions())
    assert "give a frame more cycles (--target-interval)" in error.hint
    luts = [before(wide(), pace) for pace in (1, 18)]
    assert luts[1] < luts[0] / 2
