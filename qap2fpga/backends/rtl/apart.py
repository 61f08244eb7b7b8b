# SPDX-License-Identifier: Apache-2.0
"""Adder graphs of outputs that share no inputs: depthwise kernels, sums of branches, the unit matrix.

There is nothing to share between them, so that each is solved alone, and equal ones once.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np

from qap2fpga.backends.rtl import solver
from qap2fpga.backends.rtl.adders import Adder, AdderGraph, Output
from qap2fpga.backends.rtl.datapaths import Datapath
from qap2fpga.ir.linear import Linear

# Layers whose graphs are remembered.
KEPT = 64
# One output alone gains little from more.
TRIES = 4


def of_path(path: Datapath) -> AdderGraph:
    """Return the adder graph of a datapath's sums: of a whole matrix, or of outputs that share no inputs."""
    weights, ends = path.unit.weights, path.ranges.inputs
    content = (one.astype(np.int64, copy=False).tobytes() for one in (weights, *ends))
    return _of_content(path.unit.name, isinstance(path.node, Linear), weights.shape, *content)


@lru_cache(maxsize=KEPT)
def _of_content(
    name: str, is_matrix: bool, shape: tuple[int, int], weights: bytes, low: bytes, high: bytes
) -> AdderGraph:  # fmt: skip
    """The graph by what it is made of: the same layer for several boards and intervals is solved once."""
    matrix, least, most = (np.frombuffer(one, np.int64) for one in (weights, low, high))
    if is_matrix:
        return solver.solve(matrix.reshape(shape), least, most, name)
    return solve(matrix.reshape(shape), least, most, name)


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
