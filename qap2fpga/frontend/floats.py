# SPDX-License-Identifier: Apache-2.0
"""torch and QONNX executed on real inputs, and compared with the integer network and with each other."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np

from qap2fpga.frontend import export, facts, ties
from qap2fpga.frontend.checkpoint.spec import Model
from qap2fpga.frontend.recorded import Recorded, execution
from qap2fpga.frontend.torch_run import Torch, TorchValues
from qap2fpga.frontend.trial import Trial
from qap2fpga.frontend.values import RawGraph, RawStep
from qap2fpga.ir.comparison import Simulation
from qap2fpga.ir.graph import Graph

if TYPE_CHECKING:
    from qonnx.core.modelwrapper import ModelWrapper

# Recorded vectors that an engine runs; of random and corner vectors it runs all.
TORCH_ROWS, QONNX_ROWS = 20000, 256
# Floats of a graph's tensors that qonnx holds at once: 256 MiB.
BLOCK = 1 << 26


@dataclass(frozen=True)
class Executions:
    """The comparisons of float executions with the integer network, and the `difference` of torch and QONNX."""

    simulations: tuple[Simulation, ...]
    difference: facts.Difference | None = None


def compare(
    graph: RawGraph,
    lowered: Graph,
    qonnx: ModelWrapper,
    chain: Model | None,
    trial: Trial,
    say: Callable[[str], None],
    torch: Torch,
    *,
    classes: bool = True,
    recorded: Recorded | None = None,
) -> Executions:
    """Return what the executions by torch (of a `chain`, or what it gave when it was `recorded`) and QONNX gave.

    Raises `CheckFailed` where one of them differs from the integer network by more than float rounding.
    """
    simulations, outputs = [], []

    def agree(engine: str, some: Trial, runs: Iterable[ties.Execution], release: str = "") -> None:
        agreement, results = ties.Agreement(0, 0), []
        for run in runs:
            agreement += ties.compare(lowered, graph, run, classes=classes)
            results.append(run.values[graph.output.tensor].reshape(len(run.values[graph.output.tensor]), -1))
        compared = (
            f"every layer on the same integers, and what stands between layers, on {some.words}; "
            f"{agreement.whole} of them, without a tie, from end to end"
        )
        done = Simulation(engine, release or version(engine), compared, len(some), 0, rounding_ties=agreement.ties)
        simulations.append(done)
        outputs.append(np.concatenate(results))

    if chain is not None:
        say("comparing with torch")
        some = trial.first("recorded", TORCH_ROWS)
        agree("torch", some, [_torch(graph, torch.values(chain, some.rows), some)])
    if recorded is not None:
        say("comparing with what torch gave")
        run = execution(recorded, graph, qonnx)
        agree("torch", run.trial, [run], recorded.version)
    say("comparing with QONNX")
    positions, some = trial.positions("recorded", QONNX_ROWS), trial.first("recorded", QONNX_ROWS)
    agree("qonnx", some, _qonnx(graph, qonnx, some))
    if chain is not None:
        left_out = len(trial) - len(trial.first("recorded", TORCH_ROWS))
        positions = np.where(positions >= TORCH_ROWS, positions - left_out, positions)
        return Executions(tuple(simulations), facts.difference(outputs[0][positions], outputs[1]))
    if recorded is not None:
        both = min(len(run.trial), dict(some.groups)["recorded"])
        if both and np.array_equal(run.trial.rows[:both], some.rows[:both]):
            return Executions(tuple(simulations), facts.difference(outputs[0][:both], outputs[1][:both]))
    return Executions(tuple(simulations))


def _torch(graph: RawGraph, torch: TorchValues, trial: Trial) -> ties.Execution:
    """An execution of a chain: what left its quantizers, one after the other, and what entered each layer."""
    first = graph.quantized_input
    assert first is not None
    steps = [raw.tensor for raw in graph.nodes.values() if isinstance(raw, RawStep)]
    layers = [raw.entering[0].tensor for raw in graph.layers]
    values = dict(zip(layers, torch.entered, strict=True)) | dict(
        zip([first.tensor, *steps], torch.quantized, strict=True)
    )
    return ties.Execution("torch", trial, values | {graph.output.tensor: torch.output})


def _qonnx(graph: RawGraph, qonnx: ModelWrapper, trial: Trial) -> Iterator[ties.Execution]:
    """Executions of as many rows at a time as fit into the memory with all tensors of the graph."""
    size = sum(math.prod(qonnx.get_tensor_shape(name) or ()) for node in qonnx.graph.node for name in node.output)
    block = max(1, BLOCK // max(1, size))
    for start in range(0, len(trial), block):
        rows = graph.input_axes.rows(trial.rows[start : start + block])
        yield ties.Execution("qonnx", trial, export.execute(qonnx, rows), start)
