# SPDX-License-Identifier: Apache-2.0
"""Passes: from a graph to an equal one that costs less. After each the graph is verified and compared.

A pass is a function `Graph -> Graph` with a name. It keeps the output of every frame, and says in a note what it did.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from qap2fpga.ir.graph import Graph, verify
from qap2fpga.system.errors import CheckFailed

REPORT = "please report this bug with the model"


@dataclass(frozen=True)
class Pass:
    """`change` returns an equal graph; `name` stands in messages."""

    name: str
    change: Callable[[Graph], Graph]


def run(graph: Graph, passes: Sequence[Pass], frames: np.ndarray) -> Graph:
    """Return `graph` after all `passes`, each verified and compared with `graph` on `frames` (n, inputs).

    Raises `CheckFailed` naming the pass, the output and the frame when a pass has changed what is computed.
    """
    verify(graph, "lowering")
    expected = graph.run(frames)
    for one in passes:
        graph = verify(one.change(graph), f"pass '{one.name}'")
        require_equal(one.name, graph, frames, expected)
    return graph


def require_equal(name: str, graph: Graph, frames: np.ndarray, expected: np.ndarray) -> None:
    """Raise `CheckFailed` if `graph` gives others than the `expected` outputs (n, outputs) of `frames` (n, inputs)."""
    results = graph.run(frames)
    if results.shape != expected.shape:
        raise CheckFailed(f"pass '{name}' gives {results.shape[1]} outputs instead of {expected.shape[1]}", REPORT)
    wrong = np.argwhere(results != expected)
    if len(wrong):
        frame, channel = (int(one) for one in wrong[0])
        node = graph[graph.output]
        raise CheckFailed(
            f"pass '{name}' changed the network: node {node.name}, output {node.channel_name(channel)}, "
            f"vector {frame}: {results[frame, channel]} instead of {expected[frame, channel]}",
            REPORT,
        )
