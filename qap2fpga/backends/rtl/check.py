# SPDX-License-Identifier: Apache-2.0
"""What the rtl backend refuses, known before anything is designed."""

from __future__ import annotations

from collections.abc import Iterator

from qap2fpga.backends.rtl import estimate
from qap2fpga.backends.rtl.options import RtlOptions
from qap2fpga.backends.rtl.pace import late, pace, pace_for
from qap2fpga.hw.boards import Board
from qap2fpga.ir.channelwise import Depthwise, Max, Repeat
from qap2fpga.ir.graph import Graph
from qap2fpga.ir.joins import Concat, Sum
from qap2fpga.ir.linear import Linear
from qap2fpga.ir.nodes import Input, Requantizer
from qap2fpga.system.errors import QapError

KINDS = (Input, Linear, Depthwise, Max, Repeat, Sum, Concat, Requantizer)


def refusals(graph: Graph, board: Board, options: RtlOptions) -> tuple[QapError, ...]:
    """Return every reason why `graph` cannot be built: its nodes, its outputs, its size."""
    return (
        *_of_nodes(graph), *_of_outputs(graph, options), *_of_interval(graph, options),
        *estimate.refusals(graph, board, options),
    )  # fmt: skip


def _of_nodes(graph: Graph) -> Iterator[QapError]:
    for node in graph.nodes:
        if type(node) not in KINDS:
            yield QapError(f"node {node.name}: the rtl backend has no hardware for the kind '{node.kind}'")


def _of_interval(graph: Graph, options: RtlOptions) -> Iterator[QapError]:
    least = pace(graph) * graph.source.size.positions
    if options.target_interval is not None and options.target_interval < least:
        what = f"--target-interval is {options.target_interval}; a frame takes {least} cycles at least"
        yield QapError(what, "give more, or leave it out")
    for node in late(graph, pace_for(graph, options.target_interval)):
        what = f"node {node.name}: rows that a kernel makes of its pads come faster than they can be repeated"
        yield QapError(what, "pad less before it")


def _of_outputs(graph: Graph, options: RtlOptions) -> Iterator[QapError]:
    shape = graph.shapes[graph.output]
    if options.output_kind == "accumulators":
        try:
            _ = graph.end
        except QapError as error:
            yield error
    if options.output_kind == "class" and shape.positions > 1:
        what = f"--output-kind class: the network gives {shape}, so there is no one class of a frame"
        yield QapError(what, "leave --output-kind out")
