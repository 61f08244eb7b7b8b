# SPDX-License-Identifier: Apache-2.0
"""Lines that are exact for many thresholds, by enumeration; and thresholds that are on no line."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qap2fpga.requant import prices, requantize
from qap2fpga.requant.implementations import Piecewise, Search, Target, prove
from qap2fpga.requant.segments import limits
from qap2fpga.requant.straight import straight
from tests.unit.requant.test_requantize import enumerated, target

COST = prices.load().luts
WIDE = st.builds(
    lambda low, size, bits, pitch, start: target(low, low + size, 1 / pitch, -start / pitch, (1 << bits) - 1),
    st.integers(-(1 << 19), 1 << 19), st.integers(1 << 15, 1 << 20), st.integers(10, 14), st.floats(1.1, 60),
    st.floats(-20000, 20000),
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(WIDE)
def test_thresholds_of_a_line_have_one_that_is_exact_everywhere(wanted: Target) -> None:
    if len(wanted.thresholds) < 2:
        return
    expected = wanted.apply(enumerated(wanted))
    for ends in limits(wanted, 1.0):
        lines = list(straight(wanted, *ends))
        assert lines
        for line in lines:
            assert (line.apply(enumerated(wanted)) == expected).all()
            prove(line, wanted, "channel 0")
        counts = [len(line.terms) for line in lines]
        assert counts == sorted(set(counts), reverse=True)


@pytest.mark.parametrize(("pitch", "offset"), [(1.0, -7.0), (3.7, -2000.2), (9.1e5, 3e8), (523456.789, -1.7e10)])
def test_a_line_between_the_outer_thresholds_counts_them_all_if_it_is_limited(pitch: float, offset: float) -> None:
    thresholds = np.ceil((np.arange(1, 4096) - 0.5) * pitch + offset).astype(np.int64)
    ends = int(thresholds[0]) - 1, int(thresholds[-1])
    *_, line = straight(Target(thresholds, *ends))
    multiplier = sum(sign << place for sign, place in line.terms)
    around = [int(value) + step for value in thresholds for step in (-2, -1, 0, 1)]
    counted = [min(max(multiplier * x + line.offsets[0] >> line.shift, 0), line.top) for x in around]
    assert counted == np.searchsorted(thresholds, around, side="right").tolist()


def test_steps_of_two_are_on_a_line_where_all_are() -> None:
    assert list(straight(Target(np.array([4, 4]), 3, 4)))
    assert not list(straight(Target(np.array([4, 4, 5, 6, 7]), 0, 8)))


@pytest.mark.parametrize(("bits", "pitch"), [(12, 23.84), (12, 19.3337), (14, 1.00013), (10, 3.99999)])
def test_wide_activations_have_an_implementation(bits: int, pitch: float) -> None:
    """Some of these take more than the 24 fractional bits that are tried first."""
    wanted = target(-500_000, 500_000, 1 / pitch, 0.3, (1 << bits) - 1)
    chosen = requantize.cheapest(wanted, COST, "channel 0")
    assert isinstance(chosen, Piecewise)
    assert (chosen.apply(enumerated(wanted)) == wanted.apply(enumerated(wanted))).all()


def test_one_that_24_fractional_bits_are_too_few_for() -> None:
    wanted = target(-512_351, 512_239, 1 / 23.8402930, 15.0193, 4095)
    assert not list(requantize.affine(wanted, requantize.AFFINE_SHIFTS))
    chosen = requantize.cheapest(wanted, COST, "channel 0")
    assert isinstance(chosen, Piecewise)
    assert chosen.shift > requantize.AFFINE_SHIFTS


def test_a_line_by_one_x_off_at_one_threshold_is_none() -> None:
    wanted = target(-40_000, 40_000, 1 / 16, 0.0, 1023)
    assert list(straight(wanted, *next(limits(wanted, 1.0))))
    moved = wanted.thresholds.copy()
    moved[500] += 3
    other = Target(moved, wanted.low, wanted.high)
    assert not list(straight(other, *next(limits(other, 1.0))))
    chosen = requantize.cheapest(other, COST, "channel 0")
    assert isinstance(chosen, Search)
    assert (chosen.apply(enumerated(other)) == other.apply(enumerated(other))).all()


def test_a_curve_of_many_results_is_searched() -> None:
    curve = np.unique(np.round(30_000 * np.tanh(np.linspace(-2, 2, 1500))).astype(np.int64))
    wanted = Target(curve, -40_000, 40_000)
    chosen = requantize.cheapest(wanted, COST, "channel 0")
    assert isinstance(chosen, Search)
    prove(chosen, wanted, "channel 0")
