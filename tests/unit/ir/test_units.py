# SPDX-License-Identifier: Apache-2.0
"""Units: accumulators that are too wide are refused by name."""

from __future__ import annotations

import numpy as np
import pytest

from qap2fpga.ir.functions import Step
from qap2fpga.ir.units import dense
from qap2fpga.system.errors import QapError


def test_accumulators_that_are_too_wide_are_refused_by_name():
    layer = dense("fc7", np.full((2, 1), 2**31), Step(np.zeros((1, 1), np.int64)), 32, 32)
    with pytest.raises(QapError, match="the accumulators of layer fc7"):
        layer.accumulate(np.full((1, 2), 2**31))
    ends = np.full(2, -(2**31)), np.full(2, 2**31)
    with pytest.raises(QapError, match="the accumulators of layer fc7"):
        layer.range(*ends)
    assert layer.changed(weights=np.array([[2**31], [-(2**31) + 1]])).range(*(end // 2 for end in ends)) == (
        [-(2**62) + 2**30],
        [2**62 - 2**30],
    )
