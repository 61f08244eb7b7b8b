# SPDX-License-Identifier: Apache-2.0
"""A user's Brevitas module to a `model.pt`: a chain of dense layers as its layers, any other module as a graph."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike
from onnx import GraphProto
from torch import Tensor, nn

from qap2fpga.system.quiet import quiet

with quiet():
    import brevitas.nn as qnn

from qap2fpga.frontend import export, layernames, onnxfile, recorded, ties, tracing
from qap2fpga.frontend.checkpoint import brevitas, model_file, writing
from qap2fpga.frontend.checkpoint.exported import Exported, check
from qap2fpga.frontend.checkpoint.recording import QUANTIZERS, call_name, evaluated, kept_weights, record
from qap2fpga.frontend.checkpoint.spec import Model
from qap2fpga.frontend.graph import input_is_quantized, read
from qap2fpga.frontend.integer import fit_logits, lower
from qap2fpga.frontend.labels import check_labels
from qap2fpga.frontend.operators import ENDS, RISING_ENDS
from qap2fpga.frontend.trial import real_inputs
from qap2fpga.frontend.values import RawGraph
from qap2fpga.ir.graph import Graph
from qap2fpga.ir.quantizer import power_of_two_scale
from qap2fpga.system.errors import CheckFailed, QapError

# As many example rows are tried, and with other signs and sizes: forward() may branch on the values.
STRESS_FACTORS = (1, -1, 8, 0)
INPUT_BITS = 8
RECURRENT = (nn.RNNBase, qnn.QuantRNN, qnn.QuantLSTM)
WITH_WEIGHTS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.Embedding)


def save(
    module: nn.Module,
    example: Tensor | ArrayLike,
    path: Path,
    labels: Tensor | ArrayLike | None,
    provenance: Mapping[str, object],
) -> None:
    """Write `module` as a `model.pt`; see `qap2fpga.save`."""
    if path.is_dir():
        raise QapError(f"{path} is a folder", f"name a file, as {path / 'model.pt'}")
    if not isinstance(module, nn.Module):
        hint = "give the module itself: a state dict has no layers in order, and no bit widths"
        raise QapError(f"the module is a {type(module).__name__}, no torch module", hint)
    rows = writing.as_tensor(example)
    brevitas.require_rows(module, rows)
    try:
        model = brevitas.describe(module, rows)
    except QapError as reason:
        try:
            exported = describe(module, rows, labels, provenance)
        except QapError as other:
            raise _with_cause(other, module) if isinstance(reason, brevitas.NotAChain) else reason from other
        writing.write_exported(exported, path)
    else:
        numbers = _numbers(labels, rows)
        with evaluated(module):  # Brevitas has parts of modules in common, and what is exported is in eval mode
            check_labels("labels has", numbers, _lowered(model, rows).outputs)
        writing.write(model, path, numbers, provenance)


def _numbers(labels: Tensor | ArrayLike | None, rows: Tensor) -> np.ndarray | None:
    return None if labels is None else writing.class_labels(labels, len(rows))


def _lowered(model: Model, rows: Tensor) -> Graph:
    """Return the integer network of a chain, as `load` will make it. Raises `QapError` that names its layer."""
    if not model.has_input_quantizer:
        scale, signed = _input_quantizer(rows)
        model = model_file.with_input_quantizer(model, INPUT_BITS, scale, signed)
    qonnx = export.export(model)
    return lower(read(qonnx))


def _input_quantizer(rows: Tensor) -> tuple[float, bool]:
    """The scale of a quantizer of the inputs, and whether it is signed: the user chooses one when building, any will do
    until then.
    """
    signed = bool((rows < 0).any())
    return power_of_two_scale(rows.numpy(), INPUT_BITS, signed=signed), signed


def _with_cause(error: QapError, module: nn.Module) -> QapError:
    """`error`, and in its hint the layer that is likely to be the cause of it."""
    for name, part in module.named_modules():
        kind = type(part).__name__
        if isinstance(part, RECURRENT):
            return QapError(error.message, f"layer {name} ({kind}) is recurrent, which is not supported")
        if isinstance(part, WITH_WEIGHTS) and not hasattr(part, "weight_quant"):
            return QapError(error.message, f"layer {name} ({kind}) has float weights: use brevitas.nn.Quant{kind}")
    return error


def describe(
    module: nn.Module, example: Tensor, labels: Tensor | ArrayLike | None, provenance: Mapping[str, object]
) -> Exported:
    """Return the graph that Brevitas exports of `module`, and what torch gives for the `example` (rows, ...).

    Raises `QapError` with the reason where there is none, where it cannot be lowered, or where it computes something
    else than the module.
    """
    for name, tensor in module.state_dict().items():
        if not torch.isfinite(tensor).all():
            raise QapError(f"{name} has NaN or infinite values", "train the network again")
    numbers = _numbers(labels, example)
    with evaluated(module):
        _check_quantizers(module)
        model = tracing.export_module(module, example)
        layernames.name_nodes(model.graph, frozenset(name for name, part in module.named_modules() if _is_leaf(part)))
        _name_heads(model.graph)
        onnxfile.take_as_data(model)
        nodes = {node.name for node in model.graph.node}
        recording = record(module, example, nodes)
        content = model.SerializeToString(deterministic=True)
        exported = Exported(content, example.numpy(), recording, _masks(module, nodes), dict(provenance), numbers)
        graph, lowered = _compare(check(exported, "the module"), module, example)
    if not graph.heads:  # no class is of all of them
        check_labels("labels has", numbers, lowered.outputs)
    return exported


def _name_heads(graph: GraphProto) -> None:
    """Call each of several outputs of `graph` like the layer that it comes from, in place.

    Raises `QapError` where what torch gives is not what leaves the chip.
    """
    origin = {tensor: node for node in graph.node for tensor in node.output}
    for value in graph.output if len(graph.output) > 1 else ():
        node = origin.get(value.name)
        if node is None or (node.op_type == "Identity" and node.input[0] not in origin):
            raise QapError(f"the output {value.name} is the input as it is", "return what layers make of it")
        if node.op_type in (*ENDS, *RISING_ENDS):
            what = f"{node.name} ({node.op_type}) ends one of several outputs"
            raise QapError(what, "return what enters it; the host can do the rest")
        for one in graph.node:
            one.input[:] = [node.name if tensor == value.name else tensor for tensor in one.input]
        node.output[:] = [node.name if tensor == value.name else tensor for tensor in node.output]
        value.name = node.name


def _check_quantizers(module: nn.Module) -> None:
    """Raise `QapError` for a quantizer that Brevitas exports as another one: of one bit it makes the sign."""
    for path, part in module.named_modules():
        if not isinstance(part, QUANTIZERS) or not part.is_quant_enabled or part.is_signed:
            continue
        if int(part.bit_width() or 0) == 1:
            hint = "one bit is the sign: use a Binary quantizer, or two bits"
            raise QapError(f"layer {call_name(path, 0)}: a quantizer of 1 bit that is unsigned", hint)


def _compare(exported: Exported, module: nn.Module, example: Tensor) -> tuple[RawGraph, Graph]:
    """Return the exported graph, read and lowered. Its integers must be those that torch computes, beyond the example
    too: it may never reach where forward() does something else.
    """
    qonnx = onnxfile.read(exported.graph, Path("the exported graph"))
    rows, quantized = example[: brevitas.STRESS_ROWS], input_is_quantized(qonnx)
    if not quantized:
        scale, signed = _input_quantizer(rows)
        qonnx = export.add_input_quantizer(qonnx, INPUT_BITS, scale, signed)
    graph = read(qonnx)
    lowered = lower(graph)
    for factor in STRESS_FACTORS:
        tried = factor * rows
        if not quantized:
            flat = tried.reshape(len(tried), -1).numpy()
            levels = real_inputs(lowered.input, lowered.input.quantize(flat))
            tried = torch.from_numpy(levels).reshape(tried.shape)
        given = recorded.of(record(module, tried, exported.recording.levels), tried.numpy(), qonnx, torch.__version__)
        run = recorded.execution(given, graph, qonnx)
        integers = lowered.input.quantize(run.trial.rows)
        try:
            ties.compare(fit_logits(lowered, graph, integers, values=True), graph, run, classes=False)
        except CheckFailed as error:
            what = f"the module gives something else than what Brevitas exports of it: {error.message}"
            raise QapError(what, "an export is of one run: forward() must not branch on values") from error
    return graph, lowered


def _is_leaf(part: nn.Module) -> bool:
    """Whether a part of a module is a layer: it has no parts itself but for quantizers."""
    return all(name.endswith("_quant") for name, _ in part.named_children())


def _masks(module: nn.Module, nodes: Collection[str]) -> dict[str, np.ndarray]:
    """Which weights of each layer that is in the graph were kept."""
    layers = [(name, part) for name, part in module.named_modules() if hasattr(part, "weight_quant")]
    return {name: kept_weights(part) for name, part in layers if name in nodes}
