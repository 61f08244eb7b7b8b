# SPDX-License-Identifier: Apache-2.0
"""Trees of comparators, for all values of small ranges and at clocks that cut them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from qap2fpga.backends.rtl import largest
from qap2fpga.backends.rtl.circuit import Delays
from qap2fpga.backends.rtl.netlist.evaluate import run


@pytest.mark.parametrize("clock", [2.0, 100.0])
@pytest.mark.parametrize("ends", [[(0, 3)] * 3, [(-2, 1), (0, 2), (-1, -1), (-3, 0)], [(4, 5)]])
def test_the_largest_of_every_window(ends: list[tuple[int, int]], clock: float) -> None:
    """Two channels side by side, the second with its values turned round."""
    windows = np.array(list(itertools.product(*(range(low, high + 1) for low, high in ends))))
    values = np.stack([windows, windows[::-1]], axis=-1)
    result = max(low for low, _ in ends), max(high for _, high in ends)
    lanes = [lane for lane in ends for _ in range(2)]
    module = largest.build("l0", lanes, [result, result], clock, Delays(0.5, 0.5, 0.05, 0.2))
    assert (run([module.netlist], values.reshape(len(values), -1)) == values.max(axis=1)).all()
    assert module.stages == 1 or clock < 100
