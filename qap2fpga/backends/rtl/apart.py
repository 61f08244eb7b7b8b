# SPDX-License-Identifier: Apache-2.0
"""Adder graphs of outputs that share no inputs: depthwise kernels, sums of branches, the unit matrix.

There is nothing to share between them, so that each is solved alone, and equal ones once.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from qap2fpga.backends.rtl import solver
from qap2fpga.backends.rtl.adders import Adder, AdderGraph, Output

# One output alone gains little from more.
TRIES = 4


def solve(weights: np.ndarray, low: np.ndarray, high: np.ndarray, name: str) -> AdderGraph:
    """Return a proven graph for `weights` (inputs, outputs), of which each input has at most one that is not zero.

    Input i lies in `low[i]..high[i]`. Raises `CheckFailed` naming layer `name` for a graph of other weights.
    """
    if (np.count_nonzero(weights, axis=1) > 1).any():
        raise AssertionError(f"layer {name}: outputs share inputs")
    adders: list[Adder] = []
    outputs: list[Output] = []
    known: dict[bytes, AdderGraph] = {}
    for column in weights.T:
        taken = np.flatnonzero(column)
        if not len(taken):
            outputs.append(Output(0, 0, 1, 0))
            continue
        key = b"".join(one[taken].tobytes() for one in (column, low, high))
        if key not in known:
            known[key] = solver.solve(column[taken][:, None], low[taken], high[taken], name, TRIES)
        graph = known[key]
        # The graph's own inputs are some of all, and its adders come after those before.
        place = [*taken.tolist(), *(len(weights) + len(adders) + index for index in range(len(graph.adders)))]
        adders += [replace(one, left=place[one.left], right=place[one.right]) for one in graph.adders]
        outputs += [replace(one, node=place[one.node]) for one in graph.outputs]
    whole = AdderGraph(len(weights), tuple(adders), tuple(outputs))
    whole.prove(weights, name)
    return whole
