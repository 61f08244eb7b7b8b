# SPDX-License-Identifier: Apache-2.0
"""What a tensor of a QONNX graph can be, and what reading a graph gives: integer layers with exact real meaning."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from qap2fpga.errors import QapError
from qap2fpga.lower.exact import Affine, Levels
from qap2fpga.network import InputQuantizer

if TYPE_CHECKING:
    from onnx import NodeProto


FINN_FORM = "this is FINN's own form; give the QONNX model that it was made from"


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
    def value(self) -> list[Fraction]:
        """Exact real values, flattened."""
        scale = np.broadcast_to(self.scale, self.integers.shape).reshape(-1)
        return [int(n) * Fraction(float(s)) for n, s in zip(self.integers.reshape(-1), scale, strict=True)]


@dataclass(frozen=True)
class Signal:
    """A tensor that depends on the input. `bits` of its integers; `quantized` once they are activations."""

    affine: Affine
    bits: int
    quantized: bool
    rectified: bool = False


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


@dataclass
class Graph:
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


def label(node: NodeProto) -> str:
    """What the node is called in messages: what it is in the model, if it has a name there."""
    return node.doc_string or node.name or node.output[0]


def refused(node: NodeProto, why: str) -> QapError:
    """The error for a node that can not be lowered, for the caller to raise."""
    return QapError(f"node {label(node)} ({node.op_type}) can not be lowered", why)
