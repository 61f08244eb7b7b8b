# SPDX-License-Identifier: Apache-2.0
"""From real inputs to the integers that enter the network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qap2fpga.exact.integers import width

ROUNDINGS = {"ROUND": np.rint, "FLOOR": np.floor, "CEIL": np.ceil, "ROUND_TO_ZERO": np.trunc}
# Not a rounding: the sign of the input, with sign(0) = +1.
SIGN = "SIGN"


@dataclass(frozen=True)
class InputQuantizer:
    """Maps a real input `x` to `clamp(round((x - offset) / scale + zero_point)) - zero_point`.

    `low..high` is the range of the result. `scale` and `offset` hold one value, or one per feature; they are the
    graph's float32 values, or follow from them. Rounding 'SIGN' gives -1 below `offset` and +1 from it on.
    """

    low: int
    high: int
    scale: tuple[float, ...]
    offset: tuple[float, ...] = (0.0,)
    zero_point: int = 0
    rounding: str = "ROUND"

    @property
    def bits(self) -> int:
        """Bits of the smallest type that holds the result."""
        return width(self.low, self.high)

    @property
    def signed(self) -> bool:
        """Whether a result can be negative."""
        return self.low < 0

    def quantize(self, values: np.ndarray) -> np.ndarray:
        """Return the integers (n, inputs) of real `values` (n, inputs).

        The quotient of two float32 values, correctly rounded in float64, cannot fall on a half by rounding
        (41 bits tell it from one), so without an offset this is the exact result for float32 inputs.
        """
        scaled = (values.astype(np.float64) - np.asarray(self.offset)) / np.asarray(self.scale)
        if self.rounding == SIGN:
            return np.where(scaled >= 0, 1, -1).astype(np.int64)
        rounded = ROUNDINGS[self.rounding](scaled + self.zero_point) - self.zero_point
        return np.clip(rounded, self.low, self.high).astype(np.int64)
