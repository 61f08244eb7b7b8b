# SPDX-License-Identifier: Apache-2.0
"""An integer network to an hls4ml project: the main verb, `generate`."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from qap2fpga.backends.hls4ml import counts, limits, workarounds
from qap2fpga.backends.hls4ml.options import UNROLLED, Hls4mlOptions
from qap2fpga.backends.hls4ml.project import HlsProject
from qap2fpga.exact.integers import width
from qap2fpga.hw.boards import Board
from qap2fpga.hw.design import Expectation
from qap2fpga.ir import outputs as reference
from qap2fpga.ir.graph import Graph
from qap2fpga.requant import formcost
from qap2fpga.requant import relax as relaxing
from qap2fpga.requant.relax import Relaxed
from qap2fpga.system import programs as tools
from qap2fpga.system.files import write_atomically
from qap2fpga.system.quiet import quiet

Progress = Callable[[str], None]
# Vectors for the project's own testbench, which the HLS tool's simulations run.
TESTBENCH_VECTORS = 100


def require(network: Graph | None, options: Hls4mlOptions, *, simulate: bool = True) -> None:
    """Everything that `generate` and the C simulation need. Raises `QapError` before any work starts.

    `network` is None where it is not known yet; its size is asked again by `generate`.
    """
    workarounds.require(options.strategy)
    if simulate:
        tools.require("g++", "the C simulation of an hls4ml project", "apt install g++")
    if network is not None:
        limits.require_unrollable(network, options)


def expect(network: Graph, board: Board, options: Hls4mlOptions) -> Expectation:
    """How `generate` would write each dense layer, and the interval that the code would ask for.

    What an HLS tool makes of it is not known here: no resources, no latency. `estimate/vendor.py` predicts from `nodes`
    what C synthesis will state. Raises `QapError` for what is too large to unroll.
    """
    limits.require_unrollable(network, options)
    backend = None
    if options.strategy == UNROLLED:
        # Only hls4ml knows which factors it can do.
        workarounds.require(options.strategy)
        with quiet():
            import hls4ml

            from qap2fpga.backends.hls4ml.layers import BACKEND

            backend = hls4ml.backends.get_backend(BACKEND)
    nodes: list[dict[str, Any]] = []
    for number, (layer, ranges) in enumerate(zip(network.layers, network.ranges, strict=True)):
        strategy, factor = workarounds.reuse_factor(
            backend, layer.inputs, layer.outputs, options.reuse_factor, options.strategy
        )
        low, high = int(layer.weights.min()), int(layer.weights.max())
        nodes.append({
            "name": f"dense{number}", "layer": layer.name, "op_type": "Dense", "estimate": {},
            "strategy": strategy, "reuse_factor": factor, "inputs": layer.inputs, "outputs": layer.outputs,
            "weight_bits": workarounds.weight_bits(low, high, layer.weight_width),
            "input_bits": max(width(int(a), int(b)) for a, b in zip(*ranges.inputs, strict=True)),
            "nonzeros": layer.nonzeros,
        })  # fmt: skip
    return Expectation(max(node["reuse_factor"] for node in nodes), None, {}, nodes)


def generate(
    network: Graph,
    board: Board,
    folder: Path,
    options: Hls4mlOptions,
    vectors: np.ndarray,
    progress: Progress = lambda line: None,
) -> HlsProject:
    """Write the hls4ml project of `network`, compacted, for `board` into `folder`, and say what came of it.

    `vectors` (n, inputs) are input integers for the project's testbench. Raises `QapError` for a missing
    package and for what is too large to unroll.
    """
    require(network, options, simulate=False)
    folder = folder.resolve()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    progress(f"hls4ml {workarounds.version()}, {options.strategy}, reuse factor {options.reuse_factor}")
    with quiet():
        from qap2fpga.backends.hls4ml import model as models

        plan = models.plan(network, options)
        model = models.convert(plan, board, folder, options)
        workarounds.write(model, folder)
    _testbench(folder, network, options.output_kind, vectors[:TESTBENCH_VECTORS])
    numbers = [model.graph[f"dense{index}"].index for index in range(len(network.layers))]
    counted = counts.count(folder, network, numbers, plan.reuse)
    warnings = [*counts.warnings(network.layers, counted), *_other_factors(network, options, plan.reuse)]
    for text in warnings:
        progress(text)
    output = plan.output
    assert output is not None
    progress(f"{sum(one.in_source for one in counted)} multiplications in the source")
    return HlsProject(
        folder=folder,
        top=models.TOP,
        sources=(f"firmware/{models.TOP}.cpp",),
        part=board.part,
        clock_ns=options.clock or board.clock_ns,
        strategy=options.strategy,
        output_kind=options.output_kind,
        interval_cycles=max(factor for _, factor in plan.reuse),
        input=plan.input,
        output=output,
        traces=tuple(plan.traces),
        warnings=tuple(warnings),
        details={
            "hls4ml_version": workarounds.version(),
            "layers": [asdict(one) for one in counted],
            # By which an HLS tool's reports name the layers' functions.
            "configs": [f"config{number}" for number in numbers],
            "products": limits.products(network),
            "estimated_luts": limits.estimated_luts(network),
        },
    )


def relax(network: Graph, tolerance: int) -> Relaxed:
    """`network` with requantizers within `tolerance` steps that are cheaper, as far as is known before HLS."""
    return relaxing.relax(network, tolerance, formcost.load().luts)


def _other_factors(network: Graph, options: Hls4mlOptions, reuse: list[tuple[str, int]]) -> list[str]:
    """One sentence for each layer that hls4ml cannot do at the reuse factor that was asked for."""
    found = []
    for layer, (strategy, factor) in zip(network.layers, reuse, strict=True):
        if (strategy, factor) != (options.strategy, options.reuse_factor):
            found.append(
                f"layer {layer.name}: hls4ml cannot share its {layer.inputs} x {layer.outputs} products at reuse "
                f"factor {options.reuse_factor}; it is written as '{strategy}' at {factor}"
            )
    return found


def _testbench(folder: Path, network: Graph, kind: str, vectors: np.ndarray) -> None:
    """The files that the project's own testbench reads, one vector a line."""
    expected = reference.outputs(network, kind, vectors)
    for name, rows in (("tb_input_features", vectors), ("tb_output_predictions", expected)):
        text = "".join(" ".join(str(int(value)) for value in row) + "\n" for row in rows)
        write_atomically(folder / "tb_data" / f"{name}.dat", text)
