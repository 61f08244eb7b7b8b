# SPDX-License-Identifier: Apache-2.0
"""FINN's convolutions and pools, whose channels are the last dimension: as qonnx's own nodes for that order.

An Im2Col hands each window to a MatMul, row by row, column by column, channel by channel.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from onnx import ModelProto, NodeProto, helper

from qap2fpga.frontend.dialects.rewriting import Rewriting
from qap2fpga.frontend.operators import CHANNELS_LAST, QONNX_DOMAIN, QUANTIZERS
from qap2fpga.frontend.values import refused

IM2COL = {"stride", "kernel_size", "input_shape", "pad_amount", "pad_value", "depthwise", "dilations"}
POOL = {"kernel_shape", "pads", "strides", "ceil_mode"}


def as_convolutions(model: ModelProto) -> ModelProto:
    """Return `model` with a convolution for each Im2Col and its MatMul, and a MaxPool for each MaxPoolNHWC."""
    if not any(_is(node, "Im2Col") or _is(node, "MaxPoolNHWC") for node in model.graph.node):
        return model
    rewriting = Rewriting(model)
    for node in rewriting.nodes:
        columns = rewriting.producer(node.input[0], "Im2Col", (QONNX_DOMAIN,)) if node.op_type == "MatMul" else None
        if columns is not None:
            _write_convolution(rewriting, columns, node)
        elif _is(node, "MaxPoolNHWC"):
            _write_pool(rewriting, node)
        else:
            rewriting.keep(node)
    result = rewriting.finished()
    for node in result.graph.node:
        if _is(node, "Im2Col"):
            raise refused(node, "what reads it must be a MatMul whose weights are quantized")
    if not any(entry.domain == CHANNELS_LAST for entry in result.opset_import):
        result.opset_import.append(helper.make_opsetid(CHANNELS_LAST, 1))
    return result


def _is(node: NodeProto, kind: str) -> bool:
    return node.op_type == kind and node.domain == QONNX_DOMAIN


def _write_convolution(rewriting: Rewriting, columns: NodeProto, node: NodeProto) -> None:
    """Write a convolution, with its weights (outputs, rows, columns, channels) and their quantizer."""
    quantizer = next(
        filter(None, (rewriting.producer(node.input[1], kind, (QONNX_DOMAIN,)) for kind in QUANTIZERS)), None
    )
    stored = rewriting.constant(quantizer.input[0]) if quantizer is not None else None
    scale = rewriting.constant(quantizer.input[1]) if quantizer is not None else None
    if quantizer is None or stored is None or scale is None:
        raise refused(node, "its weights are floats: after an Im2Col they must be stored, and quantized")
    options = _options(columns, IM2COL)
    rows, across = _pair(columns, options, "kernel_size")
    if stored.ndim != 2 or not rows * across or stored.shape[0] % (rows * across):
        raise refused(node, f"weights of shape {stored.shape} for windows of {rows} x {across}")
    if options.get("pad_value", 0) != 0:
        raise refused(columns, f"its pad_value is {options['pad_value']}; 0 is supported")
    channels, outputs = stored.shape[0] // (rows * across), stored.shape[1]
    weights = np.moveaxis(stored.reshape(rows, across, channels, outputs), -1, 0)
    group = 1
    if options.get("depthwise", 0):
        group, weights = channels, _own_channels(node, weights)
    if scale.size > 1:
        if scale.shape not in ((outputs,), (1, outputs)):
            raise refused(node, f"a weight scale of shape {scale.shape} for {outputs} outputs")
        scale = scale.reshape(outputs, 1, 1, 1)
    source = rewriting.store(node.input[1], np.ascontiguousarray(weights))
    weight = rewriting.fresh(node.input[1])
    rewriting.keep(_like(quantizer, [source, rewriting.store(node.input[1], scale), *quantizer.input[2:]], weight))
    pads = options.get("pad_amount", 0)
    attributes = {
        "kernel_shape": [rows, across],
        "strides": _pair(columns, options, "stride"),
        "dilations": _pair(columns, options, "dilations", 1),
        "pads": [pads] * 4 if isinstance(pads, int) else _four(columns, pads),
        "group": group,
    }
    rewriting.write("Conv", [columns.input[0], weight], node.output[0], node, attributes, domain=CHANNELS_LAST)


def _own_channels(node: NodeProto, weights: np.ndarray) -> np.ndarray:
    """The weights (channels, rows, columns, 1) of a depthwise convolution, which is stored with all products."""
    if weights.shape[0] != weights.shape[3] or weights[~np.eye(len(weights), dtype=bool)[:, None, None, :].repeat(
        weights.shape[1], 1).repeat(weights.shape[2], 2)].any():  # fmt: skip
        raise refused(node, "its Im2Col is depthwise, but its weights join channels")
    return np.stack([weights[channel, :, :, channel, None] for channel in range(len(weights))])


def _like(old: NodeProto, inputs: Sequence[str], output: str) -> NodeProto:
    new = NodeProto()
    new.CopyFrom(old)
    new.name = ""
    new.input[:], new.output[:] = inputs, [output]
    return new


def _write_pool(rewriting: Rewriting, node: NodeProto) -> None:
    options = _options(node, POOL)
    if options.pop("ceil_mode", 0):
        raise refused(node, "its ceil_mode is 1, with which a last window may stand half outside of the frame")
    rewriting.write("MaxPool", list(node.input), node.output[0], node, options, domain=CHANNELS_LAST)


def _options(node: NodeProto, known: set[str]) -> dict[str, object]:
    options = {item.name: helper.get_attribute_value(item) for item in node.attribute}
    strange = next((name for name in options if name not in known), None)
    if strange is not None:
        raise refused(node, f"its attribute {strange} is not known")
    return options


def _pair(node: NodeProto, options: dict[str, object], name: str, default: int | None = None) -> list[int]:
    """An attribute that is one number per dimension; until 2021 it was one number."""
    value = options.get(name, default)
    numbers = [value, value] if isinstance(value, int) else value
    if (
        not isinstance(numbers, list)
        or len(numbers) != 2
        or not all(isinstance(one, int) and one > 0 for one in numbers)
    ):
        raise refused(node, f"its attribute {name} is {value}")
    return numbers


def _four(node: NodeProto, pads: object) -> list[int]:
    if not isinstance(pads, list) or len(pads) != 4 or not all(isinstance(one, int) and one >= 0 for one in pads):
        raise refused(node, f"its attribute pad_amount is {pads}")
    return pads
