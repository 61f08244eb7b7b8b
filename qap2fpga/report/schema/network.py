# SPDX-License-Identifier: Apache-2.0
"""What a report says of the network, and of how it was changed."""

from __future__ import annotations

from dataclasses import dataclass

from qap2fpga.ir.shown import Described, Frame, Head
from qap2fpga.system.codec import Count, Number, Record, Size


@dataclass(frozen=True, kw_only=True)
class LayerBops(Record):
    """Bit operations of a layer."""

    paper: Number
    nonzero_products: Number


@dataclass(frozen=True, kw_only=True)
class Bops(LayerBops):
    """Bit operations of the network."""

    paper_code: Number
    paper_code_rounded: Number


@dataclass(frozen=True, kw_only=True)
class Hardware(Record):
    """A layer after compaction."""

    inputs: Count
    outputs: Count
    accumulator_bits: Count
    nonzeros: Count


@dataclass(frozen=True, kw_only=True)
class Layer(Record):
    """A layer as it was trained, and in `hardware` as it is built; `zeros` are of its `weights`, after rounding.

    Its kernel moves over as many `positions`, None of a dense layer, of which there is one.
    """

    name: str
    kind: str = "dense"
    positions: Size | None = None
    inputs: Count
    outputs: Count
    weight_bits: Count
    input_bits: Count
    weights: Size
    zeros: Count
    bops: LayerBops
    hardware: Hardware


@dataclass(frozen=True, kw_only=True)
class Export(Record):
    """The model in torch compared with its QONNX export."""

    same_class: float
    largest_difference: float
    rows: Count


@dataclass(frozen=True, kw_only=True)
class QuantizerCost(Record):
    """The model with an input quantizer that was added compared with the one without it."""

    same_class: float
    rows: Count
    accuracy: float | None = None
    accuracy_raw: float | None = None


@dataclass(frozen=True, kw_only=True)
class Output(Record):
    """The scale of the outputs, a fraction as text; `error`: the most that a value is off the exact one."""

    scale: str
    error: Number | None = None
    sign: bool = False


@dataclass(frozen=True, kw_only=True)
class Model(Record):
    """The model file, and the network in it.

    `frame` is None where rows of the model are vectors, `nodes` are none of a chain of dense layers. `heads` are the
    model's outputs, where it has several.
    """

    file: str
    sha256: str | None = None
    inputs: Count
    outputs: Count
    accuracy: float | None
    rows: Count | None
    data: str | None = None
    output: Output | None = None
    notes: tuple[str, ...]
    layers: tuple[Layer, ...]
    bops: Bops
    frame: Frame | None = None
    nodes: tuple[Described, ...] = ()
    heads: tuple[Head, ...] = ()
    export: Export | None = None
    input_quantizer_cost: QuantizerCost | None = None


@dataclass(frozen=True, kw_only=True)
class RelaxedLayer(Record):
    """What a layer's requantizers cost before and after they were relaxed."""

    channels: Count
    changed: Count
    largest: Count
    cost_before: Number
    cost_after: Number


@dataclass(frozen=True, kw_only=True)
class Relaxed(Record):
    """What `--requant-tolerance` changed."""

    layers: tuple[RelaxedLayer, ...]
    tolerance: Count
    accuracy: float | None
    accuracy_exact: float | None = None
