# SPDX-License-Identifier: Apache-2.0
"""A flattened design computes the network's integers: layer by layer along the graph, from its inputs to its port.

A layer is sums of products with constants, and the function that takes them: a dense layer, a sum of branches, or a
function of what others have computed. Branches that it joins may come from any stages: that its logic reads values of
one input is the pipeline's proof.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from qap2fpga.exact.integers import width
from qap2fpga.hw.design import Design, Stream
from qap2fpga.ir.channelwise import Depthwise, Max, Repeat
from qap2fpga.ir.functions import Step
from qap2fpga.ir.graph import Graph
from qap2fpga.ir.joins import Concat, Sum
from qap2fpga.ir.linear import Linear
from qap2fpga.ir.nodes import Node, Requantizer
from qap2fpga.ir.tensors import Shape
from qap2fpga.prove import classes, layers
from qap2fpga.prove.cells import Bits, NotProven
from qap2fpga.prove.frames import Frames
from qap2fpga.prove.layers import Layer
from qap2fpga.prove.linear import Lane, Value
from qap2fpga.prove.pipeline import Pipeline
from qap2fpga.prove.reading import Module
from qap2fpga.prove.tasks import Task

ACCUMULATORS, CLASS = "accumulators", "class"


def has_frames(network: Graph) -> bool:
    """Return whether there is more than vectors: results of several positions, or kernels that see pads."""
    kernels = [node.geometry for node in network.nodes if isinstance(node, Linear | Depthwise | Max)]
    several = any(shape.positions > 1 for shape in network.shapes.values())
    return several or not all(kernel.is_point for kernel in kernels)


@dataclass(frozen=True)
class Ends:
    """The stage at which the outputs leave, None where they are constants, `late` moves after the start."""

    stage: int | None
    late: int
    detail: str

    def require(self, depth: int) -> None:
        """Raise `NotProven` unless outputs are what they are to be `depth` moves after their inputs."""
        if self.late > depth:
            raise NotProven(
                f"the outputs are constant {self.late} moves after the start, their valid bit comes {depth}"
            )
        if self.stage not in (None, depth):
            raise NotProven(f"data come {self.stage} moves after they entered, their valid bit {depth}")


def prove(pipeline: Pipeline, design: Design, network: Graph, place: Path, limit_s: float) -> Ends:
    """Return when the outputs leave, and what was compared. Raises `NotProven`; ABC has `limit_s`."""
    module = pipeline.module
    final = network.end.sources[0] if design.output_kind == ACCUMULATORS else network.output
    port = None if design.output_kind == CLASS else final
    probes = {probe.node: probe for probe in design.probes}
    values = {network.source.name: _inputs(design.input, network, module)}
    frames = Frames(pipeline, design, network, values[network.source.name]) if has_frames(network) else None
    count = cases = 0
    for at, node in enumerate(network.nodes[1:], start=2):
        channels = network.shapes[node.name].channels
        if isinstance(node, Concat | Repeat):
            values[node.name] = _joined(values, node.sources)
            if frames is not None:
                frames.joined(node)
        if node.name == port:
            lanes = _output(design.output, module, network.shapes[node.name])
        elif node.name in probes:
            lanes = _lanes(module.named.get(probes[node.name].signal, ()), probes[node.name].lanes)
        else:
            continue
        if len(lanes) != channels or not all(lane.bits for lane in lanes):
            raise NotProven(f"node {node.name}: its results do not lie where a probe says")
        layer, sources = _layer(network, node, values, lanes)
        if node.name == final != port and isinstance(layer.function, Step):
            # Levels rise with the number of thresholds that they stand for, so the largest is the same one.
            layer = replace(layer, function=Step(layer.function.thresholds))
        tasks = [Task(pipeline, layer, sources)] if frames is None else frames.follow(node, layer, network.nodes[at:])
        alternatives = []
        for task in tasks:
            if isinstance(network[layer.name], Max):
                results = classes.largest(task.pipeline, task.layer, task.values, task.floors, place, limit_s)
            else:
                proof = layers.prove(task.pipeline, task.layer, task.values)
                results, cases = proof.values, cases + proof.cases
            alternatives += [results] if task.whole else []
        values[node.name], count = _any_of(alternatives, lanes), count + 1
        if frames is not None:
            if all(value.stage is None for value in values[node.name]):
                _require_constant(pipeline, [bit for lane in lanes for bit in lane.bits], f"node {node.name}")
            frames.result(node, values[node.name], _stage(values[node.name]))
    ends = _joined(values, [final])
    stage, late = _stage_of(ends), max(value.late for value in ends)
    if port is None:
        (number,) = _output(design.output, module, replace(network.shapes[final], channels=1))
        its = classes.prove(pipeline, ends, number.bits, place, limit_s)
        if its is None:
            if frames is not None:
                _require_constant(pipeline, number.bits, "the class")
            late = pipeline.cone(number.bits, {}).settled(number.bits)
        stage = its if frames is None or its is not None else stage
    pipeline.require_held(module.outputs[f"{design.output.name}_TDATA"])
    padding = module.outputs[f"{design.output.name}_TDATA"][design.output.lanes * design.output.bits :]
    if any(pipeline.moving.settle(padding)):
        raise NotProven("the output's padding is not zero")
    if frames is not None:
        frames.leave(final, stage or 0, module.outputs[f"{design.output.name}_TDATA"])
        return Ends(stage, late, f"{count} layers, {frames.states:,} states of control, {cases:,} accumulators")
    when = f"{stage} stages" if stage is not None else f"constant after {late} moves"
    return Ends(stage, late, f"{count} layers, {when}, {cases:,} accumulators")


def _require_constant(pipeline: Pipeline, bits: Sequence[int], what: str) -> None:
    """Raise `NotProven` unless `bits`, which depend on no input, are constants in every state.

    One that comes through registers is another one in the first moves, and nothing says which moves these are.
    """
    if not set(pipeline.moving.settle(bits)) <= {0, 1}:
        raise NotProven(f"{what}: all of it is constant once registers have moved, and not before")


def _any_of(alternatives: Sequence[Sequence[Value]], lanes: Sequence[Lane]) -> list[Value]:
    """Return the values on `lanes`, which are those of one of the alternatives."""
    stage = _stage([value for values in alternatives for value in values])
    return [Value(lane.bits, lane.signed, min(one.low for one in each), max(one.high for one in each),
                  None if all(one.stage is None for one in each) else stage, max(one.late for one in each),
                  frozenset().union(*(one.among or () for one in each)) if all(one.among for one in each) else None)
            for lane, each in zip(lanes, zip(*alternatives, strict=True), strict=True)]  # fmt: skip


def _stage(values: Sequence[Value]) -> int:
    """Return the stage of a layer's results; any will do where all are constants."""
    return _stage_of(values) or 0


def _stage_of(values: Sequence[Value]) -> int | None:
    return next((value.stage for value in values if value.stage is not None), None)


def _layer(
    network: Graph, node: Node, values: dict[str, list[Value]], lanes: tuple[Lane, ...]
) -> tuple[Layer, list[Value]]:
    """Return what the results of `node` are, and of which values; sums that no probe shows are a part of it."""
    function, sums = None, node
    if isinstance(node, Requantizer):
        function = node.function
        sums = node if node.sources[0] in values else network[node.sources[0]]
        if sums is not node and not isinstance(sums, Linear | Depthwise | Sum):
            raise NotProven(f"node {sums.name}: no probe says where its results lie")
    channels = len(lanes)
    match sums:
        case Linear(weights=weights):
            matrix = weights
        case Depthwise(weights=weights):
            matrix = np.concatenate([np.diag(tap) for tap in weights])
        case Sum(multipliers=multipliers):
            matrix = np.concatenate([np.eye(channels, dtype=np.int64) * one for one in multipliers])
        case _:
            matrix = np.eye(channels, dtype=np.int64)
    sources = values[node.name] if isinstance(sums, Concat) else _joined(values, sums.sources)
    names = tuple(sums.channel_name(channel) for channel in range(channels))
    return Layer(sums.name, matrix, function, names, lanes), sources


def _joined(values: dict[str, list[Value]], names: Sequence[str]) -> list[Value]:
    """Return the values of the nodes `names`, one after the other."""
    for name in names:
        if name not in values:
            raise NotProven(f"node {name}: no probe says where its results lie")
    return [value for name in names for value in values[name]]


def _inputs(stream: Stream, network: Graph, module: Module) -> list[Value]:
    """Return the integers that come in, as the port is described."""
    quantizer, bits = network.input, module.inputs.get(f"{stream.name}_TDATA", ())
    shape = network.shapes[network.source.name]
    if (stream.lanes, stream.elements, stream.beat_bits) != (shape.channels, shape.size, len(bits)):
        raise NotProven("the input's port is not as it is described")
    top = 1 << stream.bits - int(stream.signed)
    if not (-top if stream.signed else 0) <= quantizer.low <= quantizer.high < top:
        raise NotProven(f"the input's port does not hold {quantizer.low} to {quantizer.high}")
    lanes = _lanes(bits, [(stream.bits, stream.signed)] * stream.lanes)
    ends = network.node_ranges[network.source.name].ends
    # An input in its range is the integer of the bits that hold the range: those above repeat its sign, or are 0.
    return [Value(lane.bits[: width(*one)], one[0] < 0, *one) for lane, one in zip(lanes, ends, strict=True)]


def _output(stream: Stream, module: Module, shape: Shape) -> tuple[Lane, ...]:
    """Return the lanes of the output's port, which gives results of the `shape`."""
    bits = module.outputs.get(f"{stream.name}_TDATA", ())
    if (stream.lanes, stream.elements, stream.beat_bits) != (shape.channels, shape.size, len(bits)):
        raise NotProven("the output's port is not as it is described")
    return _lanes(bits, [(stream.bits, stream.signed)] * stream.lanes)


def _lanes(bits: Bits, sizes: Sequence[tuple[int, bool]]) -> tuple[Lane, ...]:
    lanes, at = [], 0
    for size, signed in sizes:
        lanes.append(Lane(bits[at : at + size], signed))
        at += size
    return tuple(lanes)
