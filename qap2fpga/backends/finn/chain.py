# SPDX-License-Identifier: Apache-2.0
"""Chains of dense layers through FINN: an MVAU and thresholds per layer, FIFOs and converters between, in a row."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from qap2fpga.backends.api import Progress
from qap2fpga.backends.finn import folding, output_stage, padding, search, session
from qap2fpga.backends.finn import plan as planning
from qap2fpga.backends.finn.latency import latency
from qap2fpga.backends.finn.nodes import nodes
from qap2fpga.backends.finn.options import FinnOptions
from qap2fpga.backends.finn.output_stage import OutputStage
from qap2fpga.backends.finn.plan import deep_pipeline
from qap2fpga.backends.finn.verilog import TOP
from qap2fpga.hw.boards import Board
from qap2fpga.hw.design import Design, Expectation, Stream
from qap2fpga.ir.graph import Graph
from qap2fpga.system.errors import QapError
from qap2fpga.system.files import write_atomically
from qap2fpga.system.quiet import quiet


def refusals(graph: Graph, board: Board, options: FinnOptions) -> tuple[QapError, ...]:
    """Return every reason why FINN's RTL cannot compute `graph`."""
    return planning.refusals(graph, last_thresholds=_thresholds_last(options))


@dataclass(frozen=True)
class Chain:
    """A decided design: what each layer is to FINN, what foldings cost, and the one that was chosen."""

    graph: Graph
    board: Board
    options: FinnOptions
    layers: planning.Plan
    costs: folding.Costs
    chosen: folding.Folding

    @cached_property
    def expectation(self) -> Expectation:
        """Its folding, cycles and resources, without FINN."""
        grown = padding.padded(self.layers, self.chosen.outputs)
        end = _output_stage(self.graph, self.options, grown, self.chosen)
        return Expectation(
            interval_cycles=self.chosen.interval,
            latency_cycles=latency(grown, self.chosen, end, deep_pipeline=deep_pipeline(self.board)),
            total=asdict(self.chosen.cost),
            nodes=nodes(grown, self.costs, self.chosen),
        )

    def generate(self, folder: Path, vectors: np.ndarray, progress: Progress) -> Design:
        """Build it below `folder`, each step's graph saved and compared with the network on `vectors` (n, inputs)."""
        version = session.version()
        graph, chosen, expected = self.graph, self.chosen, self.expectation
        progress(f"folding for a frame every {chosen.interval} cycles: {_describe(chosen)}")
        notes = padding.notes(self.layers, chosen.outputs)
        for note in notes:
            progress(note)

        folder.mkdir(parents=True, exist_ok=True)
        names = chosen.nodes(self.layers)
        plan = padding.padded(self.layers, chosen.outputs)
        end = _output_stage(graph, self.options, plan, chosen)
        write_atomically(folder / "folding.json", json.dumps(names, indent=2) + "\n")
        rtl = folder / "rtl"
        shutil.rmtree(rtl, ignore_errors=True)
        with session.session(folder) as scratch:
            model = _transform(graph, plan, self.board, names, chosen, folder, scratch, vectors, progress)
            from qap2fpga.backends.finn.stitch import probes, stitch

            sources = stitch(model, end, rtl)
            watched = probes(model, graph.layers)
        progress(f"{len(sources.verilog)} sources and {len(sources.data)} memory contents in {rtl}")
        first, last = plan.layers[0], plan.layers[-1]
        return Design(
            backend="finn",
            folder=rtl,
            top=TOP,
            sources=tuple(sources.verilog),
            data=tuple(sources.data),
            input=Stream("in0", first.mw, chosen.layers[0][0], first.input_bits, first.input_signed),
            output=_output(end, last, chosen.layers[-1][1]),
            interval_cycles=expected.interval_cycles,
            latency_cycles=expected.latency_cycles,
            output_kind=self.options.output_kind,
            nodes=expected.nodes,
            estimate=expected.total,
            folding=names,
            probes=watched,
            details={
                "finn_version": version,
                "widened": list(plan.widened),
                "padded": notes,
                "blackboxes": ["DSP48E1", "DSP48E2", "LUT6_2"],
            },
        )


def plan(graph: Graph, board: Board, options: FinnOptions) -> Chain:
    """Return the design for `options`. Raises `QapError` for what cannot be built and for what does not fit."""
    layers = planning.plan(graph, last_thresholds=_thresholds_last(options))
    costs = folding.Costs(layers, graph, board, options.output_kind)
    return Chain(graph, board, options, layers, costs, search.choose(costs, options))


def _thresholds_last(options: FinnOptions) -> bool:
    return options.output_kind != "accumulators"


def _output_stage(network: Graph, options: FinnOptions, plan: planning.Plan, chosen: folding.Folding) -> OutputStage:
    return output_stage.build(network, options.output_kind, chosen.layers[-1][1], _last_bits(plan))


def _transform(
    network: Graph, plan: planning.Plan, board: Board, names: dict[str, dict[str, int]],
    chosen: folding.Folding, folder: Path, scratch: Path, vectors: np.ndarray, progress: Progress,
) -> Any:  # fmt: skip
    """Run the recipe, each step's graph saved and compared with `network`."""
    with quiet():
        from qap2fpga.backends.finn import check, graph, steps
    reference = check.Reference(network, check.stimuli(network, vectors), chosen.outputs)
    depths = {
        f"MVAU_rtl_{index}": folding.fifo_depth(layer.mw, simd)
        for index, (layer, (simd, _)) in enumerate(zip(plan.layers, chosen.layers, strict=True))
        if index
    }
    recipe = steps.Recipe(plan, board, names, depths, scratch)
    for old in folder.glob("[0-9][0-9]_*.onnx"):
        old.unlink()
    with quiet():
        model = graph.write(plan)
    for number, (name, step) in enumerate((("qonnx", steps.start), *steps.STEPS)):
        with quiet():
            model = step(model, recipe)
        reference.compare(name, model)
        write_atomically(folder / f"{number:02}_{name}.onnx", steps.portable(model))
        progress(f"{number:02} {name}: {len(model.graph.node)} nodes, {len(reference.inputs)} vectors exact")
    return model


def _last_bits(plan: planning.Plan) -> int:
    last = plan.layers[-1]
    return last.accumulator_bits if last.thresholds is None else last.activation_bits


def _output(end: OutputStage, last: planning.LayerPlan, pe: int) -> Stream:
    if not end.modules:
        signed = last.thresholds is None
        return Stream("out0", last.mh, pe, last.accumulator_bits if signed else last.activation_bits, signed)
    module = end.modules[-1]
    elements = 1 if module.kind == "qap_class" else last.mh
    return Stream("out0", elements, module.out_lanes, module.out_bits, module.out_signed)


def _describe(chosen: folding.Folding) -> str:
    return ", ".join(f"SIMD {simd} PE {pe}" for simd, pe in chosen.layers)
