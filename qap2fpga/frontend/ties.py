# SPDX-License-Identifier: Apache-2.0
"""Float executions compared with the integer network: node by node, between nodes, and from end to end.

A float32 sum is not a function of the exact accumulator: its rounding depends on the order of the additions.
So torch or QONNX may land on the neighbouring level, but only where the exact value lies within a bound of the
boundary. The bound is the standard one for a recursively summed dot product (Higham, Accuracy and Stability
of Numerical Algorithms, 2nd ed., section 3.1): gamma_k = k u / (1 - k u) times the sum of absolute values,
with u = 2**-24 and k the number of roundings on the way, and below the normal numbers k times the smallest float.
A difference inside the bound is a rounding tie; one outside it is an error that names layer, channel and vector.

A quantizer is compared on the integers that its sources had in the same execution, and what enters a node must be the
value of these integers, so nothing stands between them. A vector without a tie is compared from end to end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from qap2fpga.frontend.bounds import (
    INPUT_ROUNDINGS,
    LEVEL_ROUNDINGS,
    OUT_OF_RANGE,
    SMALLEST,
    UNIT,
    array,
    between,
    gamma,
    level,
    line,
    sum_value,
)
from qap2fpga.frontend.bounds import (
    value as value_of,
)
from qap2fpga.frontend.magnitudes import Sums, sums
from qap2fpga.frontend.trial import Trial
from qap2fpga.frontend.values import RawGraph, RawNode, RawStep, Signal
from qap2fpga.ir.functions import Logits
from qap2fpga.ir.graph import INPUT, Graph
from qap2fpga.ir.nodes import Requantizer
from qap2fpga.ir.tensors import Shape
from qap2fpga.system.errors import CheckFailed, QapError

OUR_FAULT = "this is a bug of qap2fpga or of the export; please report it with the model"


@dataclass(frozen=True)
class Execution:
    """A float execution of some rows of a `trial`, from the row `start` on.

    `values` are the graph's tensors by name, each (n, ...) in the graph's own layout.
    """

    engine: str
    trial: Trial
    values: Mapping[str, np.ndarray]
    start: int = 0

    def of(self, signal: Signal, tensor: str = "") -> np.ndarray:
        """Return the real values (n, height, width, channels) of `signal`, or of another `tensor` laid out like it."""
        values = self.values[tensor or signal.tensor]
        return signal.shape.tensor(signal.axes.frames(values.reshape(len(values), *signal.axes.shape)))

    def rows(self, shape: Shape, count: int) -> np.ndarray:
        """Return the real inputs (count, height, width, channels)."""
        return shape.tensor(self.trial.rows[self.start : self.start + count])

    def name(self, vector: int) -> str:
        """Return what messages call one of the rows."""
        return self.trial.name(self.start + vector)


@dataclass(frozen=True)
class Agreement:
    """`ties`: values on a neighbouring level; `whole`: vectors without one, which were compared from end to end."""

    ties: int
    whole: int

    def __add__(self, other: Agreement) -> Agreement:
        return Agreement(self.ties + other.ties, self.whole + other.whole)


def compare(network: Graph, graph: RawGraph, run: Execution, *, classes: bool = True) -> Agreement:
    """Return how far a float execution agrees with `network`, which was read as `graph` and lowered.

    `classes`: the largest output is what counts. Raises `CheckFailed` at the first difference that rounding can
    not explain, and `QapError` where the floats overflow.
    """
    return _Comparison(network, graph, run).agreement(classes=classes)


class _Comparison:
    def __init__(self, network: Graph, graph: RawGraph, run: Execution) -> None:
        self.network, self.graph, self.run = network, graph, run
        # What every node has in this execution, exactly, since its sources' integers are the execution's own.
        self.results: dict[str, Sums] = {}

    def agreement(self, *, classes: bool) -> Agreement:
        integers, tied = self._inputs()
        ties, whole = int(tied.sum()), ~_any(tied)
        self.results[INPUT] = Sums(integers)
        for node in self.network.nodes[1:]:
            raw = self.graph.nodes.get(node.name)
            sources = [self.results[source] for source in node.sources]
            if isinstance(raw, RawStep):
                assert isinstance(node, Requantizer)
                integers, tied = self._levels(raw, node, sources[0])
                self.results[node.name] = Sums(integers)
                ties, whole = ties + int(tied.sum()), whole & ~_any(tied)
            elif isinstance(raw, RawNode):
                self._entering(raw, sources)
                self.results[node.name] = sums(raw, node, sources)
        self._output(whole, classes=classes)
        return Agreement(ties, int(whole.sum()))

    def _floats(self, signal: Signal, where: str, tensor: str = "") -> np.ndarray:
        """The execution's values of a signal. Raises `QapError` where they overflow."""
        values = self.run.of(signal, tensor)
        bad = _any(~np.isfinite(values))
        if bad.any():
            raise QapError(
                f"{self.run.engine}: layer {where} leaves the range of floats on {self.run.name(int(bad.argmax()))}",
                OUT_OF_RANGE,
            )
        return values

    def _inputs(self) -> tuple[np.ndarray, np.ndarray]:
        """The integers that the input quantizer gave, and which of them are ties: x / scale in float32 may land on a
        half that it does not reach exactly.
        """
        signal = self.graph.quantized_input
        assert signal is not None
        step, zero = line(signal.affine, signal.node)
        results = np.rint((self._floats(signal, signal.node) - zero) / step)
        quantizer, frame = self.network.input, self.graph.frame
        rows = self.run.rows(frame, len(results))
        expected = frame.tensor(quantizer.quantize(rows.reshape(len(rows), -1)))
        different = results != expected
        kinds = quantizer.scale, quantizer.offset, quantizer.lows, quantizer.highs
        parts = [frame.tensor(np.broadcast_to(part, frame.size)[None]) for part in kinds]
        scale, offset, low, high = (np.broadcast_to(part, rows.shape)[different] for part in parts)
        scaled, shift = (rows[different] - offset) / scale, np.abs(offset / scale)
        slack = INPUT_ROUNDINGS * UNIT * (np.abs(scaled) + shift)
        nearby = replace(quantizer, scale=(1.0,), offset=(0.0,), ends=())
        least, most = (np.clip(nearby.quantize(one), low, high) for one in (scaled - slack, scaled + slack))
        bad = np.zeros_like(different)
        bad[different] = (results[different] < least) | (results[different] > most)
        if bad.any():
            place = _place(bad)
            vector, number = place[0], int(np.ravel_multi_index(place[1:], results.shape[1:]))
            raise CheckFailed(
                f"{self.run.engine} quantizes input {number} of {self.run.name(vector)} to {results[place]:g}, "
                f"exactly it is {expected[place]}",
                "please report this bug with the model",
            )
        return results.astype(np.int64), different

    def _entering(self, raw: RawNode, sources: list[Sums]) -> None:
        """What enters a node is the value of the integers that it takes, channel by channel."""
        if raw.turns:
            return
        for signal, source in zip(raw.entering, sources, strict=True):
            entered = self._floats(signal, raw.name)
            if signal.quantized:
                value, bound = value_of(signal.affine, source, raw.name)
            else:
                value, bound = sum_value(signal.affine, source, raw.name)
            self._refuse(f"what enters layer {raw.name}", np.abs(entered - value) > bound, entered, value)

    def _levels(self, raw: RawStep, node: Requantizer, source: Sums) -> tuple[np.ndarray, np.ndarray]:
        """The integers that left a quantizer, and which of them are ties: levels of values within the bound of the
        exact one.
        """
        levels, name = raw.levels, self._shown(raw.name)
        scale = array(levels.scale, name)
        results = np.rint(self._floats(raw.entering, name, raw.tensor) / array(raw.units, name))
        expected = node.evaluate([source.integers])
        different = results != expected
        rows = np.flatnonzero(_any(different))
        low, high = between(raw.entering, source.some(rows), name)
        slack = gamma(LEVEL_ROUNDINGS) * abs(levels.zero_point) * scale  # it is added in float32
        nearby = [level(levels, one, scale) for one in (low - slack, high + slack)]
        bad = np.zeros_like(different)
        bad[rows] = different[rows] & ((results[rows] < nearby[0]) | (results[rows] > nearby[1]))
        self._refuse(f"in layer {name}", bad, results, expected, node.channel_name)
        return results.astype(np.int64), different

    def _shown(self, name: str) -> str:
        """What messages call a node: a layer's quantizer has the name of its layer."""
        sources = self.network[name].sources
        raw = self.graph.nodes.get(sources[0]) if sources else None
        return raw.name if isinstance(raw, RawNode) and raw.stored is not None else name

    def _output(self, whole: np.ndarray, *, classes: bool) -> None:
        """What left the network."""
        signal, end = self.graph.output, self.network[self.network.output]
        output, name = self._floats(signal, self._shown(end.name)), self._shown(end.name)
        if isinstance(end, Requantizer) and isinstance(end.function, Logits):
            self._sums_out(end, output, whole, classes=classes)
            return
        levels = self.results[end.name].integers
        value = levels * float(self.network.output_scale)
        bound = gamma(signal.affine.steps + LEVEL_ROUNDINGS) * np.abs(value) + SMALLEST
        self._refuse(f"in what leaves layer {name}", np.abs(output - value) > bound, output, value, end.channel_name)

    def _sums_out(self, end: Requantizer, output: np.ndarray, whole: np.ndarray, *, classes: bool) -> None:
        """What left the network against its exact value; and on the `whole` vectors, from real inputs on, the
        network's own outputs: each is off by less than one unit of its scale, and the class is another only where the
        exact outputs are closer than floats can tell.
        """
        signal, source, name = self.graph.output, self.results[end.sources[0]], self._shown(end.name)
        unit = float(self.network.output_scale)
        value, bound = sum_value(signal.affine, source, name)
        self._refuse(f"in layer {name}", np.abs(output - value) > bound, output, value, end.channel_name)
        logits = end.evaluate([source.integers])
        bad = np.abs(output - logits * unit) > bound + unit
        bad[~whole] = False
        self._refuse(f"from end to end layer {name}", bad, logits * unit, output, end.channel_name)
        if not classes:
            return
        output, logits, value, bound = (one.reshape(len(one), -1) for one in (output, logits, value, bound))
        theirs, mine, rows = output.argmax(axis=1), logits.argmax(axis=1), np.arange(len(logits))
        gap = value[rows, theirs] - value[rows, mine]
        wrong = whole & (theirs != mine) & (np.abs(gap) > bound[rows, theirs] + bound[rows, mine])
        if wrong.any():
            vector = int(wrong.argmax())
            raise CheckFailed(
                f"the class of {self.run.name(vector)} is {theirs[vector]} in {self.run.engine} and {mine[vector]} in "
                f"the integer network, after layer {name}",
                OUR_FAULT,
            )

    def _refuse(
        self,
        where: str,
        bad: np.ndarray,
        actual: np.ndarray,
        expected: np.ndarray,
        channel_name: Callable[[int], str] = str,
    ) -> None:
        """Raise `CheckFailed` at the first value that is `bad`."""
        if not bad.any():
            return
        vector, row, column, channel = place = _place(bad)
        position = f", row {row}, column {column}" if bad.shape[1] * bad.shape[2] > 1 else ""
        raise CheckFailed(
            f"{self.run.engine} and the integer network differ beyond float rounding {where}, channel "
            f"{channel_name(channel)}{position}, {self.run.name(vector)}: {actual[place]:g} instead of "
            f"{expected[place]:g}",
            OUR_FAULT,
        )


def _any(bad: np.ndarray) -> np.ndarray:
    """Which vectors have one that is bad."""
    return np.asarray(bad.reshape(len(bad), -1).any(axis=1))


def _place(bad: np.ndarray) -> tuple[int, ...]:
    """(vector, row, column, channel) of the first that is bad."""
    return tuple(int(index[0]) for index in np.nonzero(bad))
