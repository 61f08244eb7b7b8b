# SPDX-License-Identifier: Apache-2.0
"""What passes between two nodes: the shape of a tensor of integers, and the range of each of its channels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qap2fpga.exact.integers import width


@dataclass(frozen=True)
class Shape:
    """Extents of a tensor, channels last. A vector has one row and one column.

    Its values are handed on as rows of `size` integers, one row per frame, in the order (height, width, channels).
    """

    channels: int
    height: int = 1
    width: int = 1

    @property
    def size(self) -> int:
        """Integers of one frame."""
        return self.positions * self.channels

    @property
    def positions(self) -> int:
        """Rows times columns."""
        return self.height * self.width

    def tensor(self, rows: np.ndarray) -> np.ndarray:
        """Return frames (n, size) as (n, height, width, channels)."""
        return rows.reshape(len(rows), self.height, self.width, self.channels)

    def __str__(self) -> str:
        return str(self.channels) if self.size == self.channels else f"{self.height}x{self.width}x{self.channels}"


@dataclass(frozen=True, eq=False)
class Range:
    """The smallest and the largest integer that each channel can hold, two arrays (channels,) of int64."""

    low: np.ndarray
    high: np.ndarray

    @staticmethod
    def uniform(low: int, high: int, channels: int) -> Range:
        """The same range for each of `channels`."""
        return Range(np.full(channels, low, np.int64), np.full(channels, high, np.int64))

    @property
    def lowest(self) -> int:
        """The smallest integer in any channel."""
        return int(self.low.min())

    @property
    def highest(self) -> int:
        """The largest integer in any channel."""
        return int(self.high.max())

    @property
    def ends(self) -> list[tuple[int, int]]:
        """(low, high) of every channel, as Python integers."""
        return list(zip(self.low.tolist(), self.high.tolist(), strict=True))

    @property
    def bits(self) -> int:
        """Bits of the smallest type that holds every channel."""
        return width(self.lowest, self.highest)

    @property
    def signed_bits(self) -> int:
        """Bits of the smallest signed type that holds every channel."""
        return width(min(self.lowest, -1), self.highest)

    @property
    def constant(self) -> np.ndarray:
        """Which channels hold one value only, (channels,) bool."""
        return np.asarray(self.low == self.high)

    def contains(self, values: np.ndarray) -> np.ndarray:
        """Which of `values` (n, size) lie within, element by element; channels vary fastest."""
        channels = values.reshape(len(values), -1, len(self.low))
        return np.asarray((channels >= self.low) & (channels <= self.high)).reshape(values.shape)


@dataclass(frozen=True, eq=False)
class Code:
    """What stands for a tensor's values: `value = step * code + base`, int64 (channels,), steps above 0."""

    step: np.ndarray
    base: np.ndarray

    @staticmethod
    def plain(channels: int) -> Code:
        """The values themselves."""
        return Code(np.ones(channels, np.int64), np.zeros(channels, np.int64))

    @staticmethod
    def shifted(base: np.ndarray) -> Code:
        """The values less `base` (channels,)."""
        return Code(np.ones_like(base), base)

    @property
    def common_step(self) -> int:
        """The step of all channels. Raises `ValueError` where they differ."""
        if (self.step != self.step[0]).any():
            raise ValueError("the channels of its source have different steps")
        return int(self.step[0])

    def of(self, value: int) -> int:
        """Return the one code of `value`. Raises `ValueError` where a channel has none, or another."""
        codes, rest = np.divmod(value - self.base, self.step)
        if rest.any() or (codes != codes[0]).any():
            raise ValueError(f"the value {value}, its pad, has no code that is the same in all channels")
        return int(codes[0])
