# SPDX-License-Identifier: Apache-2.0
"""A model file, read: its graph in three forms, an input quantizer before it, and real inputs."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from qap2fpga.frontend import data, export, facts, onnxfile, recorded
from qap2fpga.frontend.checkpoint import model_file as checkpoint
from qap2fpga.frontend.checkpoint.exported import Exported
from qap2fpga.frontend.checkpoint.spec import Model
from qap2fpga.frontend.facts import QuantizerCost
from qap2fpga.frontend.floats import QONNX_ROWS
from qap2fpga.frontend.graph import input_is_quantized, read
from qap2fpga.frontend.recorded import Recorded
from qap2fpga.frontend.source import Source
from qap2fpga.frontend.torch_run import Torch
from qap2fpga.frontend.values import RawGraph
from qap2fpga.ir.quantizer import power_of_two_scale, scale_for_range
from qap2fpga.system.errors import QapError
from qap2fpga.system.names import shown

if TYPE_CHECKING:
    from qonnx.core.modelwrapper import ModelWrapper

DEFAULT_INPUT_BITS = 8
DRAWN, DRAWN_VALUES = 1000, 1 << 24  # real inputs where the user gave none, and their values in all
SEED = 20210504  # any fixed number: the same input gives the same bytes


@dataclass(frozen=True)
class Reading:
    """A model file read: its graph in three forms (no `chain` of an ONNX file), and real inputs.

    `rows` are the user's, or the file's own; `values` gives these as frames, or drawn ones where there are none.
    """

    graph: RawGraph
    qonnx: ModelWrapper
    chain: Model | None
    rows: data.Rows | None
    masked: dict[str, int] | None = None
    cost: QuantizerCost | None = None
    recorded: Recorded | None = None

    def values(self, most: int | None) -> np.ndarray:
        """Return real inputs as frames (n, inputs), so many at `most`."""
        if self.rows is None:
            return _real(self.graph, DRAWN if most is None else min(DRAWN, most))
        rows = self.rows.values[:most]
        return self.graph.input_axes.frames(rows.reshape(len(rows), *self.graph.input_axes.shape))


def read_source(source: Source, say: Callable[[str], None], torch: Torch) -> Reading:
    """Return what is in the model file of `source`. Raises `QapError` for input that cannot be used."""
    if source.path.suffix == ".onnx":
        return _from_onnx(source, say)
    return _from_checkpoint(source, say, torch)


def _from_checkpoint(source: Source, say: Callable[[str], None], torch: Torch) -> Reading:
    say("reading the checkpoint")
    if source.output:
        raise QapError("--model-output was given, but the model is no .onnx file", "leave it out")
    model = checkpoint.read_any(source.path, source.widths)
    if isinstance(model, Exported):
        return _from_exported(source, model, say)
    if source.compare:
        torch.begin()
    rows = data.load(source.data, model.inputs, source.classes) if source.data else None
    if rows is None and model.example is not None:
        rows = data.Rows(model.example, model.labels)
    raw = None
    if not model.has_input_quantizer:
        bits, scale, signed = _input_quantizer(source, rows)
        raw, model = model, checkpoint.with_input_quantizer(model, bits, scale, signed)
    say("exporting to QONNX")
    qonnx = export.export(model)
    say("lowering to integers")
    graph = read(qonnx)
    graph.notes[:0] = [*model.notes, *(_unused_range(source) if raw is None else ())]
    cost = None
    if raw is not None and rows is not None:
        plain, quantized = (torch.values(one, rows.values).output for one in (raw, model))
        cost = facts.quantizer_cost(plain, quantized, rows.labels)
    masked = {name: int((~mask).sum()) for name, mask in model.masks.items()}
    return Reading(graph, qonnx, model, rows, masked, cost)


def _from_onnx(source: Source, say: Callable[[str], None]) -> Reading:
    if source.widths.weight or source.widths.activation:
        raise QapError("bit widths were given, but a QONNX file has its own", "leave --bits and the like out")
    say("reading the graph")
    qonnx = onnxfile.load(source.path, source.output)
    return _of_graph(source, qonnx, _rows(source, qonnx), say, quantized=input_is_quantized(qonnx))


def _from_exported(source: Source, model: Exported, say: Callable[[str], None]) -> Reading:
    qonnx = onnxfile.read(model.graph, source.path)
    taken = tuple(qonnx.get_tensor_shape(qonnx.graph.input[0].name))[1:]
    if model.example.shape[1:] != taken:
        what = f"example inputs of shape {model.example.shape[1:]}, the graph takes {taken}"
        raise QapError(f"{source.path}: damaged: {what}", "save the model again")
    rows = _rows(source, qonnx) or data.Rows(model.rows, model.labels)
    quantized = input_is_quantized(qonnx)  # else torch saw other inputs
    reading = _of_graph(source, qonnx, rows, say, quantized=quantized)
    layers = {raw.name for raw in reading.graph.layers}
    strange = next((name for name in model.masks if name not in layers), None)
    if strange is not None:
        raise QapError(f"{source.path}: damaged: a mask of {shown(strange)}, which is no layer", "save the model again")
    masked = {name: int((~mask).sum()) for name, mask in model.masks.items()}
    return replace(reading, masked=masked, recorded=recorded.of_file(model, reading.qonnx) if quantized else None)


def _rows(source: Source, qonnx: ModelWrapper) -> data.Rows | None:
    """The user's own rows for a graph, if there are any."""
    size = math.prod(qonnx.get_tensor_shape(qonnx.graph.input[0].name)[1:])
    return data.load(source.data, size, source.classes) if source.data else None


def _of_graph(
    source: Source, qonnx: ModelWrapper, rows: data.Rows | None, say: Callable[[str], None], *, quantized: bool
) -> Reading:
    """Read a graph that came from a file, with an input quantizer before it if it is not `quantized`."""
    cost, remarks = None, []
    declared = export.declared_input(qonnx)
    if declared is not None and quantized:  # they are quantized on the host
        qonnx = export.undeclared(qonnx)
    elif declared is not None:  # integers come in: a quantizer of scale 1 changes nothing and says what they are
        qonnx, quantized = export.add_input_quantizer(qonnx, declared[0], 1.0, declared[1]), True
    if not quantized:
        _read_error_first(qonnx)
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
    return Reading(graph, qonnx, None, rows, cost=cost)


def _read_error_first(qonnx: ModelWrapper) -> None:
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
    integers = quantizer.random(np.random.default_rng(SEED), (count, inputs))
    return (integers * np.asarray(quantizer.scale) + np.asarray(quantizer.offset)).astype(np.float32)
