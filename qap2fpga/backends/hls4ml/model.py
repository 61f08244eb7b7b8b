# SPDX-License-Identifier: Apache-2.0
"""The integer network as an hls4ml model: every type an integer of the reachable width, nothing left to guess."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hls4ml

from qap2fpga.backends.hls4ml import layers, workarounds
from qap2fpga.backends.hls4ml.kernels import Written
from qap2fpga.backends.hls4ml.options import LATENCY, Hls4mlOptions
from qap2fpga.exact.integers import width
from qap2fpga.hw.boards import Board
from qap2fpga.hw.design import Stream, Trace
from qap2fpga.ir.tensors import Range, Shape

TOP = "qap2fpga"
INPUT = "features"
# hls4ml's trace hands values over as doubles.
TRACED_BITS = 53
# Arrays above it are not taken apart into registers.
LARGEST_ARRAY = 4096


@dataclass(frozen=True)
class Tensor:
    """What leaves one of hls4ml's layers; `dims` is its shape there, which a vector or a row has fewer of."""

    layer: str
    shape: Shape
    dims: tuple[int, ...]
    low: int
    high: int

    @property
    def bits(self) -> int:
        """Bits of the type that holds its values."""
        return width(self.low, self.high)


@dataclass(frozen=True)
class Part:
    """A node of the graph that can be run by itself: what it takes, and what it gives, some layers later."""

    node: str
    source: Tensor
    result: Tensor


@dataclass
class Plan:
    """hls4ml's layer list and configuration, and what the rest of the program must know of them.

    `interval`: the cycles between two frames that the code asks for. `needs_frames`: whether `qap_layers.h` is called.
    """

    options: Hls4mlOptions
    stream: bool
    layers: list[dict[str, Any]] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)
    traces: list[Trace] = field(default_factory=list)
    kernels: list[Written] = field(default_factory=list)
    alone: list[Part] = field(default_factory=list)
    interval: int = 1
    needs_frames: bool = False
    ends: list[Tensor] = field(default_factory=list)
    _names: Counter[str] = field(default_factory=Counter)

    def name(self, prefix: str) -> str:
        """Return the next name that begins with `prefix`."""
        self._names[prefix] += 1
        return f"{prefix}{self._names[prefix] - 1}"

    def add(
        self, layer: dict[str, Any], shape: Shape, dims: tuple[int, ...], span: tuple[int, int], node: str = "",
        *, signed: bool = False,
    ) -> Tensor:  # fmt: skip
        """Add `layer`, whose values lie within `span`, and return what leaves it.

        `node`: the graph's node whose result it is, if it is one's. `signed`: a signed type even without need.
        """
        low, high = span
        tensor = Tensor(layer["name"], shape, dims, min(low, -1) if signed else low, high)
        kind = workarounds.precision(tensor.bits, tensor.low < 0, self.options.strategy)
        traced = tensor.bits <= TRACED_BITS
        self.layers.append(layer)
        self.config[tensor.layer] = {"Trace": traced, "Precision": {"default": kind, "result": kind}}
        if node and traced:
            self.traces.append(Trace(tensor.layer, node, shape.size))
        self.ends.append(tensor)
        return tensor

    @property
    def input(self) -> Stream:
        """The port of the frames."""
        return self._port(INPUT, self.ends[0])

    @property
    def output(self) -> Stream:
        """The port of the results, what leaves the last layer."""
        return self._port("result", self.ends[-1])

    def _port(self, name: str, tensor: Tensor) -> Stream:
        lanes = tensor.shape.channels if self.stream else tensor.shape.size
        return Stream(name, tensor.shape.size, lanes, tensor.bits, tensor.low < 0)


def dims(shape: Shape) -> tuple[int, ...]:
    """Return the extents of `shape` as hls4ml's layers take them: a vector has one, a row of positions two."""
    if shape.positions == 1:
        return (shape.channels,)
    if shape.height == 1:
        return (shape.width, shape.channels)
    return (shape.height, shape.width, shape.channels)


def span(values: Range) -> tuple[int, int]:
    """Return the smallest and the largest integer of `values`."""
    return values.lowest, values.highest


def convert(plan: Plan, board: Board, folder: Path) -> Any:
    """hls4ml's model of `plan`, its flows run; nothing is written yet."""
    options = plan.options
    backend = hls4ml.backends.get_backend(layers.BACKEND)
    config = backend.create_initial_config(
        part=board.part, clock_period=options.clock_ns(board), write_weights_txt=False,
        io_type="io_stream" if plan.stream else "io_parallel",
    )  # fmt: skip
    products = (one.kernel.inputs * one.kernel.outputs for one in plan.kernels if one.kernel.dense)
    frames = any(tensor.shape.positions > 1 for tensor in plan.ends)
    model: dict[str, Any] = {"Precision": "int<2>", "ReuseFactor": options.reuse_factor, "Strategy": LATENCY}
    if plan.stream or frames:
        model["PipelineStyle"] = "dataflow"
    else:
        model.update(PipelineStyle="pipeline", PipelineInterval=plan.interval)
    config.update(
        Backend=layers.BACKEND, ProjectName=TOP, OutputDir=str(folder), TraceOutput=True,
        MaximumSize=max(LARGEST_ARRAY, *products, 0), HLSConfig={"Model": model, "LayerName": plan.config},
    )  # fmt: skip
    return hls4ml.model.ModelGraph.from_layer_list(config, plan.layers)
