# SPDX-License-Identifier: Apache-2.0
"""The FINN backend: from a graph to a dataflow design.

Chains of dense layers take FINN's own way from QONNX to its layers; graphs of all kinds are drawn as streams between
blocks.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import numpy as np

from qap2fpga.backends.api import Advice, Backend, Progress, require_possible
from qap2fpga.backends.finn import chain
from qap2fpga.backends.finn.estimate import used
from qap2fpga.backends.finn.options import FinnOptions
from qap2fpga.backends.finn.stream import way
from qap2fpga.backends.finn.stream.way import SparseNode
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
        reasons: tuple[QapError, ...] = _way(graph, board, options).refusals(graph, board, options)
        return reasons

    def expect(self, graph: Graph, board: Board, options: FinnOptions) -> Expectation:
        """Return what `generate` would make of `graph`: its folding, cycles and resources, without FINN.

        Raises `QapError` for what FINN's RTL cannot do and for what does not fit.
        """
        require_possible(self.unserved(board))
        expected: Expectation = _way(graph, board, options).expect(graph, board, options)
        return expected

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
        design: Design = _way(graph, board, options).generate(graph, board, folder, options, vectors, progress)
        return design


def _way(graph: Graph, board: Board, options: FinnOptions) -> ModuleType:
    """Return how `graph` is built: FINN's own way has no layer without its zeros, and is for chains alone."""
    if not graph.is_chain or options.sparse == "always":
        return way
    if options.sparse == "never" or chain.refusals(graph, board, options) or way.refusals(graph, board, options):
        return chain
    if options.folding is not None:
        entries = (entry for entry in options.folding.values() if isinstance(entry, Mapping))
        return way if any("BANKS" in entry for entry in entries) else chain
    return way if _better(graph, board, options) else chain


def _better(graph: Graph, board: Board, options: FinnOptions) -> bool:
    """Whether a chain without zeros is the faster design, or the smaller one of two that are as fast as is asked for.

    Where one of them cannot be built it is the other; what is wrong with both is said of FINN's own. Where no layer is
    better without its zeros, it is FINN's own.
    """
    try:
        sparse = way.expect(graph, board, options)
    except QapError:
        return False
    if not any(isinstance(node, SparseNode) for node in sparse.nodes):
        return False
    try:
        dense = chain.expect(graph, board, options)
    except QapError:
        return True
    if options.target_fps is None and sparse.interval_cycles != dense.interval_cycles:
        return sparse.interval_cycles < dense.interval_cycles
    parts = (sum(used(Resources(**one.total), board).values()) for one in (sparse, dense))
    return next(parts) < next(parts)
