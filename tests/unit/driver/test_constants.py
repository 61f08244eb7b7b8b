# SPDX-License-Identifier: Apache-2.0
"""What the driver's software computes after the hardware does not wrap."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from qap2fpga.driver.constants import _end
from qap2fpga.ir.functions import Logits
from qap2fpga.ir.graph import Graph, chain
from qap2fpga.ir.quantizer import InputQuantizer
from qap2fpga.ir.units import dense
from qap2fpga.system.errors import QapError


def test_the_software_after_bare_accumulators_may_not_wrap():
    def network(multiplier: int) -> Graph:
        end = Logits(np.array([multiplier, 1]), np.zeros(2, np.int64), 4, 0)
        layer = dense("fc1", np.ones((1, 2), np.int64), end, 8, 8)
        return chain((layer,), InputQuantizer(-(2**7), 2**7 - 1, (1.0,)), Fraction(1))

    assert _end(network(2**55)).multiplier == (2**55, 1)
    with pytest.raises(QapError, match="would not fit 64 bits"):
        _end(network(2**56))
