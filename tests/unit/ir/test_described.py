# SPDX-License-Identifier: Apache-2.0
"""Every kind of node in words."""

from __future__ import annotations

import numpy as np
import pytest

from qap2fpga.ir import described
from qap2fpga.ir.channelwise import Depthwise
from qap2fpga.ir.geometry import Geometry
from qap2fpga.ir.joins import Sum
from qap2fpga.ir.nodes import Node
from qap2fpga.ir.storage import KINDS
from qap2fpga.ir.tensors import Shape
from tests.support.graphs import residual, small_cnn


def test_a_graph_with_branches() -> None:
    nodes = {node.name: node for node in described.nodes(residual())}
    assert {name: node.what for name, node in nodes.items()} == {
        "in": "4x5 image of 2 channels", "conv": "conv 3x3, pads 1, 18x2 weights", "a": "quantized",
        "add": "sum of 2, times 3, -2", "b": "quantized", "pool": "largest of 2x2, stride 2",
        "mean": "sum of 2x2, stride 2", "both": "channels side by side",
        "large": "each row 1 times, each column 3 times", "dense": "dense, 48x3 weights",
    }  # fmt: skip
    assert (nodes["add"].sources, nodes["add"].signed) == (("a", "in"), True)
    assert (nodes["pool"].height, nodes["pool"].width, nodes["pool"].channels) == (2, 2, 2)
    assert (nodes["a"].bits, nodes["a"].signed) == (2, False)


def test_logits_and_kinds() -> None:
    nodes = {node.name: node for node in described.nodes(small_cnn())}
    assert nodes["logits"].what == "logits"
    assert [nodes[name].kind for name in ("in", "conv1", "pool", "dense")] == ["input", "conv", "max pool", "dense"]


def test_every_kind_of_node_has_words() -> None:
    kinds = {type(node) for graph in (residual(), small_cnn()) for node in graph.nodes}
    assert kinds == set(KINDS.values() if isinstance(KINDS, dict) else KINDS)
    with pytest.raises(TypeError, match="no words for a node of kind"):
        described.in_words(Strange(name="x"), Shape(1))  # type: ignore[abstract]


def test_depthwise_kernels() -> None:
    def words(weights: list[list[int]], geometry: Geometry) -> tuple[str, str]:
        node = Depthwise(name="d", weights=np.array(weights), weight_bits=2, input_bits=2, geometry=geometry)
        return described.in_words(node, Shape(1, 3, 3))

    assert words([[1], [-1]], Geometry((1, 2), (1, 2))) == ("depthwise", "depthwise 1x2, stride 1x2")
    assert words([[-1]], Geometry()) == ("factors", "a factor per channel")


def test_how_a_kernel_moves() -> None:
    assert described.moved(Geometry((3, 1), dilation=(2, 1), pads=(1, 0, 2, 0))) == "3x1, dilation 2x1, pads 1 0 2 0"
    assert described.in_words(Sum(name="s", multipliers=(1, 1)), Shape(1)) == ("sum", "sum of 2")


class Strange(Node):
    """A kind that nothing knows."""

    kind = "strange"


Strange.__abstractmethods__ = frozenset()
