# SPDX-License-Identifier: Apache-2.0
"""The adder graphs of a network's layers: each is solved once for all boards and intervals, large ones on two cores."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from qap2fpga.backends.rtl import apart, solver
from qap2fpga.backends.rtl.adders import AdderGraph
from qap2fpga.backends.rtl.datapaths import Datapath
from qap2fpga.ir.linear import Linear
from qap2fpga.system.beside import Beside, has_room

# Layers whose graphs are remembered.
KEPT = 64
# From this much effort on (a second and more) some layers are solved by another process, which takes as long to start
# as so much effort does.
LARGE, START = 8000, 3000


@dataclass(frozen=True)
class Layer:
    """What a graph is made of: int64 `weights`, and the lowest and highest inputs, as bytes; `name` is for errors."""

    name: str
    is_matrix: bool
    shape: tuple[int, int]
    weights: bytes
    low: bytes
    high: bytes

    @property
    def matrix(self) -> np.ndarray:
        """The weights (inputs, outputs)."""
        return np.frombuffer(self.weights, np.int64).reshape(self.shape)

    @property
    def effort(self) -> int:
        """A measure of the time that its solution takes."""
        return int(np.count_nonzero(self.matrix)) * solver.tries(self.matrix)


_known: dict[Layer, AdderGraph] = {}


def of_path(path: Datapath) -> AdderGraph:
    """Return the adder graph of a datapath's sums: of a whole matrix, or of outputs that share no inputs."""
    return of_paths((path,))[0]


def of_paths(paths: Iterable[Datapath]) -> list[AdderGraph]:
    """Return the adder graphs of several datapaths."""
    layers = [_layer(path) for path in paths]
    graphs = {one: known for one in layers if (known := _known.get(one)) is not None}
    here, there = _shares([one for one in dict.fromkeys(layers) if one not in graphs])
    if there:
        with Beside(_solved, there) as beside:
            graphs |= {**_solved(here), **beside.result()}
    else:
        graphs |= _solved(here)
    _known.update(graphs)
    for one in [*_known][:-KEPT]:
        _known.pop(one, None)
    return [graphs[one] for one in layers]


def _layer(path: Datapath) -> Layer:
    weights, ends = path.unit.weights, path.ranges.inputs
    content = (one.astype(np.int64, copy=False).tobytes() for one in (weights, *ends))
    return Layer(path.unit.name, isinstance(path.node, Linear), weights.shape, *content)


def _shares(layers: Sequence[Layer]) -> tuple[list[Layer], list[Layer]]:
    """The layers to be solved here, and those to be solved by another process: none if that takes as long."""
    if len(layers) < 2 or sum(one.effort for one in layers) < LARGE or not has_room():
        return list(layers), []
    shares: tuple[list[Layer], list[Layer]] = ([], [])
    efforts = [0, START]
    for one in sorted(layers, key=lambda one: -one.effort):
        side = efforts.index(min(efforts))
        efforts[side] += one.effort
        shares[side].append(one)
    return shares


def _solved(layers: Sequence[Layer]) -> dict[Layer, AdderGraph]:
    """Return the graph of each."""
    graphs = {}
    for one in layers:
        low, high = (np.frombuffer(ends, np.int64) for ends in (one.low, one.high))
        graphs[one] = (solver if one.is_matrix else apart).solve(one.matrix, low, high, one.name)
    return graphs
