# SPDX-License-Identifier: Apache-2.0
"""Widths that FINN's RTL can take, for nodes of any geometry."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from qap2fpga.backends.finn.sparse.matrix import Matrix
from qap2fpga.backends.finn.stream.blocks import Kind
from qap2fpga.exact.integers import width
from qap2fpga.ir.channelwise import Depthwise
from qap2fpga.ir.functions import Step
from qap2fpga.ir.geometry import Geometry
from qap2fpga.ir.linear import Linear
from qap2fpga.ir.tensors import Range, Shape


def whole_frame(geometry: Geometry, shape: Shape) -> bool:
    """Return whether the kernel sees all of a frame at once: then its beats come in the order of the weights."""
    return geometry.sees_whole(shape) and shape.positions > 1


def is_pair(geometry: Geometry, shape: Shape, fold: int) -> bool:
    """Return whether two beats are all that a frame gives: FINN's window generator would have counters without bits."""
    return fold == 1 and geometry.taps == 2 and geometry.output(shape, 1).positions == 1


def passes_by(geometry: Geometry, shape: Shape, fold: int) -> bool:
    """Return whether the two beats are the whole frame: they come in the order of the taps without a generator."""
    return shape.positions == 2 and is_pair(geometry, shape, fold)


# One node's weights are looked at once, however many foldings of it are.
@lru_cache(maxsize=512)
def narrow_weight_bits(node: Linear | Depthwise) -> int:
    """Return the bits of the narrowest signed type of 2 bits or more whose lowest value no weight uses."""
    return max(2, int(np.abs(node.weights).max(initial=0)).bit_length() + 1)


@lru_cache(maxsize=512)
def density(node: Linear | Depthwise) -> float:
    """Return the part of the weights that is not zero."""
    return float(np.mean(node.weights != 0))


@lru_cache(maxsize=512)
def matrix(node: Linear) -> Matrix:
    """Return the weights with what is known of their sparse foldings."""
    return Matrix(node.name, node.weights, narrow_weight_bits(node))


@lru_cache(maxsize=512)
def _partial_sums(node: Linear | Depthwise, source: Range) -> int:
    """The bits of all partial sums: with zeros for the taps that are missing."""
    ends = node.range([Range(np.minimum(source.low, 0), np.maximum(source.high, 0))])
    return width(min(ends.lowest, -1), ends.highest)


def accumulator(node: Linear | Depthwise, source: Range, taken: Kind) -> Kind:
    """Return the type of the sums, and of all their partial sums; at least as wide as a product."""
    return Kind(max(_partial_sums(node, source), narrow_weight_bits(node) + taken.bits - taken.signed), True)


def rows_of(step: Step, source: Range, *, counted: bool) -> np.ndarray:
    """Return thresholds (channels, 2**n - 1), of which a value passes as many as its level is above the base.

    A step of more than 1 is that many equal thresholds. With `counted`, the number of thresholds is all that is wanted.
    Unused ones are never reached.
    """
    rows = step.thresholds if counted else np.repeat(step.thresholds, step.step, axis=1)
    missing = (1 << width(0, rows.shape[1])) - 1 - rows.shape[1]
    never = source.highest + 1
    rows = np.concatenate([rows, np.full((len(rows), missing), never, np.int64)], axis=1)
    return np.clip(rows, source.lowest, never)
