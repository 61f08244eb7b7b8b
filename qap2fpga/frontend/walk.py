# SPDX-License-Identifier: Apache-2.0
"""The state of one walk over a QONNX graph: what every tensor is, and the integer nodes that were read so far.

A tensor is a constant, a quantized constant (integers and a scale), or a signal: the integers of a node and their exact
real value per channel. Several readers of one signal are a fork; nothing has to be done for it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING, TypeVar, cast

import numpy as np
from onnx import NodeProto, numpy_helper

from qap2fpga.exact.curves import spacing, steepness
from qap2fpga.exact.thresholds import Affine, Levels
from qap2fpga.frontend import operators
from qap2fpga.frontend.axes import Axes
from qap2fpga.frontend.checkpoint.widths import MAX_BITS
from qap2fpga.frontend.inputframe import input_frame
from qap2fpga.frontend.survey import wanted_tensors
from qap2fpga.frontend.values import (
    Quantized,
    Raw,
    RawGraph,
    RawNode,
    RawStep,
    Signal,
    Stored,
    Tensor,
    label,
    rationals,
    refused,
)
from qap2fpga.ir.channelwise import Depthwise
from qap2fpga.ir.geometry import POINT
from qap2fpga.ir.graph import INPUT
from qap2fpga.ir.nodes import Node
from qap2fpga.system import names
from qap2fpga.system.errors import QapError

if TYPE_CHECKING:
    from qonnx.core.modelwrapper import ModelWrapper

T = TypeVar("T")


class Walk:
    """The state of one walk over `model`, a cleaned qonnx `ModelWrapper`: its `graph` is what was read so far."""

    def __init__(self, model: ModelWrapper) -> None:
        self.model = model
        self.opset = int(model.get_opset_imports()[""])
        self.wanted = wanted_tensors(model.graph)
        self.tensors: dict[str, Tensor] = {}
        self._lines: dict[tuple[str, tuple[int, int, int, int]], Signal] = {}  # by tensor and pads
        self.output: Signal | None = None  # what enters the network's end, if it has one
        self.ended_by: NodeProto | None = None
        self.ended: set[str] = set()  # what the network's end, which stays on the host, makes of the outputs
        for initializer in model.graph.initializer:
            self.tensors[initializer.name] = numpy_helper.to_array(initializer)
        inputs = [value.name for value in model.graph.input if value.name not in self.tensors]
        if len(inputs) != 1:
            raise QapError(f"the graph has {len(inputs)} inputs", "networks with one input are supported")
        shape, axes = input_frame(model, inputs[0])
        self.graph = RawGraph(shape, axes)
        affine = Affine.scaled([Fraction(1)] * shape.channels)
        self.tensors[inputs[0]] = Signal(inputs[0], INPUT, shape, axes, affine, 32, quantized=False)

    def shape(self, tensor: str) -> tuple[int, ...]:
        """Return the shape of one row of `tensor`: without the batch dimension."""
        return tuple(self.model.get_tensor_shape(tensor) or ())[1:]

    def option(self, node: NodeProto, name: str, kind: type[T]) -> T:
        """Return the value of an attribute of `node`, or its default; `operators.check` has looked at its type."""
        return cast(T, operators.option(node, name, self.opset))

    def signal(self, node: NodeProto) -> Signal:
        """Return the first input of `node`. Raises `QapError` if it is a constant."""
        value = self.tensors.get(node.input[0])
        if not isinstance(value, Signal):
            raise refused(node, "its first input is not a tensor that depends on the network's input")
        return value

    def line(self, node: NodeProto) -> Signal:
        """Return the first input of `node`, whose real value is a straight line of integers."""
        return self.straight(node, self.signal(node))

    def straight(self, node: NodeProto, signal: Signal) -> Signal:
        """Return `signal` as integers of which its real value is a straight line: what a Relu, a Clip or the like makes
        of a quantizer's levels is a node of its own.

        Raises `QapError` that names `node` where the values are no integers of a usual width.
        """
        if not signal.bends:
            return signal
        key = signal.tensor, signal.pads
        if key not in self._lines:
            self._lines[key] = self._straight(node, signal)
        return self._lines[key]

    def _straight(self, node: NodeProto, signal: Signal) -> Signal:
        if not signal.quantized:
            raise refused(node, "a Relu or Clip of sums stands before it: put a quantizer between the two")
        steps, finest = [], Fraction(1)
        for channel in range(signal.shape.channels):
            step = spacing(signal.affine, signal.stages, channel)
            if step is None:
                raise refused(node, "a curve stands between the quantizer and it: put the quantizer after the curve")
            steps.append(step)
            finest = max(finest, steepness(signal.affine, signal.stages, channel) / step)
        bits = signal.bits + (math.ceil(finest) - 1).bit_length()
        if bits > MAX_BITS:
            what = f"a Relu or Clip stands between the quantizer and it, whose values take {bits} bits as integers"
            raise refused(node, f"{what}: put the quantizer after them")
        name = self.name(label(self.origin(signal)))
        units = tuple(steps)
        self.add(RawStep(name, self.rising(signal), Levels(0, 0, units, bounded=False), bits, signal.tensor, units))
        return replace(signal, node=name, affine=Affine.scaled(steps), bits=bits, stages=())

    def origin(self, signal: Signal) -> NodeProto:
        """Return the node that gives the tensor of `signal`."""
        return next(node for node in self.model.graph.node if signal.tensor in node.output)

    def constant(self, node: NodeProto, index: int) -> np.ndarray:
        """Return an input of `node`. Raises `QapError` if it is no constant, or has NaN or infinite values."""
        value = self.tensors.get(node.input[index]) if index < len(node.input) else None
        if not isinstance(value, np.ndarray):
            raise refused(node, f"its input {index} is not a constant")
        if not np.isfinite(value).all():
            raise QapError(
                f"node {label(node)}: {node.input[index]} has NaN or infinite values",
                "train or export the model again",
            )
        return value

    def whole(self, node: NodeProto, index: int) -> list[int]:
        """Return the integers of a constant input that is a list of them: axes, a shape, a count."""
        values = self.constant(node, index)
        if values.dtype != np.int64 or values.ndim != 1:
            what = f"shape {list(values.shape)} of {values.dtype}"
            raise refused(node, f"its input {index} has {what}; it must be a list of int64")
        return [int(value) for value in values]

    def exact(self, node: NodeProto, index: int) -> np.ndarray:
        """Return the exact values of a constant input, as fractions in its shape."""
        value = self.tensors.get(node.input[index])
        return value.exact if isinstance(value, Quantized) else rationals(self.constant(node, index))

    def factors(self, node: NodeProto, index: int, signal: Signal) -> list[Fraction]:
        """Return one exact value per channel of a constant input, broadcast against `signal` as ONNX does it."""
        try:
            return signal.axes.per_channel(self.exact(node, index), signal.shape.channels)
        except ValueError as error:
            raise refused(node, f"its input {index} {error}") from error

    def number(self, node: NodeProto, index: int) -> Fraction:
        """Return the exact value of a constant input that is one number."""
        values = self.exact(node, index)
        if values.size != 1:
            raise refused(node, f"its input {index} of shape {values.shape} is not one number")
        return Fraction(values.reshape(-1)[0])

    def multiple(self, node: NodeProto, name: str) -> Fraction:
        """Return an attribute that is a finite number, exactly."""
        value = float(self.option(node, name, float))
        if not math.isfinite(value):
            raise refused(node, f"its attribute {name} is {value}")
        return Fraction(value)

    def name(self, text: str) -> str:
        """Return `text` as an identity that no node has yet."""
        return names.labels([INPUT, *self.graph.nodes, text])[-1]

    def layer_name(self, node: NodeProto) -> str:
        """Return the identity of the node with weights that is read next."""
        return self.name(label(node))

    def add(self, raw: Raw) -> None:
        """Put a node after those that were read."""
        self.graph.nodes[raw.name] = raw

    def result(
        self,
        tensor: str,
        node: Node,
        entering: Sequence[Signal],
        axes: Axes,
        affine: Affine,
        *,
        stored: Stored | None = None,
    ) -> Signal:
        """Add `node`, and return the signal of what it makes of `entering`, which the graph keeps in `tensor`."""
        self.add(RawNode(node, tuple(entering), affine, stored))
        shape = node.shape([one.shape for one in entering])
        return Signal(tensor, node.name, shape, axes, affine, 0, quantized=False)

    def rising(self, signal: Signal) -> Signal:
        """Return `signal` as integers of which no real value falls: a node turns the sign of the channels that do."""
        signs = [-1 if direction < 0 else 1 for direction in signal.directions]
        if min(signs) > 0:
            return signal
        node = Depthwise(
            name=self.name(f"{signal.node}/signs"), sources=(signal.node,), weights=np.array([signs]), weight_bits=0,
            input_bits=signal.bits, geometry=POINT,
        )  # fmt: skip
        slopes = tuple(slope * sign for slope, sign in zip(signal.affine.slope, signs, strict=True))
        affine = replace(signal.affine, slope=slopes)
        self.add(RawNode(node, (signal,), affine, turns=True))
        return replace(signal, node=node.name, affine=affine)

    def count_bias(self, signal: Signal, addend: list[Fraction]) -> None:
        """Remember a layer's bias, which is what is added to its accumulators first."""
        raw = self.graph.nodes.get(signal.node)
        if isinstance(raw, RawNode) and raw.stored is not None and not signal.stages and signal.affine == raw.affine:
            kept = sum(value != 0 for value in addend)
            self.add(replace(raw, stored=replace(raw.stored, biases=len(addend), nonzero_biases=kept)))
