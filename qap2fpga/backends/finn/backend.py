# SPDX-License-Identifier: Apache-2.0
"""The FINN backend: from a graph to a dataflow design.

Chains of dense layers take FINN's own way from QONNX to its layers; graphs of all kinds are drawn as streams between
blocks.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import numpy as np

from qap2fpga.backends.api import Advice, Backend, Progress, require_possible
from qap2fpga.backends.finn import chain
from qap2fpga.backends.finn.estimate import used
from qap2fpga.backends.finn.options import FinnOptions
from qap2fpga.backends.finn.stream import way
from qap2fpga.hw.boards import Board
from qap2fpga.hw.design import Design, Expectation
from qap2fpga.hw.resources import Resources
from qap2fpga.ir.graph import Graph
from qap2fpga.system.errors import QapError


class FinnBackend(Backend[FinnOptions]):
    """AMD's dataflow compiler, its RTL library, and no Vivado."""

    name = "finn"
    options = FinnOptions
    artifact = Design
    advice = Advice(
        "a FIFO is too shallow, or a node takes other cycles than its folding says",
        "a layer has another folding or width than its node says, or logic became DSPs",
        "choose a larger board, --target-fps or --max-utilization",
    )

    def refusals(self, graph: Graph, board: Board, options: FinnOptions) -> tuple[QapError, ...]:
        """Return every reason why FINN's RTL cannot compute `graph`."""
        dense = graph.is_chain and options.sparse != "always"
        return chain.refusals(graph, board, options) if dense else way.refusals(graph, board, options)

    def expect(self, graph: Graph, board: Board, options: FinnOptions) -> Expectation:
        """Return what `generate` would make of `graph`: its folding, cycles and resources, without FINN.

        Raises `QapError` for what FINN's RTL cannot do and for what does not fit.
        """
        require_possible(self.unserved(board))
        return _plan(graph, board, options).expectation

    def generate(
        self, graph: Graph, board: Board, folder: Path, options: FinnOptions, vectors: np.ndarray,
        progress: Progress = lambda line: None,
    ) -> Design:  # fmt: skip
        """Build `graph`, compacted and normalised, for `board` below `folder`, and return what was written.

        `vectors` (n, inputs) are input integers that each step's graph is executed with, besides the extreme ones.
        `folder` then has `rtl/` (the design), `NN_step.onnx` (the graph after each step) and `folding.json`.
        Raises `QapError` for what FINN's RTL cannot do and for what does not fit, `CheckFailed` for a step of FINN
        that changed the network.
        """
        require_possible(self.unserved(board))
        return _plan(graph, board, options).generate(folder, vectors, progress)


class Plan(Protocol):
    """A decided design."""

    @property
    def expectation(self) -> Expectation:
        """Its folding, cycles and resources, without FINN."""

    def generate(self, folder: Path, vectors: np.ndarray, progress: Progress) -> Design:
        """Build it below `folder`, each step's graph compared with the network on `vectors`."""


def _plan(graph: Graph, board: Board, options: FinnOptions) -> Plan:
    """Decide how `graph` is built: FINN's own way has no layer without its zeros, and is for chains alone."""
    if not graph.is_chain or options.sparse == "always":
        return way.plan(graph, board, options)
    if options.sparse == "never" or chain.refusals(graph, board, options) or way.refusals(graph, board, options):
        return chain.plan(graph, board, options)
    if options.folding is not None:
        entries = (entry for entry in options.folding.values() if isinstance(entry, Mapping))
        skipping = any("BANKS" in entry for entry in entries)
        return (way if skipping else chain).plan(graph, board, options)
    return _better(graph, board, options)


def _better(graph: Graph, board: Board, options: FinnOptions) -> Plan:
    """Return the faster design of a chain, without zeros or with them, or the smaller of two that are fast enough.

    Where one of them cannot be built it is the other; what is wrong with both is said of FINN's own. Where no layer is
    better without its zeros, it is FINN's own.
    """
    try:
        sparse = way.plan(graph, board, options)
    except QapError:
        return chain.plan(graph, board, options)
    if not sparse.without_zeros:
        return chain.plan(graph, board, options)
    try:
        dense = chain.plan(graph, board, options)
    except QapError:
        return sparse
    cycles, others = (one.expectation.interval_cycles for one in (sparse, dense))
    if options.target_fps is None and cycles != others:
        return sparse if cycles < others else dense
    parts, more = (sum(used(Resources(**one.expectation.total), board).values()) for one in (sparse, dense))
    return sparse if parts < more else dense
