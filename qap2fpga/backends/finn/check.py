# SPDX-License-Identifier: Apache-2.0
"""Execute FINN's graph after a step and compare every layer with the integer network, exactly."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.custom_op.registry import getCustomOp

from qap2fpga.ir.graph import Graph
from qap2fpga.system.errors import CheckFailed
from qap2fpga.system.quiet import quiet

# Attributes of FINN's nodes that hold a tensor's shape, so also the number of vectors.
SHAPES = ("inShape", "outShape", "folded_shape", "normal_shape")


def stimuli(network: Graph, vectors: np.ndarray, count: int = 32) -> np.ndarray:
    """Input integers (n, inputs): all at the minimum, all at the maximum, alternating, then `count` vectors."""
    low, high = (np.broadcast_to(ends, network.inputs) for ends in (network.input.lows, network.input.highs))
    odd = np.arange(network.inputs) % 2
    extremes = [low, high, np.where(odd, high, low), np.where(odd, low, high)]  # fmt: skip
    return np.concatenate([np.stack(extremes), vectors[:count]]).astype(np.int64)


class Reference:
    """The integers that each layer must show, for one set of input vectors.

    `outputs` is how many neurons a layer has in FINN's graph: those beyond the network's must show 0.
    """

    def __init__(self, network: Graph, inputs: np.ndarray, outputs: Sequence[int]) -> None:
        self.inputs = inputs
        self.names = [layer.name for layer in network.layers]
        self.accumulators, self.counts = [], []
        results = network.trace(inputs)
        for layer, size in zip(network.layers, outputs, strict=True):
            dummies = (0, 0), (0, size - layer.outputs)
            self.accumulators.append(np.pad(results[layer.name], dummies))
            self.counts.append(np.pad(layer.counted(results[layer.requantizer.name]), dummies))

    def compare(self, step: str, model: ModelWrapper) -> None:
        """Execute `model` and compare. Raises `CheckFailed` naming step, layer, channel and vector."""
        layers = {"sums": 0, "activations": 0}
        for kind, values in execute(model, self.inputs):
            layer = layers[kind]
            layers[kind] += 1
            expected = (self.accumulators if kind == "sums" else self.counts)[layer]
            if values.shape != expected.shape:
                raise CheckFailed(f"FINN step '{step}': layer {self.names[layer]} has shape {values.shape}")
            wrong = np.argwhere(values != expected)
            if len(wrong):
                vector, channel = (int(value) for value in wrong[0])
                what = "accumulator" if kind == "sums" else "activation"
                raise CheckFailed(
                    f"FINN step '{step}' changed the network: layer {self.names[layer]}, channel {channel}, "
                    f"vector {vector}: {what} {values[vector, channel]:g}, must be {expected[vector, channel]} "
                    f"({len(wrong)} of {expected.size} differ)",
                    f"vector {vector} is {self.inputs[vector].tolist()}",
                )
        if layers["sums"] != len(self.names):
            raise CheckFailed(f"FINN step '{step}' left {layers['sums']} of {len(self.names)} layers")


def execute(model: ModelWrapper, inputs: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """What every layer computes, in order: ('sums' or 'activations', values (n, channels))."""
    batch = _batched(model, len(inputs))
    name = batch.graph.input[0].name
    with quiet():
        context = execute_onnx(batch, {name: inputs.astype(np.float32)}, return_full_exec_context=True)
    results = []
    for node in batch.graph.node:
        if node.op_type.startswith(("MatMul", "MVAU")):
            results.append(("sums", context[node.output[0]]))
        elif node.op_type.startswith(("MultiThreshold", "Thresholding")):
            results.append(("activations", context[node.output[0]]))
    if batch.graph.node[-1].output[0] != batch.graph.output[0].name:
        raise CheckFailed("the last node of FINN's graph is not its output")
    return results


def _batched(model: ModelWrapper, count: int) -> ModelWrapper:
    """A copy of `model`, whose tensors are (1, channels), for `count` vectors at once."""
    batch = ModelWrapper(copy.deepcopy(model.model))
    graph = batch.graph
    for value in [*graph.input, *graph.output, *graph.value_info]:
        if batch.get_initializer(value.name) is None:
            value.type.tensor_type.shape.dim[0].dim_value = count
    for node in graph.node:
        if node.domain.startswith("finn"):
            instance = getCustomOp(node)
            legal = instance.get_nodeattr_types()
            if "numInputVectors" in legal:
                instance.set_nodeattr("numInputVectors", [count])
            for attribute in SHAPES:
                if attribute in legal:
                    instance.set_nodeattr(attribute, [count, *list(instance.get_nodeattr(attribute))[1:]])
            if "exec_mode" in legal:
                instance.set_nodeattr("exec_mode", "cppsim")
    return batch
