# SPDX-License-Identifier: Apache-2.0
"""Every implementation of a step function against the thresholds, by enumeration, and `prove` with planted faults."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qap2fpga.requant import implementations, prices, requantize
from qap2fpga.requant.implementations import Constant, Piecewise, Search, Table, Target, prove
from qap2fpga.requant.segments import roundest
from qap2fpga.system.errors import CheckFailed

COST = prices.load().luts


def target(low: int, high: int, slope: float, intercept: float, levels: int) -> Target:
    """Thresholds of `floor(slope * x + intercept)` limited to 0..levels, as lowering leaves them."""
    exact = [int(np.ceil((level - intercept) / slope)) for level in range(1, levels + 1)]
    inside = [value for value in exact if low < value <= high]
    base = sum(value <= low for value in exact)
    return Target(np.array(inside, np.int64), low, high, base)


def enumerated(wanted: Target) -> np.ndarray:
    return np.arange(wanted.low, wanted.high + 1)


def brute(wanted: Target, values: np.ndarray) -> np.ndarray:
    """The definition, one comparison per threshold."""
    return wanted.base + (values[:, None] >= wanted.thresholds[None, :]).sum(axis=1)


STEPS = st.builds(
    lambda low, size, bits, pitch, start: target(low, low + size, 1 / pitch, -start / pitch, (1 << bits) - 1),
    st.integers(-20000, 20000),
    st.integers(0, 40000),
    st.integers(1, 8),
    st.floats(0.3, 400),
    st.floats(-20000, 20000),
)


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_every_implementation_equals_the_thresholds_everywhere(wanted):
    values = enumerated(wanted)
    expected = brute(wanted, values)
    seen = 0
    for implementation in requantize.candidates(wanted):
        result = implementation.apply(values)
        assert (result == expected).all(), implementation
        prove(implementation, wanted, "channel 0")
        seen += 1
    assert seen
    assert (requantize.cheapest(wanted, COST, "channel 0").apply(values) == expected).all()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(-3000, 3000), min_size=1, max_size=63), st.integers(1, 30))
def test_thresholds_of_no_pattern_at_all(thresholds, room):
    ordered = np.sort(np.array(thresholds, np.int64))
    goal = Target(ordered, int(ordered[0]) - room, int(ordered[-1]) + room)
    implementation = requantize.cheapest(goal, COST, "channel 0")
    values = enumerated(goal)
    assert (implementation.apply(values) == brute(goal, values)).all()


@settings(max_examples=30, deadline=None)
@given(STEPS, st.integers(1, 2))
def test_a_tolerance_is_kept_everywhere(wanted, tolerance):
    implementation = requantize.cheapest(wanted, COST, "channel 0", tolerance)
    values = enumerated(wanted)
    assert np.abs(implementation.apply(values) - brute(wanted, values)).max() <= tolerance


@settings(max_examples=30, deadline=None)
@given(STEPS)
def test_what_is_not_tried_would_not_have_been_chosen(wanted):
    """The first of the cheapest of all."""
    assert requantize.cheapest(wanted, COST, "c") == min(
        requantize.candidates(wanted), key=lambda one: COST(one, wanted)
    )


def test_the_same_channel_is_searched_once(monkeypatch):
    """Another line, range or tolerance is another channel."""
    tried = []
    monkeypatch.setattr(
        requantize, "candidates", lambda one, *rest: tried.append(one) or iter([requantize.search(one)])
    )
    one = target(-7001, 9000, 1 / 19.37, -0.71, 63)
    for again in (one, replace(one, thresholds=one.thresholds.copy())):
        assert requantize.cheapest(again, COST, "c") == requantize.search(one)
    assert len(tried) == 1
    others = [replace(one, low=one.low - 1), replace(one, high=one.high + 1), replace(one, base=1)]
    for other in others:
        requantize.cheapest(other, COST, "c")
    requantize.cheapest(one, COST, "c", 1)
    assert len(tried) == 5
    assert len({one, *others}) == 4 and one != 0


def test_the_roundest_integer_of_a_range():
    for low in range(-40, 41):
        for high in range(low, 41):
            zeros = {n: (n & -n).bit_length() if n else 99 for n in range(low, high + 1)}
            result = roundest(low, high)
            assert low <= result <= high
            assert zeros[result] == max(zeros.values())


def test_a_power_of_two_is_a_plain_shift():
    implementation = requantize.cheapest(target(-4000, 4000, 1 / 16, 0.0, 63), COST, "channel 0")
    assert (
        isinstance(implementation, Piecewise) and implementation.terms == ((1, 0),) and not any(implementation.offsets)
    )


def test_a_constant_and_a_small_range():
    assert requantize.cheapest(Target(np.array([], np.int64), -5, 9, 3), COST, "c") == Constant(3)
    goal = target(0, 15, 1 / 1.7, 0.2, 7)
    assert isinstance(requantize.cheapest(goal, COST, "c"), Table)


ARBITRARY = target(-9000, 9000, 1 / 19.37, -0.71, 63)


def test_arbitrary_scales_need_no_binary_search():
    exact = requantize.cheapest(ARBITRARY, COST, "c")
    assert isinstance(exact, Piecewise)
    assert COST(exact, ARBITRARY) < 0.8 * COST(requantize.search(ARBITRARY), ARBITRARY)
    loose = requantize.cheapest(ARBITRARY, COST, "c", 1)
    assert COST(loose, ARBITRARY) <= COST(exact, ARBITRARY)


def planted() -> list:
    """One wrong implementation of each kind: an offset, a shift, a limit, a threshold, a table entry, a constant."""
    good = next(
        implementation
        for implementation in requantize.candidates(ARBITRARY)
        if isinstance(implementation, Piecewise) and implementation.bits >= 4
    )
    offsets = list(good.offsets)
    used = int(good.segment(ARBITRARY.thresholds[30:31])[0])
    offsets[used] += 1 << good.shift - 1
    search = requantize.search(ARBITRARY)
    moved = tuple(value + (place == 17) for place, value in enumerate(search.thresholds))
    small = target(0, 15, 1 / 1.7, 0.2, 7)
    table = next(implementation for implementation in requantize.candidates(small) if isinstance(implementation, Table))
    wrong = (*table.results[:9], table.results[9] + 1, *table.results[10:])
    assert good.below is not None
    return [
        pytest.param(replace(good, offsets=tuple(offsets)), ARBITRARY, id="offset"),
        pytest.param(replace(good, shift=good.shift + 1), ARBITRARY, id="shift"),
        pytest.param(replace(good, below=int(ARBITRARY.thresholds[0]) + 1), ARBITRARY, id="limit"),
        pytest.param(replace(good, above=None), ARBITRARY, id="no limit"),
        pytest.param(Search(moved, search.bits), ARBITRARY, id="threshold"),
        pytest.param(replace(table, results=wrong), small, id="table"),
        pytest.param(Constant(1), Target(np.array([], np.int64), 0, 9, 2), id="constant"),
    ]


@pytest.mark.parametrize(("implementation", "wanted"), planted())
def test_prove_names_channel_and_value(implementation, wanted):
    with pytest.raises(CheckFailed, match=r"layer fc1, channel 7: .*accumulator -?\d+"):
        prove(implementation, wanted, "layer fc1, channel 7")


def test_a_segment_that_is_wrong_far_from_any_threshold():
    """Its sum reaches the right result before it ends, so only its first x tells."""
    goal = Target(np.array([4]), 0, 15)
    implementation = Piecewise(((1, 0),), 3, 3, 1, (4, 0), None, None, 0, 1)
    prove(implementation, goal, "c")
    with pytest.raises(CheckFailed, match="gives 0 for accumulator 8, must be 1"):
        prove(replace(implementation, offsets=(4, -4)), goal, "c")


def test_a_threshold_off_by_one_is_found_at_any_place():
    implementation = requantize.cheapest(ARBITRARY, COST, "c")
    for place in range(len(ARBITRARY.thresholds)):
        for step in (-1, 1):
            moved = ARBITRARY.thresholds.copy()
            moved[place] += step
            with pytest.raises(CheckFailed):
                prove(implementation, replace(ARBITRARY, thresholds=np.sort(moved)), "c")


def test_logits_take_an_affine_implementation():
    slope = 14527 / 2**15
    levels = 7600
    thresholds = np.array([int(np.ceil(level / slope)) for level in range(1, levels)], np.int64)
    goal = Target(thresholds, 0, int(thresholds[-1]) + 1)
    implementation = requantize.cheapest(goal, COST, "c")
    assert isinstance(implementation, Piecewise) and implementation.bits == 0
    assert (implementation.apply(enumerated(goal)) == brute_sorted(goal)).all()


def brute_sorted(wanted: Target) -> np.ndarray:
    return np.searchsorted(wanted.thresholds, enumerated(wanted), side="right")


@pytest.mark.parametrize("multiplier", [1, 3, 14527, 123457])
def test_what_is_known_to_be_a_line_always_has_an_implementation(multiplier):
    """Slopes below and above one; many results a step of x repeat thresholds."""
    shift, offset, low, high = 15, -257387, -700, 900
    first, last = ((multiplier * end + offset) >> shift for end in (low, high))
    edges = [-((offset - (level << shift)) // multiplier) for level in range(first + 1, last + 1)]
    goal = Target(np.array(edges, np.int64), low, high, first, (multiplier, offset, shift))
    implementation = requantize.cheapest(goal, COST, "c")
    values = enumerated(goal)
    assert (implementation.apply(values) == (multiplier * values + offset) >> shift).all()


def test_where_a_proof_looks():
    """At both sides of every threshold, and at both ends of every segment."""
    assert Search((3, 7, 9), 2).corners() == [2, 3, 6, 7, 8, 9]
    one = Piecewise(((1, 0),), 0, 2, 1, (0, 0), None, None, 0, 15)
    assert sorted({*implementations._segment_ends(one, target(0, 11, 1, 0, 11), "channel 0")}) == [
        -1,
        0,
        3,
        4,
        7,
        8,
        11,
    ]


@pytest.mark.parametrize("start", [120 << 30, -(120 << 30)], ids=["above", "below"])
@pytest.mark.parametrize(("count", "kind"), [(255, Search), (600, Piecewise)])
def test_steep_steps_far_from_zero_have_an_implementation(start: int, count: int, kind: type) -> None:
    """Products with a slope of 24 fractional bits would leave 64 bits: what is found takes fewer, or more."""
    wanted = Target(start + np.arange(count) // 100, -(1 << 38), 1 << 38)
    chosen = requantize.cheapest(wanted, COST, "channel 0")
    values = np.array([wanted.low, *range(start - 20, start + 20), wanted.high])
    assert isinstance(chosen, kind)
    assert (chosen.apply(values) == brute(wanted, values)).all()
