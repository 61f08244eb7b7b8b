# SPDX-License-Identifier: Apache-2.0
"""What a requantizer computes: monotone functions of integers, one per channel.

A step function's sorted thresholds are its definition::

    activation = base + step * #{k : accumulator >= thresholds[channel, k]}

`base = 0, step = 1` is an unsigned activation, `base = -1, step = 2` with one threshold is a sign.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from qap2fpga.exact import integers as exact

# A lookup table answers a step function fastest; beyond this range of accumulators it is a binary search.
TABLE_LIMIT = 1 << 20


@dataclass(frozen=True)
class Step:
    """A monotone step function per channel; see the module's docstring. `thresholds` is (channels, levels), rising."""

    # What messages call one of its results.
    word: ClassVar[str] = "activation"
    thresholds: np.ndarray
    base: int = 0
    step: int = 1

    @property
    def low(self) -> int:
        """The smallest activation."""
        return self.base

    @property
    def high(self) -> int:
        """The largest activation."""
        return self.base + self.step * self.thresholds.shape[1]

    @property
    def channels(self) -> int:
        """How many channels it has."""
        return len(self.thresholds)

    @property
    def counts(self) -> bool:
        """Whether the result is the number of thresholds passed, as every hidden one is after compaction."""
        return (self.base, self.step) == (0, 1)

    def counted(self, results: np.ndarray) -> np.ndarray:
        """Return how many thresholds its `results` stand for."""
        return np.asarray((results - self.base) // self.step)

    def check(self) -> None:
        """Raise `ValueError` with the reason for thresholds that are not valid."""
        if self.thresholds.ndim != 2 or self.thresholds.dtype != np.int64:
            raise ValueError(f"its thresholds have shape {self.thresholds.shape} and type {self.thresholds.dtype}")
        if (self.thresholds[:, 1:] < self.thresholds[:, :-1]).any():
            raise ValueError("its thresholds do not rise")
        if self.step < 1:
            raise ValueError(f"its step is {self.step}")

    def fed(self, step: np.ndarray, constant: np.ndarray, name: str) -> Step:
        """Return the function that does the same when x comes instead of `step * x + constant`, both (channels,)."""
        less = exact.multiply_add(constant[:, None], 1, -self.thresholds, name)
        return replace(self, thresholds=-(less // step[:, None]))

    def select(self, kept: np.ndarray) -> Step:
        """Return the function without the channels that are not `kept` (channels,) bool."""
        return replace(self, thresholds=self.thresholds[kept])

    def apply(self, accumulators: np.ndarray) -> np.ndarray:
        """Activations (n, channels) of `accumulators` (n, channels)."""
        low, high = int(accumulators.min(initial=0)), int(accumulators.max(initial=0))
        span = high - low + 1
        if span <= TABLE_LIMIT and span * self.channels <= accumulators.size:
            places = np.arange(low, high + 1)
            table = self._levels(np.stack([np.searchsorted(row, places, side="right") for row in self.thresholds]))
            starts = np.arange(0, self.channels * span, span) - low
            return table.reshape(-1)[accumulators + starts]
        result = np.empty_like(accumulators)
        for channel, row in enumerate(self.thresholds):
            result[:, channel] = np.searchsorted(row, np.ascontiguousarray(accumulators[:, channel]), side="right")
        return self._levels(result)

    def range(self, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Smallest and largest activation per channel over the accumulators `low..high` (channels,)."""
        first, last = ((self.thresholds <= bound[:, None]).sum(axis=1) for bound in (low, high))
        return self._levels(first), self._levels(last)

    def _levels(self, counts: np.ndarray) -> np.ndarray:
        """The activations of `counts` of thresholds."""
        if self.counts:
            return counts
        return exact.multiply_add(counts, self.step, self.base, "the levels of an activation")


@dataclass(frozen=True)
class Logits:
    """The end of the network: `logit = (multiplier * accumulator + offset) >> shift`, worth `2**-fraction`.

    One common scale for all channels, so that the largest logit is the class; `>>` is an arithmetic shift.
    `multiplier` and `offset` are (channels,); they hold the last layer's scales, bias and batch norm. `fraction` is
    None where the scale is no power of two; what one unit is worth is the network's `output_scale` always.
    """

    word: ClassVar[str] = "logit"
    multiplier: np.ndarray
    offset: np.ndarray
    shift: int
    fraction: int | None

    @property
    def channels(self) -> int:
        """How many channels it has."""
        return len(self.multiplier)

    def check(self) -> None:
        """Raise `ValueError` with the reason for parameters that do not belong together."""
        if self.multiplier.shape != self.offset.shape or self.multiplier.ndim != 1:
            raise ValueError(f"it has multipliers {self.multiplier.shape} and offsets {self.offset.shape}")
        if self.multiplier.dtype != np.int64 or self.offset.dtype != np.int64 or self.shift < 0:
            raise ValueError("its parameters are no integers, or its shift is negative")

    def fed(self, step: np.ndarray, constant: np.ndarray, name: str) -> Logits:
        """Return the function that does the same when x comes instead of `step * x + constant`, both (channels,)."""
        return replace(
            self,
            multiplier=exact.multiply_add(self.multiplier, step, 0, name),
            offset=exact.multiply_add(constant, self.multiplier, self.offset, name),
        )

    def select(self, kept: np.ndarray) -> Logits:
        """Return the function without the channels that are not `kept` (channels,) bool."""
        return replace(self, multiplier=self.multiplier[kept], offset=self.offset[kept])

    def apply(self, accumulators: np.ndarray) -> np.ndarray:
        """Logit integers (n, channels) of `accumulators` (n, channels)."""
        return exact.multiply_add(accumulators, self.multiplier, self.offset, "the network's outputs", self.shift)

    def range(self, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Smallest and largest logit per channel over the accumulators `low..high` (channels,)."""
        ends = np.stack([self.apply(low[None])[0], self.apply(high[None])[0]])
        return ends.min(axis=0), ends.max(axis=0)


Function = Step | Logits
