# SPDX-License-Identifier: Apache-2.0
"""Step functions and logits at the ends of 64 bits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from qap2fpga.ir.functions import Logits, Step
from qap2fpga.system.errors import QapError


def test_the_ends_of_logits_are_in_order_where_the_multiplier_falls():
    logits = Logits(np.array([-3, 5]), np.array([1, 2**62]), 1, 0)
    low, high = logits.range(np.array([-10, -10]), np.array([20, 20]))
    assert (low.tolist(), high.tolist()) == ([-30, 2**61 - 25], [15, 2**61 + 50])


def test_logits_do_not_wrap():
    """A last layer of 16 bits with 784 inputs: 42 bits of accumulators times 24 of multiplier and more of offset."""
    random = np.random.default_rng(0)
    logits = Logits(random.integers(2**22, 2**23, 4), random.integers(2**60, 2**61, 4), 44, 0)
    accumulators = random.integers(-(2**42), 2**42, (500, 4))
    expected = [
        [(int(m) * n + int(b)) >> 44 for n, m, b in zip(row, logits.multiplier, logits.offset, strict=True)]
        for row in accumulators.tolist()
    ]
    assert logits.apply(accumulators).tolist() == expected
    low, high = logits.range(np.full(4, -(2**42)), np.full(4, 2**42))
    assert (low <= np.array(expected).min(axis=0)).all() and (np.array(expected).max(axis=0) <= high).all()
    with pytest.raises(QapError, match="the network's outputs: integers of"):
        replace(logits, shift=0).apply(accumulators)


def test_levels_of_a_step():
    step = Step(np.array([[0, 5], [9, 10]]), -3, 2)
    assert (step.low, step.high) == (-3, 1)
    assert [ends.tolist() for ends in step.range(np.array([-1, 9]), np.array([4, 20]))] == [[-3, -1], [-1, 1]]
    with pytest.raises(QapError, match="the levels of an activation"):
        replace(step, base=0, step=2**62).apply(np.array([[7, 12]]))
