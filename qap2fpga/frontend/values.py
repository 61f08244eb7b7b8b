# SPDX-License-Identifier: Apache-2.0
"""What a tensor of a QONNX graph can be, and what reading a graph gives: integer nodes with exact real meaning."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from qap2fpga.exact.curves import Curve, direction
from qap2fpga.exact.thresholds import Affine, Levels
from qap2fpga.frontend.axes import Axes
from qap2fpga.ir.nodes import Node
from qap2fpga.ir.quantizer import InputQuantizer
from qap2fpga.ir.shown import Head
from qap2fpga.ir.tensors import Shape
from qap2fpga.ir.windowed import Weighted
from qap2fpga.system.errors import QapError

if TYPE_CHECKING:
    from onnx import NodeProto


@dataclass(frozen=True)
class Quantized:
    """A constant after a quantizer: `integers * scale`. Scale broadcasts against the integers.

    `nonzero_floats` is how many of the stored floats are not 0, before rounding.
    """

    integers: np.ndarray
    scale: np.ndarray
    bits: int
    nonzero_floats: int = 0

    @property
    def exact(self) -> np.ndarray:
        """Exact real values, as fractions in the shape of the integers."""
        return rationals(self.integers) * rationals(np.broadcast_to(self.scale, self.integers.shape))

    def moved(self, move: Callable[[np.ndarray], np.ndarray]) -> Quantized:
        """Return the same values in the places that `move` gives them."""
        scale = np.broadcast_to(self.scale, self.integers.shape)
        return replace(self, integers=move(self.integers), scale=move(scale))


@dataclass(frozen=True)
class Signal:
    """A `tensor` that depends on the input: the integers of `node`, and what they mean there.

    They are frames of `shape`, and `axes` say where their values stand in the tensor. `affine`, and then each of the
    `stages` in turn, is the exact real value of each channel. `bits` of the quantizer that they come from, 0 where they
    are sums; `quantized` once they are activations. The graph has put zeros around the tensor, as many as `pads` (top,
    left, bottom, right), which the next kernel sees.
    """

    tensor: str
    node: str
    shape: Shape
    axes: Axes
    affine: Affine
    bits: int
    quantized: bool
    stages: tuple[tuple[Curve, Affine], ...] = ()
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)

    @property
    def last(self) -> Affine:
        """The affine map that gives the real value, of the integers or of what a curve makes of them."""
        return self.stages[-1][1] if self.stages else self.affine

    @property
    def bends(self) -> bool:
        """Whether the real value is no straight line of the integers."""
        return self.affine.clips or bool(self.stages)

    @property
    def directions(self) -> list[int]:
        """1 or -1 per channel as the real value rises or falls with the integer, 0 where it is a constant."""
        return [direction(self.affine, self.stages, channel) for channel in range(self.shape.channels)]

    def meaning(self, tensor: str, last: Affine) -> Signal:
        """Return the same integers in another `tensor`, where the `last` affine map gives their real value."""
        if not self.stages:
            return replace(self, tensor=tensor, affine=last)
        return replace(self, tensor=tensor, stages=(*self.stages[:-1], (self.stages[-1][0], last)))

    def curved(self, tensor: str, curve: Curve) -> Signal:
        """Return the same integers in another `tensor`, where a `curve` of the real value follows."""
        identity = replace(Affine.scaled([Fraction(1)] * self.shape.channels), steps=1)
        return replace(self, tensor=tensor, stages=(*self.stages, (curve, identity)))


# What a tensor of the graph is: a constant, a quantized constant, or what depends on the input.
Tensor = np.ndarray | Quantized | Signal


@dataclass(frozen=True)
class Stored:
    """What a model's file holds for a node: floats that are not 0, biases and how many of those are not 0.

    Of a convolution in `groups` it holds no weights between channels of two groups; the node has zeros there.
    `sizes` are the bits of each weight (inputs, outputs), where they differ.
    """

    nonzero_floats: int
    biases: int = 0
    nonzero_biases: int = 0
    groups: int = 1
    sizes: np.ndarray | None = None


@dataclass(frozen=True)
class RawNode:
    """A node that computes integers from integers: `node` as the integer network has it.

    `entering` is what it takes, in the order of its sources, `affine` the real value of its integers.
    `stored`: of a node with the model's weights. `turns`: it only changes the sign of channels. `lowest`: it pads with
    the smallest integer that there can be.
    """

    node: Node
    entering: tuple[Signal, ...]
    affine: Affine
    stored: Stored | None = None
    turns: bool = False
    lowest: bool = False

    @property
    def name(self) -> str:
        """The node's identity."""
        return self.node.name

    @property
    def weights(self) -> np.ndarray:
        """The integers of a node that has some."""
        assert isinstance(self.node, Weighted)
        return self.node.weights

    @property
    def groups(self) -> int:
        """Groups of channels and outputs, between which the model has no weights."""
        return 1 if self.stored is None else self.stored.groups

    @property
    def sizes(self) -> np.ndarray | None:
        """The bits of each weight (inputs, outputs), where they differ."""
        return None if self.stored is None else self.stored.sizes

    @property
    def stored_density(self) -> float | None:
        """The share of the stored floats, weights and biases together, that are not 0; None where there are none."""
        if self.stored is None:
            return None
        size = self.weights.size // self.stored.groups + self.stored.biases
        return (self.stored.nonzero_floats + self.stored.nonzero_biases) / size


@dataclass(frozen=True)
class RawStep:
    """A quantizer of what enters it, whose `levels` of `bits` leave it in the graph's `tensor`, worth `units` there."""

    name: str
    entering: Signal
    levels: Levels
    bits: int
    tensor: str
    units: tuple[Fraction, ...]


Raw = RawNode | RawStep


@dataclass
class RawGraph:
    """What `read` found: the input's quantizer, the nodes in order, what they end in, remarks for people.

    `frame` is the shape of the input's frames, `input_axes` where the graph's input holds their values, and
    `quantized_input` the signal after the quantizer. `output_scale` is the value of one level of the last quantizer,
    with all that follows it, if the graph ends in one. `heads` are the model's outputs, where it has several.
    """

    frame: Shape
    input_axes: Axes
    input: InputQuantizer | None = None
    input_bits: int = 0
    quantized_input: Signal | None = None
    nodes: dict[str, Raw] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    ends: list[Signal] = field(default_factory=list)
    output_scale: Fraction | None = None
    heads: tuple[Head, ...] = ()

    @property
    def output(self) -> Signal:
        """What leaves the network."""
        (end,) = self.ends
        return end

    @property
    def layers(self) -> list[RawNode]:
        """The nodes with weights of the model, in order."""
        return [node for node in self.nodes.values() if isinstance(node, RawNode) and node.stored is not None]


def rationals(values: np.ndarray) -> np.ndarray:
    """Return the exact values of an array of numbers, as fractions in its shape."""
    return np.array([Fraction(value) for value in values.reshape(-1).tolist()], object).reshape(values.shape)


def label(node: NodeProto) -> str:
    """Return what people know `node` by: its label, which `onnxfile.load` has left, its name, or that of its result."""
    return node.doc_string or node.name or next(filter(None, node.output), "without a name")


def refused(node: NodeProto, why: str) -> QapError:
    """Return the error for a node that cannot be lowered, for the caller to raise."""
    return QapError(f"node {label(node)} ({node.op_type}) cannot be lowered", why)
