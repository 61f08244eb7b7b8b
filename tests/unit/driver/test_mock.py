# SPDX-License-Identifier: Apache-2.0
"""The mock of PYNQ refuses what a DMA does not do."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.drivers import driver
from tests.unit.backends.test_rtl import network


def test_the_mock_refuses_what_a_dma_does_not_do(tmp_path):
    one = network(3)
    _, mock = driver(one, tmp_path)
    with pytest.raises(RuntimeError, match="not whole frames"):
        mock.core(np.zeros(1, np.uint8))
    with pytest.raises(RuntimeError, match="does not reach"):
        mock.dma.sendchannel.transfer(np.zeros(8, np.uint8))
    with pytest.raises(ValueError, match="too long"):
        mock.dma.sendchannel.transfer(mock.allocate((8,), np.uint8), nbytes=9)
