# SPDX-License-Identifier: Apache-2.0
"""The integer network as an hls4ml model: every type an integer of the reachable width, nothing left to guess."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hls4ml
import numpy as np

from qap2fpga.backends.hls4ml import code, layers, workarounds
from qap2fpga.backends.hls4ml.options import LATENCY, Hls4mlOptions
from qap2fpga.exact.integers import width
from qap2fpga.hw.boards import Board
from qap2fpga.hw.design import Stream, Trace
from qap2fpga.ir.functions import Step
from qap2fpga.ir.graph import Graph

TOP = "qap2fpga"
INPUT = "features"
# hls4ml's trace hands values over as doubles.
TRACED_BITS = 53


@dataclass
class Plan:
    """hls4ml's layer list and configuration, and what the rest of the program must know of them."""

    input: Stream
    layers: list[dict[str, Any]] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)
    traces: list[Trace] = field(default_factory=list)
    reuse: list[tuple[str, int]] = field(default_factory=list)
    output: Stream | None = None


def plan(network: Graph, options: Hls4mlOptions) -> Plan:
    """Return the layers `dense<n>` and `step<n>` of `network`, and `class` after them if the user wants only that."""
    backend = hls4ml.backends.get_backend(layers.BACKEND)
    source = network.input
    result = Plan(Stream(INPUT, network.inputs, network.inputs, source.bits, source.signed))
    _add(result, options, {"name": INPUT, "class_name": "InputLayer", "input_shape": [network.inputs]},
         network.inputs, source.bits, source.signed)  # fmt: skip
    for number, (layer, ranges) in enumerate(zip(network.layers, network.ranges, strict=True)):
        strategy, factor = workarounds.reuse_factor(
            backend, layer.inputs, layer.outputs, options.reuse_factor, options.strategy
        )
        result.reuse.append((strategy, factor))
        sums, bits = f"dense{number}", ranges.accumulator_bits
        dense = {
            "name": sums, "class_name": "Dense", "n_in": layer.inputs, "n_out": layer.outputs,
            "weight_data": layer.weights.astype(np.float64), "bias_data": None,
        }  # fmt: skip
        _add(result, options, dense, layer.outputs, bits, True)
        lowest = int(layer.weights.min())
        weight = workarounds.weight_bits(lowest, int(layer.weights.max()), layer.weight_width)
        names = result.config[sums]
        names["Precision"]["weight"] = workarounds.precision(weight, True, options.strategy)
        names["Precision"]["accum"] = workarounds.precision(bits, True, options.strategy)
        names.update(Strategy=strategy, ReuseFactor=factor)
        _trace(result, Trace(sums, layer.name, layer.outputs))
        last = number == len(network.layers) - 1
        if last and options.output_kind == "accumulators":
            break
        name = f"step{number}"
        low, high = (int(end(value)) for end, value in zip((np.min, np.max), ranges.outputs, strict=True))
        if isinstance(layer.activation, Step) and last:
            low, high = layer.activation.low, layer.activation.high
        step = {"name": name, "class_name": "QapStep", "n_out": layer.outputs,
                "code": code.requantize(f"qap_{name}", layer, ranges)}  # fmt: skip
        _add(result, options, step, layer.outputs, width(low, high), low < 0)
        _trace(result, Trace(name, layer.requantizer.name, layer.outputs))
    if options.output_kind == "class":
        bits = width(0, network.outputs - 1)
        largest = {"name": "largest", "class_name": "QapStep", "n_out": 1,
                   "code": code.first_largest("qap_largest", network.outputs)}  # fmt: skip
        _add(result, options, largest, 1, bits, False)
    return result


def _add(result: Plan, options: Hls4mlOptions, layer: dict[str, Any], elements: int, bits: int, signed: bool) -> None:
    kind = workarounds.precision(bits, signed, options.strategy)
    result.layers.append(layer)
    result.config[layer["name"]] = {"Trace": bits <= TRACED_BITS, "Precision": {"default": kind, "result": kind}}
    result.output = Stream("result", elements, elements, bits, signed)


def _trace(result: Plan, trace: Trace) -> None:
    if result.config[trace.name]["Trace"]:
        result.traces.append(trace)


def convert(plan: Plan, board: Board, folder: Path, options: Hls4mlOptions) -> Any:
    """hls4ml's model of `plan`, its flows run; nothing is written yet."""
    backend = hls4ml.backends.get_backend(layers.BACKEND)
    config = backend.create_initial_config(
        part=board.part, clock_period=options.clock_ns(board), io_type="io_parallel", write_weights_txt=False
    )
    interval = max(factor for _, factor in plan.reuse)
    largest = max(layer["n_in"] * layer["n_out"] for layer in plan.layers if layer["class_name"] == "Dense")
    config.update(
        Backend=layers.BACKEND, ProjectName=TOP, OutputDir=str(folder), TraceOutput=True,
        MaximumSize=max(4096, largest),  # arrays above it are not taken apart into registers
        HLSConfig={
            "Model": {
                "Precision": "int<2>", "ReuseFactor": options.reuse_factor, "Strategy": LATENCY,
                "PipelineStyle": "pipeline", "PipelineInterval": interval,
            },
            "LayerName": plan.config,
        },
    )  # fmt: skip
    return hls4ml.model.ModelGraph.from_layer_list(config, plan.layers)
