# SPDX-License-Identifier: Apache-2.0
"""Exact thresholds: what 1024 bits cannot tell is refused."""

from __future__ import annotations

from fractions import Fraction

import pytest

from qap2fpga.exact.thresholds import Affine, Levels, thresholds
from qap2fpga.system.errors import QapError


def test_a_threshold_that_1024_bits_do_not_tell_from_an_integer():
    levels = Levels(0, 1, (Fraction(1),), 0, "FLOOR")
    for bits, refused in ((600, True), (400, False)):
        for sign in (1, -1):
            affine = Affine.scaled([Fraction(1)], [Fraction(sign, 2**bits)])
            if refused:
                with pytest.raises(QapError, match="cannot be told from an integer"):
                    thresholds(affine, 0, levels, -10, 10)
            else:
                assert thresholds(affine, 0, levels, -10, 10) == [1 if sign > 0 else 2]
