# SPDX-License-Identifier: Apache-2.0
"""A graph that is being written anew: its constants, new tensors and new nodes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import count

import numpy as np
from onnx import ModelProto, NodeProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from qap2fpga.frontend.dialects.datatypes import IntegerType
from qap2fpga.frontend.external import first_line
from qap2fpga.frontend.operators import ONNX_DOMAINS, QONNX_DOMAIN, ROUNDS_FIRST
from qap2fpga.frontend.survey import FOLDED
from qap2fpga.frontend.values import label, refused

DEEPEST = 100  # of constants that are computed from constants
LARGEST = 1 << 26  # product of the sizes of what a constant is computed from


class Rewriting:
    """A copy of `model`, of which each node is kept or replaced in order."""

    def __init__(self, model: ModelProto) -> None:
        self.model = ModelProto()
        self.model.CopyFrom(model)
        self.nodes = list(self.model.graph.node)
        self._written: list[NodeProto] = []
        self._read = {name for node in self.nodes for name in node.input}
        self._producers = {name: node for node in self.nodes for name in node.output}
        self._stored = {tensor.name: tensor for tensor in self.model.graph.initializer}
        self._constants: dict[str, np.ndarray | None] = {}
        self._taken = {*self._stored, *self._producers, *(value.name for value in self.model.graph.input)}

    def producer(self, tensor: str, kind: str, domains: Sequence[str] = ONNX_DOMAINS) -> NodeProto | None:
        """Return the node that gives `tensor`, if it is the operator `kind` of one of the `domains`."""
        node = self._producers.get(tensor)
        return node if node is not None and node.op_type == kind and node.domain in domains else None

    def constant(self, tensor: str, depth: int = 0) -> np.ndarray | None:
        """Return the value of `tensor` if it is stored, or computed from stored ones by harmless operators."""
        if tensor not in self._constants:
            stored = self._stored.get(tensor)
            self._constants[tensor] = (
                self._computed(tensor, depth) if stored is None else np.asarray(numpy_helper.to_array(stored))
            )
        return self._constants[tensor]

    def _computed(self, tensor: str, depth: int) -> np.ndarray | None:
        node = self._producers.get(tensor)
        if (
            node is None
            or node.op_type not in (*FOLDED, "ConstantOfShape")
            or node.domain not in ONNX_DOMAINS
            or depth > DEEPEST
        ):
            return None
        values: dict[str, np.ndarray] = {}
        for name in filter(None, node.input):
            value = self.constant(name, depth + 1)
            if value is None:
                return None
            values[name] = value
        sizes = sorted((max(1, value.size) for value in values.values()), reverse=True)
        wanted = values[node.input[0]].reshape(-1).tolist() if node.op_type == "ConstantOfShape" else sizes[:2]
        if not 0 < math.prod(wanted) <= LARGEST:
            raise refused(node, "it computes a constant, of a size that nobody can mean")
        opset = max((entry.version for entry in self.model.opset_import if entry.domain in ONNX_DOMAINS), default=1)
        try:
            with np.errstate(all="ignore"):
                return np.asarray(ReferenceEvaluator(node, opsets={"": opset}).run([tensor], values)[0])
        except Exception as error:  # whatever the node's evaluation raises
            raise refused(node, f"it computes a constant, and cannot be evaluated: {first_line(error)}") from error

    def store(self, hint: str, value: np.ndarray) -> str:
        """Return the name of a new stored tensor of that value."""
        name = self.fresh(hint)
        self.model.graph.initializer.append(numpy_helper.from_array(value, name))
        return name

    def fresh(self, hint: str) -> str:
        """Return a name that no tensor has."""
        name = next(name for number in count() if (name := f"{hint}_{number}") not in self._taken)
        self._taken.add(name)
        return name

    def keep(self, node: NodeProto, changed: Mapping[int, str] | None = None) -> None:
        """Write `node` next, with some of its inputs changed."""
        for place, name in (changed or {}).items():
            node.input[place] = name
        self._written.append(node)

    def write(
        self, kind: str, inputs: Sequence[str], output: str, old: NodeProto,
        options: Mapping[str, object] | None = None, domain: str = "",
    ) -> None:  # fmt: skip
        """Write a new node next, which people know by the label of the `old` one that it stands for."""
        node = helper.make_node(kind, inputs, [output], domain=domain, **(options or {}))
        node.doc_string = label(old)
        self._written.append(node)

    def quantize(
        self, source: str, output: str, scale: np.ndarray, kind: IntegerType, old: NodeProto, zero_point: int = 0
    ) -> None:
        """Write a quantizer of `source` next: to the integers of `kind` times `scale`."""
        if kind.bipolar:
            self.write("BipolarQuant", [source, self.store(output, scale)], output, old, domain=QONNX_DOMAIN)
            return
        numbers = [np.float32(value).reshape(()) for value in (zero_point, kind.bits)]
        inputs = [source, *(self.store(output, np.asarray(value)) for value in (scale, *numbers))]
        options: dict[str, object] = {"signed": int(kind.signed), "narrow": int(kind.narrow), "rounding_mode": "ROUND"}
        options |= {ROUNDS_FIRST: 1} if zero_point else {}
        self.write("Quant", inputs, output, old, options, QONNX_DOMAIN)

    def finished(self) -> ModelProto:
        """Return the model of what was written, without dead tensors and nodes."""
        wanted, nodes = {value.name for value in self.model.graph.output}, []
        for node in reversed(self._written):
            if wanted.intersection(node.output) or not self._read.intersection(node.output):
                wanted.update(node.input)
                nodes.append(node)
        nodes.reverse()
        kept = [NodeProto.FromString(node.SerializeToString()) for node in nodes]
        graph = self.model.graph
        for place in reversed(range(len(graph.initializer))):
            if graph.initializer[place].name not in wanted:
                del graph.initializer[place]
        del graph.node[:]
        graph.node.extend(kept)
        return self.model
