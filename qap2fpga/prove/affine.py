# SPDX-License-Identifier: Apache-2.0
"""Linear nodes of a network as what they are together: sums of products with constants, of values further up.

Sums that no one cuts down are no results of their own: a residual sum of two layers is one sum over the inputs of both.
Frames of several positions are taken as all their values, side by side.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from qap2fpga.exact.integers import matmul, multiply_add
from qap2fpga.ir.nodes import Node
from qap2fpga.ir.tensors import Shape
from qap2fpga.prove.cells import NotProven

# Products of a node that sees frames, in all.
MOST_PRODUCTS = 1 << 25


@dataclass(frozen=True, eq=False)
class Affine:
    """Values (size,): the `constants`, and the results (n,) of other nodes times `weights` (n, size), by name."""

    weights: Mapping[str, np.ndarray]
    constants: np.ndarray


def result(name: str, size: int) -> Affine:
    """Return the results of the node `name` themselves."""
    return Affine({name: np.eye(size, dtype=np.int64)}, np.zeros(size, np.int64))


def through(node: Node, sources: Sequence[Affine], shapes: Sequence[Shape], size: int) -> Affine:
    """Return what the linear `node`, with `size` results, makes of its sources, which have the `shapes`.

    Raises `NotProven` where that is too large.
    """
    if size * sum(shape.size for shape in shapes) > MOST_PRODUCTS:
        raise NotProven(f"node {node.name}: as products of all its values it is too large")
    nothing = [np.zeros((1, shape.height, shape.width, shape.channels), np.int64) for shape in shapes]
    own = constants = node.evaluate(nothing).reshape(size)
    weights: dict[str, np.ndarray] = {}
    for number, (source, shape) in enumerate(zip(sources, shapes, strict=True)):
        each = shape.tensor(np.eye(shape.size, dtype=np.int64))
        others = [np.repeat(one, shape.size, axis=0) for one in nothing]
        units = node.evaluate([*others[:number], each, *others[number + 1 :]]).reshape(shape.size, size)
        matrix = multiply_add(units, 1, -own, node.name)
        for name, before in source.weights.items():
            product = matmul(before, matrix, node.name)
            weights[name] = multiply_add(product, 1, weights.get(name, 0), node.name)
        constants = multiply_add(matmul(source.constants[None], matrix, node.name)[0], 1, constants, node.name)
    return Affine(weights, constants)
