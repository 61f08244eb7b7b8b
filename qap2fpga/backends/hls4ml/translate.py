# SPDX-License-Identifier: Apache-2.0
"""From a graph to hls4ml's layers, node by node: `plan`.

hls4ml's own layers multiply; all else is a layer of ours that exists for arrays and for streams, since hls4ml's pools,
pads and joins have limits and faults of their own (`workarounds`).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import partial

import hls4ml
import numpy as np

from qap2fpga.backends.hls4ml import code, layers, workarounds
from qap2fpga.backends.hls4ml.kernels import Kernel, Written, interval, kernel, padded
from qap2fpga.backends.hls4ml.model import INPUT, Part, Plan, Tensor, dims, span
from qap2fpga.backends.hls4ml.options import DISTRIBUTED, Hls4mlOptions
from qap2fpga.ir.channelwise import Max, Repeat
from qap2fpga.ir.functions import Step
from qap2fpga.ir.graph import Graph
from qap2fpga.ir.joins import Concat, Sum
from qap2fpga.ir.nodes import Node, Requantizer
from qap2fpga.ir.tensors import Range, Shape
from qap2fpga.ir.windowed import Weighted


def plan(graph: Graph, options: Hls4mlOptions) -> Plan:
    """Return hls4ml's layers of `graph`, and a last one for the class where the user wants only that."""
    translation = _Translation(graph, options)
    last = graph.end if options.output_kind == "accumulators" else None
    for node in graph.nodes[1:]:
        if node is not last:
            translation.add(node)
    if options.output_kind == "class":
        translation.largest(translation.tensors[graph.output])
    result = translation.plan
    factors = ((one.kernel, one.reuse_factor) for one in result.kernels)
    result.interval = interval(graph, factors, stream=result.stream)
    return result


class _Translation:
    def __init__(self, graph: Graph, options: Hls4mlOptions) -> None:
        self.graph = graph
        self.backend = hls4ml.backends.get_backend(layers.BACKEND)
        self.plan = Plan(options, options.streams(graph))
        shape, source = graph.source.size, graph.input
        layer = {"name": INPUT, "class_name": "InputLayer", "input_shape": list(dims(shape))}
        first = self.plan.add(layer, shape, dims(shape), (source.low, source.high))
        self.tensors = {graph.source.name: first}

    def add(self, node: Node) -> None:
        """Add the layers of `node`."""
        sources = [self.tensors[name] for name in node.sources]
        shape, values = self.graph.shapes[node.name], self.graph.node_ranges[node.name]
        match node:
            case Weighted():
                (source,) = sources
                tensor = self._product(kernel(node, source.shape, stream=self.plan.stream), source, values)
            case Requantizer():
                tensor = self._requantizer(node, sources[0], values)
            case Max():
                tensor = self._max(node, sources[0], shape, values)
            case Repeat():
                call = f"repeat<{{types}}, {_sizes(sources[0].shape)}, {node.rows}, {node.columns}>"
                tensor = self._layer("repeat", call, sources, shape, span(values), node.name)
            case Sum():
                tensor = self._sum(node, sources, values)
            case Concat():
                tensor = self._concat(node, sources)
            case _:
                raise AssertionError(f"hls4ml has no handler for {node.kind}")
        self.tensors[node.name] = tensor
        # An adder graph's sums have types of its own, which a frame with one input at its end does not try.
        if isinstance(node, Requantizer) or (isinstance(node, Weighted) and self.plan.options.strategy != DISTRIBUTED):
            self.plan.alone.append(Part(node.name, sources[0], tensor))

    def largest(self, source: Tensor) -> None:
        """Add the number of the largest of all values."""
        text = partial(code.first_largest, inputs=source.shape.channels)
        self._each("largest", text, source, 1, (0, source.shape.channels - 1), "", numbered=False)

    def _product(self, one: Kernel, source: Tensor, values: Range) -> Tensor:
        """hls4ml's dense, convolution or depthwise layer, over a frame padded by ours."""
        plan, options = self.plan, self.plan.options
        if one.is_padded:
            source = self._pad(source, one.pads, one.pad)
        source = self._shaped(source, (source.shape.size,) if one.dense else _extents(source.shape, one.dimensions))
        strategy, factor = workarounds.reuse_factor(
            self.backend, one.inputs, one.outputs, options.reuse_factor, options.strategy, one.depthwise
        )
        name = plan.name(one.prefix)
        layer = {"name": name, "class_name": one.kind, "inputs": [source.layer], "bias_data": None, **_settings(one)}
        extents = (one.outputs,) if one.dense else _extents(one.result, one.dimensions)
        tensor = plan.add(layer, one.result, extents, span(values), one.node.name, signed=True)
        config = plan.config[name]
        bits = workarounds.weight_bits(*one.weight_range, one.node.weight_width)
        config["Precision"]["weight"] = workarounds.precision(bits, True, options.strategy)
        config["Precision"]["accum"] = workarounds.precision(tensor.bits, True, options.strategy)
        config.update(Strategy=strategy, ReuseFactor=factor)
        plan.kernels.append(Written(one, name, strategy, factor))
        return tensor

    def _requantizer(self, node: Requantizer, source: Tensor, values: Range) -> Tensor:
        low, high = span(values)
        if isinstance(node.function, Step) and node.name == self.graph.output:
            low, high = node.function.low, node.function.high
        before = node.sources[0]
        text = partial(
            code.requantize, node=self.graph[before], function=node.function, source=self.graph.node_ranges[before]
        )
        return self._each("step", text, source, source.shape.channels, (low, high), node.name)

    def _max(self, node: Max, source: Tensor, shape: Shape, values: Range) -> Tensor:
        geometry = node.geometry
        if geometry.is_padded:
            source = self._pad(source, geometry.pads, geometry.pad)
        numbers = (*geometry.kernel, *geometry.stride, *geometry.dilation)
        call = f"largest<{{types}}, {_sizes(source.shape)}, {', '.join(map(str, numbers))}>"
        return self._layer("max", call, [source], shape, span(values), node.name)

    def _sum(self, node: Sum, sources: list[Tensor], values: Range) -> Tensor:
        """A layer for each source after the first one; what is summed twice is multiplied instead."""
        factors: Counter[str] = Counter()
        for name, factor in zip(node.sources, node.multipliers, strict=True):
            factors[name] += factor
        names, shape = tuple(factors), sources[0].shape
        total, factor = self.tensors[names[0]], factors[names[0]]
        if len(names) == 1:
            struct = f"qap::multiple<{factor}LL, {shape.channels}>"
            return self._pointwise("sum", struct, [total], shape.channels, span(values), node.name)
        ranges = self.graph.node_ranges
        for count, name in enumerate(names[1:], start=2):
            struct = f"qap::weighted_sum<{factor}LL, {factors[name]}LL, {shape.channels}>"
            multipliers = tuple(factors[one] for one in names[:count])
            part = replace(node, sources=names[:count], multipliers=multipliers, channels=None)
            ends = span(part.range([ranges[one] for one in part.sources]))
            shown = node.name if count == len(names) else ""
            total = self._pointwise("sum", struct, [total, self.tensors[name]], shape.channels, ends, shown)
            factor = 1
        return total

    def _concat(self, node: Concat, sources: list[Tensor]) -> Tensor:
        """A layer for each source after the first one."""
        total, *rest = sources
        if not rest:
            struct = f"qap::multiple<1LL, {total.shape.channels}>"
            return self._pointwise("concat", struct, [total], total.shape.channels, _hull([total]), node.name)
        for count, source in enumerate(rest, start=1):
            one, two = total.shape.channels, source.shape.channels
            name = node.name if count == len(rest) else ""
            struct = f"qap::side_by_side<{one}, {two}>"
            total = self._pointwise("concat", struct, [total, source], one + two, _hull([total, source]), name)
        return total

    def _pad(self, source: Tensor, pads: tuple[int, int, int, int], pad: int) -> Tensor:
        shape = padded(source.shape, pads)
        call = f"pad<{{types}}, {_sizes(source.shape)}, {', '.join(map(str, pads))}, {pad}LL>"
        return self._layer("pad", call, [source], shape, (min(source.low, pad), max(source.high, pad)), "")

    def _shaped(self, source: Tensor, extents: tuple[int, ...]) -> Tensor:
        """`source` with the extents that a layer of hls4ml wants; no hardware."""
        if source.dims == extents:
            return source
        layer = {
            "name": self.plan.name("flat"), "class_name": "Reshape", "inputs": [source.layer],
            "target_shape": list(extents),
        }  # fmt: skip
        return self.plan.add(layer, source.shape, extents, (source.low, source.high))

    def _pointwise(
        self, prefix: str, struct: str, sources: list[Tensor], channels: int, ends: tuple[int, int], node: str
    ) -> Tensor:
        shape = Shape(channels, sources[0].shape.height, sources[0].shape.width)
        counts = ", ".join(str(one.shape.channels) for one in sources)
        function = "each" if len(sources) == 1 else "both"
        call = f"{function}<{struct}, {{types}}, {shape.positions}, {counts}, {channels}>"
        return self._layer(prefix, call, sources, shape, ends, node)

    def _each(
        self, prefix: str, text: code.Text, source: Tensor, channels: int, ends: tuple[int, int], node: str,
        *, numbered: bool = True,
    ) -> Tensor:  # fmt: skip
        """A layer that generated code computes at every position; one of a vector is called directly."""
        name = self.plan.name(prefix) if numbered else prefix
        struct = f"qap_{name}"
        shape = Shape(channels, source.shape.height, source.shape.width)
        positions = shape.positions
        if self.plan.stream or positions > 1:
            call = f"each<{struct}, {{types}}, {positions}, {source.shape.channels}, {channels}>"
            return self._layer(prefix, call, [source], shape, ends, node, name=name, text=text(struct))
        layer = {"name": name, "class_name": "QapStep", "inputs": [source.layer], "shape": list(dims(shape)),
                 "code": text(struct), "call": f"{struct}::apply<{{types}}>"}  # fmt: skip
        return self.plan.add(layer, shape, dims(shape), ends, node)

    def _layer(
        self, prefix: str, call: str, sources: list[Tensor], shape: Shape, ends: tuple[int, int], node: str,
        *, name: str = "", text: str = "",
    ) -> Tensor:  # fmt: skip
        """A layer that `qap_layers.h` computes."""
        self.plan.needs_frames = True
        layer = {
            "name": name or self.plan.name(prefix), "class_name": "QapLayer", "inputs": [one.layer for one in sources],
            "shape": list(dims(shape)), "code": text, "call": f"qap::{call}",
        }  # fmt: skip
        return self.plan.add(layer, shape, dims(shape), ends, node)


def _hull(tensors: list[Tensor]) -> tuple[int, int]:
    return min(one.low for one in tensors), max(one.high for one in tensors)


def _sizes(shape: Shape) -> str:
    return f"{shape.height}, {shape.width}, {shape.channels}"


def _extents(shape: Shape, dimensions: int) -> tuple[int, ...]:
    if dimensions == 1:
        return (shape.width, shape.channels)
    return (shape.height, shape.width, shape.channels)


def _settings(one: Kernel) -> dict[str, object]:
    """What hls4ml wants to know of a layer that multiplies; our pads are around the frame already."""
    weights = one.weights.astype(np.float64)
    if one.dense:
        return {"n_in": one.inputs, "n_out": one.outputs, "weight_data": weights.reshape(one.inputs, one.outputs)}
    frame, result = one.frame, one.result
    settings: dict[str, object] = {
        "data_format": "channels_last", "n_chan": frame.channels, "n_filt": result.channels, "in_width": frame.width,
        "out_width": result.width, "filt_width": weights.shape[1], "stride_width": one.stride[1], "pad_left": 0,
        "pad_right": 0, "dilation": 1,
    }  # fmt: skip
    if one.dimensions == 1:
        weights = weights[0]
    else:
        settings |= {
            "in_height": frame.height, "out_height": result.height, "filt_height": len(weights),
            "stride_height": one.stride[0], "pad_top": 0, "pad_bottom": 0,
        }  # fmt: skip
    if one.depthwise:
        return settings | {"depthwise_data": weights, "depth_multiplier": 1}
    return settings | {"weight_data": weights}
