# SPDX-License-Identifier: Apache-2.0
"""A requantizer's target against the layer's activation: whatever is planted in one of the two is found."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from qap2fpga.backends.hls4ml import code
from qap2fpga.backends.rtl import backend, layer, solver
from qap2fpga.ir.functions import Logits, Step
from qap2fpga.ir.tensors import Range
from qap2fpga.ir.units import Ranges, dense
from qap2fpga.requant.implementations import Target
from qap2fpga.requant.meaning import prove_meaning
from qap2fpga.system.errors import CheckFailed

STEP = Step(np.array([[9, 9, 9, 9], [-30, -6, 7, 31]]))
# Counts of the second row for accumulators -20..40, as a function of x, which is half of the accumulator.
COUNTS = Target(np.array([-3, 4, 16]), -10, 20, 1)
RANGE = (-20, 40)
LOGITS = Logits(np.array([1, 5, -7]), np.array([0, -12345, 800]), 3, 2)


def proven(
    target: Target, activation: Step | Logits = STEP, accumulator_range: tuple[int, int] = RANGE, **reads: int
) -> None:
    prove_meaning(target, activation, 1, accumulator_range, "layer fc1, channel 1", **{"scale": 2, **reads})


def test_the_right_target_is_proven() -> None:
    proven(COUNTS)
    proven(replace(COUNTS, base=0), replace(STEP, base=-4, step=3), base=-1, step=3)
    # x is the complement of the node: the accumulator falls, and so does the function that is read from it.
    turned = Step(np.array([[0] * 4, [-31, -7, 6, 30]]))
    proven(Target(np.array([-4, 3, 15]), -11, 19, 1), turned, (-21, 39), scale=2, start=1)


@pytest.mark.parametrize("place", range(3))
@pytest.mark.parametrize("by", [-1, 1])
def test_each_threshold_that_is_off_by_one(place: int, by: int) -> None:
    moved = COUNTS.thresholds + by * (np.arange(3) == place)
    with pytest.raises(CheckFailed, match=r"layer fc1, channel 1: its requantizer is to give \d for accumulator -?\d+"):
        proven(replace(COUNTS, thresholds=moved))


@pytest.mark.parametrize(
    "change",
    [
        {"base": 0}, {"base": 2}, {"thresholds": COUNTS.thresholds[1:]}, {"thresholds": COUNTS.thresholds[:-1]},
        {"thresholds": COUNTS.thresholds[[0, 2]]},
    ],
)  # fmt: skip
def test_a_level_too_few_or_too_many(change: dict[str, Any]) -> None:
    with pytest.raises(CheckFailed, match="the network gives"):
        proven(replace(COUNTS, **change))


def test_thresholds_that_are_not_sorted() -> None:
    with pytest.raises(CheckFailed, match="layer fc1, channel 1: its requantizer's thresholds are not sorted"):
        proven(replace(COUNTS, thresholds=COUNTS.thresholds[[1, 0, 2]]))


@pytest.mark.parametrize("change", [{"low": -11}, {"low": -9}, {"high": 19}, {"high": 21}])
def test_another_range(change: dict[str, int]) -> None:
    with pytest.raises(CheckFailed, match=r"reads other accumulators than -20\.\.40"):
        proven(replace(COUNTS, **change))


@pytest.mark.parametrize("reads", [{"scale": 1}, {"scale": -2}, {"start": 2}, {"base": 1}, {"step": 2}])
def test_another_reading(reads: dict[str, int]) -> None:
    with pytest.raises(CheckFailed, match="layer fc1, channel 1: its requantizer"):
        proven(COUNTS, **reads)


def line(multiplier: int = 10, offset: int = -12345, shift: int = 3) -> Target:
    first, last = ((multiplier * end + offset) >> shift for end in (-(2**20), 2**20))
    return Target(np.zeros(0, np.int64), -(2**20), 2**20, first, (multiplier, offset, shift), last)


def test_the_right_line_is_proven() -> None:
    proven(line(), LOGITS, (-(2**21), 2**21))


# The last two are equal to the right one at both ends: there, half a unit is dropped.
@pytest.mark.parametrize("wrong", [line(11), line(offset=-12337), line(20, -24690, 4), line(offset=-12346)])
def test_another_line(wrong: Target) -> None:
    with pytest.raises(CheckFailed, match="layer fc1, channel 1: its requantizer"):
        proven(wrong, LOGITS, (-(2**21), 2**21))


def test_a_line_is_no_step_function() -> None:
    flat = Target(np.zeros(0, np.int64), -10, 20, 4, (0, 4, 0), 4)
    with pytest.raises(CheckFailed, match="its requantizer's line is not that of the network's output"):
        proven(flat, Step(np.array([[0] * 4, [-50, -49, -48, -47]])))


# ---- where backends make targets


LAYER = dense("fc1", np.array([[3, -4], [6, 8]]), Step(np.array([[-9, 0, 12], [-20, 4, 40]])), 5, 4)
ENDS = np.full(2, -8), np.full(2, 7)
RANGES = Ranges(ENDS, LAYER.range(*ENDS), LAYER.activation.range(*LAYER.range(*ENDS)))


def off_by_one(target: Target) -> Target:
    return replace(target, thresholds=target.thresholds + (np.arange(len(target.thresholds)) >= 1))


@pytest.mark.parametrize("activation", [LAYER.activation, Logits(np.array([5, -3]), np.array([7, 9]), 2, 0)])
def test_the_rtl_backend_proves_its_targets(monkeypatch: pytest.MonkeyPatch, activation: Step | Logits) -> None:
    """Outputs with common factors and shifts, one of which falls."""
    one = LAYER.changed(activation=activation)
    graph = solver.solve(one.weights, *ENDS, "fc1")
    assert {output.factor for output in graph.outputs} == {1, 3}
    assert len(backend.choose(one, graph, RANGES)) == 2
    right = layer.target
    monkeypatch.setattr(layer, "target", lambda *given: off_by_one(right(*given)))
    with pytest.raises(CheckFailed, match="layer fc1, channel 0: its requantizer is to give"):
        backend.choose(one, graph, RANGES)


def test_the_hls4ml_backend_proves_its_targets(monkeypatch: pytest.MonkeyPatch) -> None:
    source = Range(*RANGES.accumulators)
    assert code.requantize("requantize", LAYER.linear, LAYER.activation, source)
    monkeypatch.setattr(code, "Target", lambda row, *others: off_by_one(Target(row, *others)))
    for step in (1, 2):
        with pytest.raises(CheckFailed, match="layer fc1, channel 0: its requantizer is to give"):
            code.requantize("requantize", LAYER.linear, replace(LAYER.activation, step=step), source)
