# SPDX-License-Identifier: Apache-2.0
"""Float executions held against the integer network, layer by layer on the same integers.

A float32 sum is not a function of the exact accumulator: its rounding depends on the order of the additions.
So torch or QONNX may land on the neighbouring level, but only where the exact value lies within a bound of the
boundary. The bound is the standard one for a recursively summed dot product (Higham, Accuracy and Stability
of Numerical Algorithms, 2nd ed., section 3.1): gamma_k = k u / (1 - k u) times the sum of absolute values,
with u = 2**-24 and k the number of roundings on the way. A difference inside the bound is a rounding tie;
one outside it is an error that names layer, channel and vector.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from qap2fpga.errors import CheckFailed
from qap2fpga.exact import integers as exact_integers
from qap2fpga.lower.values import RawLayer
from qap2fpga.network import ROUNDINGS, DenseLayer, IntegerNetwork, Step

UNIT = 2.0**-24
# Roundings beside the sum's own: two scaled factors and their product, the quantizer's division, batch norm's
# folded form, and a little for the float64 arithmetic here.
OTHER_ROUNDINGS = 12


def compare(
    engine: str,
    network: IntegerNetwork,
    meanings: Sequence[RawLayer],
    inputs: Sequence[np.ndarray],
    outputs: Sequence[np.ndarray],
    rows: np.ndarray,
) -> int:
    """The number of rounding ties in a float execution of real `rows` (n, inputs).

    `inputs[i]`, `outputs[i]` (n, channels) are the real values that entered and left layer i of the execution.
    Raises `CheckFailed` at the first difference that rounding can not explain.
    """
    ties = _compare_inputs(engine, network, meanings[0], inputs[0], rows)
    for layer, meaning, entered, left in zip(network.layers, meanings, inputs, outputs, strict=True):
        step, zero = float(meaning.input_scale), float(meaning.input_zero)
        integers = np.rint((entered.astype(np.float64) - zero) / step).astype(np.int64)
        ties += _compare_layer(engine, layer, meaning, integers, left.astype(np.float64))
    return ties


def _compare_inputs(
    engine: str, network: IntegerNetwork, first: RawLayer, entered: np.ndarray, rows: np.ndarray
) -> int:
    """The input quantizer: x / scale in float32 may land on a half that it does not reach exactly."""
    step, zero = float(first.input_scale), float(first.input_zero)
    found = np.rint((entered.astype(np.float64) - zero) / step).astype(np.int64)
    quantizer = network.input
    scaled = (rows.astype(np.float64) - np.asarray(quantizer.offset)) / np.asarray(quantizer.scale)
    nearby = replace(quantizer, scale=(1.0,), offset=(0.0,))
    slack = 8 * UNIT * (np.abs(scaled) + np.abs(np.asarray(quantizer.offset) / np.asarray(quantizer.scale)))
    expected = quantizer.quantize(rows)
    bad = (found < nearby.quantize(scaled - slack)) | (found > nearby.quantize(scaled + slack))
    if bad.any():
        vector, channel = (int(index[0]) for index in np.nonzero(bad))
        raise CheckFailed(
            f"{engine} quantizes input {channel} of vector {vector} to {found[vector, channel]}, "
            f"exactly it is {expected[vector, channel]}",
            "please report this bug with the model",
        )
    return int((found != expected).sum())


def _compare_layer(engine: str, layer: DenseLayer, meaning: RawLayer, integers: np.ndarray, left: np.ndarray) -> int:
    affine = meaning.affine
    slope, intercept = np.array(affine.slope, float), np.array(affine.intercept, float)
    accumulators = layer.accumulate(integers)
    exact = accumulators * slope + intercept
    roundings = layer.inputs + affine.steps + OTHER_ROUNDINGS
    gamma = roundings * UNIT / (1 - roundings * UNIT)
    products = exact_integers.matmul(np.abs(integers), np.abs(layer.weights), f"layer {layer.name}")
    size = np.abs(slope) * products + np.array(affine.magnitude, float) + np.abs(exact)
    bound = gamma * size
    if meaning.levels is None:
        bad = np.abs(left - exact) > bound
        _refuse(engine, layer, bad, left, exact)
        return 0
    levels, activation = meaning.levels, layer.activation
    assert isinstance(activation, Step)
    scale = np.array(levels.scale, float)
    found = np.rint(left / scale).astype(np.int64)
    expected = activation.apply(accumulators)
    reachable = []
    for value in (exact - bound, exact + bound):
        low = np.array([-np.inf if end is None else float(end) for end in affine.low])
        high = np.array([np.inf if end is None else float(end) for end in affine.high])
        clipped = np.clip(value, low, high)
        if levels.rounding == "SIGN":
            reachable.append(np.where(clipped >= 0, 1, -1))
        else:
            rounding = ROUNDINGS[levels.rounding]
            raw = np.clip(rounding(clipped / scale + levels.zero_point), levels.low, levels.high)
            reachable.append(raw - levels.zero_point)
    different = found != expected
    _refuse(engine, layer, different & ((found < reachable[0]) | (found > reachable[1])), found, expected)
    return int(different.sum())


def _refuse(engine: str, layer: DenseLayer, bad: np.ndarray, found: np.ndarray, expected: np.ndarray) -> None:
    if bad.any():
        vector, channel = (int(index[0]) for index in np.nonzero(bad))
        raise CheckFailed(
            f"{engine} and the integer network differ beyond float rounding in layer {layer.name}, "
            f"channel {layer.channel_name(channel)}, vector {vector}: "
            f"{found[vector, channel]:g} instead of {expected[vector, channel]:g}",
            "this is a bug of qap2fpga or of the export; please report it with the model",
        )
