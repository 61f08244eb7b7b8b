# SPDX-License-Identifier: Apache-2.0
"""Each kind of node against plain Python integers."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qap2fpga.ir.functions import Logits, Step
from qap2fpga.ir.linear import Linear
from qap2fpga.ir.nodes import Input, Requantizer
from qap2fpga.ir.quantizer import InputQuantizer
from qap2fpga.ir.tensors import Code, Range, Shape
from qap2fpga.system.errors import QapError

SMALL = st.integers(-4, 4)


def linear(weights: list[list[int]], name: str = "fc1") -> Linear:
    return Linear(name=name, sources=("x",), weights=np.array(weights, np.int64), weight_bits=4, input_bits=4)


def step(thresholds: list[list[int]], base: int = 0, step: int = 1) -> Requantizer:
    rows = np.array(thresholds, np.int64).reshape(len(thresholds), -1)
    return Requantizer(name="act1", sources=("fc1",), function=Step(rows, base, step))


def logits(multiplier: list[int], offset: list[int], shift: int) -> Requantizer:
    function = Logits(np.array(multiplier, np.int64), np.array(offset, np.int64), shift, None)
    return Requantizer(name="out", sources=("fc1",), function=function)


@given(
    st.lists(st.lists(SMALL, min_size=3, max_size=3), min_size=2, max_size=2),
    st.lists(SMALL, min_size=2, max_size=2),
)
@settings(max_examples=60, deadline=None)
def test_sums_are_those_of_python(weights: list[list[int]], row: list[int]) -> None:
    expected = [sum(value * weights[i][j] for i, value in enumerate(row)) for j in range(3)]
    assert linear(weights).evaluate([np.array([[[row]]], np.int64)]).tolist() == [[[expected]]]


@given(st.lists(st.lists(SMALL, min_size=2, max_size=2), min_size=2, max_size=2))
@settings(max_examples=30, deadline=None)
def test_the_range_of_sums_is_what_can_be_reached(weights: list[list[int]]) -> None:
    node = linear(weights)
    ends = Range(np.array([-2, 0], np.int64), np.array([1, 3], np.int64))
    rows = np.array(list(itertools.product(range(-2, 2), range(4))), np.int64)
    sums = node.evaluate([rows[:, None, None]])
    reached = node.range([ends])
    assert reached.low.tolist() == sums.min(axis=(0, 1, 2)).tolist()
    assert reached.high.tolist() == sums.max(axis=(0, 1, 2)).tolist()


def test_sums_beyond_64_bits_are_refused_by_name() -> None:
    node = linear([[1 << 62], [1 << 62]], "wide")
    with pytest.raises(QapError, match="layer wide"):
        node.evaluate([np.ones((1, 1, 1, 2), np.int64)])


@given(
    st.lists(st.integers(-20, 20), min_size=1, max_size=5).map(sorted),
    st.integers(-3, 3),
    st.integers(1, 3),
    st.integers(-30, 30),
)
@settings(max_examples=80, deadline=None)
def test_a_step_counts_the_thresholds_that_are_reached(row: list[int], base: int, size: int, value: int) -> None:
    node = step([row], base, size)
    expected = base + size * sum(value >= threshold for threshold in row)
    assert node.evaluate([np.array([[value]], np.int64)]).tolist() == [[expected]]


@pytest.mark.parametrize("spread", [10, 1 << 40])
def test_a_step_of_many_values_is_the_same_by_table_and_by_search(spread: int) -> None:
    """Up to a range it is a table, beyond it a search."""
    values = np.linspace(-spread, spread, 101).astype(np.int64)
    thresholds = [-spread // 3, 0, 1, spread // 2]
    node = step([thresholds])
    expected = [sum(int(value) >= int(threshold) for threshold in thresholds) for value in values]
    assert node.evaluate([values[:, None]])[:, 0].tolist() == expected


def test_the_range_of_a_step_are_its_levels_at_both_ends() -> None:
    node = step([[0, 5], [-5, 100]], base=-1, step=2)
    result = node.range([Range(np.array([0, -6]), np.array([4, 99]))])
    assert (result.low.tolist(), result.high.tolist()) == ([1, -1], [1, 1])


@given(st.lists(st.integers(-20, 20), min_size=1, max_size=4).map(sorted), st.integers(1, 3), st.integers(-5, 5))
@settings(max_examples=60, deadline=None)
def test_a_step_that_is_fed_less_does_the_same(row: list[int], size: int, constant: int) -> None:
    node, other = step([row]), step([row]).recoded([Code(np.array([size]), np.array([constant]))])[0]
    values = np.arange(-30, 31, dtype=np.int64)[:, None]
    assert np.array_equal(node.evaluate([size * values + constant]), other.evaluate([values]))


@given(SMALL, SMALL, st.integers(0, 3), st.integers(1, 3), st.integers(-5, 5))
@settings(max_examples=60, deadline=None)
def test_logits_that_are_fed_less_do_the_same(factor: int, offset: int, shift: int, size: int, constant: int) -> None:
    node = logits([factor], [offset], shift)
    values = np.arange(-30, 31, dtype=np.int64)[:, None]
    other = node.recoded([Code(np.array([size]), np.array([constant]))])[0]
    assert np.array_equal(node.evaluate([size * values + constant]), other.evaluate([values]))


def test_the_range_of_logits_is_in_order_where_they_fall() -> None:
    result = logits([2, -3], [1, 0], 1).range([Range(np.array([-4, -4]), np.array([5, 5]))])
    assert (result.low.tolist(), result.high.tolist()) == ([-4, -8], [5, 6])


def test_dropped_inputs_come_back_as_what_is_missing() -> None:
    node = linear([[1, 2], [3, -4], [0, 5]])
    kept = np.array([True, False, False])
    fewer, missing = node.narrowed(np.ones(2, bool), [kept], [np.array([0, 2, 3])])
    assert fewer.weights.tolist() == [[1, 2]]
    assert missing is not None
    assert missing.tolist() == [6, 7]


def test_channels_keep_their_numbers() -> None:
    node = linear([[1, 2, 3]]).select(np.array([True, False, True])).select(np.array([False, True]))
    assert (node.channel_name(0), node.weights.tolist()) == ("2", [[3]])


def test_the_type_of_the_weights_is_signed() -> None:
    assert [linear(weights).weight_width for weights in ([[1, 3]], [[-4, 3]], [[-5]], [[0]])] == [3, 3, 4, 1]


def test_which_inputs_are_read() -> None:
    (expected,) = linear([[0, 0], [0, 1]]).wants(np.ones(2, bool), [np.zeros(2, bool)])
    assert expected.tolist() == [False, True]


@pytest.mark.parametrize(
    ("node", "why"),
    [
        (step([[3, 2]]), "do not rise"),
        (
            Requantizer(name="act1", sources=("fc1",), function=Step(np.zeros(3, np.int64))),
            r"thresholds have shape \(3,\)",
        ),
        (Requantizer(name="act1", sources=("fc1",), function=Step(np.zeros((1, 2)))), "float64"),
        (Requantizer(name="out", sources=("fc1",), function=Logits(np.ones(1), np.zeros(1), 0, 0)), "no integers"),
        (step([[1]], step=0), "step is 0"),
        (logits([1], [1, 2], 0), "multipliers"),
        (logits([1], [1], -1), "negative"),
        (Linear(name="a", weights=np.zeros((2, 2)), weight_bits=1, input_bits=1), "float64"),
        (Linear(name="a", weights=np.zeros((0, 2), np.int64), weight_bits=1, input_bits=1), "shape"),
    ],
)
def test_parameters_that_are_not_valid(node: Linear | Requantizer, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        node.check()


def test_an_input_gives_its_frames_and_its_quantizers_range() -> None:
    node = Input(name="in", size=Shape(2), quantizer=InputQuantizer(-4, 3, (0.5,)))
    ends = node.range([])
    assert (ends.low.tolist(), ends.high.tolist(), ends.bits, ends.signed_bits) == ([-4, -4], [3, 3], 3, 3)
    frames = np.array([[1, 2]])
    assert node.evaluate([frames]) is frames


@pytest.mark.parametrize(
    ("rounding", "wanted"),
    [("ROUND", [-2, 0, 0, 2, 3]), ("FLOOR", [-2, -1, 0, 1, 3]), ("CEIL", [-1, 0, 1, 2, 3]),
     ("ROUND_TO_ZERO", [-1, 0, 0, 1, 3]), ("SIGN", [-1, -1, 1, 1, 1])],
)  # fmt: skip
def test_roundings(rounding: str, wanted: list[int]) -> None:
    quantizer = InputQuantizer(-4, 3, (2.0,), rounding=rounding)
    assert quantizer.quantize(np.array([[-3.0], [-1.0], [1.0], [3.0], [100.0]]))[:, 0].tolist() == wanted


def test_a_requantizer_and_its_source_have_as_many_channels() -> None:
    with pytest.raises(ValueError, match="it has 2 channels, its source gives 3"):
        step([[1], [2]]).shape([Shape(3)])
    assert step([[1], [2]]).shape([Shape(2, 4, 5)]) == Shape(2, 4, 5)
