# SPDX-License-Identifier: Apache-2.0
"""Linear nodes of any shape as products with constants: the same as the nodes compute, on random frames."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from qap2fpga.ir.channelwise import Depthwise, Repeat
from qap2fpga.ir.geometry import Geometry
from qap2fpga.ir.joins import Concat, Sum
from qap2fpga.ir.linear import Linear
from qap2fpga.ir.nodes import Node
from qap2fpga.ir.tensors import Shape
from qap2fpga.prove import affine
from qap2fpga.prove.cells import NotProven

RANDOM = np.random.default_rng(3)
FRAME = Shape(2, 3, 3)
KERNEL = Geometry((2, 2), (1, 1), pads=(1, 0, 0, 1), pad=3)


def integers(*shape: int) -> np.ndarray:
    return RANDOM.integers(-4, 5, shape)


NODES: dict[str, tuple[Node, Sequence[Shape]]] = {
    "dense": (Linear(name="n", weights=integers(3, 2), weight_bits=3, input_bits=3), [Shape(3)]),
    "padded": (Linear(name="n", weights=integers(8, 3), weight_bits=3, input_bits=3, geometry=KERNEL), [FRAME]),
    "by channel": (Depthwise(name="n", weights=integers(4, 2), weight_bits=3, input_bits=3, geometry=KERNEL), [FRAME]),
    "sum": (Sum(name="n", sources=("a", "b"), multipliers=(3, -2)), [FRAME, FRAME]),
    "joined": (Concat(name="n", sources=("a", "b")), [Shape(2), Shape(3)]),
    "repeated": (Repeat(name="n", rows=2, columns=1), [FRAME]),
}  # fmt: skip


@pytest.mark.parametrize("name", NODES)
def test_a_node_is_its_products(name: str) -> None:
    node, shapes = NODES[name]
    size = node.shape(shapes).size
    its = affine.through(node, [affine.result(f"source {at}", one.size) for at, one in enumerate(shapes)], shapes, size)
    rows = [integers(7, shape.size) for shape in shapes]
    tensors = [shape.tensor(one) for shape, one in zip(shapes, rows, strict=True)]
    total = sum(one @ its.weights[f"source {at}"] for at, one in enumerate(rows)) + its.constants
    assert np.array_equal(total, node.evaluate(tensors).reshape(7, size))


def test_nodes_after_each_other_are_one() -> None:
    first, last = (Linear(name="n", weights=integers(2, 2), weight_bits=3, input_bits=3) for _ in range(2))
    shape = Shape(2)
    inner = affine.through(first, [affine.result("x", 2)], [shape], 2)
    outer = affine.through(last, [inner], [shape], 2)
    added = Sum(name="s", sources=("a", "x"), multipliers=(1, 1))
    both = affine.through(added, [outer, affine.result("x", 2)], [shape, shape], 2)
    assert np.array_equal(both.weights["x"], first.weights @ last.weights + np.eye(2, dtype=np.int64))


def test_what_is_too_large_is_said() -> None:
    with pytest.raises(NotProven, match="node n: as products of all its values it is too large"):
        affine.through(NODES["dense"][0], [affine.result("x", 3)], [Shape(1 << 20)], 1 << 10)
