# SPDX-License-Identifier: Apache-2.0
"""Functions that never fall, before a quantizer: with it they are one step function."""

from __future__ import annotations

from fractions import Fraction

from onnx import NodeProto

from qap2fpga.exact.curves import Curve, Leaky, Sigmoid, Tanh
from qap2fpga.frontend.values import Signal, refused
from qap2fpga.frontend.walk import Walk


def leaky_relu(walk: Walk, node: NodeProto) -> Signal:
    """Return the signal, its values below 0 times one factor."""
    signal = walk.signal(node)
    return _leaky(node, signal, [walk.multiple(node, "alpha")] * signal.shape.channels)


def parametric_relu(walk: Walk, node: NodeProto) -> Signal:
    """Return the signal, its values below 0 times a factor per channel."""
    signal = walk.signal(node)
    return _leaky(node, signal, walk.factors(node, 1, signal))


def _leaky(node: NodeProto, signal: Signal, slopes: list[Fraction]) -> Signal:
    if not any(slopes):
        return signal.meaning(node.output[0], signal.last.clip(Fraction(0), None))
    if min(slopes) <= 0:
        raise refused(node, "a slope below 0 that is not above 0: it does not rise, or not in every channel")
    return signal.curved(node.output[0], Leaky(tuple(slopes)))


def hard_sigmoid(walk: Walk, node: NodeProto) -> Signal:
    """Return a line between the bounds 0 and 1."""
    signal = walk.signal(node)
    alpha, beta = (walk.multiple(node, name) for name in ("alpha", "beta"))
    line = signal.last.then([alpha] * signal.shape.channels, [beta] * signal.shape.channels)
    return signal.meaning(node.output[0], line.clip(Fraction(0), Fraction(1)))


def curve(walk: Walk, node: NodeProto) -> Signal:
    """Return the sigmoid or the hyperbolic tangent of the signal."""
    kinds: dict[str, type[Curve]] = {"Sigmoid": Sigmoid, "Tanh": Tanh}
    return walk.signal(node).curved(node.output[0], kinds[node.op_type]())
