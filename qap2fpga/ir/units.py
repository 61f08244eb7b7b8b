# SPDX-License-Identifier: Apache-2.0
"""A chain as matrix hardware takes it: each linear node together with the requantizer after it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from qap2fpga.exact.integers import width
from qap2fpga.ir.functions import Function, Step
from qap2fpga.ir.linear import Linear
from qap2fpga.ir.nodes import Node, Requantizer
from qap2fpga.ir.tensors import Range, Shape
from qap2fpga.system.errors import QapError

Ends = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True, eq=False)
class Ranges:
    """What can be reached in one unit: per-channel (low, high) of inputs, accumulators and outputs."""

    inputs: Ends
    accumulators: Ends
    outputs: Ends

    @property
    def accumulator_bits(self) -> int:
        """Bits of a signed type that holds every accumulator."""
        low, high = self.accumulators
        return width(min(int(low.min()), -1), int(high.max()))

    @property
    def output_bits(self) -> int:
        """Bits of the smallest type that holds every output."""
        low, high = self.outputs
        return width(int(low.min()), int(high.max()))


@dataclass(frozen=True, eq=False)
class Unit:
    """A `linear` node and the `requantizer` that alone takes its sums: `inputs @ weights`, then a function.

    It is known by the linear node's name, and its channels by their numbers in the model.
    """

    linear: Linear
    requantizer: Requantizer

    kind = "dense"

    @property
    def name(self) -> str:
        """The linear node's identity."""
        return self.linear.name

    @property
    def weights(self) -> np.ndarray:
        """The integers (inputs, outputs)."""
        return self.linear.weights

    @property
    def activation(self) -> Function:
        """What the requantizer computes."""
        return self.requantizer.function

    @property
    def weight_bits(self) -> int:
        """Width of the weights' quantizer."""
        return self.linear.weight_bits

    @property
    def input_bits(self) -> int:
        """Width of the quantizer before the unit."""
        return self.linear.input_bits

    @property
    def output_bits(self) -> int | None:
        """Width of the quantizer after the unit, None where there is none."""
        return self.requantizer.bits

    @property
    def channels(self) -> tuple[int, ...] | None:
        """The numbers of the outputs in the model, None where they are counted from 0."""
        return self.linear.channels

    @property
    def inputs(self) -> int:
        """Channels that come in."""
        return self.linear.inputs

    @property
    def outputs(self) -> int:
        """Channels that go out."""
        return self.linear.outputs

    @property
    def nonzeros(self) -> int:
        """Weights that are not zero."""
        return self.linear.nonzeros

    @property
    def weight_width(self) -> int:
        """Bits of a signed type that holds every weight."""
        return self.linear.weight_width

    def channel_name(self, output: int) -> str:
        """Return the output's number in the model, for messages."""
        return self.linear.channel_name(output)

    def accumulate(self, activations: np.ndarray) -> np.ndarray:
        """Return the accumulators (n, outputs) of integer `activations` (n, inputs), exactly."""
        return self.linear.evaluate([Shape(self.inputs).tensor(activations)]).reshape(len(activations), self.outputs)

    def range(self, low: np.ndarray, high: np.ndarray) -> Ends:
        """Return the smallest and largest accumulator per channel when input i lies in `low[i]..high[i]`."""
        ends = self.linear.range([Range(low, high)])
        return ends.low, ends.high

    def counted(self, results: np.ndarray) -> np.ndarray:
        """Return how many thresholds `results` (n, outputs) of a step function stand for; logits are what they are."""
        step = self.activation
        return step.counted(results) if isinstance(step, Step) else results

    def changed(self, *, weights: np.ndarray | None = None, activation: Function | None = None) -> Unit:
        """Return the unit with other weights or another function, of as many channels."""
        linear = self.linear if weights is None else replace(self.linear, weights=weights)
        end = self.requantizer if activation is None else replace(self.requantizer, function=activation)
        return Unit(linear, end)


def dense(
    name: str, weights: np.ndarray, activation: Function, weight_bits: int, input_bits: int,
    output_bits: int | None = None,
) -> Unit:  # fmt: skip
    """Return a unit that stands alone; `chain` gives it its sources."""
    linear = Linear(name=name, weights=weights, weight_bits=weight_bits, input_bits=input_bits)
    return Unit(linear, Requantizer(name=end_name(name), sources=(name,), function=activation, bits=output_bits))


def end_name(name: str) -> str:
    """Return the identity of the requantizer after the linear node `name`."""
    return f"{name}/requantize"


def joined(units: Sequence[Unit], source: str) -> list[Node]:
    """Return the nodes of `units`, each after the one before it and the first after the node `source`."""
    nodes: list[Node] = []
    for unit in units:
        nodes += [replace(unit.linear, sources=(source,)), replace(unit.requantizer, sources=(unit.name,))]
        source = unit.requantizer.name
    return nodes


def of_chain(nodes: Sequence[Node]) -> tuple[Unit, ...]:
    """Return the units of a chain whose first node is its input. Raises `QapError` naming the first other node."""
    units: list[Unit] = []
    before, *rest = nodes
    for linear, end in zip(rest[::2], [*rest[1::2], None], strict=False):
        if not isinstance(linear, Linear) or linear.sources != (before.name,) or not linear.geometry.is_point:
            raise _refused(linear, f"a dense linear node of {before.name}")
        if not isinstance(end, Requantizer) or end.sources != (linear.name,):
            raise _refused(linear if end is None else end, f"a requantizer of {linear.name}")
        units.append(Unit(linear, end))
        before = end
    return tuple(units)


def ranges_of(unit: Unit, node_ranges: Mapping[str, Range]) -> Ranges:
    """Return what can be reached in `unit`, from the range of every node."""
    names = (unit.linear.sources[0], unit.name, unit.requantizer.name)
    return Ranges(*((node_ranges[name].low, node_ranges[name].high) for name in names))


def _refused(node: Node, kind: str) -> QapError:
    what = f"node {node.name} ({node.kind}) does not fit a chain: there must be {kind}"
    return QapError(what, "chains of linear layers, each with a requantizer, are supported")
