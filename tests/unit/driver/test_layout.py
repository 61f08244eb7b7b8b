# SPDX-License-Identifier: Apache-2.0
"""The driver packs numbers as the simulations do."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from qap2fpga.driver.layout import in_memory, layout
from qap2fpga.hw.design import Stream
from tests.support.drivers import DRIVER


@given(st.integers(1, 40), st.integers(1, 9), st.integers(1, 4), st.booleans(), st.integers(0, 5), st.integers(0, 99))
def test_packing_is_that_of_the_simulations(bits, lanes, beats, signed, rows, seed):
    port = Stream("in0", lanes * beats, lanes, bits, signed)
    packing = layout(port)
    described = {"lanes": lanes, "bits": bits, "signed": signed, "slot_bytes": packing.slot_bytes,
                 "elements": port.elements}  # fmt: skip
    values = np.random.default_rng(seed).integers(packing.low, packing.high, (rows, port.elements), endpoint=True)
    memory = DRIVER.pack(values, described)
    assert memory.shape == (rows * packing.frame_bytes,)
    assert (memory == in_memory(values, port)).all()
    assert (DRIVER.unpack(memory, described) == values).all()
