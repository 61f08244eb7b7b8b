# SPDX-License-Identifier: Apache-2.0
"""A model file to an integer network: read, export, lower, compact, and compare each with the one before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from qap2fpga.frontend import data, doubts, export, facts, floats, onnxfile
from qap2fpga.frontend.checkpoint import model_file as checkpoint
from qap2fpga.frontend.checkpoint.modules import build
from qap2fpga.frontend.checkpoint.widths import MAX_BITS, Widths
from qap2fpga.frontend.facts import Facts, QuantizerCost
from qap2fpga.frontend.floats import QONNX_ROWS, Executions
from qap2fpga.frontend.graph import input_is_quantized, read
from qap2fpga.frontend.integer import fit_logits, lower
from qap2fpga.frontend.trial import trial
from qap2fpga.frontend.values import RawGraph, RawStep
from qap2fpga.ir.channelwise import Depthwise
from qap2fpga.ir.comparison import Simulation
from qap2fpga.ir.graph import Graph
from qap2fpga.ir.linear import Linear
from qap2fpga.ir.outputs import require_classes
from qap2fpga.ir.quantizer import power_of_two_scale, scale_for_range
from qap2fpga.ir.vectors import extremes, random_vectors
from qap2fpga.passes.compaction import compact
from qap2fpga.system.errors import QapError
from qap2fpga.system.quiet import quiet

if TYPE_CHECKING:
    from qonnx.core.modelwrapper import ModelWrapper
    from torch.nn import Sequential

DEFAULT_INPUT_BITS = 8
RANDOM_VECTORS, RECORDED_VECTORS = 1000, 1000
DRAWN, DRAWN_VALUES = 1000, 1 << 24  # real inputs where the user gave none, and their values in all
# Vectors of a group in a network that sees frames: so many integers on the way, but never fewer than these.
WORK, FEWEST = 1 << 25, 4
SEED = 20210504  # any fixed number: the same input gives the same bytes


@dataclass(frozen=True)
class Source:
    """What the user gave: the model file and what it does not say itself. `range` is (low, high) of the inputs.

    `compare`: compare torch and QONNX with the integer network; an estimate does without. `output_kind`: what leaves
    the chip; of 'values' the scale is as fine as the accumulators, not just fine enough for the class.
    """

    path: Path
    widths: Widths
    data: Path | None = None
    range: tuple[float, float] | None = None
    classes: tuple[str, ...] = ()
    compare: bool = True
    output_kind: str = "logits"


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


@dataclass(frozen=True)
class _Reading:
    """A model file read: its graph in three forms (no `module` of an ONNX file), and real inputs.

    `rows` are the user's, or the file's own; `values` (n, inputs) are these as frames, or drawn where there are none.
    """

    graph: RawGraph
    qonnx: ModelWrapper
    module: Sequential | None
    rows: data.Rows | None
    masked: dict[str, int] | None = None
    cost: QuantizerCost | None = None

    @cached_property
    def values(self) -> np.ndarray:
        if self.rows is None:
            return _real(self.graph, DRAWN)
        rows = self.rows.values
        return self.graph.input_axes.frames(rows.reshape(len(rows), *self.graph.input_axes.shape))


def prepare(source: Source, say: Callable[[str], None]) -> Prepared:
    """Read and lower `source`. Raises `QapError` for input that cannot be used, `CheckFailed` for a disagreement."""
    read_file = _from_onnx if source.path.suffix == ".onnx" else _from_checkpoint
    return _finish(source, read_file(source, say), say)


def _from_checkpoint(source: Source, say: Callable[[str], None]) -> _Reading:
    say("reading the checkpoint")
    model = checkpoint.read(source.path, source.widths)
    rows = data.load(source.data, model.inputs, source.classes) if source.data else None
    if rows is None and model.example is not None:
        rows = data.Rows(model.example, model.labels)
    raw = None
    if not model.has_input_quantizer:
        bits, scale, signed = _input_quantizer(source, rows)
        raw, model = model, checkpoint.with_input_quantizer(model, bits, scale, signed)
    say("exporting to QONNX")
    module, qonnx = export.export(model)
    names = tuple(op.name for op in model.ops if op.kind == "dense")
    say("lowering to integers")
    graph = read(qonnx, names)
    graph.notes[:0] = [*model.notes, *(_unused_range(source) if raw is None else ())]
    cost = None
    if raw is not None and rows is not None:
        with quiet():
            plain = export.torch_values(build(raw), rows.values)[1][-1]
        cost = facts.quantizer_cost(plain, export.torch_values(module, rows.values)[1][-1], rows.labels)
    masked = {name: int((~mask).sum()) for name, mask in model.masks.items()}
    return _Reading(graph, qonnx, module, rows, masked, cost)


def _from_onnx(source: Source, say: Callable[[str], None]) -> _Reading:
    if source.widths.weight or source.widths.activation:
        raise QapError("bit widths were given, but a QONNX file has its own", "leave --bits and the like out")
    say("reading the graph")
    qonnx = onnxfile.load(source.path)
    size = int(np.prod(qonnx.get_tensor_shape(qonnx.graph.input[0].name)[1:]))
    rows = data.load(source.data, size, source.classes) if source.data else None
    cost, remarks = None, []
    declared = export.declared_input(qonnx)
    if declared is not None and input_is_quantized(qonnx):  # they are quantized on the host
        qonnx = export.undeclared(qonnx)
    elif declared is not None:  # integers come in: a quantizer of scale 1 changes nothing and says what they are
        qonnx = export.add_input_quantizer(qonnx, declared[0], 1.0, declared[1])
    if not input_is_quantized(qonnx):
        read_error_first(qonnx)
        bits, scale, signed = _input_quantizer(source, rows)
        if rows is not None:
            some = data.Rows(rows.values[:QONNX_ROWS], None if rows.labels is None else rows.labels[:QONNX_ROWS])
            output = qonnx.graph.output[0].name
            plain = export.execute(qonnx, some.values)[output]
            qonnx = export.add_input_quantizer(qonnx, bits, scale, signed)
            with_it = export.execute(qonnx, some.values)[qonnx.graph.output[0].name]
            cost = facts.quantizer_cost(plain, with_it, some.labels)
        else:
            qonnx = export.add_input_quantizer(qonnx, bits, scale, signed)
        remarks.append(f"the model has no input quantizer: one of {bits} bits with scale {scale:g} was put before it")
    else:
        if source.widths.input:
            raise QapError("--input-bits was given, but the model has its own input quantizer", "leave it out")
        remarks += _unused_range(source)
    say("lowering to integers")
    graph = read(qonnx)
    graph.notes[:0] = remarks
    return _Reading(graph, qonnx, None, rows, cost=cost)


def read_error_first(qonnx: ModelWrapper) -> None:
    """An operation that cannot be lowered is the user's first concern, before a missing input quantizer."""
    trial = export.add_input_quantizer(export.copy(qonnx), DEFAULT_INPUT_BITS, 1.0, True)
    read(trial)


def _unused_range(source: Source) -> list[str]:
    return [] if source.range is None else ["--input-range was not used: the model has its own input quantizer"]


def _input_quantizer(source: Source, rows: data.Rows | None) -> tuple[int, float, bool]:
    bits = source.widths.input or DEFAULT_INPUT_BITS
    if source.range is not None:
        signed = source.range[0] < 0
    elif rows is not None:
        signed = bool((rows.values < 0).any())
    else:
        raise QapError(
            "the model has no input quantizer", "give --input-data FILE (npz with X) or --input-range LOW,HIGH"
        )
    if bits == 1 and not signed:
        raise QapError("an input quantizer of 1 bit is the sign, but no input is negative", "give --input-bits 2")
    if source.range is not None:
        return bits, scale_for_range(*source.range, bits), signed
    assert rows is not None
    return bits, power_of_two_scale(rows.values, bits, signed=signed), signed


def _real(graph: RawGraph, count: int) -> np.ndarray:
    """Real inputs for comparisons when the user gave none: uniform over what the input quantizer takes."""
    assert graph.input is not None
    quantizer, inputs = graph.input, graph.frame.size
    count = max(1, min(count, DRAWN_VALUES // inputs))
    integers = np.random.default_rng(SEED).integers(quantizer.low, quantizer.high, (count, inputs), endpoint=True)
    return (integers * np.asarray(quantizer.scale) + np.asarray(quantizer.offset)).astype(np.float32)


def _most_vectors(lowered: Graph) -> int | None:
    """How many vectors of each group a network is tried on; None, all of them, where every frame is a vector.

    Frames of images are large, and a kernel sees each of their values many times.
    """
    if all(shape.positions == 1 for shape in lowered.shapes.values()):
        return None
    return max(FEWEST, WORK // lowered.values)


def _finish(source: Source, reading: _Reading, say: Callable[[str], None]) -> Prepared:
    """Lower what was read, compare it, and describe it."""
    graph, rows = reading.graph, reading.rows
    _check_widths(graph)
    require_classes(source.output_kind, graph.output.shape.size)
    graph.notes += doubts.of_weights(graph.layers)
    lowered = lower(graph)
    most = _most_vectors(lowered)
    real = reading.values[:most]
    integers = lowered.input.quantize(real)
    recorded = integers if rows is not None else integers[:0]
    lowered = lowered.with_notes(*doubts.of_inputs(lowered.input, real[: len(recorded)], recorded))
    if len(real) < len(reading.values) and rows is not None:
        lowered = lowered.with_notes(
            f"of {len(reading.values)} recorded rows the first {len(real)} are used, as many as run in reasonable time"
        )
    random, extreme = (
        random_vectors(lowered, min(RANDOM_VECTORS, most or RANDOM_VECTORS), SEED),
        extremes(lowered, most),
    )
    vectors = np.concatenate([integers, random, extreme])
    values = source.output_kind == "values" or (rows is not None and rows.targets is not None)
    lowered = fit_logits(lowered, graph, vectors, values=values)
    network = compact(lowered, vectors)
    # `compact` has compared them: a difference would have ended it.
    compared = "lowered network, after each pass"
    equal = Simulation("compacted network (numpy)", version("numpy"), compared, len(vectors), 0)
    executions = Executions(())
    if source.compare:
        tried = trial(lowered.input, real[: len(recorded)], (("random", random), ("corner", extreme)))
        executions = floats.compare(graph, lowered, reading.qonnx, reading.module, tried, say, classes=not values)
    labels = rows.labels[:most] if rows is not None and rows.labels is not None and not values else None
    _check_labels(labels, source.classes, network.outputs)
    remarks = _check_targets(rows, network.outputs)
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


def _check_widths(graph: RawGraph) -> None:
    """An activation has a threshold a level: widths that nobody means would fill the memory."""
    widths = {"the input": graph.input_bits}
    for raw in graph.nodes.values():
        if isinstance(raw, RawStep):
            widths[f"layer {raw.name}"] = raw.bits
        elif isinstance(raw.node, Linear | Depthwise):
            widths[f"layer {raw.name}"] = raw.node.weight_bits
    for name, widest in widths.items():
        if widest > MAX_BITS:
            raise QapError(f"{name}: a bit width of {widest}", f"bit widths are 1 to {MAX_BITS}")


def _check_labels(labels: np.ndarray | None, classes: tuple[str, ...], outputs: int) -> None:
    if outputs == 1:
        return
    if classes and len(classes) != outputs:
        raise QapError(f"--classes names {len(classes)} classes, the network has {outputs} outputs", "name each output")
    if len(set(classes)) != len(classes):
        raise QapError("--classes names a class twice", "name each output once")
    bad = np.zeros(0) if labels is None else labels[(labels < 0) | (labels >= outputs)]
    if bad.size:
        hint = "number the classes 0, 1, 2, ..."
        raise QapError(f"the data has label {bad[0]}, the network has {outputs} outputs", hint)


def _check_targets(rows: data.Rows | None, outputs: int) -> list[str]:
    """What to tell of targets that are no classes, which must be one per output."""
    if rows is None or rows.targets is None:
        return []
    columns = rows.targets.shape[1]
    if columns != outputs:
        what = f"the data's y has labels that are not 0, 1, 2, ..., {columns} a row, and the network {outputs} outputs"
        raise QapError(what, "y holds one class number per row; or, of a regression, one real value per output")
    return ["y holds real values: the targets of a regression, of which no accuracy is claimed"]
