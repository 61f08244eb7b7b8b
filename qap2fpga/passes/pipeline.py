# SPDX-License-Identifier: Apache-2.0
"""Passes: from a graph to an equal one that costs less. After each the graph is verified. What the last
one leaves is compared, and where that differs, what every pass left.

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
    """Return `graph` after all `passes`, each verified; the result is compared with `graph` on `frames` (n, inputs).

    Raises `CheckFailed` naming the first pass after which another output differs, the output and the frame.
    """
    verify(graph, "lowering")
    expected, after = graph.run(frames), [graph]
    for one in passes:
        after.append(verify(one.change(after[-1]), f"pass '{one.name}'"))
    if not np.array_equal(after[-1].run(frames), expected):
        for one, changed in zip(passes, after[1:], strict=True):
            require_equal(one.name, changed, frames, expected)
    return after[-1]


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
