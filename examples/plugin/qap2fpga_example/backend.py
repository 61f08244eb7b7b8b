# SPDX-License-Identifier: Apache-2.0
"""The rtl backend with fewer pipeline stages: cut for twice the board's period where no clock is given.

A backend may be anything that makes a `Design` or an `HlsProject` of a graph; this one shows what has to be said.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from qap2fpga.backends.rtl.backend import RtlBackend
from qap2fpga.backends.rtl.options import RtlOptions
from qap2fpga.hw.boards import Board
from qap2fpga.hw.design import Design, Expectation
from qap2fpga.ir.graph import Graph


class UnhurriedBackend(RtlBackend):
    """`name` is that of the entry point; `families` are the device families that it makes hardware for."""

    name = "unhurried"
    families = ("xc7", "xcu", "xcup")

    def expect(self, graph: Graph, board: Board, options: RtlOptions) -> Expectation:
        """Return what `generate` would make of `graph`."""
        return super().expect(graph, board, unhurried(board, options))

    def generate(
        self, graph: Graph, board: Board, folder: Path, options: RtlOptions, vectors: np.ndarray,
        progress: Callable[[str], None] = lambda line: None,
    ) -> Design:  # fmt: skip
        """Build `graph` for `board` in `folder`, and return what was written."""
        return super().generate(graph, board, folder, unhurried(board, options), vectors, progress)


def unhurried(board: Board, options: RtlOptions) -> RtlOptions:
    """Return `options` with twice the board's period where no clock was given."""
    return options if options.clock else replace(options, clock=2 * board.clock_ns)
