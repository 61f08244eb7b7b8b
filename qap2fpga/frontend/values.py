# SPDX-License-Identifier: Apache-2.0
"""What a tensor of a QONNX graph can be, and what reading a graph gives: integer layers with exact real meaning."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from qap2fpga.exact.thresholds import Affine, Levels
from qap2fpga.ir.quantizer import InputQuantizer
from qap2fpga.system.errors import QapError

if TYPE_CHECKING:
    from onnx import NodeProto


@dataclass(frozen=True)
class Quantized:
    """A constant behind a quantizer: `integers * scale`. Scale broadcasts against the integers.

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
        """The same values in the places that `move` gives them."""
        scale = np.broadcast_to(self.scale, self.integers.shape)
        return replace(self, integers=move(self.integers), scale=move(scale))


@dataclass(frozen=True)
class Signal:
    """A tensor that depends on the input. `bits` of its integers; `quantized` once they are activations."""

    affine: Affine
    bits: int
    quantized: bool
    rectified: bool = False


# What a tensor of the graph is: a constant, a quantized constant, or what depends on the input.
Tensor = np.ndarray | Quantized | Signal
NOTHING = Affine((), (), (), (), ())


@dataclass(frozen=True)
class RawLayer:
    """A dense layer as the graph has it: integer `weights` (inputs, outputs), the exact real value of its
    accumulators before the quantizer, and that quantizer (None at the end of most networks). `entering` is the real
    value of the integers that enter it.
    """

    name: str
    weights: np.ndarray
    weight_bits: int
    input_bits: int
    affine: Affine
    levels: Levels | None = None
    output_bits: int | None = None
    output_tensor: str = ""
    input_tensor: str = ""
    entering: Affine = NOTHING
    nonzero_floats: int = 0
    biases: int = 0
    nonzero_biases: int = 0

    @property
    def stored_density(self) -> float:
        """The share of the stored floats, weights and biases together, that are not 0."""
        return (self.nonzero_floats + self.nonzero_biases) / (self.weights.size + self.biases)


@dataclass
class RawGraph:
    """What `read` found: the input's quantizer, the layers in order, the outputs' real value, remarks for people.

    `output_scale` is the value of one level of the last quantizer behind all that follows it, if the graph ends in one.
    """

    input: InputQuantizer | None = None
    layers: list[RawLayer] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    input_bits: int = 0
    input_tensor: str = ""
    output_tensor: str = ""
    output: Affine = NOTHING
    output_scale: Fraction = Fraction(1)


def rationals(values: np.ndarray) -> np.ndarray:
    """The exact values of an array of numbers, as fractions in its shape."""
    return np.array([Fraction(value) for value in values.reshape(-1).tolist()], object).reshape(values.shape)


def label(node: NodeProto) -> str:
    """Return what people know `node` by: its label, which `onnxfile.load` has left, its name, or that of its result."""
    return node.doc_string or node.name or next(filter(None, node.output), "without a name")


def refused(node: NodeProto, why: str) -> QapError:
    """The error for a node that cannot be lowered, for the caller to raise."""
    return QapError(f"node {label(node)} ({node.op_type}) cannot be lowered", why)
