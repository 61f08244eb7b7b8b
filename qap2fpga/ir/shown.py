# SPDX-License-Identifier: Apache-2.0
"""What a report shows of a graph, as values that load nothing: frames of its input, and its nodes in words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qap2fpga.system.codec import Count, Record, Size
from qap2fpga.system.errors import QapError

if TYPE_CHECKING:
    import numpy as np

REQUANTIZE = "requantize"


@dataclass(frozen=True, kw_only=True)
class Frame(Record):
    """A frame of `height` rows, `width` columns and `channels`, the channels of one position together.

    The model takes rows of the shape `model`. One of them, seen as the extents `parts` whose dimensions are then put
    into the order `moves`, has its values in the order of the frame.
    """

    height: Size
    width: Size
    channels: Size
    model: tuple[Size, ...]
    parts: tuple[Size, ...]
    moves: tuple[int, ...]

    def __post_init__(self) -> None:
        """Raise `QapError` where the three do not describe the same values."""
        size = self.height * self.width * self.channels
        if math.prod(self.model) != size or math.prod(self.parts) != size:
            what = f"a row of shape {list(self.model)}, in parts {list(self.parts)}, is no frame of {size} values"
            raise QapError(what, "build again")
        if sorted(self.moves) != list(range(len(self.parts))):
            raise QapError(f"{list(self.moves)} is no order of {len(self.parts)} dimensions", "build again")

    @property
    def title(self) -> str:
        """Return what it is called: an image, a signal or a vector, with its extents."""
        return titled(self.height, self.width, self.channels)

    @property
    def row(self) -> str:
        """Return the shape of the model's rows, with the dimension that counts them."""
        return f"(n, {', '.join(map(str, self.model))})"

    def frames(self, rows: np.ndarray) -> np.ndarray:
        """Return rows (n, *model) as frames (n, size), in the order in which hardware takes their values."""
        parts = rows.reshape(len(rows), *self.parts)
        return parts.transpose(0, *(place + 1 for place in self.moves)).reshape(len(rows), -1)


@dataclass(frozen=True)
class Head(Record):
    """An output of the model among the values that leave the chip: `size` of them, from number `first` on."""

    name: str
    first: Count
    size: Size


@dataclass(frozen=True, kw_only=True)
class Described(Record):
    """A node: `what` it does to the results of its `sources`, and the extents and integers of its own result."""

    name: str
    kind: str
    what: str
    sources: tuple[str, ...]
    height: Size
    width: Size
    channels: Size
    bits: Count
    signed: bool


def titled(height: int, width: int, channels: int) -> str:
    """Return what a tensor of these extents is called."""
    if height == width == 1:
        return f"vector of {channels} values"
    plural = "channel" if channels == 1 else "channels"
    if height == 1 or width == 1:
        return f"signal of {height * width} positions, {channels} {plural}"
    return f"{height}x{width} image of {channels} {plural}"


def frame(shape: Sequence[int], model: Sequence[int], factors: Sequence[tuple[int, int]]) -> Frame:
    """Return the frame of extents `shape` (height, width, channels) that a row of shape `model` becomes.

    `factors` are (extent, distance in the frame), the outermost dimension of the row first.
    """
    height, width, channels = shape
    order = sorted(range(len(factors)), key=lambda place: -factors[place][1])
    parts = tuple(size for size, _ in factors)
    return Frame(height=height, width=width, channels=channels, model=tuple(model), parts=parts, moves=tuple(order))
