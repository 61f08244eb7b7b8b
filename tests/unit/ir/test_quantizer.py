# SPDX-License-Identifier: Apache-2.0
"""The scale that an input quantizer gets from real values, or from their range."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qap2fpga.ir.quantizer import power_of_two_scale, scale_for_range


def error(values: np.ndarray, scale: float, bits: int, signed: bool) -> float:
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    return float(np.abs(np.clip(np.round(values / scale), low, high) * scale - values).mean())


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    bits=st.integers(2, 12),
    signed=st.booleans(),
    size=st.sampled_from([1e-6, 0.3, 1.0, 700.0]),
    tail=st.booleans(),
)
def test_the_scale_loses_least_of_all_powers_of_two(
    seed: int, bits: int, signed: bool, size: float, tail: bool
) -> None:
    values = np.random.default_rng(seed).normal(0, size, 300)
    values = values**3 / size**2 if tail else values
    values = values if signed else np.abs(values)
    scale = power_of_two_scale(values, bits, signed=signed)
    assert np.log2(scale) % 1 == 0
    loss = error(values, scale, bits, signed)
    assert loss <= min(error(values, scale * 2.0**step, bits, signed) for step in range(-20, 21)) * (1 + 1e-12)


@pytest.mark.parametrize("bits", [1, 2, 8, 16])
@pytest.mark.parametrize("signed", [False, True])
def test_zeros_have_a_scale_too(bits: int, signed: bool) -> None:
    assert power_of_two_scale(np.zeros((3, 2)), bits, signed=signed) > 0


def test_the_scale_of_a_sign_is_near_the_mean() -> None:
    """One bit is -1 or +1 here, so the loss is that of the size alone."""
    values = np.random.default_rng(0).normal(0, 5, 1000)
    scale = power_of_two_scale(values, 1, signed=True)
    errors = {2.0**e: np.abs(np.where(values >= 0, 1, -1) * 2.0**e - values).mean() for e in range(-5, 8)}
    assert scale == min(errors, key=errors.__getitem__) == 4.0


@settings(max_examples=100, deadline=None)
@given(low=st.floats(-1e6, 0), high=st.floats(1e-6, 1e6), bits=st.integers(1, 16))
def test_the_scale_of_a_range_is_the_smallest_that_reaches(low: float, high: float, bits: int) -> None:
    scale = scale_for_range(low, high, bits)
    assert np.log2(scale) % 1 == 0
    least, most = (-(2 ** (bits - 1)), max(1, 2 ** (bits - 1) - 1)) if low < 0 else (0, 2**bits - 1)

    def reaches(step: float) -> bool:
        return least * step <= low and high <= most * step

    assert reaches(scale)
    assert not reaches(scale / 2)
