# SPDX-License-Identifier: Apache-2.0
"""Engines: each runs an artifact on input vectors, and all are compared with the integer network here, bit for bit.

What an engine gives are the artifact's outputs, in one run or several; nothing but equality is asked of them. Where a
run shows integers inside of the artifact, too, the first node that is wrong is named.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from qap2fpga.ir import outputs
from qap2fpga.ir.comparison import Simulation
from qap2fpga.ir.functions import Step
from qap2fpga.ir.graph import Graph
from qap2fpga.ir.nodes import Node, Requantizer
from qap2fpga.system.errors import CheckFailed, QapError, nearest
from qap2fpga.verify.compare import Difference, Mismatch, compare, require_equal

Progress = Callable[[str], None]
# From a mismatch on vectors (n, inputs) to one that says more.
Locate = Callable[[Mismatch, np.ndarray, Progress], Mismatch]


@dataclass(frozen=True)
class Shown:
    """What one run showed at the node `node` of the graph, (n, elements), and what it must be, (n, outputs).

    `counts`: of a step function, how many thresholds its values stand for.
    """

    node: str
    values: np.ndarray
    counts: bool = False


@dataclass(frozen=True)
class Execution:
    """One run on the first vectors of those given: the artifact's `outputs`, (n, channels).

    `what` names the run in messages, `compared` in the report. `shown` are integers inside of the artifact, in the
    order of the data. `fault` is what else is wrong, if the outputs are right; `locate` looks into a mismatch.
    """

    what: str
    compared: str
    outputs: np.ndarray
    latency_cycles: int | None = None
    interval_cycles: float | None = None
    note: str = ""
    shown: tuple[Shown, ...] = ()
    fault: CheckFailed | None = None
    locate: Locate = field(default=lambda mismatch, vectors, progress: mismatch)


class Engine(ABC):
    """Runs an artifact. `name` is the tool's in the report; `network` the graph that the artifact is of, if any."""

    name: ClassVar[str]
    network: Graph | None = None

    @abstractmethod
    def version(self) -> str:
        """Return the tool's version."""

    @abstractmethod
    def run(self, vectors: np.ndarray, progress: Progress) -> Iterator[Execution]:
        """Run the artifact on `vectors` (n, inputs), or on the first of them.

        Raises `QapError` for a missing tool, and `CheckFailed` where there are no outputs to compare.
        """

    def outputs(self, vectors: np.ndarray) -> np.ndarray:
        """Return the outputs (n, channels) of the first run."""
        return next(self.run(vectors, lambda text: None)).outputs

    def simulate(
        self, vectors: np.ndarray, expected: np.ndarray, progress: Progress = lambda text: None
    ) -> list[Simulation]:
        """Compare every run on `vectors` (n, inputs) with `expected` (n, channels), and return one result per run.

        Raises `Mismatch` for a wrong integer, which names the first wrong layer where that is known, `CheckFailed` for
        another fault, and `QapError` for a missing tool.
        """
        if len(vectors) != len(expected) or not len(vectors):
            raise ValueError(f"{len(vectors)} vectors, {len(expected)} expected outputs")
        return [self._compared(one, vectors, expected, progress) for one in self.run(vectors, progress)]

    def _compared(self, one: Execution, vectors: np.ndarray, expected: np.ndarray, progress: Progress) -> Simulation:
        count = len(one.outputs)
        vectors, expected = vectors[:count], expected[:count]
        wrong = first_wrong(self.network, one.shown, vectors) if self.network is not None else None
        try:
            result = require_equal(one.what, one.outputs, expected)
        except Mismatch as mismatch:
            raise one.locate(mismatch.with_reason(wrong), vectors, progress) from mismatch
        if wrong is not None:
            raise Mismatch(f"{one.what}: the outputs are right, but {wrong}", result)
        if one.fault is not None:
            raise one.fault
        return Simulation(
            engine=self.name, version=self.version(), compared=one.compared, vectors=count, mismatches=0,
            latency_cycles=one.latency_cycles, interval_cycles=one.interval_cycles, note=one.note,
        )  # fmt: skip


class Reference(Engine):
    """The integer network itself, in numpy: what all others are compared with. `kind` of outputs as in `ir.outputs`."""

    name = "numpy"

    def __init__(self, network: Graph, kind: str) -> None:
        self.network, self.kind = network, kind

    def version(self) -> str:
        """Return the tool's version."""
        return np.__version__

    def run(self, vectors: np.ndarray, progress: Progress) -> Iterator[Execution]:
        """Run the artifact on `vectors` (n, inputs)."""
        assert self.network is not None
        yield Execution("integer network", "the integer network", outputs.outputs(self.network, self.kind, vectors))


def first_wrong(network: Graph, shown: Sequence[Shown], vectors: np.ndarray) -> str | None:
    """Return which node of `network` is wrong first, by what a run on `vectors` has shown; None if none is."""
    results = network.trace(vectors) if shown else {}
    for one in shown:
        if one.node not in results:
            raise QapError(f"the network has no layer with a node '{one.node}'", nearest(one.node, results))
        node, expected = network[one.node], results[one.node]
        if one.counts and isinstance(node, Requantizer) and isinstance(node.function, Step):
            expected = node.function.counted(expected)
        # Lanes beyond the network's outputs are dummy neurons, which show 0.
        expected = np.pad(expected, ((0, 0), (0, one.values.shape[1] - expected.shape[1])))
        # What messages call the layer: a requantizer has the name of the node before it.
        layer = node.sources[0] if isinstance(node, Requantizer) else node.name
        if len(one.values) < len(expected):
            return f"layer {layer} let only {len(one.values)} of {len(expected)} vectors pass"
        first = compare(one.values[: len(expected)], expected).first
        if first is not None:
            return f"layer {layer} is wrong first: its {node.word} in {_place(network, node, first)}"
    return None


def _place(network: Graph, node: Node, first: Difference) -> str:
    """Where the first difference is, and what it is: rows and columns where there are several positions."""
    shape = network.shapes[node.name]
    if first.channel >= shape.size:
        return f"{first} (channel none of the model)"
    position, channel = divmod(first.channel, shape.channels)
    named = f"(channel {node.channel_name(channel)} of the model)"
    if shape.positions == 1:
        return f"{first} {named}"
    row, column = divmod(position, shape.width)
    values = f"found {first.found}, expected {first.expected}"
    return f"vector {first.vector}, row {row}, column {column}, channel {channel}: {values} {named}"
