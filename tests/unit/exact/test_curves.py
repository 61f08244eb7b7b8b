# SPDX-License-Identifier: Apache-2.0
"""Where compositions with curves reach levels, beside an evaluation of each integer."""

from __future__ import annotations

from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np
import pytest

from qap2fpga.exact.curves import Curve, Leaky, Sigmoid, Stages, Tanh, direction, logarithm, thresholds_of
from qap2fpga.exact.thresholds import Affine, Levels, Truncation, thresholds


def of(curve: Curve, value: Fraction) -> Fraction:
    """The exact value of a curve, or 60 digits of it."""
    if isinstance(curve, Leaky):
        return value if value >= 0 else value * curve.slopes[0]
    with localcontext() as context:
        context.prec = 60
        number = Decimal(value.numerator) / Decimal(value.denominator)
        if isinstance(curve, Sigmoid):
            return Fraction(1 / (1 + (-number).exp()))
        return Fraction(1 - 2 / ((2 * number).exp() + 1)) if value else Fraction(0)


def level(first: Affine, stages: Stages, levels: Levels, integer: int) -> int:
    """The level that an integer reaches, by evaluation."""
    value = first.value(0, integer)
    for curve, affine in stages:
        turned = of(curve, value)
        value = affine.slope[0] * turned + affine.intercept[0]
        low, high = affine.low[0], affine.high[0]
        value = value if low is None else max(value, low)
        value = value if high is None else min(value, high)
    rounded = round(value / levels.scale[0])
    return min(max(rounded, levels.low), levels.high)


CURVES = [Leaky((Fraction(1, 4),)), Sigmoid(), Tanh()]


@pytest.mark.parametrize("curve", CURVES, ids=lambda one: type(one).__name__)
@pytest.mark.parametrize("turn", [1, -1])
@pytest.mark.parametrize("seed", range(8))
def test_thresholds_through_curves_equal_evaluation(curve: Curve, turn: int, seed: int) -> None:
    """Also where a later affine map falls, and with clips; ties where a curve gives an exact value."""
    random = np.random.default_rng(seed)
    slope, shift, later, end = (Fraction(int(one), 8) for one in random.integers(1, 12, 4))
    first = Affine.scaled([turn * slope / 4], [shift - 1])
    second = Affine.scaled([turn * later], [end - 1])
    if seed % 2:
        second = second.clip(Fraction(-1, 2), Fraction(3, 4))
    stages = [(curve, second)]
    if seed % 3 == 0:
        stages.append((Tanh(), Affine.scaled([Fraction(2)], [Fraction(0)])))
    levels = Levels(-4, 3, (Fraction(1, 4),))
    assert direction(first, stages, 0) == 1
    row = thresholds_of(first, stages, 0, levels, -40, 40)
    for integer in range(-40, 41):
        reached = levels.low + sum(integer >= threshold for threshold in row)
        assert reached == level(first, stages, levels, integer), integer


def test_a_composition_that_is_a_constant() -> None:
    levels = Levels(0, 3, (Fraction(1, 4),))
    zero = Affine.scaled([Fraction(0)], [Fraction(1, 2)])
    first = Affine.scaled([Fraction(1)])
    assert direction(first, [(Sigmoid(), zero)], 0) == 0
    assert direction(first, [(Sigmoid(), Affine.scaled([Fraction(-1)]))], 0) == -1
    assert thresholds_of(first, [(Sigmoid(), zero)], 0, levels, -5, 5) == [-5, -5, 6]
    nothing = Affine.scaled([Fraction(0)], [Fraction(-1)])
    assert thresholds_of(nothing, [(Tanh(), first)], 0, levels, -5, 5) == [6, 6, 6]


def test_bounds_that_a_curve_never_reaches() -> None:
    levels = Levels(-1, 2, (Fraction(2),))
    first = Affine.scaled([Fraction(1)])
    assert thresholds_of(first, [(Sigmoid(), first)], 0, levels, -9, 9) == [-9, 10, 10]
    assert thresholds_of(first, [(Tanh(), first)], 0, levels, -9, 9) == [-9, 10, 10]


def test_logarithms_are_right_to_more_than_1024_bits() -> None:
    assert logarithm(Fraction(1)) == 0
    two, eight = logarithm(Fraction(2)), logarithm(Fraction(8))
    assert abs(3 * two - eight) < Fraction(1, 2**1024)
    assert abs(float(logarithm(Fraction(3, 7))) - np.log(3 / 7)) < 1e-15


@pytest.mark.parametrize("curve", CURVES, ids=lambda one: type(one).__name__)
def test_a_curve_of_floats_is_the_curve(curve: Curve) -> None:
    values = np.linspace(-4, 4, 33)
    exact = [float(of(curve, Fraction(one))) for one in values]
    assert np.allclose(curve.apply(values[:, None])[:, 0], exact, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("rounding", ["ROUND", "FLOOR", "CEIL", "ROUND_TO_ZERO"])
@pytest.mark.parametrize("dropped", [0, 1, 3])
def test_truncations_equal_evaluation(rounding: str, dropped: int) -> None:
    """A sum is rounded to a multiple first, and then loses bits."""
    for slope, intercept in (("1/4", "0"), ("1/8", "1/16"), ("3/10", "-1/7")):
        affine = Affine.scaled([Fraction(slope)], [Fraction(intercept)])
        levels = Truncation(-9, 9, (Fraction(1, 4),), 0, rounding, dropped=dropped)
        row = thresholds(affine, 0, levels, -30, 30)
        for integer in range(-30, 31):
            wanted = min(max(levels.level(affine.value(0, integer), 0), -9), 9)
            assert -9 + sum(integer >= threshold for threshold in row) == wanted, (slope, integer)
