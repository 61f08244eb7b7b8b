# SPDX-License-Identifier: Apache-2.0
"""torch and QONNX executed on real inputs, and compared with the integer network and with each other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np

from qap2fpga.frontend import export, facts, ties
from qap2fpga.frontend.integer import meanings
from qap2fpga.frontend.trial import Trial
from qap2fpga.frontend.values import RawGraph
from qap2fpga.ir.comparison import Simulation
from qap2fpga.ir.graph import Graph

if TYPE_CHECKING:
    from qonnx.core.modelwrapper import ModelWrapper
    from torch.nn import Sequential

# Recorded vectors that an engine runs; of random and corner vectors it runs all.
TORCH_ROWS, QONNX_ROWS = 20000, 256


@dataclass(frozen=True)
class Executions:
    """The comparisons of float executions with the integer network, and the `difference` of torch and QONNX."""

    simulations: tuple[Simulation, ...]
    difference: facts.Difference | None = None


def compare(
    graph: RawGraph,
    lowered: Graph,
    qonnx: ModelWrapper,
    module: Sequential | None,
    trial: Trial,
    say: Callable[[str], None],
    *,
    classes: bool = True,
) -> Executions:
    """Return what the executions by torch (if there is a `module`) and QONNX gave.

    Raises `CheckFailed` where one of them differs from the integer network by more than float rounding.
    """
    simulations, outputs = [], []

    def agree(run: ties.Execution) -> None:
        agreement = ties.compare(lowered, meanings(graph), graph.output, run, classes=classes)
        compared = (
            f"every layer on the same integers, and what stands between layers, on {run.trial.words}; "
            f"{agreement.whole} of them, without a tie, from end to end"
        )
        done = Simulation(run.engine, version(run.engine), compared, len(run.trial), 0, rounding_ties=agreement.ties)
        simulations.append(done)
        outputs.append(run.output)

    if module is not None:
        say("comparing with torch")
        some = trial.first("recorded", TORCH_ROWS)
        entered, left = export.torch_values(module, some.rows)
        agree(ties.Execution("torch", some, entered, left, left[-1]))
    say("comparing with QONNX")
    positions, some = trial.positions("recorded", QONNX_ROWS), trial.first("recorded", QONNX_ROWS)
    agree(_qonnx(graph, qonnx, some))
    if module is not None:
        left_out = len(trial) - len(trial.first("recorded", TORCH_ROWS))
        positions = np.where(positions >= TORCH_ROWS, positions - left_out, positions)
        return Executions(tuple(simulations), facts.difference(outputs[0][positions], outputs[1]))
    return Executions(tuple(simulations))


def _qonnx(graph: RawGraph, qonnx: ModelWrapper, trial: Trial) -> ties.Execution:
    context = export.execute(qonnx, trial.rows)

    def values(name: str) -> np.ndarray:
        return context[name].reshape(len(trial), -1)

    entered = [values(raw.input_tensor) for raw in graph.layers]
    left = [values(raw.output_tensor) for raw in graph.layers]
    return ties.Execution("qonnx", trial, entered, left, values(graph.output_tensor))
