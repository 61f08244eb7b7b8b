# SPDX-License-Identifier: Apache-2.0
"""Integer types as files state them: FINN's and qonnx's names, by a table of our own, and ranges."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

# The key of the annotation of a tensor with its type.
DATATYPE = "finn_datatype"
MOST_BITS = 64  # as many as any integer here has
SPECIAL = {"BINARY": (1, 0, 1), "BIPOLAR": (1, -1, 1), "TERNARY": (2, -1, 1)}


@dataclass(frozen=True)
class IntegerType:
    """Integers of `bits` from `low` to `high`; of one bit and a sign they are -1 and 1."""

    bits: int
    low: int
    high: int

    @property
    def signed(self) -> bool:
        """Whether a value can be negative."""
        return self.low < 0

    @property
    def bipolar(self) -> bool:
        """Whether it is a sign."""
        return self.bits == 1 and self.signed

    @property
    def narrow(self) -> bool:
        """Whether it has one integer less than its bits can tell apart."""
        return self.high - self.low < (1 << self.bits) - 1

    def holds(self, values: np.ndarray) -> bool:
        """Return whether all `values` are integers of this type."""
        whole = np.isfinite(values) & (values == np.floor(values)) & (values >= self.low) & (values <= self.high)
        return bool(whole.all() and (not self.bipolar or (values != 0).all()))


def parse(name: str) -> IntegerType | None:
    """Return the integer type of that name; None if it names none."""
    if name in SPECIAL:
        return IntegerType(*SPECIAL[name])
    match = re.fullmatch(r"(U?)INT([0-9]{1,2})", name)
    bits = int(match[2]) if match else 0
    if match is None or not 1 <= bits <= MOST_BITS or (bits == 1 and not match[1]):
        return None
    return unsigned(bits) if match[1] else signed(bits)


def unsigned(bits: int) -> IntegerType:
    """Return the integers of `bits` without a sign."""
    return IntegerType(bits, 0, (1 << bits) - 1)


def signed(bits: int) -> IntegerType:
    """Return the integers of `bits` in two's complement."""
    return IntegerType(bits, -(1 << bits - 1), (1 << bits - 1) - 1)


def of_range(low: int, high: int) -> IntegerType | None:
    """Return the type that has exactly the integers `low` to `high`, or one less as a narrow one; None if none has."""
    bits = (high - low).bit_length()
    if bits < 1 + (low < 0):
        return None
    whole = signed(bits) if low < 0 else unsigned(bits)
    narrow = (whole.low + 1, whole.high) if low < 0 else (whole.low, whole.high - 1)
    return IntegerType(bits, low, high) if (low, high) in ((whole.low, whole.high), narrow) else None
