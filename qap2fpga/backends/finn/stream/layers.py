# SPDX-License-Identifier: Apache-2.0
"""A drawn design as a graph of FINN's hardware layers and our operators, and its comparison with the integer network.

FINN's own way from Im2Col and MatMul to these layers guesses at shapes, and breaks on branches: the layers are written
down here, with every attribute.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from onnx import TensorProto, helper
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.custom_op.registry import getCustomOp
from qonnx.util.basic import qonnx_make_model

from qap2fpga.backends.finn.stream import own
from qap2fpga.backends.finn.stream.blocks import Block, Stream
from qap2fpga.backends.finn.stream.draw import INPUT, Drawn
from qap2fpga.backends.finn.stream.operators import DOMAIN
from qap2fpga.ir.functions import Step
from qap2fpga.ir.graph import Graph
from qap2fpga.ir.nodes import Requantizer
from qap2fpga.system.errors import CheckFailed
from qap2fpga.system.quiet import quiet

FINN_DOMAIN = "finn.custom_op.fpgadataflow.rtl"


def write(drawn: Drawn) -> ModelWrapper:
    """Return the graph of all blocks but the output stage's."""
    blocks = [block for block in drawn.blocks if not isinstance(block, own.End)]
    values = {INPUT: drawn.source} | {target: block.given for block in blocks for target in block.targets}
    last = blocks[-1].targets[0] if blocks else INPUT
    graph = helper.make_graph(
        [_node(block) for block in blocks], "network", [_value(INPUT, drawn.source)], [_value(last, values[last])],
        value_info=[_value(name, stream) for name, stream in values.items() if name not in (INPUT, last)],
    )  # fmt: skip
    model = ModelWrapper(qonnx_make_model(graph, producer_name="qap2fpga"))
    for name, stream in values.items():
        model.set_tensor_datatype(name, DataType[stream.kind.finn])
    for block in blocks:
        for key, (constant, kind) in block.constants().items():
            name = f"{block.name}_{key}"
            model.set_initializer(name, constant.astype(np.float32))
            model.set_tensor_datatype(name, DataType[kind.finn])
    for node in model.graph.node:
        if node.domain == FINN_DOMAIN and "exec_mode" in getCustomOp(node).get_nodeattr_types():
            getCustomOp(node).set_nodeattr("exec_mode", "cppsim")
    return model


def _node(block: Block) -> object:
    constants = [f"{block.name}_{key}" for key in block.constants()]
    extra = {"backend": "fpgadataflow"} if block.library else {}
    return helper.make_node(
        block.op, [*block.sources, *constants], list(block.targets), name=block.name,
        domain=FINN_DOMAIN if block.library else DOMAIN, **block.attributes(), **extra,
    )  # fmt: skip


def _value(name: str, stream: Stream) -> object:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, *stream.shape])


class Comparison:
    """The results of `graph` for input integers (n, inputs), with which every step's graph is compared."""

    def __init__(self, graph: Graph, drawn: Drawn, inputs: np.ndarray) -> None:
        self.graph, self.drawn, self.inputs = graph, drawn, inputs
        results = graph.trace(inputs)
        last = graph[graph.output]
        if isinstance(last, Requantizer) and isinstance(last.function, Step):
            # At the end of the network thresholds are counted; the output stage makes levels of the counts.
            results[last.name] = last.function.counted(results[last.name])
        self.results = results

    def compare(self, step: str, model: ModelWrapper) -> None:
        """Execute `model`. Raises `CheckFailed` naming step, node, channel, position and vector."""
        shown = [block for block in self.drawn.blocks if block.shows]
        for vector, frame in enumerate(self.inputs):
            values = {INPUT: frame.astype(np.float32).reshape(1, *self.drawn.source.shape)}
            with quiet():
                context = execute_onnx(model, values, return_full_exec_context=True)
            for block in shown:
                self._block(step, block, context[block.targets[0]], vector)

    def _block(self, step: str, block: Block, values: np.ndarray, vector: int) -> None:
        found, expected = values.reshape(-1), self.results[block.node][vector]
        wrong = np.flatnonzero(found != expected)
        if not len(wrong):
            return
        rows, columns, channels = block.given.shape
        position, channel = divmod(int(wrong[0]), channels)
        where = f", row {position // columns}, column {position % columns}" if rows * columns > 1 else ""
        raise CheckFailed(
            f"FINN step '{step}' changed the network: node {block.node}, "
            f"channel {self.graph[block.node].channel_name(channel)}{where}, vector {vector}: "
            f"{found[wrong[0]]:g}, must be {expected[wrong[0]]} ({len(wrong)} of {expected.size} differ)",
            f"vector {vector} is {self.inputs[vector].tolist()}",
        )


def generated(model: ModelWrapper, block: Block) -> Path:
    """Return the folder with FINN's RTL of a block."""
    return Path(getCustomOp(model.get_node_from_name(block.name)).get_nodeattr("code_gen_dir_ipgen"))
