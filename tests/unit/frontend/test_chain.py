# SPDX-License-Identifier: Apache-2.0
"""Graphs of chains are those that Brevitas exports of the same layers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from qonnx.core.modelwrapper import ModelWrapper

from qap2fpga.frontend import chain, export
from qap2fpga.frontend.checkpoint.modules import build
from qap2fpga.frontend.checkpoint.spec import ROUNDING_MODES, Model, Op, QuantSpec, check
from qap2fpga.frontend.tracing import traced
from tests.support.networks import random_model


def content(graph: ModelWrapper) -> dict[str, object]:
    """All that a cleaned graph computes with, in its own order of nodes; labels are compared alone."""
    proto = graph.model.graph
    nodes = []
    for node in proto.node:
        attributes = {one.name: onnx.helper.get_attribute_value(one) for one in node.attribute}
        nodes.append((node.op_type, node.domain, node.name, list(node.input), list(node.output), attributes))
    constants = {one.name: numpy_helper.to_array(one) for one in proto.initializer}
    return {
        "nodes": nodes,
        "constants": {name: (str(one.dtype), one.shape, one.tobytes()) for name, one in constants.items()},
        "shapes": {name: graph.get_tensor_shape(name) for name in graph.get_all_tensor_names()},
        "ends": [[one.name for one in ends] for ends in (proto.input, proto.output)],
        "versions": sorted((one.domain, one.version) for one in graph.model.opset_import),
        "form": graph.model.ir_version,
    }


def of_brevitas(model: Model) -> ModelWrapper:
    return export.clean(ModelWrapper(traced(build(model), torch.zeros(1, model.inputs))))


def drawn(seed: int) -> Model:
    """A chain of drawn operations of every kind; parameters are no trained network's."""
    random = np.random.default_rng(seed)
    size, ops = int(random.integers(1, 6)), []

    def scale(channels: int) -> np.ndarray:
        shape = [(), (1,), (channels,)][int(random.integers(3))]
        return random.uniform(0.01, 1.5, shape).astype(np.float32)

    def spec(channels: int, *, signed: bool, zero_point: int = 0) -> QuantSpec:
        bits = int(random.integers(1 if signed and not zero_point else 2, 9))
        narrow, rounding = bool(random.integers(2)) or bits == 1, str(random.choice(ROUNDING_MODES))
        return QuantSpec(bits, signed, narrow, scale(channels), zero_point, rounding)

    def values(*shape: int) -> np.ndarray:
        return random.normal(size=shape).astype(np.float32)

    for number in range(int(random.integers(2, 9))):
        kind = "dense" if not number else str(random.choice(["quantize", "dense", "batch_norm", "relu", "hard_tanh"]))
        if kind == "dense":
            inputs, size = size, int(random.integers(1, 6))
            tensors = {"weight": values(size, inputs)} | ({"bias": values(size)} if random.integers(2) else {})
            ops.append(Op(f"n{number}", kind, tensors, spec(size, signed=True)))
        elif kind == "batch_norm":
            tensors = {name: values(size) for name in chain.STATISTICS}
            tensors["running_var"] = abs(tensors["running_var"])
            ops.append(Op(f"n{number}", kind, tensors, epsilon=float(random.choice([1e-5, 1e-3, 0.0, 0.7]))))
        else:
            signed = kind != "relu" and bool(random.integers(2))
            plain = kind != "quantize" and random.integers(3) == 0
            offset = 0 if kind == "hard_tanh" or random.integers(2) else int(random.integers(1, 4))
            ops.append(Op(f"n{number}", kind, {}, None if plain else spec(size, signed=signed, zero_point=offset)))
    return check(Model(tuple(ops), {}, {}))


def quantized(model: Model) -> dict[str, np.ndarray]:
    """The weights of each layer as torch quantizes them."""
    layers = [layer for layer in build(model) if hasattr(layer, "quant_weight")]
    dense = [op for op in model.ops if op.kind == "dense"]
    with torch.no_grad():
        return {op.name: layer.quant_weight().value.numpy() for op, layer in zip(dense, layers, strict=True)}


@pytest.mark.parametrize("seed", range(60))
def test_a_drawn_chain(seed: int) -> None:
    """Weights are as a model keeps them of a module, already quantized; rounded to the nearest they stay that."""
    model = drawn(seed)
    weights = quantized(model)
    ops = []
    for op in model.ops:
        if op.kind == "dense" and op.quantizer is not None:
            tensors, nearest = {**op.tensors, "weight": weights[op.name]}, replace(op.quantizer, rounding="ROUND")
            ops.append(replace(op, tensors=tensors, quantizer=nearest))
        else:
            ops.append(op)
    kept = replace(model, ops=tuple(ops))
    assert content(export.export(kept)) == content(of_brevitas(kept))


@pytest.mark.parametrize("seed", range(60))
def test_weights_are_quantized_as_torch_does_it(seed: int) -> None:
    """In every rounding mode: of weights Brevitas exports that they are rounded to the nearest, whatever they are."""
    model = drawn(seed)
    graph = export.export(model)
    values = export.execute(graph, np.zeros((1, model.inputs)))
    constants = {one.name for one in graph.graph.initializer}
    given = [values[node.output[0]] for node in graph.graph.node if node.input[0] in constants]
    for ours, torchs in zip(given, quantized(model).values(), strict=True):
        assert np.array_equal(ours, torchs)


@pytest.mark.parametrize("options", [
    {}, {"bits": 1, "sparsity": 0.0}, {"per_channel": True}, {"power_of_two": True}, {"batch_norm": False},
    {"last_batch_norm": True}, {"widths": (1, 1)},
])  # fmt: skip
def test_a_network(options: dict[str, object]) -> None:
    model = random_model(5, **options)  # type: ignore[arg-type]
    assert content(export.export(model)) == content(of_brevitas(model))


def test_layers_have_their_names_as_labels() -> None:
    model = random_model(1)
    strange = replace(model, ops=tuple(replace(op, name=f"a b/{op.name}") for op in model.ops))
    labels = [node.doc_string for node in export.export(strange).graph.node if node.op_type == "Gemm"]
    assert labels == ["a b/fc1", "a b/fc2", "a b/fc3"]


def test_another_number_is_seen() -> None:
    model = random_model(1)
    norm = next(op for op in model.ops if op.kind == "batch_norm")
    other = replace(norm, tensors={**norm.tensors, "bias": norm.tensors["bias"] + np.float32(1e-6)})
    changed = replace(model, ops=tuple(other if op is norm else op for op in model.ops))
    assert content(export.export(changed)) != content(export.export(model))
