# SPDX-License-Identifier: Apache-2.0
"""The state of one walk over a QONNX graph: what every tensor is, and the layer that is being built.

A tensor is a constant, a quantized constant (integers and a scale), or a signal: the real value of each channel as an
exact clipped affine map of integers.
"""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING, TypeVar, cast

import numpy as np
from onnx import NodeProto, numpy_helper

from qap2fpga.exact.thresholds import Affine, Levels
from qap2fpga.frontend import operators
from qap2fpga.frontend.survey import wanted_tensors
from qap2fpga.frontend.values import Quantized, RawGraph, RawLayer, Signal, Tensor, label, rationals, refused
from qap2fpga.system.errors import QapError

if TYPE_CHECKING:
    from qonnx.core.modelwrapper import ModelWrapper

T = TypeVar("T")


class Walk:
    """The state of one walk over `model`, a cleaned qonnx `ModelWrapper`: its `graph` is what was read so far."""

    def __init__(self, model: ModelWrapper, layer_names: tuple[str, ...]) -> None:
        self.layer_names, self.model = layer_names, model
        self.opset = int(model.get_opset_imports()[""])
        self.wanted = wanted_tensors(model.graph)
        self.graph = RawGraph()
        self.tensors: dict[str, Tensor] = {}
        self.open: RawLayer | None = None
        self.ended_by: NodeProto | None = None
        self.ended: set[str] = set()  # what the network's end, which stays on the host, makes of the outputs
        for initializer in model.graph.initializer:
            self.tensors[initializer.name] = numpy_helper.to_array(initializer)
        inputs = [value for value in model.graph.input if value.name not in self.tensors]
        if len(inputs) != 1:
            raise QapError(f"the graph has {len(inputs)} inputs", "networks with one input are supported")
        self.graph.input_tensor = inputs[0].name
        size = math.prod(self.shape(inputs[0].name))
        self.tensors[inputs[0].name] = Signal(Affine.scaled([Fraction(1)] * size), 32, quantized=False)

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

    def factors(self, node: NodeProto, index: int, shape: tuple[int, ...]) -> list[Fraction]:
        """Return one exact value per channel of a constant input, broadcast against rows of `shape` as ONNX does it."""
        value = self.tensors.get(node.input[index])
        values = value.exact if isinstance(value, Quantized) else rationals(self.constant(node, index))
        while values.ndim > len(shape) and values.shape[0] == 1:
            values = values[0]
        try:
            return list(np.broadcast_to(values, shape).reshape(-1))
        except ValueError as error:
            what = f"its input {index} of shape {values.shape} does not fit rows of shape {shape}"
            raise refused(node, what) from error

    def multiple(self, node: NodeProto, name: str) -> Fraction:
        """Return an attribute that is a finite number, exactly."""
        value = float(self.option(node, name, float))
        if not math.isfinite(value):
            raise refused(node, f"its attribute {name} is {value}")
        return Fraction(value)

    def count_bias(self, affine: Affine, addend: list[Fraction]) -> None:
        """Remember the layer's bias, which is what is added to its accumulators first."""
        if self.open is not None and affine == self.open.affine:
            nonzero = sum(value != 0 for value in addend)
            self.open = replace(self.open, biases=len(addend), nonzero_biases=nonzero)

    def close(self, affine: Affine, levels: Levels | None, bits: int | None, tensor: str) -> None:
        """End the layer that is being built: in the quantizer `levels` of so many bits, or in none."""
        assert self.open is not None
        closed = replace(self.open, affine=affine, levels=levels, output_bits=bits, output_tensor=tensor)
        self.graph.layers.append(closed)
        self.open = None
