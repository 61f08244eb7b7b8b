# SPDX-License-Identifier: Apache-2.0
"""QONNX graphs, built node by node."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

QONNX = "qonnx.custom_op.general"
CHANNELS_LAST = "qonnx.custom_op.channels_last"


class Builder:
    """Nodes of a graph whose input is `x` of `shape`; each method adds one and returns the name of its result."""

    def __init__(self, shape: tuple[int, ...], opset: int = 13) -> None:
        self.shape, self.opset = shape, opset
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, np.ndarray] = {}

    def constant(self, value: Any, kind: type = np.float32) -> str:
        """Store a constant."""
        name = f"c{len(self.constants)}"
        self.constants[name] = np.asarray(value, kind)
        return name

    def add(self, operator: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """Add any node."""
        name = f"{operator.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [f"{name}.y"], name, domain=domain, **attributes))
        return f"{name}.y"

    def quant(
        self, tensor: str, scale: Any, bits: int = 4, *, signed: bool = True, narrow: bool = False, zero: float = 0,
        rounding: str = "ROUND",
    ) -> str:  # fmt: skip
        """Quantize a tensor."""
        constants = [self.constant(value) for value in (scale, zero, bits)]
        options = {"signed": int(signed), "narrow": int(narrow), "rounding_mode": rounding}
        return self.add("Quant", tensor, *constants, domain=QONNX, **options)

    def weights(self, values: Any, scale: Any = 1.0, bits: int = 4) -> str:
        """Store floats and quantize them."""
        return self.quant(self.constant(values), scale, bits)

    def batch_norm(self, tensor: str, gamma: Any, beta: Any, mean: Any, variance: Any, **attributes: Any) -> str:
        """Normalize channels."""
        parameters = [self.constant(value) for value in (gamma, beta, mean, variance)]
        return self.add("BatchNormalization", tensor, *parameters, **attributes)

    def model(self, output: str, *more: str) -> onnx.ModelProto:
        """Return the graph whose output is `output`."""
        graph = helper.make_graph(
            self.nodes,
            "graph",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, list(self.shape))],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in (output, *more)],
            [numpy_helper.from_array(value, name) for name, value in self.constants.items()],
        )
        imports = [helper.make_opsetid("", self.opset), helper.make_opsetid(QONNX, 1)]
        if any(node.domain == CHANNELS_LAST for node in self.nodes):
            imports.append(helper.make_opsetid(CHANNELS_LAST, 1))
        return helper.make_model(graph, opset_imports=imports, ir_version=8)
