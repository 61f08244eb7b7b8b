# SPDX-License-Identifier: Apache-2.0
"""How large what is added up on the way to a sum can be, and how often a float execution rounds on that way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from qap2fpga.frontend.values import RawNode
from qap2fpga.ir.channelwise import Depthwise, Max
from qap2fpga.ir.joins import Sum
from qap2fpga.ir.linear import Linear
from qap2fpga.ir.nodes import Node
from qap2fpga.ir.windowed import Weighted


@dataclass(frozen=True)
class Sums:
    """`integers` (n, height, width, channels) of a node, the `sizes` that bound the sums of absolute values which they

    were added up from, and the `roundings` of a float execution up to them.
    """

    integers: np.ndarray
    sizes: np.ndarray
    roundings: int

    @staticmethod
    def of(activations: np.ndarray) -> Sums:
        """Return those of activations, which nothing was rounded for."""
        return Sums(activations, np.abs(activations), 0)

    def some(self, rows: np.ndarray) -> Sums:
        """Return those of the vectors `rows`."""
        return replace(self, integers=self.integers[rows], sizes=self.sizes[rows])


def sums(raw: RawNode, node: Node, sources: Sequence[Sums]) -> Sums:
    """Return what `node`, read as `raw`, makes of its sources."""
    before = [
        source.roundings + (signal.affine.steps if raw.stored is not None else 0)
        for signal, source in zip(raw.entering, sources, strict=True)
    ]
    return Sums(
        node.evaluate([source.integers for source in sources]),
        _absolute(node).evaluate([source.sizes for source in sources]),
        max(before) + _additions(node),
    )


def _additions(node: Node) -> int:
    """How many values a node adds up."""
    if isinstance(node, Weighted):
        return node.inputs
    return len(node.sources) if isinstance(node, Sum) else 0


def _absolute(node: Node) -> Node:
    """The node that bounds the sums of absolute values."""
    if isinstance(node, Linear | Depthwise):
        geometry = replace(node.geometry, pad=abs(node.geometry.pad))
        return replace(node, weights=np.abs(node.weights), geometry=geometry)
    if isinstance(node, Max):
        return replace(node, geometry=replace(node.geometry, pad=0))
    if isinstance(node, Sum):
        return replace(node, multipliers=tuple(map(abs, node.multipliers)))
    return node
