# SPDX-License-Identifier: Apache-2.0
"""Proofs of implementations: each fault that a proof is there for is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from qap2fpga.requant.implementations import Piecewise, Target, prove
from qap2fpga.requant.requantize import cheapest
from qap2fpga.system.errors import CheckFailed


def test_a_line_of_many_results_is_proven_by_its_formula():
    line = (5, -(2**40) - 3, 2)
    low, high = -(2**30), 2**30
    first, last = ((5 * end + line[1]) >> 2 for end in (low, high))
    target = Target(np.zeros(0, np.int64), low, high, first, line, last)
    implementation = cheapest(target, lambda implementation, target: 1.0, "layer fc7")
    assert isinstance(implementation, Piecewise)
    values = np.array([low, -7, 0, 123456789, high])
    expected = [(5 * n + line[1]) >> 2 for n in values.tolist()]
    assert implementation.apply(values).tolist() == expected == target.apply(values).tolist()
    wrong = [
        replace(implementation, terms=((1, 2), (-1, 0))),
        replace(implementation, terms=(*implementation.terms, (1, -1))),
        replace(implementation, offsets=(implementation.offsets[0] + 1,)),
        replace(implementation, shift=3),
        replace(implementation, base=implementation.base + 1),
        replace(implementation, top=implementation.base + 1),
        replace(implementation, above=high),
        replace(implementation, below=low),
        replace(implementation, dropped=50),
    ]
    for one in wrong:
        with pytest.raises(CheckFailed, match="layer fc7: the implementation is not"):
            prove(one, target, "layer fc7")


def test_a_sum_that_leaves_its_width_and_one_that_falls_are_no_proof():
    target = Target(np.array([1]), 0, 1)
    implementation = Piecewise(((1, 0),), 0, 0, 0, (0,), None, None, 0, 1)
    prove(implementation, target, "layer fc7")
    with pytest.raises(CheckFailed, match="leaves its width at accumulator 0"):
        prove(replace(implementation, offsets=(2,)), target, "layer fc7")
    with pytest.raises(CheckFailed, match="is not monotone"):
        prove(replace(implementation, terms=((-1, 0),), offsets=(1,)), target, "layer fc7")
