# SPDX-License-Identifier: Apache-2.0
"""What pruning left over is taken out, and hidden activations become codes from 0, after sums got the smallest
multipliers: five passes.

The last one: thresholds lie within the range of what they are compared with, and no level is left that no channel
reaches.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from qap2fpga.ir.functions import Step
from qap2fpga.ir.graph import Graph
from qap2fpga.ir.nodes import Requantizer
from qap2fpga.ir.tensors import Range
from qap2fpga.passes.codes import count_from_zero
from qap2fpga.passes.dead import drop_dead
from qap2fpga.passes.inputs import ignore_zero_inputs
from qap2fpga.passes.pipeline import Pass, run
from qap2fpga.passes.sums import small_multipliers


def trim_thresholds(graph: Graph) -> Graph:
    """Return the graph whose thresholds can all be reached, or stand just above the range."""
    changed = []
    for node in graph.nodes:
        if isinstance(node, Requantizer) and isinstance(node.function, Step):
            source, is_output = graph.node_ranges[node.sources[0]], node.name == graph.output
            changed.append(replace(node, function=_trimmed(node.function, source, all_levels=is_output)))
    return graph.with_nodes(*changed)


def _trimmed(step: Step, source: Range, *, all_levels: bool) -> Step:
    inside = np.clip(step.thresholds, source.low[:, None], source.high[:, None] + 1)
    # The network's own output keeps its quantizer's levels.
    levels = inside.shape[1] if all_levels else max(1, int((inside <= source.high[:, None]).sum(axis=1).max()))
    return replace(step, thresholds=inside[:, :levels])


COMPACTION = (
    Pass("inputs that are 0", ignore_zero_inputs),
    Pass("small multipliers of sums", small_multipliers),
    Pass("counts from zero", count_from_zero),
    Pass("dead channels", drop_dead),
    Pass("thresholds within range", trim_thresholds),
)


def compact(graph: Graph, frames: np.ndarray | None = None) -> Graph:
    """Return the smallest equal graph, compared on `frames` (n, inputs) after each pass.

    Raises `ConstantNetwork` if a layer vanishes whole.
    """
    nothing = np.zeros((0, graph.inputs), np.int64)
    return run(graph, COMPACTION, nothing if frames is None else frames)
