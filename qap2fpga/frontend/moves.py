# SPDX-License-Identifier: Apache-2.0
"""Nodes that only move values: other dimensions, repetition of rows and columns, zeros around a frame."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction

from onnx import NodeProto

from qap2fpga.frontend import shapes
from qap2fpga.frontend.axes import Axes
from qap2fpga.frontend.values import Quantized, RawNode, Signal, Tensor, label, refused
from qap2fpga.frontend.walk import Walk
from qap2fpga.ir.channelwise import Repeat

# Where the value of a result's place stands in what is resized, counted in its places, per way to say it.
PLACES: dict[bytes, Callable[[int, int], Fraction]] = {
    b"asymmetric": lambda place, factor: Fraction(place, factor),
    b"half_pixel": lambda place, factor: Fraction(2 * place + 1, 2 * factor) - Fraction(1, 2),
}
PLACES[b"half_pixel_symmetric"] = PLACES[b"pytorch_half_pixel"] = PLACES[b"half_pixel"]
NEAREST: dict[bytes, Callable[[Fraction], int]] = {
    b"round_prefer_floor": lambda place: math.ceil(place - Fraction(1, 2)),
    b"round_prefer_ceil": lambda place: math.floor(place + Fraction(1, 2)),
    b"floor": math.floor,
    b"ceil": math.ceil,
}


def reshaped(walk: Walk, node: NodeProto) -> Tensor:
    """Return the same values in another shape. Rows of a signal stay rows."""
    value = walk.tensors[node.input[0]]
    axes = walk.whole(node, 1) if len(node.input) > 1 and node.input[1] else []
    if isinstance(value, Signal):
        axis = walk.option(node, "axis", int) if node.op_type == "Flatten" else None
        if shapes.moves_rows(node, walk.shape(node.input[0]), axis, axes):
            raise refused(node, "it does not keep the first dimension, which counts the rows")
        try:
            return replace(value, tensor=node.output[0], axes=value.axes.reshaped(walk.shape(node.output[0])))
        except ValueError as error:
            raise refused(node, str(error)) from error
    shape = tuple(walk.model.get_tensor_shape(node.output[0]))
    return value.moved(lambda array: array.reshape(shape)) if isinstance(value, Quantized) else value.reshape(shape)


def transpose(walk: Walk, node: NodeProto) -> Tensor:
    """Return a tensor with its dimensions in another order. Rows of a signal stay rows."""
    value, order = walk.tensors[node.input[0]], walk.option(node, "perm", list)
    if isinstance(value, Signal):
        order = list(range(len(value.axes.dims) + 1))[::-1] if order is None else order
        if order[0] != 0:
            raise refused(node, "it does not keep the first dimension, which counts the rows")
        moved = value.axes.transposed([place - 1 for place in order[1:]])
        return replace(value, tensor=node.output[0], axes=moved)
    return value.moved(lambda array: array.transpose(order)) if isinstance(value, Quantized) else value.transpose(order)


def repeated(walk: Walk, node: NodeProto) -> Signal:
    """Return rows and columns by the nearest neighbour, each as often as a whole factor says."""
    signal = walk.signal(node)
    mode = walk.option(node, "mode", bytes)
    if mode != b"nearest":
        raise refused(node, f"its attribute mode is {mode.decode(errors='replace')}; nearest is supported")
    rows, more = (walk.model.get_tensor_shape(name)[0] for name in (node.input[0], node.output[0]))
    if rows != more:
        raise refused(node, f"it makes {more} rows of {rows}")
    before, after = signal.axes.shape, walk.shape(node.output[0])
    if len(before) != len(after) or any(large % small for small, large in zip(before, after, strict=True)):
        raise refused(node, f"it makes {after} of {before}, which is not a whole number of times as large")
    factors = [large // small for small, large in zip(before, after, strict=True)]
    _check_places(walk, node, before, factors)
    last, (down, across) = _spatial(node, signal, factors)
    name = walk.name(label(node))
    repeat = Repeat(name=name, sources=(signal.node,), rows=down, columns=across)
    walk.add(RawNode(repeat, (signal,), signal.affine))
    shape = repeat.shape([signal.shape])
    axes = Axes.of(shape, len(before) - 1, last=last)
    return replace(signal, tensor=node.output[0], node=name, shape=shape, axes=axes)


def _spatial(node: NodeProto, signal: Signal, factors: Sequence[int]) -> tuple[bool, tuple[int, int]]:
    """Whether channels are the last dimension, and the factors of rows and columns."""
    spatial = len(factors) - 1
    for last in (False, True):
        places, channels = (factors[:-1], factors[-1]) if last else (factors[1:], factors[0])
        if spatial in (1, 2) and channels == 1 and signal.axes == Axes.of(signal.shape, spatial, last=last):
            return last, (places[0] if spatial == 2 else 1, places[-1])
    raise refused(node, "it resizes something else than rows and columns")


def _check_places(walk: Walk, node: NodeProto, sizes: Sequence[int], factors: Sequence[int]) -> None:
    """Raise `QapError` where the nearest of a place is not the one that repetition gives."""
    way, nearest = (walk.option(node, name, bytes) for name in ("coordinate_transformation_mode", "nearest_mode"))
    if way not in PLACES or nearest not in NEAREST:
        what = f"{way.decode(errors='replace')} and {nearest.decode(errors='replace')}"
        raise refused(node, f"its places by {what} are not supported")
    for size, factor in zip(sizes, factors, strict=True):
        for place in range(size * factor):
            source = NEAREST[nearest](PLACES[way](place, factor))
            if min(max(source, 0), size - 1) != place // factor:
                raise refused(node, f"by {way.decode()} and {nearest.decode()} it does not repeat each value")


def zeros_around(walk: Walk, node: NodeProto) -> Signal:
    """Return the signal with zeros around it, which the next kernel sees."""
    signal = walk.signal(node)
    mode = walk.option(node, "mode", bytes)
    if mode != b"constant":
        raise refused(node, f"its attribute mode is {mode.decode(errors='replace')}; constant is supported")
    if len(node.input) > 2 and node.input[2] and walk.number(node, 2) != 0:
        raise refused(node, "it pads with another value than 0")
    pads, rank = walk.whole(node, 1), len(signal.axes.dims) + 1
    if len(pads) != 2 * rank or min(pads) < 0:
        raise refused(node, f"its pads are {pads}; two per dimension, none negative, are supported")
    before, after = pads[:rank], pads[rank:]
    for last in (False, True):
        places = slice(1, -1) if last else slice(2, None)
        kept = [*before[:1], *after[:1], *((before[-1], after[-1]) if last else (before[1], after[1]))]
        if not any(kept) and signal.axes == Axes.of(signal.shape, rank - 2, last=last):
            top, left = ([0] * (4 - rank) + before[places])[:2]
            bottom, right = ([0] * (4 - rank) + after[places])[:2]
            return replace(signal, pads=(top, left, bottom, right))
    raise refused(node, "it pads something else than rows and columns")


def has_shape(signal: Signal, shape: tuple[int, ...]) -> bool:
    """Return whether a row of the tensor, with the zeros around it, has this `shape`."""
    if not any(signal.pads):
        return signal.axes.shape == shape
    top, left, bottom, right = signal.pads
    frame, spatial = signal.shape, len(signal.axes.dims) - 1
    large = replace(frame, height=frame.height + top + bottom, width=frame.width + left + right)
    return any(
        Axes.of(large, spatial, last=last).shape == shape
        for last in (False, True)
        if signal.axes == Axes.of(frame, spatial, last=last)
    )
