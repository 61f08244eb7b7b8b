# SPDX-License-Identifier: Apache-2.0
"""The hls4ml backend: from a graph to an HLS project."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from qap2fpga.backends.api import UNROLLED_ADVICE, Backend, Progress, require_possible
from qap2fpga.backends.hls4ml import counts, limits, workarounds
from qap2fpga.backends.hls4ml.counts import KernelEstimate
from qap2fpga.backends.hls4ml.kernels import Kernel, Written, interval, kernels
from qap2fpga.backends.hls4ml.options import LATENCY, PARALLEL, RESOURCE, STREAM, UNROLLED, Hls4mlOptions
from qap2fpga.hw.boards import Board
from qap2fpga.hw.design import Expectation, HlsProject
from qap2fpga.ir import outputs as reference
from qap2fpga.ir.graph import Graph
from qap2fpga.requant import prices
from qap2fpga.requant import relax as relaxing
from qap2fpga.requant.relax import Relaxed
from qap2fpga.system import programs as tools
from qap2fpga.system.errors import QapError
from qap2fpga.system.files import write_atomically
from qap2fpga.system.quiet import quiet

# Vectors for the project's own testbench, which the HLS tool's simulations run.
TESTBENCH_VECTORS = 100


class Hls4mlBackend(Backend[Hls4mlOptions]):
    """An unrolled HLS project whose pruned weights are gone and whose arithmetic is exact."""

    name = "hls4ml"
    options = Hls4mlOptions
    artifact = HlsProject
    advice = UNROLLED_ADVICE
    substitute = "rtl"

    def require(self, options: Hls4mlOptions, *, simulate: bool) -> None:
        """Raise `QapError` where hls4ml, or the compiler of the C simulation, is missing."""
        workarounds.require(options.strategy)
        if simulate:
            tools.require("g++", "the C simulation of an hls4ml project", "apt install g++")

    def refusals(self, graph: Graph, board: Board, options: Hls4mlOptions) -> tuple[QapError, ...]:
        """Return the reason why `graph` is too large to unroll, if it is."""
        return limits.refusals(graph, options)

    def expect(self, graph: Graph, board: Board, options: Hls4mlOptions) -> Expectation:
        """Return how `generate` would write each layer of products, and the interval that the code would ask for.

        What an HLS tool makes of it is not known here: no resources, no latency. `estimate/vendor.py` predicts from
        `nodes` what C synthesis will state. Raises `QapError` for what is too large to unroll.
        """
        require_possible(self.check(graph, board, options))
        stream, tool = options.streams(graph), None
        if options.strategy in (RESOURCE, UNROLLED):
            # Only hls4ml knows which factors it can do.
            workarounds.require(options.strategy)
            with quiet():
                import hls4ml

                from qap2fpga.backends.hls4ml.layers import BACKEND

                tool = hls4ml.backends.get_backend(BACKEND)
        nodes: list[KernelEstimate] = []
        factors: list[tuple[Kernel, int]] = []
        numbers: Counter[str] = Counter()
        for one in kernels(graph, stream=stream):
            strategy, factor = workarounds.reuse_factor(
                tool, one.inputs, one.outputs, options.reuse_factor, options.strategy, one.depthwise
            )
            factors.append((one, factor))
            nodes.append(KernelEstimate(
                name=f"{one.prefix}{numbers[one.prefix]}", layer=one.node.name, kind=one.kind, estimate={},
                strategy=strategy, reuse_factor=factor, inputs=one.inputs, outputs=one.outputs,
                weight_bits=workarounds.weight_bits(*one.weight_range, one.node.weight_width),
                input_bits=one.node.geometry.seen(graph.node_ranges[one.node.sources[0]]).bits,
                nonzeros=one.nonzeros,
            ))  # fmt: skip
            numbers[one.prefix] += 1
        return Expectation(interval(graph, factors, stream=stream), None, {}, tuple(nodes))

    def generate(
        self, graph: Graph, board: Board, folder: Path, options: Hls4mlOptions, vectors: np.ndarray,
        progress: Progress = lambda line: None,
    ) -> HlsProject:  # fmt: skip
        """Write the hls4ml project of `graph`, compacted, for `board` into `folder`, and return what was written.

        `vectors` (n, inputs) are input integers for the project's testbench. Raises `QapError` for a missing
        package and for what is too large to unroll.
        """
        require_possible(self.check(graph, board, options))
        self.require(options, simulate=False)
        folder = folder.resolve()
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        io_type = STREAM if options.streams(graph) else PARALLEL
        progress(f"hls4ml {workarounds.version()}, {io_type}, {options.strategy}, reuse factor {options.reuse_factor}")
        with quiet():
            from qap2fpga.backends.hls4ml import alone, layers, translate
            from qap2fpga.backends.hls4ml import model as models

            plan = translate.plan(graph, options)
            model = models.convert(plan, board, folder)
            workarounds.write(model, folder)
            if plan.needs_frames:
                layers.write_header(folder)
            parts = alone.write(model, plan.alone, folder)
        _testbench(folder, graph, options.output_kind, vectors[:TESTBENCH_VECTORS])
        written = [model.graph[one.layer] for one in plan.kernels]
        numbered = [
            (one, layer.index, workarounds.weights_number(layer))
            for one, layer in zip(plan.kernels, written, strict=True)
        ]
        counted = counts.count(folder, numbered)
        warnings = [*counts.warnings(plan.kernels, counted), *_other_factors(plan.kernels, options)]
        for text in warnings:
            progress(text)
        progress(f"{sum(one.in_source for one in counted)} multiplications in the source")
        return HlsProject(
            backend=self.name,
            folder=folder,
            top=models.TOP,
            sources=(f"firmware/{models.TOP}.cpp",),
            data=(),
            input=plan.input,
            output=plan.output,
            interval_cycles=plan.interval,
            output_kind=options.output_kind,
            clock_ns=options.clock_ns(board),
            part=board.part,
            configs={
                one.kernel.node.name: f"config{layer.index}" for one, layer in zip(plan.kernels, written, strict=True)
            },
            strategy=options.strategy,
            streams_positions=plan.stream,
            traces=tuple(plan.traces),
            warnings=tuple(warnings),
            alone=parts,
            details={
                "hls4ml_version": workarounds.version(),
                "layers": [asdict(one) for one in counted],
                "products": limits.products(graph),
                "estimated_luts": limits.estimated_luts(graph),
            },
        )

    def relax(self, graph: Graph, tolerance: int) -> Relaxed:
        """Return `graph` with requantizers within `tolerance` steps that are cheaper, as far as known before HLS."""
        return relaxing.relax(graph, tolerance, prices.load().luts)


def _other_factors(kernels: Sequence[Written], options: Hls4mlOptions) -> list[str]:
    """One sentence for each layer that hls4ml cannot write as it was asked for."""
    notes = []
    for one in kernels:
        if (one.strategy, one.reuse_factor) == (options.strategy, options.reuse_factor):
            continue
        why = f"hls4ml cannot share its {one.kernel.inputs} x {one.kernel.outputs} products at reuse factor "
        why = f"hls4ml knows '{LATENCY}' alone for its kind" if one.kernel.depthwise else f"{why}{options.reuse_factor}"
        notes.append(f"layer {one.kernel.node.name}: {why}; it is written as '{one.strategy}' at {one.reuse_factor}")
    return notes


def _testbench(folder: Path, network: Graph, kind: str, vectors: np.ndarray) -> None:
    """The files that the project's own testbench reads, one vector per line."""
    expected = reference.outputs(network, kind, vectors)
    for name, rows in (("tb_input_features", vectors), ("tb_output_predictions", expected)):
        text = "".join(" ".join(str(int(value)) for value in row) + "\n" for row in rows)
        write_atomically(folder / "tb_data" / f"{name}.dat", text)
