# SPDX-License-Identifier: Apache-2.0
"""How far a float32 execution may be from the exact real value: the bounds that `ties` compares with."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

import numpy as np

from qap2fpga.exact.thresholds import Affine, Levels, Truncation
from qap2fpga.frontend import quantizers
from qap2fpga.frontend.magnitudes import Sums
from qap2fpga.frontend.values import Signal
from qap2fpga.ir.quantizer import ROUNDINGS
from qap2fpga.system.errors import QapError

UNIT, SMALLEST = 2.0**-24, 2.0**-149
# Roundings beside the sum's own: two scaled factors and their product, the quantizer's division, batch norm's
# folded form, and a little for the float64 arithmetic here.
OTHER_ROUNDINGS = 12
# Roundings of what a quantizer gives beside those of the steps after it: zero point, scale, and float64 here.
LEVEL_ROUNDINGS = 4
# Roundings of a curve: float32 libraries give a sigmoid or a tangent within a few units in the last place.
CURVE_ROUNDINGS = 16
# Units in the last place of x / scale that a float32 quantizer of the input may be off.
INPUT_ROUNDINGS = 8
OUT_OF_RANGE = "a scale, weight or batch norm is out of any usual range; check the model"


def value(affine: Affine, source: Sums, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the real value of activations, and how far a float32 execution may be from it."""
    slope, intercept = line(affine, name)
    scaled = source.integers * slope
    size = np.abs(scaled) + array(affine.magnitude, name)
    return scaled + intercept, gamma(affine.steps + LEVEL_ROUNDINGS) * size + SMALLEST


def sum_value(affine: Affine, source: Sums, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the real value of sums, and how far a float32 execution may be from it."""
    slope, intercept = line(affine, name)
    value = source.integers * slope + intercept
    size = np.abs(slope) * source.sizes + array(affine.magnitude, name) + np.abs(value)
    roundings = source.roundings + affine.steps + OTHER_ROUNDINGS
    return value, gamma(roundings) * size + roundings * SMALLEST


def between(signal: Signal, source: Sums, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the lowest and the highest real value that a float32 execution may have of a signal."""
    value, bound = sum_value(signal.affine, source, name)
    low, high = _clipped(signal.affine, value - bound), _clipped(signal.affine, value + bound)
    for curve, affine in signal.stages:
        low, high = curve.apply(low), curve.apply(high)
        slack = gamma(CURVE_ROUNDINGS) * np.maximum(np.abs(low), np.abs(high)) + SMALLEST
        low, high = low - slack, high + slack
        slope, intercept = line(affine, name)
        size = np.abs(slope) * np.maximum(np.abs(low), np.abs(high)) + array(affine.magnitude, name)
        slack = gamma(affine.steps + OTHER_ROUNDINGS) * size + SMALLEST
        ends = low * slope + intercept, high * slope + intercept
        low, high = (_clipped(affine, one) for one in (np.minimum(*ends) - slack, np.maximum(*ends) + slack))
    return low, high


def _clipped(affine: Affine, values: np.ndarray) -> np.ndarray:
    low = np.array([-np.inf if end is None else float(end) for end in affine.low])
    high = np.array([np.inf if end is None else float(end) for end in affine.high])
    return np.clip(values, low, high)


def level(levels: Levels, values: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Return the level of real values (..., channels)."""
    if levels.bounds:
        counts = [
            np.searchsorted([float(bound) for bound in bounds], values[..., channel], side="right")
            for channel, bounds in enumerate(levels.bounds)
        ]
        return np.asarray(levels.low + levels.step * np.stack(counts, axis=-1))
    scaled = values / scale
    if levels.rounding == "SIGN":
        return np.where(scaled >= 0, 1, -1)
    if not levels.bounded and not isinstance(levels, Truncation):
        return np.rint(scaled)
    if isinstance(levels, Truncation):
        truncated = ROUNDINGS[levels.rounding](np.rint(scaled) / 2**levels.dropped)
        return np.clip(truncated, levels.low, levels.high) if levels.bounded else truncated
    return quantizers.rounded(levels, scaled)


def gamma(roundings: int) -> float:
    """Return the relative error bound of so many roundings."""
    return roundings * UNIT / (1 - roundings * UNIT)


def line(affine: Affine, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return slope and intercept per channel as floats."""
    return array(affine.slope, name), array(affine.intercept, name)


def array(values: Iterable[Fraction], name: str) -> np.ndarray:
    """Return fractions as floats. Raises `QapError` that names the layer where one is too large."""
    try:
        return np.array([float(value) for value in values])
    except OverflowError as error:
        raise QapError(f"layer {name} leaves the range of floats", OUT_OF_RANGE) from error
