# SPDX-License-Identifier: Apache-2.0
"""Float executions compared with the integer network: layer by layer, between layers, and from end to end.

A float32 sum is not a function of the exact accumulator: its rounding depends on the order of the additions.
So torch or QONNX may land on the neighbouring level, but only where the exact value lies within a bound of the
boundary. The bound is the standard one for a recursively summed dot product (Higham, Accuracy and Stability
of Numerical Algorithms, 2nd ed., section 3.1): gamma_k = k u / (1 - k u) times the sum of absolute values,
with u = 2**-24 and k the number of roundings on the way, and below the normal numbers k times the smallest float.
A difference inside the bound is a rounding tie; one outside it is an error that names layer, channel and vector.

A layer is compared on the integers that left the one before it in the same execution, and what enters it must be
the value of these integers, so nothing stands between them. A vector without a tie is compared from end to end.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import NoReturn

import numpy as np

from qap2fpga.exact import integers as exact_integers
from qap2fpga.exact.thresholds import Affine
from qap2fpga.frontend import quantizers
from qap2fpga.frontend.trial import Trial
from qap2fpga.frontend.values import RawLayer
from qap2fpga.ir.functions import Step
from qap2fpga.ir.graph import Graph
from qap2fpga.ir.units import Unit
from qap2fpga.system.errors import CheckFailed, QapError

UNIT, SMALLEST = 2.0**-24, 2.0**-149
# Roundings beside the sum's own: two scaled factors and their product, the quantizer's division, batch norm's
# folded form, and a little for the float64 arithmetic here.
OTHER_ROUNDINGS = 12
# Roundings of what a quantizer gives beside those of the steps after it: zero point, scale, and float64 here.
LEVEL_ROUNDINGS = 4
# Units in the last place of x / scale that a float32 quantizer of the input may be off.
INPUT_ROUNDINGS = 8


@dataclass(frozen=True)
class Execution:
    """A float execution: `entered[i]`, `left[i]` (n, channels) are the real values that entered and left layer i,

    `output` (n, outputs) is what the network gave.
    """

    engine: str
    trial: Trial
    entered: Sequence[np.ndarray]
    left: Sequence[np.ndarray]
    output: np.ndarray


@dataclass(frozen=True)
class Agreement:
    """`ties`: values on a neighbouring level; `whole`: vectors without one, which were compared from end to end."""

    ties: int
    whole: int


@dataclass(frozen=True)
class Sums:
    """The `integers` (n, inputs) that entered a layer, and their `accumulators` (n, channels)."""

    integers: np.ndarray
    accumulators: np.ndarray


def compare(
    network: Graph, meanings: Sequence[RawLayer], output: Affine, run: Execution, *, classes: bool = True
) -> Agreement:
    """Return how far a float execution agrees with `network`, whose outputs' real meaning is `output`.

    `classes`: the largest output is what counts. Raises `CheckFailed` at the first difference that rounding can
    not explain, and `QapError` where the floats overflow.
    """
    _check_finite(run, meanings)
    integers, tied = _compare_inputs(run, network, meanings[0])
    ties, whole = int(tied.sum()), np.logical_not(tied.any(axis=1))
    for layer, meaning, entered, left in zip(network.layers, meanings, run.entered, run.left, strict=True):
        _compare_entering(run, layer, meaning, integers, entered)
        accumulators = layer.accumulate(integers)
        if meaning.levels is None:
            _compare_outputs(run, network, meaning, Sums(integers, accumulators), whole, classes=classes)
        else:
            integers, tied = _compare_levels(run, layer, meaning, Sums(integers, accumulators), left)
            ties, whole = ties + int(tied.sum()), whole & np.logical_not(tied.any(axis=1))
    if isinstance(network.layers[-1].activation, Step):
        value = integers * float(network.output_scale)
        bound = _gamma(output.steps + LEVEL_ROUNDINGS) * np.abs(value) + SMALLEST
        _refuse(run, network.layers[-1], np.abs(run.output - value) > bound, run.output, value, "in what leaves")
    return Agreement(ties, int(whole.sum()))


def _check_finite(run: Execution, meanings: Sequence[RawLayer]) -> None:
    for meaning, entered, left in zip(meanings, run.entered, run.left, strict=True):
        bad = ~(np.isfinite(entered).all(axis=1) & np.isfinite(left).all(axis=1))
        if bad.any():
            raise QapError(
                f"{run.engine}: layer {meaning.name} leaves the range of floats on {run.trial.name(int(bad.argmax()))}",
                "a scale, weight or batch norm is out of any usual range; check the model",
            )


def _compare_inputs(run: Execution, network: Graph, first: RawLayer) -> tuple[np.ndarray, np.ndarray]:
    """The integers that the input quantizer gave, and which of them are ties: x / scale in float32 may land on a half

    that it does not reach exactly.
    """
    step, zero = _line(first.entering, first)
    results = np.rint((run.entered[0] - zero) / step)
    quantizer, rows = network.input, run.trial.rows
    expected = quantizer.quantize(rows)
    different = results != expected
    vectors, channels = np.nonzero(different)
    scale, offset = (np.broadcast_to(part, rows.shape[1:])[channels] for part in (quantizer.scale, quantizer.offset))
    scaled, shift = (rows[vectors, channels] - offset) / scale, np.abs(offset / scale)
    slack = INPUT_ROUNDINGS * UNIT * (np.abs(scaled) + shift)
    nearby = replace(quantizer, scale=(1.0,), offset=(0.0,))
    given = results[vectors, channels]
    bad = (given < nearby.quantize(scaled - slack)) | (given > nearby.quantize(scaled + slack))
    if bad.any():
        vector, channel = int(vectors[bad][0]), int(channels[bad][0])
        raise CheckFailed(
            f"{run.engine} quantizes input {channel} of {run.trial.name(vector)} to {results[vector, channel]:g}, "
            f"exactly it is {expected[vector, channel]}",
            "please report this bug with the model",
        )
    return results.astype(np.int64), different


def _compare_entering(
    run: Execution, layer: Unit, meaning: RawLayer, integers: np.ndarray, entered: np.ndarray
) -> None:
    """What enters a layer is the value of the integers that left the quantizer before it, channel by channel."""
    slope, intercept = _line(meaning.entering, meaning)
    scaled = integers * slope
    magnitude = _floats(meaning.entering.magnitude, meaning)
    gamma = _gamma(meaning.entering.steps + LEVEL_ROUNDINGS)
    bad = np.abs(entered - (scaled + intercept)) > gamma * (np.abs(scaled) + magnitude) + SMALLEST
    if bad.any():
        vector, channel = _place(bad)
        value = scaled[vector, channel] + intercept[channel]
        _differ(run, f"what enters layer {layer.name}", str(channel), vector, entered[vector, channel], value)


def _exact_values(layer: Unit, meaning: RawLayer, sums: Sums) -> tuple[np.ndarray, np.ndarray]:
    """The real value before the layer's quantizer, and how far a float32 execution may be from it."""
    slope, intercept = _line(meaning.affine, meaning)
    value = sums.accumulators * slope + intercept
    products = exact_integers.matmul(np.abs(sums.integers), np.abs(layer.weights), f"layer {layer.name}")
    size = np.abs(slope) * products + _floats(meaning.affine.magnitude, meaning) + np.abs(value)
    roundings = layer.inputs + meaning.entering.steps + meaning.affine.steps + OTHER_ROUNDINGS
    return value, _gamma(roundings) * size + roundings * SMALLEST


def _compare_levels(
    run: Execution, layer: Unit, meaning: RawLayer, sums: Sums, left: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The integers that left the layer, and which of them are ties: levels of values within the bound of the exact

    one.
    """
    levels, affine, activation = meaning.levels, meaning.affine, layer.activation
    assert levels is not None
    assert isinstance(activation, Step)
    scale = _floats(levels.scale, meaning)
    results = np.rint(left / scale)
    expected = activation.apply(sums.accumulators)
    different = results != expected
    rows = np.flatnonzero(different.any(axis=1))
    value, bound = _exact_values(layer, meaning, Sums(sums.integers[rows], sums.accumulators[rows]))
    low = np.array([-np.inf if end is None else float(end) for end in affine.low])
    high = np.array([np.inf if end is None else float(end) for end in affine.high])
    reachable = [
        quantizers.of_values(levels, np.clip(nearby, low, high), scale) for nearby in (value - bound, value + bound)
    ]
    bad = np.zeros_like(different)
    bad[rows] = different[rows] & ((results[rows] < reachable[0]) | (results[rows] > reachable[1]))
    _refuse(run, layer, bad, results, expected)
    return results.astype(np.int64), different


def _compare_outputs(
    run: Execution, network: Graph, meaning: RawLayer, sums: Sums, whole: np.ndarray, *, classes: bool
) -> None:
    """What left the last layer against its exact value; and on the `whole` vectors, from real inputs on, the

    network's own outputs: each is off by less than one unit of its scale, and the class is another only where the
    exact outputs are closer than floats can tell.
    """
    layer, unit = network.layers[-1], float(network.output_scale)
    value, bound = _exact_values(layer, meaning, sums)
    _refuse(run, layer, np.abs(run.output - value) > bound, run.output, value)
    logits = layer.activation.apply(sums.accumulators)
    bad = np.abs(run.output - logits * unit) > bound + unit
    _refuse(run, layer, bad & whole[:, None], logits * unit, run.output, "from end to end")
    if not classes:
        return
    theirs, mine, rows = run.output.argmax(axis=1), logits.argmax(axis=1), np.arange(len(logits))
    gap = value[rows, theirs] - value[rows, mine]
    wrong = whole & (theirs != mine) & (np.abs(gap) > bound[rows, theirs] + bound[rows, mine])
    if wrong.any():
        vector = int(wrong.argmax())
        raise CheckFailed(
            f"the class of {run.trial.name(vector)} is {theirs[vector]} in {run.engine} and {mine[vector]} in the "
            f"integer network, after layer {layer.name}",
            "this is a bug of qap2fpga or of the export; please report it with the model",
        )


def _gamma(roundings: int) -> float:
    return roundings * UNIT / (1 - roundings * UNIT)


def _line(affine: Affine, meaning: RawLayer) -> tuple[np.ndarray, np.ndarray]:
    return _floats(affine.slope, meaning), _floats(affine.intercept, meaning)


def _floats(values: Iterable[Fraction], meaning: RawLayer) -> np.ndarray:
    try:
        return np.array([float(value) for value in values])
    except OverflowError as error:
        hint = "a scale, weight or batch norm is out of any usual range; check the model"
        raise QapError(f"layer {meaning.name} leaves the range of floats", hint) from error


def _place(bad: np.ndarray) -> tuple[int, int]:
    """(vector, channel) of the first that is bad."""
    vector, channel = (int(index[0]) for index in np.nonzero(bad))
    return vector, channel


def _refuse(
    run: Execution, layer: Unit, bad: np.ndarray, actual: np.ndarray, expected: np.ndarray, where: str = "in"
) -> None:
    if bad.any():
        vector, channel = _place(bad)
        values = actual[vector, channel], expected[vector, channel]
        _differ(run, f"{where} layer {layer.name}", layer.channel_name(channel), vector, *values)


def _differ(run: Execution, where: str, channel: str, vector: int, actual: float, expected: float) -> NoReturn:
    raise CheckFailed(
        f"{run.engine} and the integer network differ beyond float rounding {where}, channel {channel}, "
        f"{run.trial.name(vector)}: {actual:g} instead of {expected:g}",
        "this is a bug of qap2fpga or of the export; please report it with the model",
    )
