# SPDX-License-Identifier: Apache-2.0
"""From the nodes of a graph to the parts of a design: one handler per kind of node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from qap2fpga.backends.rtl import largest, layer, output_stage
from qap2fpga.backends.rtl.adders import AdderGraph
from qap2fpga.backends.rtl.circuit import Delays
from qap2fpga.backends.rtl.dataflow import mac, pad, repeat, total
from qap2fpga.backends.rtl.dataflow.design import Dataflow
from qap2fpga.backends.rtl.dataflow.mac import Mac
from qap2fpga.backends.rtl.dataflow.pad import Padded
from qap2fpga.backends.rtl.dataflow.parts import Compute, Delay, Flow, Join, Lanes, Part, Skip, Source, Window
from qap2fpga.backends.rtl.dataflow.repeat import Repeated
from qap2fpga.backends.rtl.dataflow.timing import Timing, joined, waiting
from qap2fpga.backends.rtl.dataflow.total import Total
from qap2fpga.backends.rtl.datapaths import Datapath, seen
from qap2fpga.backends.rtl.layer import Module
from qap2fpga.ir.channelwise import Depthwise, Max, Repeat
from qap2fpga.ir.geometry import Geometry
from qap2fpga.ir.graph import Graph
from qap2fpga.ir.joins import Concat
from qap2fpga.ir.linear import Linear
from qap2fpga.ir.nodes import Input
from qap2fpga.ir.tensors import Range, Shape
from qap2fpga.requant.implementations import Implementation
from qap2fpga.system import names

Solved = tuple[AdderGraph, list[Implementation] | None]


@dataclass
class Builder:
    """A design as it grows. `flows` are the results of the graph's nodes."""

    graph: Graph
    paths: Mapping[str, Datapath]
    solved: Mapping[str, Solved]
    pace: int
    clock_ns: float
    delays: Delays
    parts: list[Part] = field(default_factory=list)
    flows: dict[str, Flow] = field(default_factory=dict)
    shows: dict[str, tuple[Compute | Mac, bool]] = field(default_factory=dict)
    owners: dict[Part, str] = field(default_factory=dict)
    owner: str = ""
    modules: int = 0

    def design(self, kind: str) -> Dataflow:
        """Return the whole design, for outputs of `kind`."""
        for node in self.graph.nodes:
            self.owner = self.paths[node.name].unit.name if node.name in self.paths else node.name
            if isinstance(node, Input):
                self._input(node)
            elif isinstance(node, Concat):
                self._concat(node)
            elif isinstance(node, Max):
                self._max(node)
            elif isinstance(node, Repeat):
                self._repeat(node)
            elif node.name in self.paths:
                self._datapath(self.paths[node.name])
        name, last = next(reversed(self.flows.items()))
        path = self.paths.get(name)
        self.owner = name if path is None else path.unit.name
        function = path.unit.activation if path is not None and path.counts else None
        end = output_stage.build(function, kind, list(last.lanes), self.clock_ns, self.delays)
        if end is not None:
            last = self._compute(end, last).out
        return Dataflow(tuple(self.parts), last, self.owners, self.shows)

    def _input(self, node: Input) -> None:
        lanes = tuple(self.graph.node_ranges[node.name].ends)
        self._put(node.name, Source(self._flow(node.size, lanes, Timing.of_input(node.size.positions, self.pace))))

    def _concat(self, node: Concat) -> None:
        self.flows[node.name] = self._join(node.sources)

    def _repeat(self, node: Repeat) -> None:
        operand = self.flows[node.sources[0]]
        shape = self.graph.shapes[node.name]
        if not repeat.rows(operand.timing, operand.shape, node).keeps_up:
            raise AssertionError(f"node {node.name}: rows come faster than they can be repeated")
        out = self._flow(shape, operand.lanes, repeat.timing(operand.timing, operand.shape, node))
        self._put(node.name, Repeated(out, operand, node))

    def _max(self, node: Max) -> None:
        window = self._window(node.sources[0], node.geometry)
        results = tuple(self.graph.node_ranges[node.name].ends)
        module = largest.build(self._module_name(), window.lanes, results, self.clock_ns, self.delays)
        self._show(node.name, self._compute(module, window), counts=False)

    def _datapath(self, path: Datapath) -> None:
        if path.serial:
            self._serial(path)
            return
        operand = self._join(path.node.sources)
        if path.totals:
            operand = self._total(operand, path)
        elif isinstance(path.node, Linear | Depthwise):
            operand = self._window(path.node.sources[0], path.node.geometry)
        graph, implementations = self.solved[path.result]
        module = layer.build(
            self._module_name(), path.unit, graph, implementations, list(operand.lanes), list(path.lanes),
            self.clock_ns, self.delays, path.levels,
        )  # fmt: skip
        self._show(path.result, self._compute(module, operand), counts=path.counts)

    def _serial(self, path: Datapath) -> None:
        assert isinstance(path.node, Linear)
        (source,), geometry = path.node.sources, path.node.geometry
        operand = self.flows[source]
        whole = geometry.sees_whole(operand.shape)
        if not whole:
            operand = self._window(source, geometry)
        rom = mac.weights_module(self._module_name(), path.unit.weights, self.clock_ns, self.delays)
        shape = replace(self.graph.shapes[path.node.name], channels=len(path.lanes))
        part = Mac(self._flow(shape, path.lanes, mac.timing(operand, rom, whole=whole)), operand, rom, whole)
        self._put(None, part)
        self._show(path.result, part, counts=False)

    def _total(self, operand: Flow, path: Datapath) -> Flow:
        lanes = tuple(Range(*path.ranges.inputs).ends)
        return self._put(None, Total(self._flow(Shape(len(lanes)), lanes, total.timing(operand.timing)), operand))

    def _window(self, source: str, geometry: Geometry) -> Flow:
        """What a kernel sees of the result of `source`: that itself where it sees one position."""
        operand = self.flows[source]
        if geometry.is_point:
            return operand
        lanes = tuple(seen(geometry, self.graph.node_ranges[source]).ends)
        sweep, frame = pad.sweep(geometry, operand.shape), pad.before(geometry, operand.shape)
        if frame is not None:
            if not frame.keeps_up(operand.timing):
                raise AssertionError(f"positions of {source} come faster than they can be padded")
            one = lanes[: len(operand.lanes)]
            operand = self._put(
                None, Padded(self._flow(frame.shape, one, frame.timing(operand.timing)), operand, frame)
            )
        timing = operand.timing.at(sweep.places).later(1)
        out = self._flow(replace(sweep.output, channels=len(lanes)), lanes, timing)
        return self._put(None, Window(out, operand, sweep))

    def _join(self, sources: Sequence[str]) -> Flow:
        """The channels of all `sources` side by side, those that are early delayed."""
        flows = [self.flows[source] for source in sources]
        if len(flows) == 1:
            return flows[0]
        number, later = joined([flow.timing for flow in flows])
        flows[number] = leader = self._later(flows[number], later)
        together = []
        for flow in flows:
            cycles = waiting(flow.timing, leader.timing)
            if cycles is None:
                skip = Skip(replace(flow, name=self._name(), timing=leader.timing), flow, leader)
                together.append(self._put(None, skip))
            else:
                together.append(self._later(flow, cycles))
        lanes = tuple(lane for flow in together for lane in flow.lanes)
        shape = replace(leader.shape, channels=len(lanes))
        return self._put(None, Join(self._flow(shape, lanes, leader.timing), tuple(together)))

    def _later(self, flow: Flow, cycles: int) -> Flow:
        if not cycles:
            return flow
        return self._put(None, Delay(replace(flow, name=self._name(), timing=flow.timing.later(cycles)), flow, cycles))

    def _compute(self, module: Module, operand: Flow) -> Compute:
        shape = replace(operand.shape, channels=len(module.outputs))
        compute = Compute(self._flow(shape, module.outputs, operand.timing.later(module.stages)), operand, module)
        self._put(None, compute)
        return compute

    def _show(self, node: str, compute: Compute | Mac, *, counts: bool) -> None:
        self.flows[node], self.shows[node] = compute.out, (compute, counts)

    def _flow(self, shape: Shape, lanes: Lanes, timing: Timing) -> Flow:
        return Flow(self._name(), shape, lanes, timing)

    def _put(self, node: str | None, part: Part) -> Flow:
        self.parts.append(part)
        self.owners[part] = self.owner
        if node is not None:
            self.flows[node] = part.out
        return part.out

    def _name(self) -> str:
        return str(len(self.parts))

    def _module_name(self) -> str:
        self.modules += 1
        return names.layer(self.modules - 1)
