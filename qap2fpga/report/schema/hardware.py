# SPDX-License-Identifier: Apache-2.0
"""What a report says of the board, of the design, and of its interface."""

from __future__ import annotations

from dataclasses import dataclass

from qap2fpga.system.codec import Count, Positive, Record, Size


@dataclass(frozen=True, kw_only=True)
class Board(Record):
    """The board file's content, or what an imported report states of its device; None is not stated."""

    name: str
    title: str
    part: str
    family: str | None = None
    clock_ns: Positive | None
    lut: Size | None
    ff: Size | None
    dsp: Size | None
    bram18: Size | None
    source: str | None = None

    def size(self, resource: str) -> int | None:
        """Return how many cells of `resource` there are."""
        cells: int | None = getattr(self, resource)
        return cells


@dataclass(frozen=True, kw_only=True)
class Accuracy(Record):
    """The accuracy of what leaves the chip, on the recorded vectors."""

    output: str
    rows: Count
    value: float


@dataclass(frozen=True, kw_only=True)
class DesignLayer(Record):
    """The multiplications of a `layer`, or of a pool that sums, that are left in generated C++, and `how` they were
    counted."""

    layer: str
    how: str
    after_compaction: Count | None
    in_source: Count | None
    multipliers: Count | None


@dataclass(frozen=True, kw_only=True)
class Node(Record):
    """A part of the design, and the layer that it is of.

    Of FINN's: `cycles` for a frame, the folding or the lanes, the `depth` of a FIFO in beats; of the rtl backend's:
    pipeline `stages`. Of a layer that is multiplied without its zeros: `products` of the dense layer per window,
    `nonzeros` of them, the `slots` in which these are multiplied, and `multipliers`.
    """

    name: str
    layer: str | None = None
    cycles: Count | None = None
    SIMD: Count | None = None
    PE: Count | None = None
    lanes_in: Count | None = None
    lanes_out: Count | None = None
    depth: Count | None = None
    stages: Count | None = None
    products: Count | None = None
    nonzeros: Count | None = None
    slots: Count | None = None
    multipliers: Count | None = None


@dataclass(frozen=True, kw_only=True)
class Design(Record):
    """What a backend generated; `strategy` and what follows it of hls4ml alone."""

    top: str | None
    folder: str | None = None
    sources: tuple[str, ...] = ()
    accuracy: Accuracy | None = None
    interval_cycles: Count | None = None
    nodes: tuple[Node, ...] = ()
    warnings: tuple[str, ...] = ()
    widened: tuple[str, ...] = ()
    padded: tuple[str, ...] = ()
    strategy: str | None = None
    hls4ml_version: str | None = None
    clock_ns: Positive | None = None
    layers: tuple[DesignLayer, ...] | None = None

    def written(self, layer: str) -> DesignLayer | None:
        """Return what is left of the model's `layer`; None where nothing is known of it."""
        return next((one for one in self.layers or () if one.layer == layer), None)


@dataclass(frozen=True, kw_only=True)
class StandIn(Record):
    """Another backend's circuit of the same network, or why it `refused`; and why the backend's own is not there."""

    backend: str
    why: str = ""
    refused: str | None = None
    design: Design | None = None


@dataclass(frozen=True, kw_only=True)
class Quantizer(Record):
    """How a real input becomes an integer from `low` to `high`; `ends` are those of each input where they differ."""

    scale: tuple[float, ...]
    low: int
    high: int
    ends: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Port(Record):
    """The input or the output. Streams have beats; inputs a quantizer, outputs a `kind` and a scale."""

    name: str
    elements: Count
    bits: Count
    signed: bool
    beats: Count | None = None
    lanes: Count | None = None
    beat_bits: Count | None = None
    layout: str = ""
    quantizer: Quantizer | None = None
    kind: str | None = None
    scale: str | None = None


@dataclass(frozen=True, kw_only=True)
class Example(Record):
    """One vector, as numbers and as bytes."""

    real: tuple[float, ...] | None
    integers: tuple[int, ...]
    output_integers: tuple[int, ...]
    output_values: tuple[float, ...]
    input_bytes: tuple[str, ...] = ()
    output_bytes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Interface(Record):
    """How the design is put into other firmware: a function of C++ with `ports`, or a module with a `clock`."""

    function: str | None = None
    header: str | None = None
    ports: str | None = None
    clock: str | None = None
    reset: str | None = None
    handshake: str | None = None
    input: Port
    output: Port
    verilog: str | None = None
    vhdl: str | None = None
    example: Example | None = None
