# SPDX-License-Identifier: Apache-2.0
"""How large what is added up on the way to a sum can be, and how often a float execution rounds on that way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from qap2fpga.frontend.values import RawNode
from qap2fpga.ir.channelwise import Depthwise, Max
from qap2fpga.ir.joins import Sum
from qap2fpga.ir.linear import Linear
from qap2fpga.ir.nodes import Node
from qap2fpga.ir.windowed import Weighted


@dataclass(frozen=True)
class Sums:
    """`integers` (n, height, width, channels) of a node, and the `roundings` of a float execution up to them.

    `absolute` bounds, of its `sources`, the sums of absolute values which they were added up from; None: activations.
    """

    integers: np.ndarray
    roundings: int = 0
    absolute: Node | None = None
    sources: tuple[Sums, ...] = ()

    @cached_property
    def sizes(self) -> np.ndarray:
        """What bounds the sums of absolute values which the integers were added up from; only if somebody asks."""
        if self.absolute is None:
            return np.abs(self.integers)
        return self.absolute.evaluate([source.sizes for source in self.sources])

    def some(self, rows: np.ndarray) -> Sums:
        """Return those of the vectors `rows`."""
        sources = tuple(source.some(rows) for source in self.sources)
        return replace(self, integers=self.integers[rows], sources=sources)


def sums(raw: RawNode, node: Node, sources: Sequence[Sums]) -> Sums:
    """Return what `node`, read as `raw`, makes of its sources."""
    before = [
        source.roundings + (signal.affine.steps if raw.stored is not None else 0)
        for signal, source in zip(raw.entering, sources, strict=True)
    ]
    integers = node.evaluate([source.integers for source in sources])
    return Sums(integers, max(before) + _additions(node), _absolute(node), tuple(sources))


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
