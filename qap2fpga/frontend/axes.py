# SPDX-License-Identifier: Apache-2.0
"""Where the values of a graph's tensor stand in a frame of (height, width, channels).

A graph may keep channels first or last, flatten a frame or move its dimensions: none of that changes a frame, only how
its values are found. A dimension is made of factors (extent, distance in the frame), the outermost first.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from qap2fpga.ir.tensors import Shape

Factors = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Axes:
    """The dimensions of one row of a tensor: without the one that counts the rows."""

    dims: tuple[Factors, ...]

    @staticmethod
    def of(shape: Shape, spatial: int, *, last: bool) -> Axes:
        """Return the axes of a frame of `shape` with so many `spatial` dimensions, before which or after which (`last`)
        stand its channels.
        """
        channels, rows, columns = _of_frame(shape)
        places = (rows, columns)[2 - spatial :]
        return Axes((*places, channels) if last else (channels, *places))

    @property
    def shape(self) -> tuple[int, ...]:
        """The extents of a row."""
        return tuple(math.prod(size for size, _ in factors) for factors in self.dims)

    @property
    def factors(self) -> Factors:
        """The factors of all dimensions, the outermost first."""
        return tuple(factor for one in self.dims for factor in one)

    def transposed(self, order: Sequence[int]) -> Axes:
        """Return the axes with dimension `order[i]` in place i."""
        return Axes(tuple(self.dims[place] for place in order))

    def reshaped(self, shape: Sequence[int]) -> Axes:
        """Return the axes of the same values in rows of another `shape`. Raises `ValueError` if it has another size."""
        if math.prod(shape) != math.prod(self.shape):
            raise ValueError(f"rows of shape {self.shape} cannot be rows of shape {tuple(shape)}")
        rest = list(self.factors[::-1])
        return Axes(tuple(_merged(_taken(rest, size)) for size in shape))

    def with_channels(self, before: int, after: int) -> Axes:
        """Return the axes of a frame with other channels, which are the last dimension."""
        places = [tuple((size, distance // before * after) for size, distance in factors) for factors in self.dims[:-1]]
        return Axes((*places, _merged(((after, 1),))))

    def frames(self, values: np.ndarray) -> np.ndarray:
        """Return rows (n, ...) of the tensor as frames (n, size)."""
        factors = self.factors
        order = sorted(range(len(factors)), key=lambda place: -factors[place][1])
        parts = values.reshape(len(values), *(size for size, _ in factors))
        return parts.transpose(0, *(place + 1 for place in order)).reshape(len(values), -1)

    def rows(self, frames: np.ndarray) -> np.ndarray:
        """Return frames (n, size) as rows (n, ...) of the tensor."""
        factors = self.factors
        order = sorted(range(len(factors)), key=lambda place: -factors[place][1])
        parts = frames.reshape(len(frames), *(factors[place][0] for place in order))
        back = np.argsort(order)
        return parts.transpose(0, *(place + 1 for place in back)).reshape(len(frames), *self.shape)

    def per_channel(self, values: np.ndarray, channels: int) -> list[Fraction]:
        """Return one of `values`, which broadcast against a row, for each of so many channels.

        Raises `ValueError` where they do not broadcast, or differ between positions.
        """
        while values.ndim > len(self.dims) and values.shape[0] == 1:
            values = values[0]
        if values.ndim > len(self.dims) or any(
            one not in (1, extent) for one, extent in zip(values.shape[::-1], self.shape[::-1], strict=False)
        ):
            raise ValueError(f"of shape {values.shape} does not fit rows of shape {self.shape}")
        values = values.reshape((1,) * (len(self.dims) - values.ndim) + values.shape)
        factors: list[tuple[int, int]] = []
        for size, one in zip(values.shape, self.dims, strict=True):
            factors += [(1, 1)] if size == 1 else _split(one, channels)
        parts = values.reshape([size for size, _ in factors])
        inner = [place for place, (_, distance) in enumerate(factors) if distance < channels]
        outer = [place for place in range(len(factors)) if place not in inner]
        parts = parts.transpose(*outer, *sorted(inner, key=lambda place: -factors[place][1]))
        parts = parts.reshape(math.prod(factors[place][0] for place in outer), *parts.shape[len(outer) :])
        if (parts != parts[:1]).any():
            raise ValueError("has other values at other positions of a frame; one per channel is supported")
        return self._spread(parts[0], [factors[place] for place in inner], channels)

    @staticmethod
    def _spread(values: np.ndarray, factors: list[tuple[int, int]], channels: int) -> list[Fraction]:
        """The value of each channel, of which `values` hold those of the `factors` that they vary over."""
        numbers = np.arange(channels)
        index = tuple(numbers // distance % size for size, distance in sorted(factors, key=lambda factor: -factor[1]))
        return list(np.broadcast_to(values[index] if index else values, channels))


def _of_frame(shape: Shape) -> tuple[Factors, Factors, Factors]:
    """Channels, rows and columns of a frame."""
    across = shape.channels
    return (
        _merged(((shape.channels, 1),)),
        _merged(((shape.height, across * shape.width),)),
        _merged(((shape.width, across),)),
    )


def _taken(rest: list[tuple[int, int]], size: int) -> Factors:
    """Take the outermost factors of `size` values from the end of `rest`; one may have to be divided."""
    factors = []
    while size > 1:
        extent, distance = rest.pop()
        common = extent if size % extent == 0 else size
        if extent % common:
            raise ValueError(f"a dimension of {extent} would have to be divided into parts of {size}")
        if common < extent:
            rest.append((extent // common, distance))
        factors.append((common, distance * (extent // common)))
        size //= common
    return tuple(factors)


def _split(factors: Factors, channels: int) -> list[tuple[int, int]]:
    """The same with no factor that goes over channels and over positions."""
    parts = []
    for size, distance in factors:
        inner = channels // distance
        parts += [(size // inner, channels), (inner, distance)] if 1 <= inner < size else [(size, distance)]
    return parts


def _merged(factors: Factors) -> Factors:
    """The same with as few factors as possible."""
    merged: list[tuple[int, int]] = []
    for size, distance in factors:
        if size == 1:
            continue
        if merged and merged[-1][1] == size * distance:
            merged[-1] = (merged[-1][0] * size, distance)
        else:
            merged.append((size, distance))
    return tuple(merged)
