# SPDX-License-Identifier: Apache-2.0
"""Nodes between layers: element-wise arithmetic, which changes what integers mean, and what only moves values."""

from __future__ import annotations

from fractions import Fraction

from onnx import NodeProto

from qap2fpga.exact.thresholds import inverse_sqrt
from qap2fpga.frontend import joins, operators
from qap2fpga.frontend.values import Signal, Tensor, refused
from qap2fpga.frontend.walk import Walk


def arithmetic(walk: Walk, node: NodeProto) -> Signal:
    """Return the signal after an addition, subtraction, multiplication or division with a constant, or two branches'
    sum or difference.
    """
    first = isinstance(walk.tensors.get(node.input[0]), Signal)
    signal, other = (walk.tensors.get(node.input[place]) for place in ((0, 1) if first else (1, 0)))
    if not isinstance(signal, Signal):
        raise refused(node, "it stands between a weight and its quantizer, or after both")
    if isinstance(other, Signal):
        if node.op_type not in ("Add", "Sub"):
            raise refused(node, "it multiplies or divides two tensors that depend on the network's input")
        return joins.added(walk, node, signal, other, 1 if node.op_type == "Add" else -1)
    channels = signal.affine.channels
    constant = walk.factors(node, 1 if first else 0, signal)
    one, zero = [Fraction(1)] * channels, [Fraction(0)] * channels
    if node.op_type == "Add":
        walk.count_bias(signal, constant)
        return _then(node, signal, one, constant)
    if node.op_type == "Mul":
        return _then(node, signal, constant, zero)
    if node.op_type == "Sub":
        sign = Fraction(1 if first else -1)
        return _then(node, signal, [sign] * channels, [-sign * value for value in constant])
    if not first or any(value == 0 for value in constant):
        raise refused(node, "a division by the signal, or by zero")
    return _then(node, signal, [1 / value for value in constant], zero)


def _then(node: NodeProto, signal: Signal, factor: list[Fraction], addend: list[Fraction]) -> Signal:
    return signal.meaning(node.output[0], signal.last.then(factor, addend))


def batch_norm(walk: Walk, node: NodeProto) -> Signal:
    """Return the normalized signal, with the root of each variance to 1024 bits."""
    signal = walk.signal(node)
    gamma, beta, mean, variance = (_statistics(walk, node, index, signal) for index in range(1, 5))
    epsilon = walk.multiple(node, "epsilon")
    if any(value + epsilon <= 0 for value in variance):
        raise refused(node, "a running variance below 0")
    factor = [g * inverse_sqrt(v + epsilon) for g, v in zip(gamma, variance, strict=True)]
    centred = signal.last.then([Fraction(1)] * len(mean), [-value for value in mean])
    return signal.meaning(node.output[0], centred.then(factor, beta))


def _statistics(walk: Walk, node: NodeProto, index: int, signal: Signal) -> list[Fraction]:
    """A batch norm's parameter, one per channel: the first dimension of a row."""
    values = walk.exact(node, index)
    if values.ndim == 1:
        values = values.reshape(-1, *(1,) * (len(signal.axes.dims) - 1))
    try:
        return signal.axes.per_channel(values, signal.shape.channels)
    except ValueError as error:
        raise refused(node, f"its input {index} {error}") from error


def relu(walk: Walk, node: NodeProto) -> Signal:
    """Return the signal without its values below 0."""
    signal = walk.signal(node)
    return signal.meaning(node.output[0], signal.last.clip(Fraction(0), None))


def clip(walk: Walk, node: NodeProto) -> Signal:
    """Return the signal between two bounds, each of which may be missing."""
    signal = walk.signal(node)
    ends = []
    for index in (1, 2):
        given = index < len(node.input) and node.input[index]
        ends.append(walk.number(node, index) if given else None)
    if ends[0] is not None and ends[1] is not None and ends[0] > ends[1]:
        raise refused(node, "its lower bound is above its upper bound")
    return signal.meaning(node.output[0], signal.last.clip(ends[0], ends[1]))


def bounded(walk: Walk, node: NodeProto) -> Signal:
    """Return the larger (Max) or the smaller (Min) of the signal and a constant, which may be one per channel."""
    place = next((place for place, name in enumerate(node.input) if isinstance(walk.tensors.get(name), Signal)), 0)
    signal = walk.tensors.get(node.input[place])
    if len(node.input) != 2 or not isinstance(signal, Signal):
        raise refused(node, f"it takes {len(node.input)} tensors; one, and a constant, are supported")
    if isinstance(walk.tensors.get(node.input[1 - place]), Signal):
        raise refused(node, "it chooses between two tensors that depend on the network's input")
    bound = walk.factors(node, 1 - place, signal)
    lows, highs = (bound, None) if node.op_type == "Max" else (None, bound)
    return signal.meaning(node.output[0], signal.last.between(lows, highs))


def dropout(walk: Walk, node: NodeProto) -> Tensor:
    """Return its input. Raises `QapError` where it would drop something at inference too."""
    if len(node.input) > 2 and node.input[2] and walk.constant(node, 2).any():
        raise refused(node, operators.TRAINING.why)
    return walk.tensors[node.input[0]]
