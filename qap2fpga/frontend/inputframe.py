# SPDX-License-Identifier: Apache-2.0
"""What is a row, a column and a channel of the network's input: as the first node that asks for it takes them.

Where no node does, as in a chain of dense layers, all values of the input are channels of one position.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from onnx import NodeProto, helper

from qap2fpga.frontend.axes import Axes
from qap2fpga.frontend.operators import RESHAPING, SPATIAL
from qap2fpga.ir.tensors import Shape

if TYPE_CHECKING:
    from qonnx.core.modelwrapper import ModelWrapper

# What is only done to frames, with channels first where no other node says something else.
LIKELY = ("Resize", "Pad", "Concat")


def input_frame(model: ModelWrapper, tensor: str) -> tuple[Shape, Axes]:
    """Return the shape of the input's frames, and where the graph's input `tensor` holds their values."""
    row = _row(model, tensor)
    axes, guess = {tensor: _flat(row)[1]}, None
    for node in model.graph.node:
        before = next((axes[name] for name in node.input if name in axes), None)
        if before is None:
            continue
        spatial = _spatial(model, node)
        if spatial is not None:
            return _framed(before, row, last=spatial == "last")
        if node.op_type in LIKELY and guess is None:
            guess = before
        after = _row(model, node.output[0])
        try:
            axes[node.output[0]] = _moved(node, before, after)
        except ValueError:
            continue  # the walk will refuse it by name
    return _flat(row) if guess is None else _framed(guess, row, last=False)


def _row(model: ModelWrapper, tensor: str) -> tuple[int, ...]:
    return tuple(model.get_tensor_shape(tensor) or ())[1:]


def _spatial(model: ModelWrapper, node: NodeProto) -> str | None:
    """Where `node` expects the channels of frames: 'first' or 'last'; None if it takes any tensor."""
    if node.op_type in SPATIAL:
        return "first"
    row = _row(model, node.input[0])
    return "last" if node.op_type == "MatMul" and row[-1:] != (math.prod(row),) else None


def _moved(node: NodeProto, axes: Axes, after: tuple[int, ...]) -> Axes:
    if node.op_type == "Transpose":
        given = {item.name: helper.get_attribute_value(item) for item in node.attribute}
        order = given.get("perm", range(len(axes.dims) + 1)[::-1])
        if order[0] != 0:
            raise ValueError("it moves the rows")
        return axes.transposed([place - 1 for place in order[1:]])
    # Whatever else a node does, each dimension stays what it was.
    return axes.reshaped(after) if node.op_type in RESHAPING else axes


def _framed(axes: Axes, row: tuple[int, ...], *, last: bool) -> tuple[Shape, Axes]:
    """The frame that a node sees whose input has `axes` over the graph's own order of values."""
    channels, places = (axes.dims[-1], axes.dims[:-1]) if last else (axes.dims[0], axes.dims[1:])
    if len(places) > 2:
        return _flat(row)
    dims = (*((),) * (2 - len(places)), *places, channels)
    framed, distance = {}, 1
    for size, place in reversed([factor for factors in dims for factor in factors]):
        framed[place] = (size, distance)
        distance *= size
    if distance != math.prod(row):
        return _flat(row)
    height, width, depth = (math.prod(size for size, _ in factors) for factors in dims)
    return Shape(depth, height, width), Axes(
        (tuple(framed[place] for place in sorted(framed, reverse=True)),)
    ).reshaped(row)


def _flat(row: tuple[int, ...]) -> tuple[Shape, Axes]:
    """All values as channels of one position."""
    size = math.prod(row)
    return Shape(size), Axes((((size, 1),),)).reshaped(row)
