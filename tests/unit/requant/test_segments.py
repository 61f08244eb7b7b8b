# SPDX-License-Identifier: Apache-2.0
"""Offsets of segments: how round they may be."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from qap2fpga.requant import segments


@pytest.mark.parametrize("most", [0, 2, 9])
def test_zero_bits_are_those_of_a_multiple_in_every_interval(most: int) -> None:
    """All intervals of small integers, alone and in pairs, against trying every number of bits."""
    intervals = [(low, high) for low, high in product(range(-9, 10), repeat=2) if low <= high]
    for pair in [[one] for one in intervals] + list(product(intervals[::3], intervals[::4])):
        lower, upper = (np.array(side) for side in zip(*pair, strict=True))
        legal = [bits for bits in range(most + 1) if all(-(-low >> bits) << bits <= high for low, high in pair)]
        assert segments._zero_bits(lower, upper, most) == max(legal), pair
