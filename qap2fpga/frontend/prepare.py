# SPDX-License-Identifier: Apache-2.0
"""A model file to an integer network: read, export, lower, compact, and compare each with the one before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np

from qap2fpga.frontend import data, doubts, facts, floats
from qap2fpga.frontend.facts import Facts
from qap2fpga.frontend.floats import Executions
from qap2fpga.frontend.integer import fit_logits, lower
from qap2fpga.frontend.labels import check_labels
from qap2fpga.frontend.readings import SEED, Reading, read_source
from qap2fpga.frontend.source import Source
from qap2fpga.frontend.torch_run import Torch
from qap2fpga.frontend.trial import trial
from qap2fpga.ir.comparison import Simulation
from qap2fpga.ir.graph import Graph
from qap2fpga.ir.outputs import require_classes
from qap2fpga.ir.shown import Head
from qap2fpga.ir.vectors import extremes, random_vectors
from qap2fpga.passes.compaction import compact
from qap2fpga.system.errors import QapError

if TYPE_CHECKING:
    from qonnx.core.modelwrapper import ModelWrapper

__all__ = ["Prepared", "Source", "prepare"]

RANDOM_VECTORS, RECORDED_VECTORS = 1000, 1000
# Vectors of a group in a network that sees frames: so many integers on the way, but never fewer than these.
WORK, FEWEST = 1 << 25, 2


@dataclass(frozen=True)
class Prepared:
    """The reference and what is known of it.

    `lowered` is layer for layer the graph's; `network` is compacted. `recorded` (n, inputs) are integers of real
    inputs with their `labels`; `random` and `extreme` are made. `float_inputs` (n, inputs) are the real inputs.
    """

    network: Graph
    lowered: Graph
    qonnx: ModelWrapper
    recorded: np.ndarray
    labels: np.ndarray | None
    random: np.ndarray
    extreme: np.ndarray
    first_input: np.ndarray | None
    simulations: tuple[Simulation, ...]
    facts: Facts

    @property
    def vectors(self) -> np.ndarray:
        """All vectors that hardware is tried on: recorded (the first thousand), random, extreme."""
        return np.concatenate([self.recorded[:RECORDED_VECTORS], self.random, self.extreme])


def prepare(
    source: Source, say: Callable[[str], None], admit: Callable[[Graph], None] = lambda network: None
) -> Prepared:
    """Read and lower `source`. Raises `QapError` for input that cannot be used, `CheckFailed` for a disagreement.

    `admit` is given the network before it is compared with float executions, which takes long: it raises what the
    caller already knows to speak against it.
    """
    with Torch() as torch:
        return _finish(source, read_source(source, say, torch), say, admit, torch)


def _most_vectors(lowered: Graph) -> int | None:
    """How many vectors of each group a network is tried on; None, all of them, where every frame is a vector.

    Frames of images are large, and a kernel sees each of their values many times.
    """
    if not lowered.has_positions:
        return None
    return max(FEWEST, WORK // lowered.values)


def _finish(
    source: Source, reading: Reading, say: Callable[[str], None], admit: Callable[[Graph], None], torch: Torch
) -> Prepared:
    """Lower what was read, compare it, and describe it."""
    graph, rows = reading.graph, reading.rows
    require_classes(source.output_kind, graph.output.shape.size, len(graph.heads))
    graph.notes += doubts.of_weights(graph.layers)
    lowered = lower(graph)
    most = _most_vectors(lowered)
    real = reading.values(most)
    integers = lowered.input.quantize(real)
    recorded = integers if rows is not None else integers[:0]
    lowered = lowered.with_notes(*doubts.of_inputs(lowered.input, real[: len(recorded)], recorded))
    if rows is not None and len(real) < len(rows.values):
        lowered = lowered.with_notes(
            f"of {len(rows.values)} recorded rows the first {len(real)} are used, as many as run in reasonable time"
        )
    random, extreme = (
        random_vectors(lowered, min(RANDOM_VECTORS, most or RANDOM_VECTORS), SEED),
        extremes(lowered, most),
    )
    vectors = np.concatenate([integers, random, extreme])
    targets = rows is not None and rows.targets is not None
    values = source.output_kind == "values" or targets or bool(graph.heads)
    lowered = lowered.with_notes(*(_words(head) for head in graph.heads))
    lowered = fit_logits(lowered, graph, vectors, values=values)
    network = compact(lowered, vectors)
    admit(network)
    # `compact` has compared them: a difference would have ended it.
    compared = "lowered network, after each pass"
    equal = Simulation("compacted network (numpy)", version("numpy"), compared, len(vectors), 0)
    executions = Executions(())
    if source.compare:
        tried = trial(lowered.input, real[: len(recorded)], (("random", random), ("corner", extreme)))
        executions = floats.compare(
            graph, lowered, reading.qonnx, reading.chain, tried, say, torch,
            classes=not values, recorded=reading.recorded,
        )  # fmt: skip
    labels = rows.labels[:most] if rows is not None and rows.labels is not None and not values else None
    _check_classes(source.classes, network.outputs)
    check_labels("the data has label", labels, network.outputs)
    remarks = _check_targets(rows, network.outputs)
    if graph.heads and rows is not None and rows.labels is not None:
        remarks.append("labels are not used: the model has several outputs, and no class of all of them")
    known = Facts(
        source.path.name,
        None if source.data is None else source.data.name,
        len(recorded),
        facts.describe(graph, lowered, network),
        reading.masked,
        reading.cost,
        executions.difference,
        facts.accuracy(network, recorded, labels),
        (*network.notes, *remarks),
    )
    first = real[0] if len(recorded) else None
    simulations = (equal, *executions.simulations)
    return Prepared(network, lowered, reading.qonnx, recorded, labels, random, extreme, first, simulations, known)


def _words(head: Head) -> str:
    """What a note says of one of several outputs."""
    last = head.first + head.size - 1
    return f"output {head.first}" + (f" to {last}" if last > head.first else "") + f" of the chip: {head.name}"


def _check_classes(classes: tuple[str, ...], outputs: int) -> None:
    if outputs == 1:
        return
    if classes and len(classes) != outputs:
        raise QapError(f"--classes names {len(classes)} classes, the network has {outputs} outputs", "name each output")
    if len(set(classes)) != len(classes):
        raise QapError("--classes names a class twice", "name each output once")


def _check_targets(rows: data.Rows | None, outputs: int) -> list[str]:
    """What to tell of targets that are no classes, which must be one per output."""
    if rows is None or rows.targets is None:
        return []
    columns = rows.targets.shape[1]
    if columns != outputs:
        what = f"the data's y has labels that are not 0, 1, 2, ..., {columns} a row, and the network {outputs} outputs"
        raise QapError(what, "y holds one class number per row; or, of a regression, one real value per output")
    return ["y holds real values: the targets of a regression, of which no accuracy is claimed"]
