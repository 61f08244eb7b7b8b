# SPDX-License-Identifier: Apache-2.0
"""A QONNX graph, read into integer layers with exact real meaning.

The graph is walked once in order. A tensor is a constant, a quantized constant (integers and a scale), or a
signal: the real value of each channel as an exact clipped affine map of integers. A dense layer starts a new
set of integers (its accumulators), a quantizer another (its activations).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
from onnx import NodeProto, numpy_helper

from qap2fpga.exact.thresholds import Affine, Levels, inverse_sqrt
from qap2fpga.frontend import operators, quantizers, shapes
from qap2fpga.frontend.operators import DENSE, QUANTIZERS, SUPPORTED
from qap2fpga.frontend.survey import wanted_tensors
from qap2fpga.frontend.values import Quantized, RawGraph, RawLayer, Signal, label, rationals, refused
from qap2fpga.system import names
from qap2fpga.system.errors import QapError

SHAPE_ONLY = ("Identity", "Flatten", "Reshape", "Squeeze", "Unsqueeze")
AFTER_THE_LOGITS = ("Softmax", "LogSoftmax", "TopK", "ArgMax")


def read(model: Any, layer_names: tuple[str, ...] = ()) -> RawGraph:
    """Read a cleaned QONNX `ModelWrapper`. `layer_names` are the dense layers', else the nodes' are taken.

    Raises `QapError` that names the first node that cannot be lowered.
    """
    walk = _Walk(model, layer_names)
    for node in model.graph.node:
        walk.visit(node)
    walk.finish()
    return walk.graph


def input_is_quantized(model: Any) -> bool:
    """Whether a quantizer stands between the graph's input and its first dense layer."""
    reached = {model.graph.input[0].name}
    for node in model.graph.node:
        if reached.intersection(node.input):
            if node.op_type in QUANTIZERS:
                return True
            if node.op_type in DENSE:
                return False
            reached.update(node.output)
    return False


class _Walk:
    """The state of one walk: what every tensor is, and the layer that is being built."""

    def __init__(self, model: Any, layer_names: tuple[str, ...]) -> None:
        self.layer_names, self.model = layer_names, model
        self.opset = int(model.get_opset_imports()[""])
        self.wanted = wanted_tensors(model.graph)
        self.graph = RawGraph()
        self.tensors: dict[str, np.ndarray | Quantized | Signal] = {}
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
        """The shape of one row of `tensor`: without the batch dimension."""
        return tuple(self.model.get_tensor_shape(tensor) or ())[1:]

    def option(self, node: NodeProto, name: str) -> Any:
        return operators.option(node, name, self.opset)

    def visit(self, node: NodeProto) -> None:
        if not operators.is_handled(node):
            raise refused(node, SUPPORTED)
        operators.check(node, self.opset, self.wanted)
        if self.ended.intersection(node.input):
            if node.op_type not in SHAPE_ONLY:
                assert self.ended_by is not None
                raise refused(node, f"it comes after {self.ended_by.op_type}")
            self.ended.update(node.output)
            return
        if node.op_type in AFTER_THE_LOGITS:
            self.end(node)
            return
        result = HANDLERS[node.op_type](self, node)
        if isinstance(result, Signal) and math.prod(self.shape(node.output[0])) != result.affine.channels:
            shape = self.model.get_tensor_shape(node.output[0])
            raise refused(
                node, f"its output has shape {shape}, which is not one row of {result.affine.channels} values"
            )
        self.tensors[node.output[0]] = result

    def end(self, node: NodeProto) -> None:
        """A node that leaves the class as it is, and stays on the host."""
        signal, shape = self.signal(node), self.shape(node.input[0])
        fault = shapes.class_axis_fault(int(self.option(node, "axis")), shape, signal.affine.channels)
        if fault:
            raise refused(node, fault)
        if node.op_type == "TopK" and self.whole(node, 1) != [1]:
            raise refused(node, "it asks for several classes; take them from the logits, on the host")
        self.ended_by, self.ended = node, set(node.output)
        self.graph.notes.append(f"the {node.op_type} at the end stays on the host; it does not change the largest")

    def signal(self, node: NodeProto) -> Signal:
        value = self.tensors.get(node.input[0])
        if not isinstance(value, Signal):
            raise refused(node, "its first input is not a tensor that depends on the network's input")
        return value

    def constant(self, node: NodeProto, index: int) -> np.ndarray:
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
        """The integers of a constant input that is a list of them: axes, a shape, a count."""
        values = self.constant(node, index)
        if values.dtype != np.int64 or values.ndim != 1:
            what = f"shape {list(values.shape)} of {values.dtype}"
            raise refused(node, f"its input {index} has {what}; it must be a list of int64")
        return [int(value) for value in values]

    def factors(self, node: NodeProto, index: int, shape: tuple[int, ...]) -> list[Fraction]:
        """One exact value per channel of a constant input, broadcast against rows of `shape` as ONNX does it."""
        value = self.tensors.get(node.input[index])
        values = value.exact if isinstance(value, Quantized) else rationals(self.constant(node, index))
        while values.ndim > len(shape) and values.shape[0] == 1:
            values = values[0]
        try:
            return list(np.broadcast_to(values, shape).reshape(-1))
        except ValueError as error:
            what = f"its input {index} of shape {values.shape} does not fit rows of shape {shape}"
            raise refused(node, what) from error

    # ---- dense

    def dense(self, node: NodeProto) -> Signal:
        signal, weight = self.signal(node), self.tensors.get(node.input[1])
        if not isinstance(weight, Quantized):
            raise refused(node, "its weights are floats: a Quant or BipolarQuant node must stand on them")
        if not signal.quantized:
            raise refused(node, "its input is not quantized: put a quantizer before it")
        if signal.affine.clips:
            raise refused(node, "a Relu or Clip stands between the quantizer and it: put the quantizer behind")
        integers, scale = weight.integers, np.broadcast_to(weight.scale, weight.integers.shape)
        factor = Fraction(1)
        if node.op_type == "Gemm":
            if self.option(node, "transB"):
                integers, scale = integers.T, scale.T
            factor = self.multiple(node, "alpha")
        if integers.ndim != 2 or integers.shape[0] != signal.affine.channels:
            raise refused(node, f"weights of shape {integers.shape} for {signal.affine.channels} inputs")
        if (scale != scale[:1]).any():
            raise refused(node, "its weight scale varies over the inputs; one scale an output is supported")
        if len(set(signal.affine.slope)) != 1:
            raise refused(node, "its input has a scale a channel; the quantizer before it must be per tensor")
        if self.open is not None:
            raise refused(node, "no quantizer stands between it and the dense layer before it")
        step = signal.affine.slope[0]
        scales = [Fraction(float(value)) * factor for value in scale[0]]
        shifts = signal.affine.intercept
        offsets, magnitudes = [], []
        sizes = signal.affine.magnitude  # what cancelled before it came here has been rounded all the same
        for scale_out, column in zip(scales, integers.T.tolist(), strict=True):
            products = [weight * shift for weight, shift in zip(column, shifts, strict=True) if weight and shift]
            offsets.append(scale_out * sum(products, start=Fraction(0)))
            rounded = [abs(weight) * size for weight, size in zip(column, sizes, strict=True) if weight and size]
            magnitudes.append(abs(scale_out) * sum(rounded, start=Fraction(0)))
        affine = Affine.scaled([value * step for value in scales], offsets, magnitudes)
        index = len(self.graph.layers)
        name = self.layer_names[index] if index < len(self.layer_names) else label(node)
        self.open = RawLayer(
            name,
            integers.astype(np.int64),
            weight.bits,
            signal.bits,
            affine,
            input_tensor=node.input[0],
            entering=signal.affine,
            nonzero_floats=weight.nonzero_floats,
        )
        result = Signal(affine, 0, quantized=False)
        if node.op_type == "Gemm" and len(node.input) > 2 and node.input[2]:
            beta = self.multiple(node, "beta")
            addend = [beta * value for value in self.factors(node, 2, (affine.channels,))]
            self.count_bias(affine, addend)
            result = Signal(affine.then([Fraction(1)] * affine.channels, addend), 0, quantized=False)
        return result

    def multiple(self, node: NodeProto, name: str) -> Fraction:
        value = float(self.option(node, name))
        if not math.isfinite(value):
            raise refused(node, f"its attribute {name} is {value}")
        return Fraction(value)

    def count_bias(self, affine: Affine, addend: list[Fraction]) -> None:
        """Remember the layer's bias, which is what is added to its accumulators first."""
        if self.open is not None and affine == self.open.affine:
            nonzero = sum(value != 0 for value in addend)
            self.open = replace(self.open, biases=len(addend), nonzero_biases=nonzero)

    # ---- element-wise

    def arithmetic(self, node: NodeProto) -> Signal:
        first = isinstance(self.tensors.get(node.input[0]), Signal)
        signal, other = (self.tensors.get(node.input[place]) for place in ((0, 1) if first else (1, 0)))
        if not isinstance(signal, Signal):
            raise refused(node, "it stands between a weight and its quantizer, or behind both")
        if isinstance(other, Signal):
            raise refused(node, "it joins two branches; only chains are supported")
        channels = signal.affine.channels
        constant = self.factors(node, 1 if first else 0, self.shape(node.input[0 if first else 1]))
        one, zero = [Fraction(1)] * channels, [Fraction(0)] * channels
        if node.op_type == "Add":
            self.count_bias(signal.affine, constant)
            return self.then(signal, one, constant)
        if node.op_type == "Mul":
            return self.then(signal, constant, zero)
        if node.op_type == "Sub":
            sign = Fraction(1 if first else -1)
            return self.then(signal, [sign] * channels, [-sign * value for value in constant])
        if not first or any(value == 0 for value in constant):
            raise refused(node, "a division by the signal, or by zero")
        return self.then(signal, [1 / value for value in constant], zero)

    @staticmethod
    def then(signal: Signal, factor: list[Fraction], addend: list[Fraction]) -> Signal:
        rectified = signal.rectified and min(*factor, *addend) >= 0
        return Signal(signal.affine.then(factor, addend), signal.bits, signal.quantized, rectified)

    def batch_norm(self, node: NodeProto) -> Signal:
        signal, shape = self.signal(node), self.shape(node.input[0])
        gamma, beta, mean, variance = (self.statistics(node, index, shape) for index in range(1, 5))
        epsilon = self.multiple(node, "epsilon")
        if any(value + epsilon <= 0 for value in variance):
            raise refused(node, "a running variance below 0")
        factor = [g * inverse_sqrt(v + epsilon) for g, v in zip(gamma, variance, strict=True)]
        centred = signal.affine.then([Fraction(1)] * len(mean), [-value for value in mean])
        return Signal(centred.then(factor, beta), signal.bits, signal.quantized)

    def statistics(self, node: NodeProto, index: int, shape: tuple[int, ...]) -> list[Fraction]:
        """A batch norm's parameter, one per channel: the first dimension of a row, whatever follows it."""
        values = self.factors(node, index, shape[:1])
        return [value for value in values for _ in range(math.prod(shape[1:]))]

    def relu(self, node: NodeProto) -> Signal:
        signal = self.signal(node)
        return Signal(signal.affine.clip(Fraction(0), None), signal.bits, signal.quantized, rectified=True)

    def clip(self, node: NodeProto) -> Signal:
        signal = self.signal(node)
        ends = []
        for index in (1, 2):
            given = index < len(node.input) and node.input[index]
            ends.append(self.factors(node, index, ())[0] if given else None)
        if ends[0] is not None and ends[1] is not None and ends[0] > ends[1]:
            raise refused(node, "its lower bound is above its upper bound")
        return Signal(signal.affine.clip(ends[0], ends[1]), signal.bits, signal.quantized)

    def dropout(self, node: NodeProto) -> Any:
        if len(node.input) > 2 and node.input[2] and self.constant(node, 2).any():
            raise refused(node, operators.TRAINING.why)
        return self.tensors[node.input[0]]

    def reshaped(self, node: NodeProto) -> Any:
        """The same values in another shape. Rows of a signal stay rows."""
        value = self.tensors[node.input[0]]
        axes = self.whole(node, 1) if len(node.input) > 1 and node.input[1] else []
        if isinstance(value, Signal):
            if shapes.moves_rows(node, self.shape(node.input[0]), self.option(node, "axis"), axes):
                raise refused(node, "it does not keep the first dimension, which counts the rows")
            return value
        shape = tuple(self.model.get_tensor_shape(node.output[0]))
        return value.moved(lambda array: array.reshape(shape)) if isinstance(value, Quantized) else value.reshape(shape)

    def transpose(self, node: NodeProto) -> Any:
        value, order = self.tensors[node.input[0]], self.option(node, "perm")
        if isinstance(value, Signal):
            raise refused(node, SUPPORTED)
        return (
            value.moved(lambda array: array.transpose(order))
            if isinstance(value, Quantized)
            else value.transpose(order)
        )

    # ---- quantizers, and the ends of layers

    def quant(self, node: NodeProto) -> Any:
        value = self.tensors.get(node.input[0])
        bits, levels, scale = quantizers.parameters(node, self.constant)
        if isinstance(value, np.ndarray):
            self.constant(node, 0)
            return quantizers.of_constant(node, value, bits, levels, scale)
        if not isinstance(value, Signal):
            raise refused(node, "it quantizes what is quantized already")
        scales = self.factors(node, 1, self.shape(node.input[0]))
        levels = quantizers.on_channels(node, value, bits, levels, scales)
        if self.open is not None:
            self.close(value.affine, levels, bits, node.output[0])
        elif self.graph.input is None:
            self.graph.input = quantizers.of_input(node, value, levels)
            self.graph.input_bits = bits
        else:
            raise refused(node, "it quantizes what is quantized already")
        return Signal(Affine.scaled(list(levels.scale)), bits, quantized=True)

    def close(self, affine: Affine, levels: Levels | None, bits: int | None, tensor: str) -> None:
        assert self.open is not None
        closed = replace(self.open, affine=affine, levels=levels, output_bits=bits, output_tensor=tensor)
        self.graph.layers.append(closed)
        self.open = None

    def finish(self) -> None:
        """Close the last layer; the graph must end in it or in its quantizer."""
        last = [value for value in self.tensors.items() if isinstance(value[1], Signal)][-1]
        signal = last[1]
        assert isinstance(signal, Signal)
        self.graph.output_tensor, self.graph.output = last[0], signal.affine
        if self.open is not None:
            self.close(signal.affine, None, None, last[0])
        if not self.graph.layers:
            raise QapError("the graph has no dense layer", SUPPORTED)
        unique = names.labels(layer.name for layer in self.graph.layers)
        self.graph.layers = [replace(layer, name=name) for layer, name in zip(self.graph.layers, unique, strict=True)]
        end = self.graph.layers[-1].levels
        if end is not None and (
            len(set(signal.affine.slope)) != 1
            or set(signal.affine.intercept) != {Fraction(0)}
            or signal.affine.clips
            or signal.affine.slope[0] <= 0
        ):
            raise QapError("what follows the last quantizer cannot be lowered", "end the network in the quantizer")
        if end is not None:
            self.graph.output_scale = signal.affine.slope[0]


HANDLERS: dict[str, Callable[[_Walk, NodeProto], Any]] = {
    "MatMul": _Walk.dense,
    "Gemm": _Walk.dense,
    "Add": _Walk.arithmetic,
    "Sub": _Walk.arithmetic,
    "Mul": _Walk.arithmetic,
    "Div": _Walk.arithmetic,
    "BatchNormalization": _Walk.batch_norm,
    "Relu": _Walk.relu,
    "Clip": _Walk.clip,
    "Transpose": _Walk.transpose,
    "Quant": _Walk.quant,
    "BipolarQuant": _Walk.quant,
    "Dropout": _Walk.dropout,
    **dict.fromkeys(SHAPE_ONLY, _Walk.reshaped),
}
